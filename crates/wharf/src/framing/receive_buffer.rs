//! Where half a frame waits for its rest.

use super::{Decoded, FrameError, Framing};

/// The beginning of one frame. It exists only while a session holds half a frame; whole frames never
/// pass through it.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    bytes: Vec<u8>,
    /// Bytes that were looked at and did not make a frame.
    scanned: usize,
    /// Bytes of the frame, as far as is known; 0 if it is not.
    needed: usize,
}

impl ReceiveBuffer {
    /// Takes in the beginning of a frame, which was found to need so many bytes in all.
    pub(crate) fn begin(&mut self, bytes: &[u8], needed: Option<usize>) {
        debug_assert!(self.bytes.is_empty());
        self.bytes.extend_from_slice(bytes);
        self.partial(needed);
    }

    fn partial(&mut self, needed: Option<usize>) {
        self.scanned = self.bytes.len();
        self.needed = needed.unwrap_or_default();
    }

    /// Appends what of `next` belongs to the frame. Returns how many bytes that was, and the frame if it
    /// is complete. What was copied in vain, where the end of a frame could not be told before, is left
    /// out again.
    pub(crate) fn fill(
        &mut self,
        framing: &Framing,
        max: usize,
        next: &[u8],
    ) -> Result<(usize, Option<&[u8]>), FrameError> {
        let mut used = 0;
        while used < next.len() {
            let held = self.bytes.len();
            let rest = &next[used..];
            let count = match self.needed.checked_sub(held) {
                Some(missing @ 1..) => missing.min(rest.len()),
                _ => framing.belonging(held, rest, max).clamp(1, rest.len()),
            };
            self.bytes.extend_from_slice(&rest[..count]);
            if self.bytes.len() < self.needed {
                return Ok((used + count, None));
            }
            match framing.decode(&self.bytes, self.scanned, max)? {
                Decoded::Partial { needed } => self.partial(needed),
                Decoded::Frame { payload, consumed } => {
                    let own = consumed.checked_sub(held).filter(|own| *own > 0);
                    let Some(own) = own else { return Err(FORGOTTEN) };
                    self.bytes.truncate(consumed);
                    return Ok((used + own, Some(&self.bytes[payload])));
                }
            }
            used += count;
        }
        Ok((used, None))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the buffer, so that it can be used for another session.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.scanned = 0;
        self.needed = 0;
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Only of a framing that users wrote.
const FORGOTTEN: FrameError =
    FrameError::BrokenCodec("it found a frame in bytes that were half a frame before");
