//! What of captured payloads is never kept.
//!
//! Invariant: a payload keeps its length, so that what is left is still a frame of the same size.

use std::fmt;
use std::str::FromStr;

use regex::bytes::{Regex, RegexBuilder};
use wharf::capture::{CaptureOptions, Redacted};

/// What stands for a byte that is not kept.
const COVER: u8 = b'*';
/// Matches that are looked for in one frame. To look for the next may take as long as the rest of the frame is, and
/// whoever is captured says how many there are.
const MATCHES_MAX: usize = 256;
/// What a pattern stands behind.
const MATCHES: &str = "matches:";
/// All that there is.
const FORMS: &str = "give payloads, matches:REGEX or off";

/// What is made of a payload before anything of it is kept.
#[derive(Clone, Debug)]
pub(crate) enum Redaction {
    /// It is kept as it is.
    Off,
    /// No byte of it is kept.
    Payloads,
    /// What this matches is not kept.
    Matches(Regex),
}

impl Redaction {
    pub(crate) const fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether it does what it is for only if payloads are whole frames: a match may lie in two pieces of a stream.
    pub(crate) const fn needs_frames(&self) -> bool {
        matches!(self, Self::Matches(_))
    }

    /// Sets it up for a capture.
    pub(crate) fn set(self, options: CaptureOptions) -> CaptureOptions {
        match self {
            Self::Off => options,
            Self::Payloads => options.redact(|_, payload| {
                payload.fill(COVER);
                Redacted::Keep
            }),
            Self::Matches(pattern) => options.redact(move |_, payload| {
                cover_matches(&pattern, payload);
                Redacted::Keep
            }),
        }
    }
}

/// Matches are looked for in the payload as it was: what is covered is no neighbour that a pattern asks for. What comes
/// behind the last that is looked for is covered as a whole.
fn cover_matches(pattern: &Regex, payload: &mut [u8]) {
    let given = payload.to_vec();
    for (number, found) in (1..).zip(pattern.find_iter(&given)) {
        payload[found.range()].fill(COVER);
        if number == MATCHES_MAX {
            payload[found.end()..].fill(COVER);
            return;
        }
    }
}

impl FromStr for Redaction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => return Ok(Self::Off),
            "payloads" => return Ok(Self::Payloads),
            _ => {}
        }
        let pattern = text.strip_prefix(MATCHES).ok_or(FORMS)?;
        if pattern.is_empty() {
            return Err(
                "give matches: something to match, such as matches:password \\S+".to_owned()
            );
        }
        // A payload need not be text: a byte that is no part of a character is to be matched as well.
        let pattern = RegexBuilder::new(pattern).unicode(false).build();
        pattern.map(Self::Matches).map_err(|error| refusal(&error))
    }
}

/// What is wrong with a pattern, in a line: the words of the crate have a picture before them.
fn refusal(error: &regex::Error) -> String {
    let text = error.to_string();
    let said = text.lines().last().unwrap_or_default().trim();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    format!("what stands behind matches: is no regular expression: {said}")
}

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Payloads => f.write_str("payloads"),
            Self::Matches(pattern) => write!(f, "{MATCHES}{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, given: &[u8], wanted: &[u8]) {
        let Ok(Redaction::Matches(pattern)) = format!("{MATCHES}{pattern}").parse() else {
            panic!("{pattern}")
        };
        let mut payload = given.to_vec();
        cover_matches(&pattern, &mut payload);
        assert_eq!(payload.escape_ascii().to_string(), wanted.escape_ascii().to_string());
    }

    #[test]
    fn every_match_is_covered_byte_by_byte_and_nothing_else() {
        check(r"password \S+", b"my password sesame, now", b"my **************** now");
        check(r"(?i)PIN \d{4}", b"pin 1234 and Pin 9876!", b"******** and ********!");
        check("x*", b"axxb", b"a**b");
        check("é", "né".as_bytes(), b"n**");
    }

    #[test]
    fn what_is_no_text_is_matched_as_well() {
        check(r"password \S+", b"password caf\xe9\xff! ok", b"*************** ok");
        check(r"(?s).+", b"\x00\n\xff", b"***");
        check(r"\xff", b"a\xff", b"a*");
    }

    #[test]
    fn a_match_does_not_hang_on_what_was_covered_before_it() {
        check(r"\bab", b"abab", b"**ab");
        check(r"^.", b"abc", b"*bc");
    }

    #[test]
    fn behind_so_many_matches_everything_is_covered() {
        let with = |matches: usize| [b"1.".repeat(matches), b"end".to_vec()].concat();
        let covered = b"*.".repeat(MATCHES_MAX - 1);
        check("1", &with(MATCHES_MAX - 1), &[&covered[..], b"end"].concat());
        check("1", &with(MATCHES_MAX), &[&covered[..], b"*****"].concat());
    }

    #[test]
    fn what_is_read_is_printed_as_it_was() {
        for text in ["off", "payloads", r"matches:(?i)a\.b"] {
            let read: Redaction = text.parse().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.to_string(), text);
        }
    }
}
