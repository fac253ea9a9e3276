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
mod machine;
mod plot;
mod procfs;
mod report;
mod results;
mod rounds;
mod server;
mod sets;
mod statistics;
mod targets;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::case::Group;
use crate::contender::{Contender, Programs};
use crate::results::{Method, Results};
use crate::rounds::{Capacities, Plan};

/// An error that ends in a sentence for the user.
type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The cases without a set, the quick ones, and the servers of both.
const CASES: &str = "1000x64x1:raw,1000x60x16:u32le";
const CASES_QUICK: &str = "64x64x1:raw,64x60x16:u32le";
const SERVERS: &str = "bare,bare-skip,tokio,wharf-uring,wharf-readiness";

/// Runs every server in interleaved rounds and compares their CPU time per message.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Makes the report and its pictures of the results that were saved.
    Report(ReportArgs),
}

#[derive(Args)]
struct ReportArgs {
    /// Folder of the results.
    #[arg(long, default_value = "results")]
    results: PathBuf,

    /// Where the report goes.
    #[arg(long, default_value = "results.md")]
    out: PathBuf,

    /// Folder of the pictures, as it is named in the report.
    #[arg(long, default_value = "plots")]
    plots: PathBuf,
}

#[derive(Args)]
struct RunArgs {
    /// Cases, separated by commas, or by `&` if they are to be measured together: 1000x64x1:raw
    /// (sessions, bytes, in flight; or :u32le, :chat), 1000x64@20000:raw (a second), 1000x64x1@half:raw
    /// (of what the slowest server can do; or @third), with +8000idle or +unpinned before the colon;
    /// accept; idle:19000.
    #[arg(long, conflicts_with_all = ["set", "quick"])]
    cases: Option<String>,

    #[arg(long, conflicts_with = "quick", help = sets::help())]
    set: Option<String>,

    /// Servers to compare, separated by commas [default: those of the set; some without one].
    #[arg(long)]
    servers: Option<String>,

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

    /// CPU of the servers [default: the first that is allowed].
    #[arg(long)]
    server_cpu: Option<usize>,

    /// CPU of the load generator [default: the second that is allowed].
    #[arg(long)]
    load_cpu: Option<usize>,

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

