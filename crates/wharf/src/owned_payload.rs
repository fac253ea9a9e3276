//! A payload that is given away to be sent.

use std::sync::Arc;

use wharf_port::{OwnedBytes, Segment, SharedBytes};

/// A payload that is given away to be sent: [`Context::send_owned`](crate::Context::send_owned) says what
/// for. Made of a `Vec<u8>`, a `Box<[u8]>` or a `String`; or of an `Arc<[u8]>`, the bytes of which others
/// have as well.
#[derive(Debug)]
pub struct OwnedPayload(Bytes);

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl OwnedPayload {
    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Bytes::Owned(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }

    /// Gives back what was allocated beyond its bytes: whoever counts what waits counts these.
    pub(crate) fn shrunk(mut self) -> Self {
        if let Bytes::Owned(bytes) = &mut self.0 {
            bytes.shrink_to_fit();
        }
        self
    }

    /// The same as a piece of what is sent. It takes no more memory than it has bytes.
    pub(crate) fn into_segment(self) -> Segment {
        match self.shrunk().0 {
            Bytes::Owned(bytes) => Segment::Owned(OwnedBytes::from(bytes)),
            Bytes::Shared(bytes) => Segment::Shared(SharedBytes::from(bytes)),
        }
    }
}

impl From<Vec<u8>> for OwnedPayload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Owned(bytes))
    }
}

impl From<Box<[u8]>> for OwnedPayload {
    fn from(bytes: Box<[u8]>) -> Self {
        Self(Bytes::Owned(bytes.into_vec()))
    }
}

impl From<String> for OwnedPayload {
    fn from(text: String) -> Self {
        Self(Bytes::Owned(text.into_bytes()))
    }
}

impl From<Arc<[u8]>> for OwnedPayload {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self(Bytes::Shared(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_takes_no_more_memory_than_its_bytes() {
        let mut roomy = Vec::with_capacity(1 << 20);
        roomy.extend_from_slice(&[7; 10_000]);
        let Segment::Owned(owned) = OwnedPayload::from(roomy).into_segment() else {
            panic!("a vector has one owner")
        };
        // Nothing is appended to it either, which would keep it for as long.
        assert_eq!(owned.room(), 0);
        assert_eq!(owned.as_slice(), [7; 10_000]);
    }
}
