//! The bytes that every session sends, and that it must get back.
//!
//! All streams lie in one table that is made once and shared: a session's stream is the table, read
//! from the session's own lane on, round and round. So a send is one or two segments of the table
//! however many messages it holds, and to verify is to compare slices; nothing is done per byte, and
//! next to nothing per message.
//!
//! The table holds random bytes, and the number of its grains (bytes of a raw stream, else frames) is
//! a prime. So two sessions that are swapped, bytes that are lost, doubled or reordered, and a stale
//! piece of a buffer, whose distance is a power of two in every server, all meet other bytes than
//! they should. Each session has a lane of its own as long as there are grains, and then the lanes are
//! dealt out again. There are at least 512 grains; so that two sessions stand at the same place of the
//! table by chance, and a swap of theirs goes unnoticed, is less likely than one in 512.
//!
//! Frames up to [`LAID_MAX`] bytes are laid into the table whole, header and all. Longer ones would
//! make it too large for the caches: their payloads are the raw stream, and their headers and trailers
//! lie behind the table and are sent from there.

#[cfg(test)]
mod tests;

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use wharf_port::{Segment, SharedBytes};

use super::framing::Framing;
use crate::split_mix::SplitMix64;

/// The longest message, with header and trailer, that is laid into the table whole.
const LAID_MAX: usize = 2 << 10;
/// The least size of the table, and the most: beyond it the caches would miss.
const TABLE_BYTES: RangeInclusive<usize> = 64 << 10..=1 << 20;
/// The least number of grains, where the size allows it.
const GRAINS_MIN: usize = 1000;

/// The streams of all sessions.
#[derive(Debug)]
pub(super) struct Pattern {
    /// The table, then a header, then a trailer.
    bytes: Arc<[u8]>,
    /// Bytes of the table.
    period: usize,
    /// Bytes of what a lane begins with: 1, or a message that is laid into the table.
    grain: usize,
    /// Bytes of a message with header and trailer.
    message: usize,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    /// The table is the stream.
    Laid,
    /// The table is the payloads; headers and trailers come from behind it.
    Gathered { header: usize, size: usize },
}

impl Pattern {
    /// The streams of `sessions` sessions, of messages of `size` bytes.
    pub(super) fn new(framing: &Framing, size: usize, sessions: usize) -> Self {
        let header = framing.header(size as u64);
        let trailer = framing.trailer();
        let message = header.len() + size + trailer.len();
        let raw = message == size;
        let laid = raw || message <= LAID_MAX;
        let grain = if raw || !laid { 1 } else { message };
        let wanted = sessions.max(GRAINS_MIN).max(TABLE_BYTES.start() / grain);
        let mut grains = prime_from(wanted.min(TABLE_BYTES.end() / grain));
        if grain == 1 && size.is_multiple_of(grains) {
            // All messages would be alike.
            grains = prime_from(grains + 1);
        }
        let period = grains * grain;

        let mut random = Random::new(framing);
        let mut bytes = Vec::with_capacity(period + header.len() + trailer.len());
        for _ in 0..grains {
            if grain > 1 {
                bytes.extend_from_slice(&header);
                bytes.extend((0..size).map(|_| random.byte()));
                bytes.extend_from_slice(trailer);
            } else {
                bytes.push(random.byte());
            }
        }
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(trailer);

        let layout =
            if laid { Layout::Laid } else { Layout::Gathered { header: header.len(), size } };
        Self { bytes: bytes.into(), period, grain, message, layout }
    }

    /// Bytes of a message in the stream, with header and trailer.
    pub(super) const fn message(&self) -> u64 {
        self.message as u64
    }

    /// Where a session's stream begins in the table. Neighbours begin far from each other: they are
    /// rarely many messages apart, so they do not come upon each other's bytes later.
    pub(super) const fn lane(&self, session: usize) -> usize {
        let grains = self.period / self.grain;
        // The golden section; any step reaches every grain, since their number is a prime.
        let step = grains * 618 / 1000;
        (session % grains) * step % grains * self.grain
    }

