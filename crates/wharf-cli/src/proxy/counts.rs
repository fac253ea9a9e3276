//! What has been passed on, and what has been done to it.

use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanBytes, HumanCount};

use crate::clock::now;
use crate::counted::Counted;

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Count {
    /// Connections that have come.
    Connections,
    /// Those of them that faults apply to.
    Affected,
    /// Those that descriptors were too few for.
    Refused,
    /// Those that the server could not be reached for.
    NotConnected,
    /// Those that have ended, or were never let in.
    Ended,
    /// Bytes that went to servers.
    BytesUp,
    /// Bytes that went to clients.
    BytesDown,
    /// Bytes that came and went nowhere.
    BytesDiscarded,
    Drops,
    Delays,
    Cuts,
    RateWaits,
    BitsFlipped,
    Stalls,
    HalfCloses,
    Resets,
}

/// How many kinds there are.
const KINDS: usize = Count::Resets as usize + 1;

impl Count {
    /// What is injected, with its name in the report. Scripts rely on the names and their order.
    const INJECTED: [(Self, &str); 8] = [
        (Self::Drops, "drop"),
        (Self::Delays, "delay"),
        (Self::Cuts, "cut"),
        (Self::RateWaits, "rate wait"),
        (Self::BitsFlipped, "flipped bit"),
        (Self::Stalls, "stall"),
        (Self::HalfCloses, "half-close"),
        (Self::Resets, "reset"),
    ];
}

/// The counts of a proxy: one thread adds, others may look.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; KINDS]);

impl Counts {
    #[inline]
    pub(super) fn add(&self, count: Count, more: impl TryInto<u64>) {
        let more = more.try_into().unwrap_or(u64::MAX);
        if more > 0 {
            self.0[count as usize].fetch_add(more, Ordering::Relaxed);
        }
    }

    pub(super) fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }

    /// Connections that are open.
    fn open(&self) -> u64 {
        let ended = self.get(Count::Ended);
        self.get(Count::Connections).saturating_sub(ended)
    }

    fn all_injected(&self) -> u64 {
        Count::INJECTED.iter().map(|&(count, _)| self.get(count)).sum()
    }

    /// A line of the report: what has passed.
    pub(super) fn passed(&self) -> String {
        let of = |count| HumanCount(self.get(count));
        format!(
            "{}, {} affected, {} refused, {} not connected; {} up, {} down, {} discarded",
            Counted(self.get(Count::Connections), "connection"),
            of(Count::Affected),
            of(Count::Refused),
            of(Count::NotConnected),
            Counted(self.get(Count::BytesUp), "byte"),
            of(Count::BytesDown),
            of(Count::BytesDiscarded),
        )
    }

    /// A line of the report: what has been done to it.
    pub(super) fn injected(&self) -> String {
        let named = |(count, name)| Counted(self.get(count), name).to_string();
        format!("injected: {}", Count::INJECTED.map(named).join(", "))
    }

    /// The live line, for a look now and then.
    pub(super) fn live_line(&self) -> impl FnMut(&Self) -> String + use<> {
        let look =
            |counts: &Self| (now(), [Count::BytesUp, Count::BytesDown].map(|c| counts.get(c)));
        let mut before = look(self);
        move |counts| {
            let after = look(counts);
            let nanos = (after.0 - before.0).as_nanos().max(1);
            let [up, down] = [0, 1].map(|way| {
                let bytes = u128::from(after.1[way].saturating_sub(before.1[way]));
                u64::try_from(bytes * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
            });
            before = after;
            format!(
                "{}  up {}/s  down {}/s  {} so far",
                Counted(counts.open(), "connection"),
                HumanBytes(up),
                HumanBytes(down),
                Counted(counts.all_injected(), "fault"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_everything_in_a_fixed_order() {
        let counts = Counts::default();
        counts.add(Count::Connections, 1_200_u64);
        counts.add(Count::Affected, 60_u64);
        counts.add(Count::BytesUp, 1_u64);
        counts.add(Count::BytesDown, 1_000_000_usize);
        counts.add(Count::Cuts, 1_u64);
        counts.add(Count::BitsFlipped, 3_u64);
        let passed = "1,200 connections, 60 affected, 0 refused, 0 not connected; 1 byte up, \
                      1,000,000 down, 0 discarded";
        assert_eq!(counts.passed(), passed);
        let injected = "injected: 0 drops, 0 delays, 1 cut, 0 rate waits, 3 flipped bits, \
                        0 stalls, 0 half-closes, 0 resets";
        assert_eq!(counts.injected(), injected);
    }

    #[test]
    fn the_live_line_counts_what_is_open() {
        let counts = Counts::default();
        let mut line = counts.live_line();
        counts.add(Count::Connections, 3_u64);
        counts.add(Count::Ended, 2_u64);
        counts.add(Count::Stalls, 1_u64);
        assert_eq!(line(&counts), "1 connection  up 0 B/s  down 0 B/s  1 fault so far");
    }
}