    /// Folder where every single run is kept, as JSON, in a file for each set.
    #[arg(long)]
    save: Option<PathBuf>,
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
    let cli = Cli::parse();
    let done = match &cli.command {
        Some(Command::Report(args)) => make_report(args).map(|()| true),
        None => run(&cli.run),
    };
    match done {
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

/// Cases that are saved under one name, and who takes part.
struct Area {
    name: &'static str,
    groups: Vec<Group>,
    servers: Option<&'static str>,
}

/// The areas that are asked for.
fn areas(args: &RunArgs) -> Result<Vec<Area>> {
    if let Some(names) = &args.set {
        let area = |set: &&sets::Set| {
            let groups = case::groups(set.cases)?;
            Ok(Area { name: set.name, groups, servers: set.servers })
        };
        return sets::named(names)?.iter().map(area).collect();
    }
    let cases = args.cases.as_deref().unwrap_or(if args.quick { CASES_QUICK } else { CASES });
    Ok(vec![Area { name: "cases", groups: case::groups(cases)?, servers: Some(SERVERS) }])
}

/// Runs area by area; false if a server failed.
fn run(args: &RunArgs) -> Result<bool> {
    let areas = areas(args)?;
    let cpus_allowed = server::cpus_allowed()?;
    let mut plans = Vec::new();
    for area in areas {
        let plan = plan(args, &area, &cpus_allowed)?;
        plans.push((area, plan));
    }
    let load_cpu = plans.first().map_or(0, |(_, plan)| plan.load_cpu);
    server::pin_self(load_cpu)?;
    if rustix::process::setpriority_process(None, args.nice).is_err() {
        eprintln!("harness: niceness {} is not allowed here, going on without", args.nice);
    }
    let mut capacities = Capacities::new();
    let mut clean = true;
    let mut all = Vec::new();
    for (area, plan) in &plans {
        clean &= run_area(args, area, plan, &mut capacities, &mut all)?;
    }
    Ok(clean)
}

/// Runs the cases of an area; what was measured is added to `all`, and written after every group, so that
/// an interrupted run keeps what it has.
fn run_area(
    args: &RunArgs,
    area: &Area,
    plan: &Plan,
    capacities: &mut Capacities,
    all: &mut Vec<Results>,
) -> Result<bool> {
    let method = Method {
        server_cpu: plan.server_cpu,
        load_cpu: plan.load_cpu,
        rounds: plan.rounds,
        window_s: plan.window.as_secs_f64(),
        warmup_s: plan.warmup.as_secs_f64(),
        disturbed_share: plan.disturbed_share,
    };
    let machine = machine::describe(&plan.contenders);
    println!("{}", report::header(&machine, &method));
    let place = all.len();
    all.push(Results { area: area.name.to_owned(), machine, method, cases: Vec::new() });
    for group in &area.groups {
        let results = &mut all[place];
        for case in rounds::run(plan, group, capacities)? {
            println!("{}", report::table(&case, &results.method));
            results.cases.push(case);
        }
        keep(args, &all[place], all)?;
    }
    let results = &all[place];
    println!("{}", report::targets(std::slice::from_ref(results)));
    Ok(results.cases.iter().flat_map(|case| &case.servers).all(|it| it.failure.is_none()))
}

/// Writes what was measured to where it is wanted: the results of an area, and those of all so far.
fn keep(args: &RunArgs, results: &Results, all: &[Results]) -> Result<()> {
    if let Some(folder) = &args.save {
        fs::create_dir_all(folder)
            .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        results.write(&folder.join(format!("{}.json", results.area)))?;
    }
    if let Some(path) = &args.json {
        results::write(path, &format!("{}\n", serde_json::to_string_pretty(all)?))?;
    }
    if let Some(path) = &args.out {
        results::write(path, &report::whole(all, &[]))?;
    }
    Ok(())
}

fn plan(args: &RunArgs, area: &Area, cpus_allowed: &[usize]) -> Result<Plan> {
    let beside = std::env::current_exe()?.parent().map(Path::to_path_buf).unwrap_or_default();
    let programs =
        Programs { folder: args.programs.clone().unwrap_or(beside), wharf: args.wharf.clone() };
    let mut contenders = match args.servers.as_deref().or(area.servers) {
        None => Contender::built(&programs, area.name.starts_with("broadcast")),
        Some(names) => {
            names.split(',').map(|name| Contender::named(name, &programs)).collect::<Result<_>>()?
        }
    };
    for words in &args.variant {
        contenders.push(Contender::variant(words, &programs)?);
    }
    let (rounds, seconds) = match (args.quick, &args.set) {
        (true, _) => (2, 0.5),
        // As many as a target near 1 takes.
        (false, Some(_)) => (15, 2.0),
        (false, None) => (10, 2.0),
    };
    let (first, second) = match *cpus_allowed {
        [first, second, ..] => (first, second),
        [only] => (only, only),
        [] => (0, 0),
    };
    let (server_cpu, load_cpu) =
        (args.server_cpu.unwrap_or(first), args.load_cpu.unwrap_or(second));
    if server_cpu == load_cpu {
        eprintln!("harness: servers and generator share CPU {load_cpu}: no figure means anything");
    }
    let plan = Plan {
        contenders,
        load: args.load.clone().unwrap_or_else(|| args.wharf.clone()),
        rounds: args.rounds.unwrap_or(rounds),
        window: args.seconds.unwrap_or(Duration::from_secs_f64(seconds)),
        warmup: args.warmup,
        server_cpu,
        load_cpu,
        cpus_allowed: cpus_allowed.to_vec(),
        nice: args.nice,
        disturbed_share: args.disturbed_percent / 100.0,
        repeats: args.repeats,
    };
    contender::check_program(&plan.load)?;
    Ok(plan)
}

/// Makes the report of all files in the folder of the results.
fn make_report(args: &ReportArgs) -> Result<()> {
    let folder = &args.results;
    let entries = fs::read_dir(folder).map_err(|error| {
        format!(
            "cannot read {}: {error}; `cargo xtask bench --set echo` fills it",
            folder.display()
        )
    })?;
    let paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let is_json = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "json");
    let mut all: Vec<Results> =
        paths.iter().filter(is_json).map(|path| Results::read(path)).collect::<Result<_>>()?;
    if all.is_empty() {
        return Err(format!("there are no results in {}", folder.display()).into());
    }
    all.sort_by_key(|results| report::place(&results.area));
    let beside = args.out.parent().unwrap_or(Path::new(""));
    let drawn = plot::all(&all, &beside.join(&args.plots))?;
    let named = |(area, file)| (area, format!("{}/{file}", args.plots.display()));
    results::write(
        &args.out,
        &report::whole(&all, &drawn.into_iter().map(named).collect::<Vec<_>>()),
    )
}
