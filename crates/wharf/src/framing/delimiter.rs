//! Frames that end with a delimiter.

use std::sync::Arc;

use memchr::memmem::Finder;

use super::{Decoded, Envelope, FrameError, FramingError};

/// What stands behind each frame, ready to be searched for.
#[derive(Clone, Debug)]
pub(super) struct Delimiter {
    finder: Arc<Finder<'static>>,
    envelope: Envelope,
}

impl Delimiter {
    pub(super) fn new(bytes: &[u8]) -> Result<Self, FramingError> {
        let wrong = FramingError::Delimiter { len: bytes.len() };
        if bytes.is_empty() {
            return Err(wrong);
        }
        let envelope = Envelope::new(b"", bytes).map_err(|_| wrong)?;
        Ok(Self { finder: Arc::new(Finder::new(bytes).into_owned()), envelope })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.finder.needle()
    }

    pub(super) const fn envelope(&self) -> Envelope {
        self.envelope
    }

    pub(super) fn decode(
        &self,
        bytes: &[u8],
        scanned: usize,
        max: usize,
    ) -> Result<Decoded, FrameError> {
        let len = self.bytes().len();
        // It may have begun in what was looked at before.
        let from = scanned.saturating_sub(len - 1);
        let end = self.finder.find(&bytes[from..]).map(|at| from + at);
        // Without an end, all but the beginning of a delimiter is payload.
        let payload = end.unwrap_or_else(|| bytes.len().saturating_sub(len - 1));
        if payload > max {
            return Err(FrameError::TooLong { announced: payload, max });
        }
        match end {
            Some(end) => Ok(Decoded::Frame { payload: 0..end, consumed: end + len }),
            None => Ok(Decoded::Partial { needed: None, scanned: bytes.len() }),
        }
    }

    /// The bytes up to the end of a delimiter that lies in them, or all. One that has begun before may
    /// end earlier.
    pub(super) fn belonging(&self, next: &[u8]) -> usize {
        self.finder.find(next).map_or(next.len(), |at| at + self.bytes().len())
    }
}

impl PartialEq for Delimiter {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Delimiter {}
