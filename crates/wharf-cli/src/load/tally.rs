//! What went wrong in a run, counted and put into words.

use std::fmt;
use std::time::Duration;

use wharf_port::{ReceiveError, SendError};

use super::pattern::Pattern;
use super::report::Grouped;
use super::session::Session;

/// How a session was lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    /// The server reset the connection.
    Reset,
    /// The server ended its stream before we had ended ours.
    EndedEarly,
    /// The server sent something before it was sent anything.
    Greeted,
    /// The server sent more than it was sent.
    Extra,
    /// Messages were not answered in time.
    Unanswered,
    /// All was answered, but the server did not end its stream after ours.
    NotEnded,
    /// Receiving failed otherwise.
    Receive(ReceiveError),
    /// Sending failed otherwise.
    Send(SendError),
}

impl From<ReceiveError> for Loss {
    fn from(error: ReceiveError) -> Self {
        if error == ReceiveError::Reset { Self::Reset } else { Self::Receive(error) }
    }
}

impl From<SendError> for Loss {
    fn from(error: SendError) -> Self {
        if error == SendError::Reset { Self::Reset } else { Self::Send(error) }
    }
}

/// The first wrong byte of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct WrongByte {
    session: usize,
    position: u64,
    got: u8,
    expected: u8,
}

/// What went wrong in a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Messages with a wrong byte, and messages' worth of bytes that were never sent.
    pub(super) wrong: u64,
    first_wrong: Option<WrongByte>,
    reset: u64,
    ended_early: u64,
    greeted: u64,
    extra: u64,
    unanswered: u64,
    not_ended: u64,
    other: u64,
    first_other: Option<Loss>,
    /// The one session that sends was lost before its time, in a mode that has one.
    pub(super) sender_lost: bool,
}

impl Tally {
    /// Counts the messages with a wrong byte among `bytes`, which came at the session's position and
    /// do not match. Each message counts once, in however many pieces it comes.
    #[cold]
    pub(super) fn count_wrong(&mut self, pattern: &Pattern, session: &mut Session, bytes: &[u8]) {
        let size = pattern.message();
        let mut rest = bytes;
        let mut position = session.received;
        while !rest.is_empty() {
            let message = position / size;
            let left = usize::try_from((message + 1) * size - position).unwrap_or(usize::MAX);
            let (part, others) = rest.split_at(left.min(rest.len()));
            let difference = pattern.first_difference(session.lane, position, part);
            if let Some((at, expected)) = difference {
                self.first_wrong.get_or_insert(WrongByte {
                    session: session.number,
                    position: position + at as u64,
                    got: part[at],
                    expected,
                });
                if message >= session.judged {
                    session.judged = message + 1;
                    self.wrong += 1;
                }
            }
            position += part.len() as u64;
            rest = others;
        }
    }

    /// Counts bytes that came although nothing was to come.
    #[cold]
    pub(super) fn count_extra(&mut self, pattern: &Pattern, bytes: usize) {
        self.wrong += (bytes as u64).div_ceil(pattern.message());
    }

    /// Counts a lost session.
    #[cold]
    pub(super) fn count_loss(&mut self, loss: Loss) {
        match loss {
            Loss::Reset => self.reset += 1,
            Loss::EndedEarly => self.ended_early += 1,
            Loss::Greeted => self.greeted += 1,
            Loss::Extra => self.extra += 1,
            Loss::Unanswered => self.unanswered += 1,
            Loss::NotEnded => self.not_ended += 1,
            Loss::Receive(_) | Loss::Send(_) => {
                self.other += 1;
                self.first_other.get_or_insert(loss);
            }
        }
    }

    /// What went wrong, in one line; `None` if nothing did. `missing` are messages that were sent and
    /// did not come back.
    pub(super) fn verdict(&self, missing: u64, patience: Duration) -> Option<String> {
        let seconds = patience.as_secs_f64();
        let mut said = Vec::new();
        if self.wrong > 0 {
            let first = self.first_wrong.map_or_else(String::new, |first| format!(" ({first})"));
            said.push(format!("{} came back wrong{first}", Counted(self.wrong, "message")));
        }
        if missing > 0 {
            said.push(format!("{} did not come back", Counted(missing, "message")));
        }
        let mut lost = |count: u64, how: &str| {
            if count > 0 {
                said.push(format!("{} {how}", Counted(count, "session")));
            }
        };
        lost(self.reset, "reset by the server");
        lost(self.ended_early, "ended by the server before the run was over");
        lost(self.greeted, "got something before anything was sent");
        lost(self.extra, "got more bytes than it sent");
        lost(self.unanswered, &format!("not answered within {seconds} s (--patience)"));
        let not_ended =
            format!("not ended by the server within {seconds} s of our end (--patience)");
        lost(self.not_ended, &not_ended);
        match self.first_other {
            Some(Loss::Receive(error)) => lost(self.other, &format!("lost: {error}")),
            Some(Loss::Send(error)) => lost(self.other, &format!("lost: {error}")),
            _ => {}
        }
        if self.sender_lost {
            said.push("the session that sends was lost, which ended the run".to_owned());
        }
        if self.may_be_greeted() {
            said.push(
                "does the server say something first? Turn that off: all that comes is taken for answers"
                    .to_owned(),
            );
        }
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Whether something came that may be what a server says to whoever connects.
    fn may_be_greeted(&self) -> bool {
        self.greeted > 0 || self.first_wrong.is_some_and(|first| first.position == 0)
    }
}

impl fmt::Display for WrongByte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, position, got, expected } = self;
        write!(
            f,
            "the first in session {session}: byte {position} is {got:#04x}, not {expected:#04x}"
        )
    }
}

/// A number and its noun.
struct Counted(u64, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = *self;
        write!(f, "{} {noun}{}", Grouped(count), if count == 1 { "" } else { "s" })
    }
}
