//! What was measured, as it is kept: every run of every round.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Result;

/// What one run has shown. Figures that mean nothing in a case are left out.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(crate) struct Run {
    /// CPU time of the server, and of its CPU's soft-interrupt thread if it is pinned, per message,
    /// delivery or connection, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_ns: Option<f64>,
    /// The parts of the server's own time: in user and in system mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) system_ns: Option<f64>,
    /// The soft-interrupt thread's part of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) softirq_thread_ns: Option<f64>,
    /// CPU time of the load generator per message or delivery, in nanoseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generator_ns: Option<f64>,
    /// Messages, deliveries or connections per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p90_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p999_us: Option<f64>,
    /// What the process has allocated for a session, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_bytes: Option<f64>,
    /// What it has touched for a session, files included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_resident_bytes: Option<f64>,
    /// What the empty server has allocated, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) empty_bytes: Option<f64>,
    /// The share of the server's busiest thread in the server's CPU time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) busiest_thread_share: Option<f64>,
    /// Share of the window that the server's CPUs spent on neither server nor idleness.
    pub(crate) foreign_share: f64,
}

impl Run {
    /// The generator's CPU time for that of the server's own threads. What the soft-interrupt thread does for
    /// the server does not count: nobody counts that for the generator.
    pub(crate) fn generator_ratio(&self) -> Option<f64> {
        Some(self.generator_ns? / (self.cpu_ns? - self.softirq_thread_ns.unwrap_or_default()))
    }
}

/// A figure of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Figure {
    Cpu,
    GeneratorCpu,
    PerSecond,
    P50,
    P90,
    P99,
    SessionBytes,
}

impl Figure {
    pub(crate) fn of(self, run: &Run) -> Option<f64> {
        match self {
            Self::Cpu => run.cpu_ns,
            Self::GeneratorCpu => run.generator_ns,
            Self::PerSecond => run.per_second,
            Self::P50 => run.p50_us,
            Self::P90 => run.p90_us,
            Self::P99 => run.p99_us,
            Self::SessionBytes => run.session_bytes,
        }
    }
}

/// What one server has shown in one case.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// One per round; none where every attempt failed.
    pub(crate) runs: Vec<Option<Run>>,
    /// Runs thrown away because they were disturbed.
    pub(crate) repeated: u32,
    /// Runs kept though they were disturbed, because no attempt was quiet.
    pub(crate) disturbed: u32,
    /// Why the last failed attempt failed.
    pub(crate) failure: Option<String>,
}

impl Outcome {
    /// A figure of each round that has it.
    pub(crate) fn values(&self, figure: impl Fn(&Run) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().flatten().filter_map(figure).collect()
    }

    /// The quotients of a figure in each round that both have.
    pub(crate) fn paired(&self, base: &Self, figure: impl Fn(&Run) -> Option<f64>) -> Vec<f64> {
        let rounds = self.runs.iter().zip(&base.runs);
        rounds
            .filter_map(|(own, base)| Some(figure(own.as_ref()?)? / figure(base.as_ref()?)?))
            .filter(|quotient| quotient.is_finite())
            .collect()
    }
}

/// A case and what came of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct CaseResults {
    pub(crate) case: String,
    /// Messages per second that were asked for, where the case has a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked_per_second: Option<u64>,
    pub(crate) servers: Vec<Outcome>,
}

impl CaseResults {
    pub(crate) fn server(&self, name: &str) -> Option<&Outcome> {
        self.servers.iter().find(|outcome| outcome.name == name)
    }
}

/// How it was measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Method {
    pub(crate) server_cpu: usize,
    pub(crate) load_cpu: usize,
    pub(crate) rounds: u32,
    pub(crate) window_s: f64,
    pub(crate) warmup_s: f64,
    pub(crate) disturbed_share: f64,
}

/// Where and when, and with what.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) processor: String,
    pub(crate) kernel: String,
    /// Programs and libraries, and their versions.
    pub(crate) versions: Vec<(String, String)>,
}

/// What a file of results holds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    /// The name of the set, or `cases` if they were named.
    pub(crate) area: String,
    pub(crate) machine: Machine,
    pub(crate) method: Method,
    pub(crate) cases: Vec<CaseResults>,
}

impl Results {
    pub(crate) fn case(&self, name: &str) -> Option<&CaseResults> {
        self.cases.iter().find(|case| case.case == name)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        write(path, &format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let wrong = |why: String| format!("cannot read results of {}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Ok(serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?)
    }
}

/// Writes a file, or says which could not be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_reads_as_it_was() {
        let run = Run { cpu_ns: Some(209.5), foreign_share: 0.01, ..Run::default() };
        let text = serde_json::to_string(&[Some(run), None]).unwrap();
        assert_eq!(text, r#"[{"cpu_ns":209.5,"foreign_share":0.01},null]"#);
        assert_eq!(serde_json::from_str::<[Option<Run>; 2]>(&text).unwrap(), [Some(run), None]);
    }

    #[test]
    fn only_rounds_that_both_have_are_paired() {
        let outcome = |values: &[Option<f64>]| {
            let run =
                |value: &Option<f64>| value.map(|v| Run { cpu_ns: Some(v), ..Run::default() });
            Outcome { runs: values.iter().map(run).collect(), ..Outcome::default() }
        };
        let own = outcome(&[Some(200.0), None, Some(150.0), Some(9.0)]);
        let base = outcome(&[Some(100.0), Some(50.0), Some(75.0)]);
        assert_eq!(own.paired(&base, |run| run.cpu_ns), [2.0, 2.0]);
        assert_eq!(own.paired(&base, |run| run.p50_us), [0.0; 0]);
    }
}
