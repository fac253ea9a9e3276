//! What `wharf sim` tells: for people, and as JSON.

use std::collections::BTreeMap;
use std::fmt;

use indicatif::HumanCount;
use serde::Serialize;
use wharf::sim::FaultKind;

use super::campaign::Findings;
use super::options::SimOptions;

/// The end of a campaign. The fields are those of the JSON.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    /// What the program was built from; a seed is the same run only there.
    commit: &'static str,
    from: u64,
    seeds: u64,
    replayed: u64,
    steps: u64,
    seconds: f64,
    steps_per_second: u64,
    faults: BTreeMap<&'static str, u64>,
    marks: BTreeMap<&'static str, u64>,
    violation: Option<Broken>,
}

/// What broke, and what shows it again.
#[derive(Debug, Serialize)]
struct Broken {
    invariant: &'static str,
    seed: u64,
    what: String,
    replay: String,
}

impl Report {
    pub(super) fn new(options: &SimOptions, findings: &Findings) -> Self {
        let seconds = findings.time.as_secs_f64();
        let micros = u64::try_from(findings.time.as_micros()).unwrap_or(u64::MAX).max(1);
        let faults = FaultKind::ALL.iter().map(|kind| kind.name());
        let broken = findings.violation.as_ref().map(|(seed, violation)| Broken {
            invariant: violation.invariant,
            seed: *seed,
            what: violation.what.clone(),
            replay: format!(
                "wharf sim --seeds 1 --from {seed} --faults {} --trace",
                options.faults_asked
            ),
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            commit: env!("WHARF_COMMIT"),
            from: options.seeds.from,
            seeds: findings.seeds,
            replayed: findings.replayed,
            steps: findings.steps,
            seconds,
            steps_per_second: findings.steps.saturating_mul(1_000_000) / micros,
            faults: faults.zip(findings.injected.iter().copied()).collect(),
            marks: findings.marks.iter().collect(),
            violation: broken,
        }
    }

    /// What is wrong, if anything is.
    pub(super) fn verdict(&self) -> Option<String> {
        let broken = self.violation.as_ref()?;
        Some(format!(
            "seed {} breaks {}: {}; to see it, on commit {}: {}",
            broken.seed, broken.invariant, broken.what, self.commit, broken.replay
        ))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds from {}, {} of them twice: {} steps in {:.1} s, {} a second",
            HumanCount(self.seeds),
            self.from,
            HumanCount(self.replayed),
            HumanCount(self.steps),
            self.seconds,
            HumanCount(self.steps_per_second),
        )?;
        table(f, "faults", &self.faults)?;
        table(f, "met", &self.marks)
    }
}

/// Names and counts in columns.
fn table(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    counts: &BTreeMap<&'static str, u64>,
) -> fmt::Result {
    const COLUMNS: usize = 3;
    let counts: Vec<(&&str, &u64)> = counts.iter().collect();
    for (row, some) in counts.chunks(COLUMNS).enumerate() {
        write!(f, "  {:<7}", if row == 0 { title } else { "" })?;
        for (name, count) in some {
            write!(f, "{name:<24}{:>11}   ", HumanCount(**count).to_string())?;
        }
        writeln!(f)?;
    }
    Ok(())
}
