//! What was counted when somebody last agreed to it.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// How much dearer wharf's own code may get, and everything together: the next compiler of the same version
/// makes the same code, so this is room for what moves about when other code changes.
const OWN_SHARE_MAX: f64 = 0.02;
const ALL_SHARE_MAX: f64 = 0.03;
/// From how much cheaper on it is worth to renew the record.
const CHEAPER_SHARE: f64 = 0.02;

/// Instructions per message.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Figures {
    /// Of wharf's own code.
    pub(super) own: f64,
    /// Of everything.
    pub(super) all: f64,
}

impl Figures {
    /// How these compare with what they were.
    pub(super) fn against(self, before: Self) -> Verdict {
        let own = self.own / before.own - 1.0;
        let all = self.all / before.all - 1.0;
        let is_dearer = own > OWN_SHARE_MAX || all > ALL_SHARE_MAX;
        let is_cheaper = !is_dearer && own.min(all) < -CHEAPER_SHARE;
        Verdict { now: self, own, all, is_dearer, is_cheaper }
    }
}

/// How figures compare with those of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    now: Figures,
    /// Change, as a share of what it was.
    own: f64,
    all: f64,
    pub(super) is_dearer: bool,
    is_cheaper: bool,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { now, own, all, .. } = self;
        let (own, all) = (own * 100.0, all * 100.0);
        write!(f, "{:.0} of its own ({own:+.1} %), {:.0} in all ({all:+.1} %)", now.own, now.all)?;
        if self.is_dearer {
            let (own, all) = (OWN_SHARE_MAX * 100.0, ALL_SHARE_MAX * 100.0);
            write!(f, ", and at most {own:+.0} % and {all:+.0} % are allowed")?;
        } else if self.is_cheaper {
            write!(f, ": cheaper; write it down with --bless")?;
        }
        Ok(())
    }
}

/// The figures of all cases.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Record {
    /// Such as `rustc 1.88.0`.
    pub(super) compiler: String,
    pub(super) cases: Vec<(String, Figures)>,
}

impl Record {
    pub(super) fn of(&self, case: &str) -> Option<Figures> {
        self.cases.iter().find(|(name, _)| name == case).map(|(_, figures)| *figures)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Instructions per message: case, wharf's own code, everything.")?;
        writeln!(f, "# Written by `cargo xtask instructions --bless`, with {}", self.compiler)?;
        for (case, Figures { own, all }) in &self.cases {
            writeln!(f, "{case} {own:.1} {all:.1}")?;
        }
        Ok(())
    }
}

impl FromStr for Record {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut record = Self { compiler: "an unknown compiler".to_owned(), cases: Vec::new() };
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if let Some((_, compiler)) = comment.split_once(", with ") {
                    compiler.clone_into(&mut record.compiler);
                }
                continue;
            }
            let wrong = || format!("`{line}` is no line of the record: CASE OWN ALL is one");
            let mut words = line.split_whitespace();
            let case = words.next().ok_or_else(wrong)?;
            let mut figure = || words.next()?.parse().ok().filter(|figure: &f64| *figure > 0.0);
            let (own, all) = (figure().ok_or_else(wrong)?, figure().ok_or_else(wrong)?);
            record.cases.push((case.to_owned(), Figures { own, all }));
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: Figures = Figures { own: 1000.0, all: 10_000.0 };

    fn verdict(own: f64, all: f64) -> Verdict {
        Figures { own, all }.against(BEFORE)
    }

    #[test]
    fn dearer_is_told_of_either_figure() {
        assert!(!verdict(1019.0, 10_290.0).is_dearer);
        assert!(verdict(1021.0, 10_000.0).is_dearer);
        assert!(verdict(1000.0, 10_310.0).is_dearer);
        assert!(verdict(1021.0, 9_000.0).to_string().contains("at most +2 %"));
    }

    #[test]
    fn cheaper_asks_for_a_new_record() {
        let advice = "write it down with --bless";
        assert!(verdict(900.0, 10_000.0).to_string().contains(advice));
        assert!(!verdict(990.0, 9_900.0).to_string().contains(advice));
    }

    #[test]
    fn a_record_reads_as_it_is_written() {
        let cases = vec![("echo".to_owned(), BEFORE)];
        let record = Record { compiler: "rustc 1.88.0".to_owned(), cases };
        assert_eq!(record.to_string().parse::<Record>().unwrap(), record);
        assert!("echo 5".parse::<Record>().is_err());
        assert!("echo 0 5".parse::<Record>().is_err());
    }
}
