//! Where a frame begins and ends. TCP is a stream: it splits and merges what was sent.

mod length_prefix;
mod lines;
mod receive_buffer;

use std::ops::Range;
use std::str::FromStr;

use thiserror::Error;

pub(crate) use self::receive_buffer::ReceiveBuffer;

use self::length_prefix::LengthPrefix;

/// Where a frame begins and ends.
///
/// A frame that lies in one received buffer is handed over without a copy. Every framing has a maximum,
/// [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max), that is checked before anything is
/// allocated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framing(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Raw,
    Lines,
    LengthPrefix(LengthPrefix),
}

/// Where the next frame lies in bytes that were received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Decoded {
    /// A whole frame: where its payload lies, and how many bytes it takes with header and trailer.
    Frame { payload: Range<usize>, consumed: usize },
    /// The beginning of a frame.
    Partial,
}

/// What goes before and after a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    header: [u8; 4],
    header_len: u8,
    trailer: &'static [u8],
}

impl Envelope {
    pub(crate) fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    /// Whether nothing goes around a payload.
    pub(crate) const fn is_empty(&self) -> bool {
        self.header_len == 0 && self.trailer.is_empty()
    }

    pub(crate) const fn trailer(&self) -> &'static [u8] {
        self.trailer
    }

    /// Where the frame lies whose payload lies at `payload` in `bytes`, if it has this envelope there
    /// already.
    #[inline]
    pub(crate) fn find_around(&self, bytes: &[u8], payload: Range<usize>) -> Option<Range<usize>> {
        let start = payload.start.checked_sub(usize::from(self.header_len))?;
        let (before, rest) = bytes.get(start..)?.split_at_checked(payload.start - start)?;
        // By its length: comparing a handful of bytes is not worth a call.
        let same = match before {
            [] => true,
            [a, b] => [*a, *b] == self.header[..2],
            [a, b, c, d] => [*a, *b, *c, *d] == self.header,
            _ => false,
        };
        if !same {
            return None;
        }
        if self.trailer.is_empty() {
            return Some(start..payload.end);
        }
        let behind = rest.get(payload.len()..)?;
        behind.starts_with(self.trailer).then(|| start..payload.end + self.trailer.len())
    }
}

/// Why received bytes are no frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame is longer than the limit.
    #[error("a frame of {announced} bytes, and at most {max} are allowed")]
    TooLong {
        /// What the header says; with a delimiter, how much has come without one.
        announced: usize,
        /// [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max).
        max: usize,
    },
}

impl Framing {
    /// No frames: each piece of the stream is handed over as it came, of any length. Must be asked
    /// for, since it is rarely what a protocol wants.
    pub const RAW: Self = Self(Kind::Raw);
    /// Lines: LF ends a frame, and one CR before it is left out. Sent with LF. A last line without LF
    /// is delivered at the end of the stream.
    pub const LINES: Self = Self(Kind::Lines);
    /// A length of two bytes, little-endian, that counts the payload that follows.
    pub const U16_LE: Self = Self(Kind::LengthPrefix(LengthPrefix::U16_LE));
    /// A length of two bytes, big-endian, that counts the payload that follows.
    pub const U16_BE: Self = Self(Kind::LengthPrefix(LengthPrefix::U16_BE));
    /// A length of four bytes, little-endian, that counts the payload that follows.
    pub const U32_LE: Self = Self(Kind::LengthPrefix(LengthPrefix::U32_LE));
    /// A length of four bytes, big-endian, that counts the payload that follows.
    pub const U32_BE: Self = Self(Kind::LengthPrefix(LengthPrefix::U32_BE));

    const NAMED: [(&'static str, Self); 6] = [
        ("raw", Self::RAW),
        ("lines", Self::LINES),
        ("u16le", Self::U16_LE),
        ("u16be", Self::U16_BE),
        ("u32le", Self::U32_LE),
        ("u32be", Self::U32_BE),
    ];

    /// The name as the command line has it.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, framing)| *framing == self).map_or("custom", |(name, _)| name)
    }

    /// The longest payload that can be expressed.
    pub const fn payload_max(self) -> usize {
        match self.0 {
            Kind::Raw | Kind::Lines => usize::MAX,
            Kind::LengthPrefix(prefix) => prefix.payload_max(),
        }
    }

    /// Whether what is sent keeps its boundaries.
    pub(crate) fn has_frames(self) -> bool {
        self.0 != Kind::Raw
    }

    /// Looks for a frame at the beginning of `bytes`. `scanned` of them were looked at before, and did
    /// not make a frame.
    #[inline]
    pub(crate) fn decode(
        self,
        bytes: &[u8],
        scanned: usize,
        max: usize,
    ) -> Result<Decoded, FrameError> {
        match self.0 {
            Kind::Raw if bytes.is_empty() => Ok(Decoded::Partial),
            Kind::Raw => Ok(Decoded::Frame { payload: 0..bytes.len(), consumed: bytes.len() }),
            Kind::Lines => lines::decode(bytes, scanned, max),
            Kind::LengthPrefix(prefix) => prefix.decode(bytes, max),
        }
    }

    /// How many of the bytes in `next` belong to the frame that `begun` begins, as far as can be told
    /// yet: at least one, at most all. No more than the rest of one frame is ever copied, and no more
    /// of one that is too long than `max` and what goes around it.
    pub(crate) fn belonging(self, begun: &[u8], next: &[u8], max: usize) -> usize {
        match self.0 {
            Kind::Raw => next.len(),
            Kind::Lines => lines::belonging(begun, next, max),
            Kind::LengthPrefix(prefix) => prefix.missing(begun).clamp(1, next.len()),
        }
    }

    /// What remains as a frame when the stream ends behind `bytes`; `None` if they are half a frame.
    pub(crate) fn last_frame(self, bytes: &[u8]) -> Option<&[u8]> {
        match self.0 {
            Kind::Lines => Some(lines::without_cr(bytes)),
            Kind::Raw | Kind::LengthPrefix(_) => None,
        }
    }

    /// What goes around a payload, which may have at most `max` bytes if it is a frame.
    #[inline]
    pub(crate) fn wrap(&self, payload: &[u8], max: usize) -> Result<Envelope, FrameError> {
        let announced = payload.len();
        let fits = announced <= max || !self.has_frames();
        let envelope = if fits { self.envelope(announced) } else { None };
        envelope.ok_or_else(|| FrameError::TooLong { announced, max: max.min(self.payload_max()) })
    }

    /// What goes around a payload of `len` bytes; `None` if it is too long.
    #[inline]
    pub(crate) fn envelope(self, len: usize) -> Option<Envelope> {
        match self.0 {
            Kind::Raw => Some(Envelope { header: [0; 4], header_len: 0, trailer: b"" }),
            Kind::Lines => Some(Envelope { header: [0; 4], header_len: 0, trailer: b"\n" }),
            Kind::LengthPrefix(prefix) => prefix.envelope(len),
        }
    }
}

impl FromStr for Framing {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::NAMED.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, framing)| *framing)
            .ok_or_else(|| format!("no framing '{name}': raw, lines, u16le, u16be, u32le or u32be"))
    }
}
