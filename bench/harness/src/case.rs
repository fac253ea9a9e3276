//! What is measured: so many sessions, messages of so many bytes, so many of them in flight.

use std::error::Error;
use std::fmt::{self, Display};
use std::str::FromStr;

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
}

/// One case of the comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Case {
    pub(crate) sessions: u32,
    /// Bytes of a message's payload.
    pub(crate) size: u32,
    /// Messages in flight per session.
    pub(crate) depth: u32,
    pub(crate) framing: Framing,
}

impl FromStr for Case {
    type Err = Box<dyn Error>;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (load, framing) = word.split_once(':')?;
            let framing = match framing {
                "raw" => Framing::Raw,
                "u32le" => Framing::U32Le,
                "chat" => Framing::Chat,
                _ => return None,
            };
            let mut numbers = load.split('x').map(|number| number.parse().ok().filter(|n| *n > 0));
            let (sessions, size, depth) = (numbers.next()??, numbers.next()??, numbers.next()??);
            numbers.next().is_none().then_some(Self { sessions, size, depth, framing })
        };
        let wanted =
            || format!("`{word}` is no case: SESSIONSxBYTESxDEPTH:raw, :u32le or :chat is one");
        parse().ok_or_else(|| wanted().into())
    }
}

impl Display for Case {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, size, depth, framing } = self;
        let kind = if *framing == Framing::Chat { "chat" } else { framing.word() };
        write!(formatter, "{sessions}x{size}x{depth}:{kind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_reads_as_it_is_written() {
        let case: Case = "1000x60x16:u32le".parse().unwrap();
        let (sessions, size, depth, framing) = (1000, 60, 16, Framing::U32Le);
        assert_eq!(case, Case { sessions, size, depth, framing });
        assert_eq!(case.to_string(), "1000x60x16:u32le");
    }

    #[test]
    fn what_is_no_case_is_refused() {
        for word in ["", "1x1x1", "1x1:raw", "0x1x1:raw", "1x1x1x1:raw", "1x1x1:lines"] {
            assert!(word.parse::<Case>().is_err(), "{word}");
        }
    }
}
