//! What a message costs in instructions, counted by callgrind on the simulated network and held against the
//! record beside this program.
//!
//! Time drifts with the machine; this does not. A case runs twice, and the difference between a long and a
//! short run is what its messages cost: starting and ending cancel out. Two figures are kept of each:
//! instructions of wharf's own code (the library and the port, without the simulation), and of everything.
//! The first has neither the C library in it, whose copying depends on the processor, nor the network that is
//! simulated. Both depend on the compiler: with another one the record is renewed.

mod callgrind;
mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checks::{Checks, ensure};
use crate::instructions::callgrind::Counts;
use crate::instructions::record::{Figures, Record};
use crate::totals::{self, Totals};
use crate::workspace::{self, Profile, cargo};
use crate::{Result, packages, process};

/// The cases, and their rounds in the short run.
const CASES: [(&str, u32); 4] =
    [("echo", 100), ("framed", 100), ("broadcast", 200), ("accept", 50)];
/// Rounds of the long run, for one of the short.
const LONGER: u32 = 4;
/// Longest time that a run may take. It takes a second or two.
const RUN_MAX: Duration = Duration::from_secs(120);
/// The record, from the root of the workspace.
const RECORD: &str = "xtask/instructions.txt";

/// Counts, and compares with the record; or writes a new one.
pub(crate) fn run(bless: bool) -> Result<Totals> {
    if cfg!(not(target_os = "linux")) {
        println!("callgrind is on Linux: left out");
        return Ok(Totals::default());
    }
    packages::install(&["valgrind"], || packages::find("valgrind", &["/usr/bin"]).is_some())?;
    let compiler = compiler()?;
    let program = build()?;
    let counted: Result<Vec<_>> = CASES
        .iter()
        .map(|(case, rounds)| Ok(((*case).to_owned(), figures(&program, case, *rounds)?)))
        .collect();
    let counted = Record { compiler, cases: counted? };
    let file = workspace::root().join(RECORD);
    if bless {
        fs::write(&file, counted.to_string())?;
        print!("{counted}");
        return Ok(Totals::default());
    }
    let recorded: Record = totals::read(&file)?.parse()?;
    Ok(compare(&counted, &recorded))
}

/// One check for each case. Cheaper is no failure, but to be written down, or it could get lost again.
fn compare(counted: &Record, recorded: &Record) -> Totals {
    if counted.compiler != recorded.compiler {
        println!(
            "  the record was made with {}, and this is {}: renew it with --bless if nothing else has changed",
            recorded.compiler, counted.compiler
        );
    }
    let mut checks = Checks::default();
    for (case, now) in &counted.cases {
        checks.check(format!("instructions per message, {case}"), || {
            let before = recorded.of(case).ok_or_else(|| {
                format!("{RECORD} does not have it: `cargo xtask instructions --bless` writes it")
            })?;
            let verdict = now.against(before);
            ensure(!verdict.is_dearer, || {
                format!("{verdict}; find out why, or accept it with --bless and say why")
            })?;
            Ok(verdict)
        });
    }
    checks.totals()
}

/// The compiler and its version, such as `rustc 1.88.0`.
fn compiler() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let ended = process::run(Command::new(rustc).arg("--version"), RUN_MAX)?;
    ensure(ended.code == Some(0), || format!("rustc does not say its version: {}", ended.stderr))?;
    let words = ended.stdout.split_whitespace();
    Ok(words.take(2).collect::<Vec<_>>().join(" "))
}

/// The program that is counted, built as users build theirs.
fn build() -> Result<PathBuf> {
    let profile = Profile::Release;
    let mut build = cargo();
    build.args(["build", "--quiet", "--package", "instructions", "--profile", profile.name()]);
    process::succeed(&mut build)?;
    Ok(workspace::target()?.join(profile.folder()).join("instructions"))
}

/// What a message of a case costs.
fn figures(program: &Path, case: &str, rounds: u32) -> Result<Figures> {
    let (short_messages, short) = count(program, case, rounds)?;
    let (long_messages, long) = count(program, case, rounds * LONGER)?;
    let messages = long_messages - short_messages;
    let each = |long: u64, short: u64| long.saturating_sub(short) as f64 / messages as f64;
    Ok(Figures { own: each(long.own, short.own), all: each(long.all, short.all) })
}

/// Runs a case under callgrind: its messages, and the instructions of the whole run.
fn count(program: &Path, case: &str, rounds: u32) -> Result<(u64, Counts)> {
    let out = workspace::target()?.join(format!("callgrind-{case}-{}.out", std::process::id()));
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    // What cargo sets for programs that it runs, this one included, is longer in some places than in others.
    command.arg(program).args([case, &rounds.to_string()]).env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    let ended = process::run(&mut command, RUN_MAX)?;
    let counts = fs::read(&out).map(|text| callgrind::counts(&String::from_utf8_lossy(&text)));
    // Not having it is told below; having it is of no use to anybody.
    let _ = fs::remove_file(&out);
    ensure(ended.code == Some(0), || {
        format!("{case} failed under valgrind: {}", ended.stderr.trim_end())
    })?;
    let messages = ended.stdout.trim().parse();
    let messages = messages.map_err(|_| format!("{case} does not say how many messages it had"))?;
    let counts = counts.map_err(|error| format!("callgrind left no counts: {error}"))??;
    Ok((messages, counts))
}
