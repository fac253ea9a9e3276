//! Where half a frame waits for its rest.

use super::{Decoded, FrameError, Framing};

/// The beginning of one frame. It exists only while a session holds half a frame; whole frames never
/// pass through it.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    bytes: Vec<u8>,
    /// Bytes that were shown to the framing and did not make a frame.
    shown: usize,
    /// Those of them that it need not look at again.
    scanned: usize,
    /// Bytes of the frame, as far as is known; 0 if it is not.
    needed: usize,
}

/// What has become of bytes that came behind half a frame.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Filled<'buffer> {
    /// How many belong to the frame.
    pub(crate) used: usize,
    /// How many bytes the framing had to look at once more.
    pub(crate) again: usize,
    /// The frame, if it is complete.
    pub(crate) frame: Option<&'buffer [u8]>,
}

impl ReceiveBuffer {
    /// Takes in the beginning of a frame, of which the framing said this.
    pub(crate) fn begin(&mut self, bytes: &[u8], needed: Option<usize>, scanned: usize) {
        debug_assert!(self.bytes.is_empty());
        self.bytes.extend_from_slice(bytes);
        self.partial(needed, scanned);
    }

    fn partial(&mut self, needed: Option<usize>, scanned: usize) {
        self.shown = self.bytes.len();
        self.scanned = scanned;
        self.needed = needed.unwrap_or_default();
    }

    /// Appends what of `next` belongs to the frame. What was copied in vain, where the end of a frame
    /// could not be told before, is left out again.
    pub(crate) fn fill(
        &mut self,
        framing: &Framing,
        max: usize,
        next: &[u8],
    ) -> Result<Filled<'_>, FrameError> {
        let (mut used, mut again) = (0, 0);
        while used < next.len() {
            let held = self.bytes.len();
            let rest = &next[used..];
            let missing = self.needed.saturating_sub(held);
            // A codec that has got what it needed, and needs more, may go on like that byte by byte.
            let count = if missing > 0 && (used == 0 || framing.is_exact()) {
                missing
            } else {
                framing.belonging(held, rest, max).max(missing)
            };
            let count = count.clamp(1, rest.len());
            self.bytes.extend_from_slice(&rest[..count]);
            if self.bytes.len() < self.needed {
                return Ok(Filled { used: used + count, again, frame: None });
            }
            again += self.shown - self.scanned;
            match framing.decode(&self.bytes, self.scanned, max)? {
                Decoded::Partial { needed, scanned } => self.partial(needed, scanned),
                Decoded::Frame { payload, consumed } => {
                    let own = consumed.checked_sub(held).filter(|own| *own > 0);
                    let Some(own) = own else { return Err(FORGOTTEN) };
                    self.bytes.truncate(consumed);
                    let frame = Some(&self.bytes[payload]);
                    return Ok(Filled { used: used + own, again, frame });
                }
            }
            used += count;
        }
        Ok(Filled { used, again, frame: None })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the buffer, so that it can be used for another session.
    pub(crate) fn clear(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        *self = Self { bytes, ..Self::default() };
        self.bytes.clear();
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Only of a framing that users wrote.
const FORGOTTEN: FrameError =
    FrameError::BrokenCodec("it found a frame in bytes that were half a frame before");
