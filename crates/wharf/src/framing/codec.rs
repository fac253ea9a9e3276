//! Framings that users write, and what keeps the server safe from them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{Envelope, FrameError};
use crate::unwinding::caught;

/// A framing of your own; see [`Framing::codec`](crate::Framing::codec).
///
/// One codec serves all sessions, from all threads: it keeps nothing of a session. What it says is
/// checked, and it may panic: that closes the session in question with
/// [`FrameError::BrokenCodec`], and harms no other.
///
/// ```
/// use wharf::{Codec, Decoded, Envelope, FrameError, Framing};
///
/// /// A byte of length, the payload, and a byte that is the exclusive or of the payload.
/// struct Checked;
///
/// fn sum(bytes: &[u8]) -> u8 {
///     bytes.iter().fold(0, |sum, byte| sum ^ byte)
/// }
///
/// impl Codec for Checked {
///     fn decode(&self, bytes: &[u8], _: usize, max: usize) -> Result<Decoded, FrameError> {
///         let len = usize::from(bytes[0]);
///         if len > max {
///             return Err(FrameError::TooLong { announced: len, max });
///         }
///         let consumed = 1 + len + 1;
///         let Some(payload) = bytes.get(1..1 + len).filter(|_| bytes.len() >= consumed) else {
///             return Ok(Decoded::Partial { needed: Some(consumed), scanned: 0 });
///         };
///         if sum(payload) != bytes[1 + len] {
///             return Err(FrameError::Codec("the checksum is wrong"));
///         }
///         Ok(Decoded::Frame { payload: 1..1 + len, consumed })
///     }
///
///     fn wrap(&self, parts: &[&[u8]]) -> Result<Envelope, FrameError> {
///         let len: usize = parts.iter().map(|part| part.len()).sum();
///         let too_long = FrameError::TooLong { announced: len, max: self.payload_max() };
///         let len = u8::try_from(len).map_err(|_| too_long)?;
///         let sum = parts.iter().fold(0, |all, part| all ^ sum(part));
///         Envelope::new(&[len], &[sum])
///     }
///
///     fn payload_max(&self) -> usize {
///         u8::MAX.into()
///     }
/// }
///
/// let framing = Framing::codec(Checked);
/// ```
pub trait Codec: Send + Sync + 'static {
    /// Looks for a frame at the beginning of `bytes`, which are never empty. `scanned` is what it said
    /// last of them when they were fewer ([`Decoded::Partial`]), and 0 at first: where to go on. Must find
    /// the same in the same bytes whatever that is. A payload may have at most `max` bytes, and what goes around it
    /// [`Envelope::AFFIX_MAX`] on each side: what is longer is refused, by the codec as soon as it can
    /// tell, or else by wharf.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], or [`FrameError::Codec`] with what is wrong: the session is closed.
    fn decode(&self, bytes: &[u8], scanned: usize, max: usize) -> Result<Decoded, FrameError>;

    /// What goes before and after a payload, which is given in one or more parts, one behind the other.
    /// It has as many bytes as the limit allows, or fewer.
    ///
    /// # Errors
    /// [`FrameError`] if there is no frame for it.
    fn wrap(&self, parts: &[&[u8]]) -> Result<Envelope, FrameError>;

    /// Where a payload lies in what stands behind the last frame when the stream ends; `None`, which is
    /// the default, if that is half a frame.
    fn last_frame(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let _ = bytes;
        None
    }

    /// The longest payload that can be expressed; asked once. By default any length.
    fn payload_max(&self) -> usize {
        usize::MAX
    }
}

