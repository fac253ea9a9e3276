//! Frames that a server must not take: the storm sends them until it knows that the server does.

use std::sync::Arc;

use wharf_port::{Segment, SharedBytes};

use crate::load::guests::report::StormEndings;

/// What is sent as an illegal frame, and who finds out whether the server ends sessions for it.
#[derive(Debug)]
pub(super) struct Illegal {
    /// The header of such a frame, if the framing has one.
    header: Option<Arc<[u8]>>,
    /// The first connection with such a frame is under way.
    finds_out: bool,
}

impl Illegal {
    pub(super) fn new(header: Option<Vec<u8>>) -> Self {
        Self { header: header.map(Arc::from), finds_out: false }
    }

    /// Whether one may be sent. The first one finds out whether the server ends such sessions: if it does
    /// not, the storm must not come to a standstill with all of them waiting for that.
    pub(super) fn may_be_sent(&mut self, seen: &StormEndings) -> bool {
        if self.header.is_none() || seen.tolerated > seen.refused {
            return false;
        }
        seen.refused > 0 || !std::mem::replace(&mut self.finds_out, true)
    }

    /// A connection with such a frame has ended, one way or the other.
    pub(super) const fn has_found_out(&mut self) {
        self.finds_out = false;
    }

    pub(super) fn header(&self) -> Option<Segment> {
        let header = self.header.as_ref()?;
        Some(Segment::Shared(SharedBytes::new(Arc::clone(header), 0..header.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_finds_out_for_all() {
        let mut illegal = Illegal::new(Some(vec![255]));
        let mut seen = StormEndings::default();
        assert!(illegal.may_be_sent(&seen));
        assert!(!illegal.may_be_sent(&seen), "a second one while nothing is known");
        illegal.has_found_out();
        assert!(illegal.may_be_sent(&seen), "the first one was cut off before it was known");
        seen.refused = 1;
        assert!(illegal.may_be_sent(&seen) && illegal.may_be_sent(&seen));
        seen.tolerated = 2;
        assert!(!illegal.may_be_sent(&seen), "to a server that lets them wait");
    }

    #[test]
    fn a_framing_without_illegal_headers_sends_none() {
        let mut illegal = Illegal::new(None);
        assert!(!illegal.may_be_sent(&StormEndings::default()));
        assert!(illegal.header().is_none());
    }
}
