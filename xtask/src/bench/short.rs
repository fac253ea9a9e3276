//! The short form, which CI runs: does every kind of case work, with every byte in its place? It fails for
//! wrong bytes and for programs that end, and never for time.
//!
//! What is compared is built without optimisation across crates, which takes a fraction of the time: the
//! figures are printed, and say little.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::bench_programs::{self, each};
use crate::checks::{Checks, ensure};
use crate::totals::Totals;
use crate::workspace::{self, Profile};
use crate::{Result, process, server};

/// One of each kind; the rates are such that a machine with other things to do keeps up.
const CASES: &str = "64x64x1:raw,64x60x16:u32le,64x60x8:chat,64x64@2000:raw,64x64x1@half:raw,accept:16,\
    idle:500,64x64x1@third+unpinned:raw,32x64x1:raw&32x64x1+200idle:raw";

/// The profile of the servers and of the harness.
const PROFILE: &str = "short";
const SELECTION: [&str; 4] = [
    "--package=harness",
    "--package=bare-server",
    "--package=mio-server",
    "--package=tokio-server",
];

/// Builds, runs one short round, and counts what has worked.
pub(super) fn run() -> Result<Totals> {
    let wharf = workspace::wharf(Profile::Release)?;
    let folder = bench_programs::build(PROFILE, &SELECTION)?;
    let mut servers = vec!["mio".to_owned(), "tokio".to_owned()];
    let backends = server::backends(&wharf)?;
    if backends.contains(&"uring") {
        servers.insert(0, "bare".to_owned());
    }
    servers.extend(backends.iter().map(|backend| format!("wharf-{backend}")));

    let json = workspace::target()?.join("bench-short.json");
    let mut harness = bench_programs::harness_in(&folder);
    harness.arg("--wharf").arg(&wharf);
    harness.args(["--cases", CASES, "--servers", &servers.join(",")]);
    harness.args(["--rounds", "1", "--seconds", "0.3", "--warmup", "0.2"]);
    // Others may use this machine as they like.
    harness.args(["--repeats", "0", "--disturbed-percent", "100", "--json"]).arg(&json);
    process::succeed(&mut harness)?;
    let mut checks = Checks::default();
    let ran = ran_by_case(&bench_programs::cases(&json)?);
    checks.check("cases", || {
        let count = CASES.split([',', '&']).count();
        let has_all = ran.values().all(|ran| *ran == servers.len());
        // A case that stands there twice is one.
        ensure(ran.len() == count && has_all, || format!("of {count} cases there ran {ran:?}"))?;
        Ok(format!("{count} of each kind, with {}", servers.join(", ")))
    });
    Ok(checks.totals())
}

/// How many servers have a run in each case.
fn ran_by_case(cases: &[Value]) -> BTreeMap<String, usize> {
    let count = |case: &Value| {
        let ran = each(&case["servers"]).filter(|server| server["runs"][0].is_object()).count();
        (case["case"].as_str().unwrap_or_default().to_owned(), ran)
    };
    cases.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn servers_without_a_run_are_not_counted() {
        let servers = json!([{ "runs": [{ "cpu_ns": 1.0 }] }, { "runs": [null] }, { "runs": [] }]);
        let results = json!([{ "cases": [{ "case": "accept", "servers": servers }] }]);
        assert_eq!(
            ran_by_case(&bench_programs::cases_of(&results)),
            [("accept".to_owned(), 1)].into()
        );
    }
}