/// Where the next frame lies in bytes that were received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// A whole frame.
    Frame {
        /// Where its payload lies.
        payload: Range<usize>,
        /// Bytes that it takes from the first on, with header and trailer: 1 or more.
        consumed: usize,
    },
    /// The beginning of a frame.
    Partial {
        /// How many bytes it takes from the first on, as far as can be told yet: those of its header, as
        /// long as that is not complete. More than there are. The codec is not asked again before they
        /// have come. `None` if nothing can be told: it is then asked again with each piece that comes,
        /// however small.
        needed: Option<usize>,
        /// How many bytes from the first on it need not look at again: up to all that there are. A codec
        /// that searches for the end of a frame goes on from there. One that says neither this nor
        /// `needed` works its way through all that has come for each byte that a peer drips; that counts
        /// towards what its session gets of a turn, so it delays no other, but it is work.
        scanned: usize,
    },
}

impl Decoded {
    /// Half a frame, of which the length is known or where it stands.
    #[inline]
    pub(super) const fn half(needed: usize, bytes: &[u8]) -> Self {
        Self::Partial { needed: Some(needed), scanned: bytes.len() }
    }
}

/// A codec that is not trusted.
#[derive(Clone)]
pub(super) struct OwnCodec {
    codec: Arc<dyn Codec>,
    payload_max: usize,
}

/// Bytes that may go around a payload.
const AROUND_MAX: usize = 2 * Envelope::AFFIX_MAX;
const PANICKED: FrameError = FrameError::BrokenCodec("it panicked");
const OUT_OF_BOUNDS: FrameError =
    FrameError::BrokenCodec("it found a payload outside of its frame");

impl OwnCodec {
    pub(super) fn new(codec: impl Codec) -> Self {
        Self { payload_max: codec.payload_max(), codec: Arc::new(codec) }
    }

    pub(super) const fn payload_max(&self) -> usize {
        self.payload_max
    }

    pub(super) fn decode(
        &self,
        bytes: &[u8],
        scanned: usize,
        max: usize,
    ) -> Result<Decoded, FrameError> {
        let decoded = caught(|| self.codec.decode(bytes, scanned, max)).ok_or(PANICKED)??;
        match &decoded {
            Decoded::Frame { payload, consumed } => {
                if *consumed == 0 || *consumed > bytes.len() {
                    return Err(FrameError::BrokenCodec(
                        "it found a frame of no bytes, or of more than there are",
                    ));
                }
                check_payload(payload, *consumed, max)?;
            }
            Decoded::Partial { needed, scanned } => {
                if needed.is_some_and(|needed| needed <= bytes.len()) {
                    return Err(FrameError::BrokenCodec(
                        "it needs no more bytes than it has, and found no frame",
                    ));
                }
                if *scanned > bytes.len() {
                    return Err(FrameError::BrokenCodec(
                        "it has scanned more bytes than there are",
                    ));
                }
                // Of one whose length cannot be told, one byte more is to come.
                let whole = needed.unwrap_or(bytes.len() + 1);
                if whole > max.saturating_add(AROUND_MAX) {
                    return Err(FrameError::TooLong { announced: whole - AROUND_MAX, max });
                }
            }
        }
        Ok(decoded)
    }

    pub(super) fn wrap(&self, parts: &[&[u8]]) -> Result<Envelope, FrameError> {
        caught(|| self.codec.wrap(parts)).ok_or(PANICKED)?
    }

    pub(super) fn last_frame(
        &self,
        bytes: &[u8],
        max: usize,
    ) -> Result<Option<Range<usize>>, FrameError> {
        let last = caught(|| self.codec.last_frame(bytes)).ok_or(PANICKED)?;
        last.iter().try_for_each(|payload| check_payload(payload, bytes.len(), max))?;
        Ok(last)
    }
}

fn check_payload(payload: &Range<usize>, consumed: usize, max: usize) -> Result<(), FrameError> {
    if payload.start > payload.end || payload.end > consumed {
        return Err(OUT_OF_BOUNDS);
    }
    if payload.len() > max {
        return Err(FrameError::TooLong { announced: payload.len(), max });
    }
    Ok(())
}

/// The same codec, and not one that does the same.
impl PartialEq for OwnCodec {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.codec, &other.codec)
    }
}

impl Eq for OwnCodec {}

impl fmt::Debug for OwnCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnCodec").field("payload_max", &self.payload_max).finish_non_exhaustive()
    }
}
