//! Why a server has closed its sessions, as its log says with `--log debug`.

use std::collections::BTreeMap;
use std::fmt;

use crate::checks::grouped;

/// How many sessions were closed for each reason.
#[derive(Debug, Default)]
pub(super) struct Reasons<'a>(BTreeMap<&'a str, u64>);

impl<'a> Reasons<'a> {
    /// Counts what a server has said.
    pub(super) fn of(log: &'a str) -> Self {
        let mut reasons = Self::default();
        for line in log.lines().filter(|line| line.contains(": closed ")) {
            let Some((_, reason)) = line.split_once("reason=") else { continue };
            let reason = reason.split_whitespace().next().unwrap_or_default().trim_matches('"');
            *reasons.0.entry(reason).or_default() += 1;
        }
        reasons
    }

    /// How many were closed for this one.
    pub(super) fn count(&self, reason: &str) -> u64 {
        self.0.get(reason).copied().unwrap_or_default()
    }
}

impl fmt::Display for Reasons<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed:")?;
        for (number, (reason, count)) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            write!(f, "{comma} {} {reason}", grouped(*count))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_counted() {
        let log = "12.1 DEBUG wharf::worker::closing: closed session=0-1-1 reason=\"frame_late\"\n\
                   12.2 WARN wharf::worker::accepting: connection refused: too many; said once\n\
                   12.3 DEBUG wharf::worker::closing: closed session=0-2-1 reason=\"frame_late\"\n\
                   12.4 DEBUG wharf::worker::closing: closed session=0-3-1 reason=\"peer_closed\"\n";
        let reasons = Reasons::of(log);
        assert_eq!(reasons.count("frame_late"), 2);
        assert_eq!(reasons.count("idle"), 0);
        assert_eq!(reasons.to_string(), "closed: 2 frame_late, 1 peer_closed");
    }
}
