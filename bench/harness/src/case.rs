//! What is measured: so many sessions, messages of so many bytes, so many of them in flight or a second; or
//! connections that come and go; or sessions that say nothing.

use std::error::Error;
use std::fmt::{self, Display};
use std::str::FromStr;

/// Connections under way at a time where a case does not say how many.
const AT_ONCE: u32 = 64;

/// How messages are told apart on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Framing {
    /// Not at all: the server echoes bytes.
    Raw,
    /// By a `u32` little-endian length before each; the server echoes whole frames.
    U32Le,
    /// The same, and every frame goes to every session; one of them sends, and messages are
    /// deliveries.
    Chat,
}

impl Framing {
    /// The word of the program `wharf`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::U32Le | Self::Chat => "u32le",
        }
    }

    /// The word for a server and for a load.
    pub(crate) fn kind(self) -> &'static str {
        if self == Self::Chat { "chat" } else { "echo" }
    }

    /// The word of the comparison servers.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::U32Le => "framed",
            Self::Chat => "chat",
        }
    }

    /// The word of a case.
    fn case_word(self) -> &'static str {
        if self == Self::Chat { "chat" } else { self.word() }
    }
}

/// When messages are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pace {
    /// When others have come back: so many are in flight per session.
    Closed { depth: u32 },
    /// So many a second over all sessions, whether or not they come back.
    Rate { per_second: u64 },
    /// One part in so many of what the slowest server of the run does with this depth.
    Share { depth: u32, parts: u32 },
}

/// Messages to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Messages {
    pub(crate) sessions: u32,
    /// Bytes of a message's payload.
    pub(crate) size: u32,
    pub(crate) pace: Pace,
    pub(crate) framing: Framing,
    /// Sessions beside them that say nothing.
    pub(crate) idle: u32,
    /// Server and generator may run on every CPU.
    pub(crate) unpinned: bool,
}

/// One case of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Case {
    Messages(Messages),
    /// Connections that have one byte echoed and are reset, so many at a time.
    Accept {
        at_once: u32,
    },
    /// Sessions that say nothing: what memory they take.
    Idle {
        sessions: u32,
    },
}

impl Case {
    /// What the server does with what it gets.
    pub(crate) fn framing(self) -> Framing {
        match self {
            Self::Messages(messages) => messages.framing,
            Self::Accept { .. } | Self::Idle { .. } => Framing::Raw,
        }
    }

    pub(crate) fn is_unpinned(self) -> bool {
        matches!(self, Self::Messages(Messages { unpinned: true, .. }))
    }
}

impl FromStr for Case {
    type Err = Box<dyn Error>;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let count = |word: &str| word.parse().ok().filter(|count| *count > 0);
        let case = match word.split_once(':') {
            None if word == "accept" => Some(Self::Accept { at_once: AT_ONCE }),
            Some(("accept", at_once)) => count(at_once).map(|at_once| Self::Accept { at_once }),
            Some(("idle", sessions)) => count(sessions).map(|sessions| Self::Idle { sessions }),
            Some((load, framing)) => messages(load, framing).map(Self::Messages),
            None => None,
        };
        case.ok_or_else(|| {
            format!(
                "`{word}` is no case: SESSIONSxBYTESxDEPTH:raw is one (or :u32le, :chat), \
                 SESSIONSxBYTES@RATE:raw, SESSIONSxBYTESxDEPTH@half:raw (or @third), with +Nidle or \
                 +unpinned before the colon; accept, accept:N, idle:N"
            )
            .into()
        })
    }
}

