//! The columns of the table of sessions.

use std::cmp::Ordering;

use serde::Serialize;

use super::picture::SessionRow;

/// A column, by which the table can be sorted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Column {
    Peer,
    Worker,
    Age,
    Silent,
    Queue,
    #[default]
    ReceivedRate,
    SentRate,
    Received,
    Sent,
    State,
    Groups,
}

impl Column {
    /// From left to right.
    pub(super) const ALL: [Self; 11] = [
        Self::Peer,
        Self::Worker,
        Self::Age,
        Self::Silent,
        Self::Queue,
        Self::ReceivedRate,
        Self::SentRate,
        Self::Received,
        Self::Sent,
        Self::State,
        Self::Groups,
    ];

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Peer => "PEER",
            Self::Worker => "WRK",
            Self::Age => "AGE",
            Self::Silent => "SILENT",
            Self::Queue => "QUEUE",
            Self::ReceivedRate => "IN/S",
            Self::SentRate => "OUT/S",
            Self::Received => "IN",
            Self::Sent => "OUT",
            Self::State => "S",
            Self::Groups => "GRP",
        }
    }

    /// The order that the server is asked for: which sessions are told at all.
    pub(super) const fn order(self) -> &'static str {
        match self {
            Self::Peer | Self::Worker | Self::Groups => "id",
            Self::Age => "age",
            Self::Silent => "silence",
            // Who reads slowly is held back, mostly.
            Self::Queue | Self::State => "queue",
            Self::ReceivedRate => "received_rate",
            Self::SentRate => "sent_rate",
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }

    /// Whether the order of the answer is kept. Times that have passed are told by each worker as of when it
    /// answered, so that they cannot be compared to the millisecond; the server compares when they began.
    pub(super) const fn is_as_answered(self) -> bool {
        matches!(self, Self::Age | Self::Silent)
    }

    /// Whom that gives, where it is not all of them.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Peer | Self::Worker | Self::Groups => "lowest ids",
            Self::Age => "oldest",
            Self::Silent => "longest silent",
            Self::Queue | Self::State => "fullest queues",
            Self::ReceivedRate => "most received/s",
            Self::SentRate => "most sent/s",
            Self::Received => "most received",
            Self::Sent => "most sent",
        }
    }

    pub(super) fn left(self) -> Self {
        self.at(self.place().checked_sub(1).unwrap_or(Self::ALL.len() - 1))
    }

    pub(super) fn right(self) -> Self {
        self.at((self.place() + 1) % Self::ALL.len())
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|&column| column == self).unwrap_or(0)
    }

    fn at(self, place: usize) -> Self {
        Self::ALL.get(place).copied().unwrap_or(self)
    }

    /// Names and workers from the least, all else from the most; of those that are alike, the lowest id.
    pub(super) fn compare(self, one: &SessionRow, other: &SessionRow) -> Ordering {
        let most = |one: f64, other: f64| other.total_cmp(&one);
        let by_column = match self {
            Self::Peer => one.peer.cmp(&other.peer),
            Self::Worker => one.worker.cmp(&other.worker),
            Self::Age => most(one.age_seconds, other.age_seconds),
            Self::Silent => most(one.silent_seconds, other.silent_seconds),
            Self::Queue => other.queued_bytes.cmp(&one.queued_bytes),
            Self::ReceivedRate => other.received_rate.cmp(&one.received_rate),
            Self::SentRate => other.sent_rate.cmp(&one.sent_rate),
            Self::Received => other.received_bytes.cmp(&one.received_bytes),
            Self::Sent => other.sent_bytes.cmp(&one.sent_bytes),
            Self::State => (other.held_back, other.closing).cmp(&(one.held_back, one.closing)),
            // Who is in none comes last.
            Self::Groups => {
                let key = |row: &SessionRow| row.groups.is_empty();
                key(one).cmp(&key(other)).then_with(|| one.groups.cmp(&other.groups))
            }
        };
        by_column.then_with(|| one.key().cmp(&other.key()))
    }
}
