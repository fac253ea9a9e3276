//! CPU time of the server per message, against the bare `io_uring` loop and tokio: the harness of
//! bench/ measures in interleaved rounds, and what counts is the median of the ratios within a round.

use serde_json::Value;

use crate::bench_programs::{self, each};
use crate::checks::{Checks, ensure};
use crate::{Result, process, workspace};

/// Case, server it is compared with, and the largest ratio allowed.
const TARGETS: [(&str, &str, f64); 4] = [
    ("1000x64x1:raw", "bare", 1.07),
    ("1000x64x1:raw", "tokio", 1.0),
    ("1000x60x16:u32le", "bare", 1.20),
    ("1000x60x16:u32le", "tokio", 0.80),
];

/// The server that the targets are for.
const OWN: &str = "wharf-uring";

/// What has to be built besides the program for what the harness measures.
const SELECTION: [&str; 3] =
    ["--package=harness", "--package=bare-server", "--package=tokio-server"];

/// Runs the harness in its usual rounds, and holds what it measured against the targets.
pub(super) fn run(checks: &mut Checks) -> Result<()> {
    let json = workspace::target()?.join("proof-cost.json");
    let mut harness = bench_programs::harness(&SELECTION)?;
    harness.arg("--json").arg(&json).args(["--cases", &cases().join(",")]);
    process::succeed(&mut harness)?;
    let measured = bench_programs::cases(&json)?;
    for (case, base, ratio_max) in TARGETS {
        checks.check(format!("{case}, {OWN} to {base}"), || {
            let ratio = ratio(&measured, case, base)?;
            ensure(ratio <= ratio_max, || {
                format!("{ratio:.3}, and at most {ratio_max} is allowed")
            })?;
            Ok(format!("{ratio:.3} (at most {ratio_max})"))
        });
    }
    Ok(())
}

fn cases() -> Vec<&'static str> {
    let mut cases: Vec<&str> = TARGETS.iter().map(|(case, ..)| *case).collect();
    cases.dedup();
    cases
}

/// The median of the ratios within the rounds.
fn ratio(measured: &[Value], case: &str, base: &str) -> Result<f64> {
    let of_case = measured.iter().find(|it| it["case"] == case);
    let of_case = of_case.ok_or_else(|| format!("the harness did not measure {case}"))?;
    let costs = |server: &str| {
        let outcome = each(&of_case["servers"]).find(|it| it["name"] == server);
        let rounds = outcome.into_iter().flat_map(|outcome| each(&outcome["runs"]));
        rounds.map(|round| round["cpu_ns"].as_f64()).collect::<Vec<_>>()
    };
    let pairs = costs(OWN).into_iter().zip(costs(base));
    let mut ratios: Vec<f64> = pairs.filter_map(|(own, base)| Some(own? / base?)).collect();
    ratios.sort_by(f64::total_cmp);
    let middle = ratios.len() / 2;
    match ratios.len() {
        0 => Err(format!("no round has both {OWN} and {base}").into()),
        count if count % 2 == 0 => Ok(f64::midpoint(ratios[middle - 1], ratios[middle])),
        _ => Ok(ratios[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rounds_are_paired_and_those_without_a_result_left_out() {
        let round = |cpu: f64| json!({ "cpu_ns": cpu });
        let own = [round(110.0), round(60.0), Value::Null, round(105.0)];
        let bare = [round(100.0), round(50.0), round(100.0), round(100.0)];
        let servers =
            json!([{ "name": "wharf-uring", "runs": own }, { "name": "bare", "runs": bare }]);
        let measured = bench_programs::cases_of(
            &json!([{ "cases": [{ "case": "1x1x1:raw", "servers": servers }] }]),
        );
        assert!((ratio(&measured, "1x1x1:raw", "bare").unwrap() - 1.1).abs() < 1e-9);
        assert!(ratio(&measured, "1x1x1:raw", "tokio").is_err());
        assert!(ratio(&measured, "2x1x1:raw", "bare").is_err());
    }
}
