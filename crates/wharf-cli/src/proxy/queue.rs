//! What one direction of a connection has taken in and not passed on: bytes, and what is to happen
//! between them, in the order of the stream.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::Arc;

use wharf_port::{Segment, SharedBytes, Time};

/// What is passed on, or happens, next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// Nothing goes on for a time, or for good.
    Stall,
    /// The stream ends.
    End {
        /// Its sender has not ended it.
        injected: bool,
    },
    /// The connection is reset.
    Reset {
        /// No peer has reset it.
        injected: bool,
    },
}

#[derive(Debug)]
struct Entry {
    /// When it may go on.
    due: Time,
    what: What,
}

#[derive(Debug)]
enum What {
    Bytes { bytes: Arc<[u8]>, start: usize },
    Mark(Mark),
}

/// The front of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Front {
    Bytes,
    Mark(Mark),
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    cost: usize,
}

/// What an entry costs besides its bytes: itself, and the counts before the bytes.
const ENTRY_COST: usize = size_of::<Entry>() + 2 * size_of::<usize>();

impl Queue {
    /// Bytes of memory that are held here.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push_bytes(&mut self, bytes: Arc<[u8]>, due: Time) {
        if !bytes.is_empty() {
            self.cost += ENTRY_COST + bytes.len();
            self.entries.push_back(Entry { due, what: What::Bytes { bytes, start: 0 } });
        }
    }

    pub(super) fn push_mark(&mut self, mark: Mark, due: Time) {
        self.cost += ENTRY_COST;
        self.entries.push_back(Entry { due, what: What::Mark(mark) });
    }

    /// What comes next, and when it may.
    pub(super) fn front(&self) -> Option<(Time, Front)> {
        self.entries.front().map(|entry| {
            let front = match entry.what {
                What::Bytes { .. } => Front::Bytes,
                What::Mark(mark) => Front::Mark(mark),
            };
            (entry.due, front)
        })
    }

    /// Whether bytes come next, and may.
    pub(super) fn has_bytes(&self, now: Time) -> bool {
        self.front().is_some_and(|(due, front)| due <= now && front == Front::Bytes)
    }

    /// Takes the mark out that comes next.
    pub(super) fn pop_mark(&mut self) {
        if let Some(Entry { what: What::Mark(_), .. }) = self.entries.front() {
            self.entries.pop_front();
            self.cost -= ENTRY_COST;
        }
    }

    /// Takes out at most `len` bytes of those that may go, up to the next mark; returns how many.
    pub(super) fn take_bytes(&mut self, len: usize, now: Time, to: &mut Vec<Segment>) -> usize {
        let mut taken = 0;
        while taken < len
            && let Some(Entry { due, what: What::Bytes { bytes, start } }) =
                self.entries.front_mut()
            && *due <= now
        {
            let end = bytes.len().min(start.saturating_add(len - taken));
            to.push(Segment::Shared(SharedBytes::new(Arc::clone(bytes), *start..end)));
            taken += end - *start;
            *start = end;
            if end == bytes.len() {
                // The memory is free only now, and not with its first bytes.
                self.cost -= ENTRY_COST + bytes.len();
                self.entries.pop_front();
            }
        }
        taken
    }

    /// Throws everything away; returns how many bytes that was.
    pub(super) fn clear(&mut self) -> usize {
        let bytes = self.entries.iter().map(|entry| match &entry.what {
            What::Bytes { bytes, start } => bytes.len() - start,
            What::Mark(_) => 0,
        });
        let bytes = bytes.sum();
        *self = Self::default();
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    fn take(queue: &mut Queue, len: usize, now: u64) -> Vec<u8> {
        let mut segments = Vec::new();
        let taken = queue.take_bytes(len, at(now), &mut segments);
        let bytes: Vec<u8> = segments.iter().flat_map(Segment::as_slice).copied().collect();
        assert_eq!(bytes.len(), taken);
        bytes
    }

    #[test]
    fn bytes_come_in_order_when_they_may_and_never_past_a_mark() {
        let mut queue = Queue::default();
        queue.push_bytes(Arc::from(*b"abc"), at(1));
        queue.push_bytes(Arc::from(*b""), at(1));
        queue.push_bytes(Arc::from(*b"de"), at(2));
        queue.push_mark(Mark::Stall, at(2));
        queue.push_bytes(Arc::from(*b"f"), at(3));

        assert!(!queue.has_bytes(at(0)));
        assert_eq!(take(&mut queue, 9, 0), b"");
        assert_eq!(take(&mut queue, 2, 1), b"ab");
        assert_eq!(take(&mut queue, 9, 1), b"c", "what is not due stays");
        assert_eq!(take(&mut queue, 9, 9), b"de", "a mark is a border");
        assert_eq!(queue.front(), Some((at(2), Front::Mark(Mark::Stall))));
        queue.pop_mark();
        assert_eq!(take(&mut queue, 9, 9), b"f");
        assert_eq!((queue.cost(), queue.is_empty()), (0, true));
    }

    #[test]
    fn what_is_held_is_counted_until_it_is_given_up() {
        let mut queue = Queue::default();
        for _ in 0..100 {
            queue.push_bytes(Arc::from(*b"x"), at(0));
        }
        // One byte costs its entry too, or a peer that sends bytes one by one would be cheap.
        assert_eq!(queue.cost(), 100 * (1 + ENTRY_COST));
        queue.push_bytes(Arc::from([0; 1_000]), at(0));
        let whole = queue.cost();
        assert_eq!(take(&mut queue, 100, 0).len(), 100);
        let partly = queue.cost();
        assert_eq!(take(&mut queue, 500, 0).len(), 500);
        assert_eq!(queue.cost(), partly, "a part that has gone frees nothing");
        assert!(partly < whole);
        assert_eq!(queue.clear(), 500);
        assert_eq!((queue.cost(), queue.is_empty()), (0, true));
    }
}
