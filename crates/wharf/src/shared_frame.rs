//! A frame that is encoded once and sent to many.

use std::ops::Range;
use std::sync::Arc;

use wharf_port::SharedBytes;

use crate::framing::{FrameError, Framing};

/// A frame that is encoded once and sent to many: a clone shares its bytes.
///
/// Made by [`Context::frame`](crate::Context::frame) or
/// [`ServerHandle::frame`](crate::ServerHandle::frame).
#[derive(Clone, Debug)]
pub struct SharedFrame {
    bytes: Arc<[u8]>,
    payload: Range<usize>,
    framing: Framing,
}

impl SharedFrame {
    /// Encodes a payload of at most `max` bytes, with one allocation.
    pub(crate) fn encode(
        framing: &Framing,
        payload: &[u8],
        max: usize,
    ) -> Result<Self, FrameError> {
        let envelope = framing.wrap(&[payload], max)?;
        let parts = envelope.around(payload);
        let len = parts.iter().map(|part| part.len()).sum();
        // Allocated once and filled by copying: to collect the parts goes byte by byte.
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, len).collect();
        let mut place = Arc::make_mut(&mut bytes);
        for part in parts {
            let (front, rest) = place.split_at_mut(part.len());
            front.copy_from_slice(part);
            place = rest;
        }
        let start = envelope.header().len() - envelope.replaced();
        let payload = start..start + payload.len();
        Ok(Self { bytes, payload, framing: framing.clone() })
    }

    /// What was encoded; with the length filled in, where that is part of the message.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[self.payload.clone()]
    }

    /// The whole frame as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) const fn framing(&self) -> &Framing {
        &self.framing
    }

    pub(crate) fn shared(&self) -> SharedBytes {
        SharedBytes::from(Arc::clone(&self.bytes))
    }
}
