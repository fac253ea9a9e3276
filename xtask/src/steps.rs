//! The steps of CI that are one command or two. Each can be run alone.

use std::process::Command;
use std::time::Duration;

use crate::checks::ensure;
use crate::totals::Totals;
use crate::workspace::{self, cargo};
use crate::{Result, process};

/// Checks the formatting, here and in the other workspaces.
pub(crate) fn fmt() -> Result<Totals> {
    let advice = "`cargo fmt --all` formats what is not";
    let formatted = ["bench", "examples", "fuzz", "."].into_iter().try_for_each(|folder| {
        let folder = workspace::root().join(folder);
        process::succeed(cargo().args(["fmt", "--all", "--check"]).current_dir(folder))
    });
    formatted.map_err(|error| format!("{error}; {advice}"))?;
    Ok(Totals::default())
}

/// clippy for every target, warnings denied, here, in bench/ and in examples/.
pub(crate) fn lint() -> Result<Totals> {
    in_each(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
}

/// Runs cargo in each workspace.
fn in_each(arguments: &[&str]) -> Result<Totals> {
    process::succeed(cargo().args(arguments))?;
    process::succeed(cargo().args(arguments).current_dir(workspace::examples()))?;
    if has_bench() {
        process::succeed(cargo().args(arguments).current_dir(workspace::bench()))?;
    }
    Ok(Totals::default())
}

/// Whether what is compared in bench/ can be built: it is for Linux.
fn has_bench() -> bool {
    if cfg!(not(target_os = "linux")) {
        println!("bench/ needs Linux: left out");
    }
    cfg!(target_os = "linux")
}

/// Builds the documentation, private items included, warnings denied. The program is documented
/// first and on its own: its pages lie where those of the library of the same name go.
pub(crate) fn docs() -> Result<Totals> {
    const COMMON: [&str; 4] = ["doc", "--quiet", "--no-deps", "--document-private-items"];
    for packages in [&["--package", "wharf-cli"][..], &["--workspace", "--exclude", "wharf-cli"]] {
        let mut command = cargo();
        command.args(COMMON).args(packages).env("RUSTDOCFLAGS", "--deny warnings");
        process::succeed(&mut command)?;
    }
    Ok(Totals::default())
}

/// Runs the tests as the README says.
pub(crate) fn test() -> Result<Totals> {
    run_tests(cargo().arg("test")).map(|(totals, _)| totals)
}

/// Runs the tests of what the README's command leaves out: this program, the model lab, examples/ and bench/.
pub(crate) fn test_tools() -> Result<Totals> {
    let tools = ["test", "--quiet", "--package", "xtask", "--package", "wharf-models"];
    let (mut totals, _) = run_tests(cargo().args(tools))?;
    let mut examples = cargo();
    examples.args(["test", "--quiet", "--workspace"]).current_dir(workspace::examples());
    totals += run_tests(&mut examples)?.0;
    if has_bench() {
        // Not of all its servers: those that take long to build are not what CI compares.
        let mut bench = cargo();
        bench.args(["test", "--quiet"]).current_dir(workspace::bench());
        totals += run_tests(&mut bench)?.0;
    }
    Ok(totals)
}

/// Runs a test command, shows what it prints, and counts its tests. It is an error if it failed
/// without a failed test: then something did not compile.
pub(crate) fn run_tests(command: &mut Command) -> Result<(Totals, String)> {
    let (status, printed) = process::tee(command)?;
    let totals = Totals::of_output(&printed);
    if !status.success() && totals.failed == 0 {
        return Err(process::failed(command, status));
    }
    Ok((totals, printed))
}

/// Checks licences, advisories, sources and duplicates of the dependencies by `deny.toml`. Without
/// cargo-deny there is nothing that could, which is said and is no failure: to build it takes longer
/// than everything else together.
pub(crate) fn deny() -> Result<Totals> {
    let version = process::run(cargo().args(["deny", "--version"]), VERSION_MAX)?;
    if version.code != Some(0) {
        println!("cargo-deny is not installed: left out (`cargo install --locked cargo-deny`)");
        return Ok(Totals::default());
    }
    for folder in [workspace::root(), &workspace::bench(), &workspace::examples()] {
        let check = || {
            let mut command = cargo();
            let config = workspace::root().join("deny.toml");
            command.current_dir(folder).args(["deny", "--config"]).arg(config).arg("check");
            command
        };
        process::succeed(check().args(["bans", "licenses", "sources"]))?;
        advisories(check().arg("advisories"))?;
    }
    Ok(Totals::default())
}

/// How long cargo may take to say what it has.
const VERSION_MAX: Duration = Duration::from_secs(20);
/// How long it may take to fetch and search the advisories.
const ADVISORIES_MAX: Duration = Duration::from_secs(120);

/// Checks the advisories, unless they cannot be fetched: a machine without a network is no failure.
fn advisories(command: &mut Command) -> Result<()> {
    let ended = process::run(command, ADVISORIES_MAX)?;
    if ended.stderr.contains("failed to fetch advisory database") {
        println!("the advisories cannot be fetched from here: left out");
        return Ok(());
    }
    print!("{}{}", ended.stdout, ended.stderr);
    ensure(ended.code == Some(0), || format!("`{}` failed", process::shown(command)))
}
