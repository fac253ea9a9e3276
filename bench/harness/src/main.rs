//! Compares echo servers by what they cost: server CPU time per message, in interleaved rounds.
//!
//! In each round every server is started in turn, pinned to one CPU, and gets the same load from a
//! generator pinned to another. Only ratios within a round are compared, because the machine's
//! speed changes from minute to minute and its speed of this minute is common to the round.
//! `README.md` beside this workspace says how to run it and how to read what it prints.

#![deny(unsafe_code)]

mod case;
mod contender;
mod load;
mod procfs;
mod report;
mod rounds;
mod server;
mod statistics;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use crate::case::Case;
use crate::contender::{Contender, Programs};
use crate::rounds::Plan;

/// An error that ends in a sentence for the user.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The cases of the target, the quick set, and the cells of the wide table.
const CASES_TARGET: &str = "1000x64x1:raw,1000x60x16:u32le";
const CASES_QUICK: &str = "64x64x1:raw,64x60x16:u32le";
const CASES_ALL: &str = "64x64x1:raw,64x64x16:raw,1000x64x1:raw,1000x64x16:raw,1000x1024x16:raw,\
    64x16384x1:raw,64x16384x16:raw,1000x60x1:u32le,1000x60x16:u32le,1000x1020x16:u32le,1000x60x1:chat,1000x60x8:chat";

/// Runs every server in interleaved rounds and compares their CPU time per message.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// Cases, as SESSIONSxBYTESxDEPTH:FRAMING with framing raw, u32le or chat, separated by
    /// commas; or
    /// the word `all` for a wide set [default: the cases of the target].
    #[arg(long)]
    cases: Option<String>,

    /// Servers to compare, separated by commas.
    #[arg(long, default_value = "bare,bare-skip,tokio,wharf-uring,wharf-readiness")]
    servers: String,

    /// One more server: NAME=SERVER ARGUMENTS..., for instance `bare-128=bare --buffers 128`.
    /// May be given several times.
    #[arg(long)]
    variant: Vec<String>,

    /// Rounds; each runs every server once in every case.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Seconds of the measured window of a run.
    #[arg(long, value_parser = seconds)]
    seconds: Option<Duration>,

    /// Seconds of load before the window.
    #[arg(long, default_value = "0.5", value_parser = seconds)]
    warmup: Duration,

    /// A small set of cases, few rounds and short windows: shows that everything works.
    #[arg(long)]
    quick: bool,

    /// The program `wharf`.
    #[arg(long, default_value = "../target/release/wharf")]
    wharf: PathBuf,

    /// The load generator, if it is not the program `wharf`.
    #[arg(long)]
    load: Option<PathBuf>,

    /// Folder of the comparison servers [default: where this program lies].
    #[arg(long)]
    programs: Option<PathBuf>,

    /// CPU of the servers.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,

    /// CPU of the load generator.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,

    /// A run is repeated if others took more than this share of the server's CPU, in percent.
    #[arg(long, default_value_t = 6.0)]
    disturbed_percent: f64,

    /// Times that a run is repeated because it was disturbed or failed.
    #[arg(long, default_value_t = 3)]
    repeats: u32,

    /// Niceness of servers and generator, if the system allows it.
    #[arg(long, default_value_t = -10, allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i32).range(-20..=19))]
    nice: i32,

    /// Where to write the tables as well.
    #[arg(long)]
    out: Option<PathBuf>,

    /// Where to write every single run, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn seconds(word: &str) -> std::result::Result<Duration, String> {
    let wanted = "from 0.1 to 60 seconds are possible";
    let seconds: f64 = word.parse().map_err(|_| wanted)?;
    if (0.1..=60.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(wanted.into())
    }
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("harness: some runs failed, see the tables");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("harness: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the plan case by case; false if a server failed.
fn run(cli: &Cli) -> Result<bool> {
    let (plan, cases) = plan(cli)?;
    let mut report = report::header(&plan);
    println!("{report}");
    let mut runs = Vec::new();
    let mut clean = true;
    for case in cases {
        let results = rounds::run(&plan, case)?;
        clean &= results.iter().all(|result| result.failure.is_none());
        let table = report::table(case, &plan, &results);
        println!("{table}");
        report += &format!("\n{table}");
        runs.push(report::json(case, &results));
        // After every case, so that an interrupted run keeps what it has.
        write(cli.out.as_deref(), &report)?;
        write(cli.json.as_deref(), &format!("{:#}\n", serde_json::Value::from(runs.clone())))?;
    }
    Ok(clean)
}

fn plan(cli: &Cli) -> Result<(Plan, Vec<Case>)> {
    let cases = match cli.cases.as_deref() {
        Some("all") => CASES_ALL,
        Some(cases) => cases,
        None if cli.quick => CASES_QUICK,
        None => CASES_TARGET,
    };
    let cases = cases.split(',').map(str::parse).collect::<Result<_>>()?;
    let beside = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let programs =
        Programs { folder: cli.programs.clone().unwrap_or(beside), wharf: cli.wharf.clone() };
    let named = cli.servers.split(',').map(|name| Contender::named(name, &programs));
    let variants = cli.variant.iter().map(|words| Contender::variant(words, &programs));
    let (rounds, seconds) = if cli.quick { (2, 0.5) } else { (10, 2.0) };
    let plan = Plan {
        contenders: named.chain(variants).collect::<Result<_>>()?,
        load: cli.load.clone().unwrap_or_else(|| cli.wharf.clone()),
        rounds: cli.rounds.unwrap_or(rounds),
        window: cli.seconds.unwrap_or(Duration::from_secs_f64(seconds)),
        warmup: cli.warmup,
        server_cpu: cli.server_cpu,
        load_cpu: cli.load_cpu,
        nice: cli.nice,
        disturbed_share: cli.disturbed_percent / 100.0,
        repeats: cli.repeats,
    };
    contender::check_program(&plan.load)?;
    server::pin_self(plan.load_cpu)?;
    if rustix::process::setpriority_process(None, cli.nice).is_err() {
        eprintln!("harness: niceness {} is not allowed here, going on without", cli.nice);
    }
    Ok((plan, cases))
}

fn write(path: Option<&Path>, text: &str) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(())
}
