//! What has come of a replay.

use std::fmt;
use std::time::Duration;

use wharf::FrameError;

/// Differences that are kept; others are counted.
const DIFFERENCES_MAX: usize = 100;
/// Bytes that are shown of a frame.
const SHOWN_BYTES_MAX: usize = 60;

/// What has come of a replay.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Sessions that were played.
    pub sessions: usize,
    /// Frames that were sent.
    pub frames_sent: u64,
    /// Frames that came back as they were recorded.
    pub frames_equal: u64,
    /// Sessions that were ended since something ended them that is in no recording: an operator, or a deadline.
    pub ended_for_others: u64,
    /// How many differences there are.
    pub different: u64,
    /// The first hundred of them. A session that has one is looked at no further.
    pub differences: Vec<Difference>,
    /// How long it took; of simulated time in the simulator.
    pub took: Duration,
}

/// Where a server has answered something else.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Difference {
    /// The session's number in the recording, from 1 on.
    pub session: usize,
    /// Which of the frames that were sent to it, from 1 on.
    pub frame: usize,
    /// What is different.
    pub problem: Problem,
}

/// What is different.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// Another frame came.
    Other {
        /// The payload that was recorded.
        expected: Vec<u8>,
        /// The payload that came.
        got: Vec<u8>,
    },
    /// None came.
    Missing {
        /// The payload that was recorded.
        expected: Vec<u8>,
        /// Whether the server had ended its stream, or reset the connection.
        ended: bool,
    },
    /// One came, and none was recorded.
    Unexpected {
        /// The payload that came.
        got: Vec<u8>,
    },
    /// What came is no frame.
    NoFrame(FrameError),
    /// The server ended the session, and did not when it was recorded.
    Ended,
    /// The server ended the session when it was recorded, and did not now.
    NotEnded,
}

impl Report {
    /// Whether everything was as it was recorded.
    pub const fn is_equal(&self) -> bool {
        self.different == 0
    }

    pub(super) fn differs(&mut self, difference: Difference) {
        self.different += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, frames_sent, frames_equal, different, .. } = self;
        write!(
            f,
            "{sessions} sessions, {frames_sent} frames sent, {frames_equal} came back equal"
        )?;
        match self.differences.first() {
            None => f.write_str(", no difference"),
            Some(first) => write!(f, ", {different} different; the first: {first}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}, frame {}: {}", self.session, self.frame, self.problem)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other { expected, got } => {
                let (expected, got) = shortened(expected, got);
                write!(f, "expected {expected}, got {got}")
            }
            Self::Missing { expected, ended } => {
                let (expected, _) = shortened(expected, &[]);
                let got = if *ended { "the end" } else { "nothing" };
                write!(f, "expected {expected}, got {got}")
            }
            Self::Unexpected { got } => {
                write!(f, "expected nothing more, got {}", shortened(got, &[]).0)
            }
            Self::NoFrame(error) => write!(f, "what came is no frame: {error}"),
            Self::Ended => f.write_str("the server ended it, and did not when it was captured"),
            Self::NotEnded => {
                f.write_str("the server ended it when it was captured, and did not now")
            }
        }
    }
}

/// Two payloads, escaped, from a little before where they part.
fn shortened(one: &[u8], other: &[u8]) -> (String, String) {
    let parted = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let longest = one.len().max(other.len());
    let from = if longest <= SHOWN_BYTES_MAX || other.is_empty() {
        0
    } else {
        parted.saturating_sub(SHOWN_BYTES_MAX / 4)
    };
    let show = |bytes: &[u8]| {
        let shown = &bytes[from.min(bytes.len())..];
        let cut = &shown[..shown.len().min(SHOWN_BYTES_MAX)];
        let before = if from > 0 { "..." } else { "" };
        let behind = if cut.len() < shown.len() { "..." } else { "" };
        let len = bytes.len();
        format!("'{before}{}{behind}' ({len} bytes)", cut.escape_ascii())
    };
    (show(one), show(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_shown_where_they_part() {
        let other = |expected: &[u8], got: &[u8]| {
            Problem::Other { expected: expected.to_vec(), got: got.to_vec() }.to_string()
        };
        assert_eq!(other(b"a\x1b", b"b\n"), r"expected 'a\x1b' (2 bytes), got 'b\n' (2 bytes)");
        let (mut one, two) = (vec![b'.'; 1000], vec![b'.'; 1000]);
        one[500] = b'!';
        let said = other(&one, &two);
        assert!(
            said.starts_with("expected '................!") || said.contains("...............!"),
            "{said}"
        );
        assert!(said.len() < 300, "{said}");
    }
}
