//! Frames out of a stream, for whoever is at its other end.

use super::{Decoded, FrameError, Framing};

/// Finds the frames in a stream that comes in pieces, as a server does: for clients, tests and tools that have no
/// session.
///
/// ```
/// use wharf::{FrameReader, Framing};
///
/// let mut reader = FrameReader::new(Framing::LINES, 1024);
/// reader.push(b"one\ntw");
/// assert_eq!(reader.next_frame()?, Some(b"one".to_vec()));
/// assert_eq!(reader.next_frame()?, None);
/// reader.push(b"o\n");
/// assert_eq!(reader.next_frame()?, Some(b"two".to_vec()));
/// # Ok::<(), wharf::FrameError>(())
/// ```
#[derive(Debug)]
pub struct FrameReader {
    framing: Framing,
    max: usize,
    bytes: Vec<u8>,
    /// Bytes in front that belong to frames that were given.
    used: usize,
    /// Bytes behind those that need not be looked at again.
    scanned: usize,
    /// Bytes that are needed behind those before there can be a frame.
    needed: usize,
}

impl FrameReader {
    /// For a stream of this framing, with frames of at most `frame_bytes_max` bytes of payload.
    pub const fn new(framing: Framing, frame_bytes_max: usize) -> Self {
        Self { framing, max: frame_bytes_max, bytes: Vec::new(), used: 0, scanned: 0, needed: 0 }
    }

    /// Takes in what has come. It holds no more than what was pushed since the last frame was asked for and one
    /// frame, if every frame that is there is [asked for](Self::next_frame) before more is pushed.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The payload of the next frame; `None` if more has to come first.
    ///
    /// # Errors
    /// [`FrameError`] if what has come is no frame: there is none behind it either.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let rest = &self.bytes[self.used..];
        if rest.is_empty() || rest.len() < self.needed {
            return Ok(None);
        }
        match self.framing.decode(rest, self.scanned, self.max)? {
            Decoded::Partial { needed, scanned } => {
                self.needed = needed.unwrap_or_default();
                self.scanned = scanned;
                Ok(None)
            }
            Decoded::Frame { payload, consumed } => {
                let frame = rest[payload].to_vec();
                self.used += consumed;
                (self.scanned, self.needed) = (0, 0);
                Ok(Some(frame))
            }
        }
    }

    /// The end of the stream: what stands behind the last frame as a frame, if that is one.
    ///
    /// # Errors
    /// [`FrameError`] if it cannot be one.
    pub fn last_frame(self) -> Result<Option<Vec<u8>>, FrameError> {
        let rest = &self.bytes[self.used..];
        if rest.is_empty() {
            return Ok(None);
        }
        Ok(self.framing.last_frame(rest, self.max)?.map(<[u8]>::to_vec))
    }
}
