//! Frames that begin with the length of their payload: the few that are read most.

use super::{Decoded, Envelope, FrameError};

/// How the length is written: it counts the payload that follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LengthPrefix {
    width: Width,
    big_endian: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Width {
    Two = 2,
    Four = 4,
}

impl LengthPrefix {
    pub(super) const U16_LE: Self = Self { width: Width::Two, big_endian: false };
    pub(super) const U16_BE: Self = Self { width: Width::Two, big_endian: true };
    pub(super) const U32_LE: Self = Self { width: Width::Four, big_endian: false };
    pub(super) const U32_BE: Self = Self { width: Width::Four, big_endian: true };

    const fn header_len(self) -> usize {
        self.width as usize
    }

    pub(super) const fn payload_max(self) -> usize {
        match self.width {
            Width::Two => u16::MAX as usize,
            Width::Four => u32::MAX as usize,
        }
    }

    /// The length that a header announces; `None` if the header is not complete.
    #[inline]
    fn announced(self, bytes: &[u8]) -> Option<usize> {
        let length = match (self.width, self.big_endian) {
            (Width::Two, false) => u32::from(u16::from_le_bytes(*bytes.first_chunk()?)),
            (Width::Two, true) => u32::from(u16::from_be_bytes(*bytes.first_chunk()?)),
            (Width::Four, false) => u32::from_le_bytes(*bytes.first_chunk()?),
            (Width::Four, true) => u32::from_be_bytes(*bytes.first_chunk()?),
        };
        Some(length as usize)
    }

    #[inline]
    pub(super) fn decode(self, bytes: &[u8], max: usize) -> Result<Decoded, FrameError> {
        let header = self.header_len();
        let Some(announced) = self.announced(bytes) else {
            return Ok(Decoded::half(header, bytes));
        };
        if announced > max {
            return Err(FrameError::TooLong { announced, max });
        }
        let consumed = header + announced;
        if bytes.len() < consumed {
            return Ok(Decoded::half(consumed, bytes));
        }
        Ok(Decoded::Frame { payload: header..consumed, consumed })
    }

    /// What goes around a payload of `len` bytes; `None` if it is too long.
    #[inline]
    pub(super) fn envelope(self, len: usize) -> Option<Envelope> {
        Some(match self.width {
            Width::Two => {
                let length = u16::try_from(len).ok()?;
                Envelope::of_header(if self.big_endian {
                    length.to_be_bytes()
                } else {
                    length.to_le_bytes()
                })
            }
            Width::Four => {
                let length = u32::try_from(len).ok()?;
                Envelope::of_header(if self.big_endian {
                    length.to_be_bytes()
                } else {
                    length.to_le_bytes()
                })
            }
        })
    }
}