    /// Where the `len` bytes from `position` on of the stream of a lane lie, piece by piece.
    fn pieces(
        &self,
        lane: usize,
        mut position: u64,
        len: usize,
    ) -> impl Iterator<Item = Range<usize>> {
        let mut left = len;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let mut piece = self.piece(lane, position);
            piece.end = piece.end.min(piece.start + left);
            left -= piece.len();
            position += piece.len() as u64;
            Some(piece)
        })
    }

    /// The longest piece of the stream that begins at `position` and lies in one place.
    #[inline]
    fn piece(&self, lane: usize, position: u64) -> Range<usize> {
        match self.layout {
            Layout::Laid => self.in_table(lane, position, self.period),
            Layout::Gathered { header, size } => {
                let message = position / self.message();
                let at = narrow(position % self.message());
                if at < header {
                    self.period + at..self.period + header
                } else if at < header + size {
                    let payload = message * size as u64 + (at - header) as u64;
                    self.in_table(lane, payload, header + size - at)
                } else {
                    self.period + header + (at - header - size)..self.bytes.len()
                }
            }
        }
    }

    /// At most `len` bytes of the table, from a lane and a position in its stream.
    #[inline]
    fn in_table(&self, lane: usize, position: u64, len: usize) -> Range<usize> {
        let mut start = lane + narrow(position % self.period as u64);
        if start >= self.period {
            start -= self.period;
        }
        start..self.period.min(start + len)
    }

    /// Adds segments of the stream of a lane to a send. Nothing is copied.
    pub(super) fn segments(&self, lane: usize, position: u64, len: usize, to: &mut Vec<Segment>) {
        to.extend(
            self.pieces(lane, position, len)
                .map(|piece| Segment::Shared(SharedBytes::new(Arc::clone(&self.bytes), piece))),
        );
    }

    /// A send of its own: `bytes` of the stream of a lane from `position` on.
    pub(super) fn sent(&self, lane: usize, position: u64, bytes: u64) -> Vec<Segment> {
        let mut segments = Vec::new();
        self.segments(lane, position, usize::try_from(bytes).unwrap_or(usize::MAX), &mut segments);
        segments
    }

    /// The message that begins at `position` of the stream of a lane, header and trailer included.
    pub(super) fn bytes(&self, lane: usize, position: u64) -> Vec<u8> {
        self.pieces(lane, position, self.message)
            .flat_map(|piece| &self.bytes[piece])
            .copied()
            .collect()
    }

    /// Whether `bytes` are what the stream of a lane has at `position`.
    #[inline]
    pub(super) fn matches(&self, lane: usize, position: u64, bytes: &[u8]) -> bool {
        let mut rest = bytes;
        self.pieces(lane, position, bytes.len()).all(|piece| {
            let (these, others) = rest.split_at(piece.len());
            rest = others;
            self.bytes[piece] == *these
        })
    }

    /// The first difference between `bytes` and the stream of a lane at `position`: its place in
    /// `bytes`, and the byte that should be there.
    pub(super) fn first_difference(
        &self,
        lane: usize,
        position: u64,
        bytes: &[u8],
    ) -> Option<(usize, u8)> {
        let expected = self.pieces(lane, position, bytes.len()).flatten().map(|at| self.bytes[at]);
        expected.enumerate().find(|&(at, byte)| bytes[at] != byte)
    }
}

/// A number that is known to fit: positions within a table or a message.
const fn narrow(value: u64) -> usize {
    debug_assert!(value <= usize::MAX as u64);
    #[expect(clippy::cast_possible_truncation, reason = "a remainder of what is a usize")]
    let narrowed = value as usize;
    narrowed
}

/// The first prime that is not below `from`.
fn prime_from(from: usize) -> usize {
    let is_prime = |n: usize| {
        (2..).take_while(|divisor| divisor * divisor <= n).all(|divisor| !n.is_multiple_of(divisor))
    };
    let mut candidate = from.max(2);
    while !is_prime(candidate) {
        candidate += 1;
    }
    candidate
}

/// Random bytes, the same in every run.
struct Random<'framing> {
    numbers: SplitMix64,
    framing: &'framing Framing,
}

impl<'framing> Random<'framing> {
    const fn new(framing: &'framing Framing) -> Self {
        Self { numbers: SplitMix64::new(0x7761_7266), framing }
    }

    /// One that the payload may hold: of 256, at least 78 are.
    fn byte(&mut self) -> u8 {
        loop {
            let byte = self.numbers.draw().to_le_bytes()[0];
            if self.framing.takes(byte) {
                return byte;
            }
        }
    }
}
