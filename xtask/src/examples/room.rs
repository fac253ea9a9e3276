//! A room of 200 dummies ticks 30 times a second as regularly as a bare thread that waits for the same times, in
//! the same run, while a busy room runs on the other worker; and the dummies cost little.
//!
//! The example measures; this looks at its figures. The p99 of a round of 100 ticks is one tick, so the middle of
//! the rounds counts. CI runs it beside other things, which disturb single rounds: there one round of a few has to
//! be regular, as what a room does shows in every round.

use std::time::Duration;

use crate::backends::{Terms, median};
use crate::checks::ensure;
use crate::{Result, process};

/// How long one round may take.
const ROUND_MAX: Duration = Duration::from_secs(40);
/// The p99 of being late, as a ratio to that of the bare thread.
const RATIO_MAX: f64 = 2.0;
/// On a machine of CI that is busy with other things, this much is not looked at, in microseconds: a seventh
/// of a tick.
const CI_NOISE_MICROS: f64 = 5_000.0;
/// If the bare thread itself is later than this, the machine is too busy for a round to say anything.
const BUSY_MICROS: f64 = 10_000.0;
/// The CPU time that the dummies may take, in milliseconds of a second: a third of a core.
const DUMMIES_MAX: f64 = 1e3 / 3.0;

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let rounds_max = terms.either(4, 7);
    let mut rounds = Vec::new();
    while rounds.len() < rounds_max {
        let round = measured(terms)?;
        rounds.push(round);
        if !terms.many && round.is_regular_for_ci() {
            break;
        }
    }
    let middle = |figure: fn(&Round) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
    let (ratio, dummies) = (middle(Round::ratio), middle(|it| it.dummies));
    let each: Vec<String> =
        rounds.iter().map(|it| format!("{:.0} : {:.0}", it.room, it.bare)).collect();
    let figure = format!(
        "p99 of being late, room : bare thread, in us: {}; middle of the ratios {ratio:.2}; the dummies took \
         {dummies:.0} ms of a second",
        each.join(", "),
    );
    let regular = rounds.last().is_some_and(Round::is_regular_for_ci);
    if !terms.many && !regular && rounds.iter().all(|it| it.bare > BUSY_MICROS) {
        return Ok(format!("nothing can be said, the machine is too busy: {figure}"));
    }
    ensure(terms.either(regular, ratio <= RATIO_MAX), || {
        format!("the room's ticks are not regular: {figure}")
    })?;
    ensure(dummies <= DUMMIES_MAX, || format!("the dummies take too much: {figure}"))?;
    Ok(figure)
}

/// One round of the example.
fn measured(terms: &Terms<'_>) -> Result<Round> {
    let mut command = terms.example("room_ticks")?;
    command.args(["regular", "1"]);
    let ended = process::run(&mut command, ROUND_MAX)?;
    ensure(ended.code == Some(0), || format!("the example has failed: {}", ended.stderr.trim()))?;
    let round = ended.stdout.lines().find_map(Round::read);
    round.ok_or_else(|| format!("there are no figures in {:?}", ended.stdout).into())
}

/// The figures of one round: the p99 of being late in microseconds, and the dummies' milliseconds of a second.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Round {
    bare: f64,
    room: f64,
    dummies: f64,
}

impl Round {
    fn ratio(&self) -> f64 {
        self.room / self.bare
    }

    fn is_regular_for_ci(&self) -> bool {
        let says_something = self.bare <= BUSY_MICROS;
        says_something && self.ratio() <= RATIO_MAX || self.room <= CI_NOISE_MICROS
    }

    /// Reads `  1: bare thread  59  120   room  40  85    0.71   101 ms/s`.
    fn read(line: &str) -> Option<Self> {
        let figure = |name: &str, at: usize| -> Option<f64> {
            line.split_once(name)?.1.split_whitespace().nth(at)?.parse().ok()
        };
        let dummies = line.strip_suffix(" ms/s")?.split_whitespace().next_back()?.parse().ok()?;
        Some(Self { bare: figure("bare thread", 1)?, room: figure("room", 1)?, dummies })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_read() {
        let line = "  1: bare thread     59     120   room     40      85    0.71   101 ms/s";
        let round = Round { bare: 120.0, room: 85.0, dummies: 101.0 };
        assert_eq!(Round::read(line), Some(round));
        assert_eq!(Round::read("late by, in microseconds (p50, p99); dummies' CPU"), None);
    }
}
