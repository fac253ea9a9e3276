//! Payloads that are sent from where their owner had them.

use wharf_port::{OwnedBytes, Segment};

use super::{Chunks, SHARED_SEGMENTS_MAX, SendQueue};
use crate::framing::Envelope;

/// A payload of fewer bytes than this is copied even if it is given away: a piece of its own, behind one
/// for the header, costs the kernel more than a short copy into a chunk that is there. It also keeps a
/// chunk for the header and one for what follows.
///
/// CPU time of a worker for a message that is given away, as a share of one that is copied; io_uring, then
/// epoll (medians of 7 interleaved rounds over loopback, on two noisy cores of an AMD EPYC, without this
/// minimum: `cargo run --release -p wharf --example owned_payloads`):
///
/// | KiB | a `Vec` made for it | an `Arc` that is there |
/// |---|---|---|
/// | 1 | 1.12, 1.15 | 1.11, 1.06 |
/// | 4 | 0.99, 0.98 | 0.86, 0.86 |
/// | 8 | 0.93, 0.90 | 0.80, 0.82 |
/// | 16 | 0.93, 0.93 | 0.69, 0.73 |
/// | 64 | 0.73, 0.87 | 0.60, 0.62 |
/// | 256 | 0.89, 0.89 | 0.76, 0.78 |
///
/// A `Vec` gains less, since the copy of what has just been written comes from the cache.
pub(crate) const OWNED_BYTES_MIN: usize = 8 << 10;

impl SendQueue {
    /// Appends a frame without copying its payload, which the header may stand in for the first bytes of.
    pub(crate) fn push_owned(
        &mut self,
        envelope: &Envelope,
        mut payload: Segment,
        chunks: &mut Chunks,
    ) {
        let (header, trailer) = (envelope.header(), envelope.trailer());
        payload.advance(envelope.replaced());
        let len = header.len() + payload.len() + trailer.len();
        self.push_affix(header, chunks);
        self.push_segment(payload, chunks);
        self.push_affix(trailer, chunks);
        self.count(len);
    }

    /// Appends what goes before a payload or behind it. Whoever has many pieces waiting is slow: a chunk
    /// for a few bytes would take more memory than is counted.
    fn push_affix(&mut self, affix: &[u8], chunks: &mut Chunks) {
        if affix.is_empty() {
            return;
        }
        let has_room = matches!(self.segments.last(), Some(Segment::Owned(last)) if last.room() >= affix.len());
        if has_room || self.segments.len() < SHARED_SEGMENTS_MAX {
            let fitted = self.room_for(affix.len(), chunks).try_extend(affix);
            debug_assert!(fitted, "room was made");
        } else {
            self.push_segment(Segment::Owned(OwnedBytes::from(affix.to_vec())), chunks);
        }
    }
}