/// What stands before the colon, and behind it.
fn messages(load: &str, framing: &str) -> Option<Messages> {
    let framing = [Framing::Raw, Framing::U32Le, Framing::Chat]
        .into_iter()
        .find(|known| known.case_word() == framing)?;
    let mut words = load.split('+');
    let (shape, rate) = match words.next()?.split_once('@') {
        Some((shape, rate)) => (shape, Some(rate)),
        None => (load.split('+').next()?, None),
    };
    let numbers: Option<Vec<u32>> =
        shape.split('x').map(|number| number.parse().ok().filter(|n| *n > 0)).collect();
    let (sessions, size, pace) = match (numbers?.as_slice(), rate) {
        (&[sessions, size, depth], None) => (sessions, size, Pace::Closed { depth }),
        (&[sessions, size, depth], Some("half")) => {
            (sessions, size, Pace::Share { depth, parts: 2 })
        }
        (&[sessions, size, depth], Some("third")) => {
            (sessions, size, Pace::Share { depth, parts: 3 })
        }
        (&[sessions, size], Some(rate)) => {
            let per_second = rate.parse().ok().filter(|rate| *rate > 0)?;
            (sessions, size, Pace::Rate { per_second })
        }
        _ => return None,
    };
    let mut messages = Messages { sessions, size, pace, framing, idle: 0, unpinned: false };
    for word in words {
        match word.strip_suffix("idle") {
            Some(count) if messages.idle == 0 => {
                messages.idle = count.parse().ok().filter(|count| *count > 0)?;
            }
            None if word == "unpinned" && !messages.unpinned => messages.unpinned = true,
            _ => return None,
        }
    }
    Some(messages)
}

impl Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(messages) => messages.fmt(f),
            Self::Accept { at_once: AT_ONCE } => f.write_str("accept"),
            Self::Accept { at_once } => write!(f, "accept:{at_once}"),
            Self::Idle { sessions } => write!(f, "idle:{sessions}"),
        }
    }
}

impl Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, size, pace, framing, idle, unpinned } = self;
        write!(f, "{sessions}x{size}")?;
        match pace {
            Pace::Closed { depth } => write!(f, "x{depth}")?,
            Pace::Rate { per_second } => write!(f, "@{per_second}")?,
            Pace::Share { depth, parts: 2 } => write!(f, "x{depth}@half")?,
            Pace::Share { depth, .. } => write!(f, "x{depth}@third")?,
        }
        if *idle > 0 {
            write!(f, "+{idle}idle")?;
        }
        if *unpinned {
            f.write_str("+unpinned")?;
        }
        write!(f, ":{}", framing.case_word())
    }
}

/// Cases that are measured together: in each round all of them have their turn.
pub(crate) type Group = Vec<Case>;

/// Reads cases: those with `&` between them are measured together, groups have commas between them.
pub(crate) fn groups(words: &str) -> Result<Vec<Group>, Box<dyn Error>> {
    words.split(',').map(|group| group.split('&').map(str::parse).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() {
        for word in [
            "1000x60x16:u32le",
            "1000x64@20000:raw",
            "1000x64x1@half:raw",
            "1000x60x8@third+unpinned:chat",
            "1000x64x1+8000idle:raw",
            "10x64@5+2idle+unpinned:u32le",
            "accept",
            "accept:8",
            "idle:19000",
        ] {
            assert_eq!(word.parse::<Case>().unwrap().to_string(), word);
        }
    }

    #[test]
    fn the_words_mean_what_they_say() {
        let Case::Messages(case) = "7x60@500+9idle:chat".parse().unwrap() else { panic!() };
        assert_eq!((case.sessions, case.size, case.idle, case.unpinned), (7, 60, 9, false));
        assert_eq!((case.pace, case.framing), (Pace::Rate { per_second: 500 }, Framing::Chat));
        let Case::Messages(case) = "1x2x3@third+unpinned:raw".parse().unwrap() else { panic!() };
        assert_eq!((case.pace, case.unpinned), (Pace::Share { depth: 3, parts: 3 }, true));
    }

    #[test]
    fn what_is_no_case_is_refused() {
        for word in [
            "",
            "1x1x1",
            "1x1:raw",
            "0x1x1:raw",
            "1x1x1x1:raw",
            "1x1x1:lines",
            "1x1x1@20000:raw",
            "1x1@half:raw",
            "1x1@0:raw",
            "1x1x1+idle:raw",
            "1x1x1+0idle:raw",
            "1x1x1+pinned:raw",
            "1x1x1+1idle+2idle:raw",
            "accept:0",
            "idle",
            "idle:",
            "idle:x",
        ] {
            assert!(word.parse::<Case>().is_err(), "{word}");
        }
    }

    #[test]
    fn groups_are_measured_together() {
        let groups = groups("accept,1x1x1:raw&1x1x1+5idle:raw").unwrap();
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [1, 2]);
        assert!(super::groups("accept,").is_err());
    }
}
