//! What the person in front of the terminal has chosen, and what is known of the server.

use std::collections::VecDeque;
use std::time::Duration;

use super::columns::Column;
use super::picture::Picture;
use super::sample::{Sample, Wanted};

/// How many looks back the lines of throughput go: more than any terminal has columns.
const HISTORY_MAX: usize = 512;

/// All that a frame is drawn from.
#[derive(Debug)]
pub(super) struct State {
    /// The address that is asked, as it was given.
    pub(super) admin: String,
    pub(super) interval: Duration,
    pub(super) ascii: bool,
    /// Whether the terminal is too small for a picture, and so for a question.
    pub(super) is_too_small: bool,
    /// How late it is, by the clock of samples.
    pub(super) now: Duration,
    pub(super) wanted: Wanted,
    /// Whether the rows stand the other way round.
    pub(super) is_reversed: bool,
    /// The chosen session, by its id, and the row where it stood last.
    pub(super) selected: Option<String>,
    pub(super) row: usize,
    /// The row that is shown first.
    pub(super) first: usize,
    pub(super) mode: Mode,
    /// Nothing is asked, so that what is shown can be read.
    pub(super) is_paused: bool,
    /// What came of the last change.
    pub(super) said: Option<String>,
    /// What the end of the view waits for, once it was asked for: a change that is under way.
    pub(super) leaves_after: Option<String>,
    pub(super) picture: Option<Picture>,
    pub(super) lost: Option<Lost>,
    pub(super) history: VecDeque<Past>,
    /// The last look, and the one that it is compared with: at least half an interval older, since what is
    /// counted in less says little.
    last: Option<Sample>,
    base: Option<Sample>,
}

/// What keys mean for now.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) enum Mode {
    #[default]
    Table,
    Help,
    /// A text is typed by which sessions are filtered.
    Filter(Filter, String),
    /// To be closed, if the answer is yes.
    Kick {
        id: String,
        name: String,
        peer: String,
    },
    /// Accepting is to be paused if it is on, and resumed if not, if the answer is yes.
    Accepting(bool),
    /// To be drained, once the word is typed.
    Drain(String),
}

/// What sessions are filtered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filter {
    Peer,
    Group,
}

/// A server that does not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lost {
    /// When it answered last.
    pub(super) since: Duration,
    /// When it is asked again.
    pub(super) next: Duration,
    pub(super) why: String,
}

/// Throughput of one interval, for the lines.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Past {
    pub(super) frames_in: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl State {
    pub(super) fn new(admin: String, interval: Duration, limit: u64, ascii: bool) -> Self {
        Self {
            admin,
            interval,
            ascii,
            is_too_small: false,
            now: Duration::ZERO,
            wanted: Wanted { limit, ..Wanted::default() },
            is_reversed: false,
            selected: None,
            row: 0,
            first: 0,
            mode: Mode::Table,
            is_paused: false,
            said: None,
            leaves_after: None,
            picture: None,
            lost: None,
            history: VecDeque::new(),
            last: None,
            base: None,
        }
    }

    /// Takes a new look at the server. What was asked for before the choice changed is not shown.
    pub(super) fn take(&mut self, sample: Sample) {
        self.lost = None;
        if sample.wanted != self.wanted {
            return;
        }
        let is_due = sample.page_at >= self.answered_at() + self.interval / 2;
        if is_due {
            self.base = self.last.take();
        }
        let mut picture = Picture::of(self.base.as_ref(), &sample);
        self.last = Some(sample);
        if let Some(throughput) = picture.throughput.filter(|_| is_due) {
            if self.history.len() == HISTORY_MAX {
                self.history.pop_front();
            }
            self.history.push_back(Past {
                frames_in: whole(throughput.frames_in),
                bytes_in: whole(throughput.bytes_in),
                bytes_out: whole(throughput.bytes_out),
            });
        }
        if self.is_reversed {
            picture.rows.reverse();
        }
        self.picture = Some(picture);
        self.find_selected();
    }

    pub(super) fn is_filtered(&self) -> bool {
        !(self.wanted.peer.is_empty() && self.wanted.group.is_empty())
    }

    /// When the server answered last.
    pub(super) fn answered_at(&self) -> Duration {
        self.last.as_ref().map_or(Duration::ZERO, |sample| sample.page_at)
    }

    /// Sorts what is shown by another column at once; the server is asked for the right sessions next.
    pub(super) fn sort_by(&mut self, column: Column) {
        self.wanted.column = column;
        if let Some(picture) = &mut self.picture {
            picture.rows.sort_by(|one, other| column.compare(one, other));
            if self.is_reversed {
                picture.rows.reverse();
            }
        }
        self.find_selected();
    }

    pub(super) fn reverse(&mut self) {
        self.is_reversed = !self.is_reversed;
        if let Some(picture) = &mut self.picture {
            picture.rows.reverse();
        }
        self.find_selected();
    }

    /// Chooses the session so many rows further down.
    pub(super) fn move_by(&mut self, rows: isize) {
        let Some(picture) = &self.picture else { return };
        let last = picture.rows.len().saturating_sub(1);
        let from = if self.selected.is_some() { self.row.saturating_add_signed(rows) } else { 0 };
        self.row = from.min(last);
        self.selected = picture.rows.get(self.row).map(|row| row.id.clone());
    }

    /// The choice stays with its session, wherever that stands now. If it is gone, nothing is chosen: a key that
    /// was meant for it hits no other.
    fn find_selected(&mut self) {
        let Some(id) = &self.selected else { return };
        let rows = self.picture.iter().flat_map(|picture| &picture.rows);
        match rows.map(|row| &row.id).position(|other| other == id) {
            Some(row) => self.row = row,
            None => self.selected = None,
        }
    }

    /// Moves what is shown so that the choice is, in so many rows.
    pub(super) fn scroll(&mut self, rows: usize) {
        let count = self.picture.as_ref().map_or(0, |picture| picture.rows.len());
        if self.selected.is_some() {
            self.first = self.first.min(self.row).max((self.row + 1).saturating_sub(rows));
        } else {
            self.first = 0;
        }
        self.first = self.first.min(count.saturating_sub(rows));
    }
}

/// Rounded; `as` keeps to the range.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}
