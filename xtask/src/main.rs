//! What CI and developers run: `cargo xtask <command>`.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ci`] | the steps of CI, in order, with their times and a sum of the tests |
//! | [`steps`] | one step each: formatting, lints, documentation, tests, and so on |
//! | [`mod@bench`] | the comparison with other foundations |
//! | [`bench_programs`] | how the programs of `bench/` are built, and what its harness writes |
//! | [`conformance`] | the completion port's suite, per backend |
//! | [`canaries`] | deliberate bugs, which the simulation must find |
//! | [`fallback`], [`deny_uring`] | the tests where `io_uring` is denied, and how it is denied |
//! | [`admin_schema`] | the admin endpoint against its description, by a fuzzer of APIs |
//! | [`dashboard`] | the page of the admin endpoint, in a browser |
//! | [`deploy`] | what lies in deploy/, held against systemd and the program |
//! | [`examples`] | what must be shown of the examples, as programs that run |
//! | [`faults`] | what peers and systems do to a running server, from floods of resets to stopped clients |
//! | [`fuzz`] | made-up input for what takes input from outside |
//! | [`instructions`] | what a message costs in instructions, against the record |
//! | [`loom`] | the models of what crosses threads |
//! | [`release`] | the crates as packages, and the program as archives to give away |
//! | [`sanitize`] | the port's tests under AddressSanitizer and `LeakSanitizer` |
//! | [`sessions`] | attackers beside honest clients, and a drain under load, on running servers |
//! | [`simulation`] | the simulation, for as many seeds as CI has time for |
//! | [`smoke`] | the release binary against a real client |
//! | [`soak`] | ten thousand sessions for minutes, some of them hostile |
//! | [`proof`] | the large runs: traffic, memory, bad use, cost |
//! | [`windows`] | the backend and the program for Windows, under Wine; and what compiles for other systems |
//! | [`tidy`] | what no compiler checks: names in the documents, sizes of files |
//! | [`changelog`] | whether CHANGELOG.md is in order |
//! | [`documents`], [`translations`] | links between documents, and whether the Korean ones keep up |
//! | [`server`], [`load`], [`client`], [`procfs`] | the program under test, and what is seen of it |
//! | [`backends`] | checks of what runs, on every backend |
//! | [`packages`] | what others have to install |
//! | [`workspace`], [`process`], [`wait`], [`chance`], [`totals`], [`checks`] | what the others stand on |

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod admin_schema;
#[cfg(target_os = "linux")]
mod backends;
#[cfg(target_os = "linux")]
mod bench;
mod bench_programs;
mod canaries;
#[cfg(target_os = "linux")]
mod chance;
mod changelog;
mod checks;
mod ci;
mod client;
mod conformance;
#[cfg(target_os = "linux")]
mod dashboard;
mod deny_uring;
#[cfg(target_os = "linux")]
mod deploy;
mod documents;
#[cfg(target_os = "linux")]
mod examples;
mod fallback;
#[cfg(target_os = "linux")]
mod faults;
mod fuzz;
mod instructions;
mod load;
mod loom;
mod packages;
mod process;
mod procfs;
mod proof;
#[cfg(target_os = "linux")]
mod release;
mod sanitize;
mod server;
#[cfg(target_os = "linux")]
mod sessions;
mod simulation;
mod smoke;
#[cfg(target_os = "linux")]
mod soak;
mod steps;
mod tidy;
mod totals;
mod translations;
mod wait;
mod windows;
mod workspace;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::proof::{Proof, Scale};
use crate::totals::Totals;

/// What went wrong: a sentence, and what to do about it.
type Error = Box<dyn std::error::Error + Send + Sync>;

/// What any of the commands returns.
type Result<T> = std::result::Result<T, Error>;

/// What CI and developers of this workspace run.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything that CI runs, step by step; stops at the first failure.
    Ci {
        /// Take the results of the step `test` from what `cargo test` printed, instead of running it.
        #[arg(long, value_name = "FILE")]
        tests_from: Option<PathBuf>,
    },
    /// Checks the formatting.
    Fmt,
    /// clippy for every target, warnings denied, here, in bench/ and in examples/.
    Lint,
    /// Builds the documentation, private items included, warnings denied.
    Docs,
    /// Checks what no compiler does: names and links in the documents, their translations, sizes of files,
    /// leftovers.
    Tidy,
    /// Writes down that the Korean translations of these pages are up to date; `tidy` asks for it.
    Translated {
        /// Pages such as docs/guide.md.
        #[arg(required = true)]
        pages: Vec<PathBuf>,
    },
    /// Checks licences, advisories and sources of the dependencies, if cargo-deny is installed.
    Deny,
    /// Runs the tests as the README says, and counts them.
    Test,
    /// Runs the completion port's suite, one backend after the other.
    Conformance {
        /// Only these: uring, `uring_stepdown`, readiness, auto.
        backends: Vec<String>,
    },
    /// Runs the tests where `io_uring` is denied.
    Fallback,
    /// Does to running servers what peers and systems do.
    #[cfg(target_os = "linux")]
    Faults {
        /// Only these.
        #[arg(value_enum)]
        only: Vec<faults::Fault>,
        /// As often and as long as must be shown: some minutes.
        #[arg(long)]
        many: bool,
    },
    /// Shows of running servers what sessions promise: attackers are ended and delay nobody, and a drain
    /// loses nothing.
    #[cfg(target_os = "linux")]
    Sessions {
        /// Only these.
        #[arg(value_enum)]
        only: Vec<sessions::Show>,
        /// As large as must be shown: some minutes.
        #[arg(long)]
        many: bool,
        /// Only on this backend.
        #[arg(long)]
        backend: Option<String>,
    },
    /// Shows of the examples what must hold: a gateway needs no memory for slow readers, a client outlives its
    /// server, a room ticks regularly.
    #[cfg(target_os = "linux")]
    Examples {
        /// Only these.
        #[arg(value_enum)]
        only: Vec<examples::Show>,
        /// As large as must be shown: a GiB each way, a hundred kills.
        #[arg(long)]
        many: bool,
        /// Only on this backend.
        #[arg(long)]
        backend: Option<String>,
    },
    /// What `sessions addresses` does in a network namespace of its own.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    AddressesWithin {
        #[arg(long)]
        backend: String,
        #[arg(long)]
        many: bool,
        wharf: PathBuf,
    },
    /// Members of a chat that read, for `sessions chat` to stop.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Bystanders { address: std::net::SocketAddr, count: usize },
    /// Runs the fuzz targets; needs cargo-fuzz and the nightly toolchain.
    Fuzz {
        /// Only these.
        targets: Vec<String>,
        /// For how long each.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Take what was found into the corpora that are committed and replayed by the tests.
        #[arg(long)]
        keep: bool,
    },
    /// Runs the models of what crosses threads, in the interleavings that matter.
    Loom {
        /// In all of them: this takes some minutes.
        #[arg(long)]
        exhaustive: bool,
    },
    /// Denies `io_uring` to a command, and becomes that command.
    DenyUring {
        /// Which call fails, and how.
        #[arg(long, value_enum, default_value_t)]
        how: deny_uring::How,
        /// The command.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Holds the admin endpoint against its description: schemathesis, which is installed below target/, asks a
    /// server under load for a minute.
    #[cfg(target_os = "linux")]
    AdminSchema,
    /// Looks at the page of the admin endpoint in Chromium, beside a server under load, and uses it. Installs Chromium
    /// and its driver if they are missing.
    #[cfg(target_os = "linux")]
    Dashboard {
        /// Make the pictures in docs/screenshots/ instead: some minutes.
        #[arg(long)]
        pictures: bool,
    },
    /// Holds what lies in deploy/ against systemd and the program. Installs systemd's tools if they are missing.
    #[cfg(target_os = "linux")]
    Deploy,
    /// Becomes a command, with every call denied that a list of an OCI runtime does not have.
    #[cfg(target_os = "linux")]
    UnderSeccomp {
        /// Such as deploy/seccomp-uring.json.
        profile: PathBuf,
        /// The command.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Runs the completion port's tests under AddressSanitizer and `LeakSanitizer`, where there is a
    /// nightly toolchain.
    Sanitize,
    /// Runs the simulation for a thousand seeds.
    Sim {
        /// For a hundred thousand, and a hundred of them twice: some minutes.
        #[arg(long)]
        many: bool,
    },
    /// Applies deliberate bugs to a copy of the tree, and lets the simulation find them.
    Canaries {
        /// Only these.
        only: Vec<String>,
        /// Look for the first seeds that show them, and write these down.
        #[arg(long)]
        bless: bool,
    },
    /// Runs the release binary against a real client, on every backend.
    Smoke,
    /// Holds ten thousand sessions for minutes, of which some come and go and some are hostile.
    #[cfg(target_os = "linux")]
    Soak {
        /// For how long, on each backend.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
        minutes: u64,
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        sessions: usize,
        /// Only on this backend.
        #[arg(long)]
        backend: Option<String>,
    },
    /// Runs the proofs: what must be shown of the program, with the figures that were measured.
    Proof {
        /// Only these.
        #[arg(value_enum)]
        only: Vec<Proof>,
        /// The small scale that CI runs.
        #[arg(long)]
        quick: bool,
    },
    /// Builds and tests for Windows, under Wine where this is not Windows, and checks that the sources
    /// compile for other systems. Installs what is missing for it.
    Windows {
        /// Only these.
        #[arg(value_enum)]
        only: Vec<windows::Step>,
        /// What takes minutes, too.
        #[arg(long)]
        many: bool,
    },
    /// Builds everything that bench/ compares, and runs its harness.
    #[cfg(target_os = "linux")]
    Bench(bench::BenchArgs),
    /// Counts what a message costs in instructions, on the simulated network under callgrind, and compares
    /// with the record. Installs valgrind if it is missing.
    Instructions {
        /// Write down what was counted as the new record.
        #[arg(long)]
        bless: bool,
    },
    /// Makes what is given away: the crates as packages, and the program for Linux and Windows as archives with
    /// checksums. Each program is unpacked and has to serve before it counts. Nothing is uploaded.
    #[cfg(target_os = "linux")]
    Release(release::ReleaseArgs),
    /// Sums up what `cargo test` printed to a file.
    Totals {
        /// The file.
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(totals) if totals.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command. Every one of them ends with the tests or checks that it has run, summed up, if
/// it has run any.
fn run(command: Command) -> Result<Totals> {
    let totals = match command {
        Command::Ci { tests_from } => return ci::run(tests_from.as_deref()),
        Command::DenyUring { how, command } => return deny_uring::exec(how, &command),
        #[cfg(target_os = "linux")]
        Command::Dashboard { pictures } => dashboard::run(pictures)?,
        #[cfg(target_os = "linux")]
        Command::Deploy => deploy::run()?,
        #[cfg(target_os = "linux")]
        Command::AdminSchema => admin_schema::run()?,
        #[cfg(target_os = "linux")]
        Command::UnderSeccomp { profile, command } => return deploy::exec(&profile, &command),
        Command::Fmt => steps::fmt()?,
        Command::Lint => steps::lint()?,
        Command::Docs => steps::docs()?,
        Command::Tidy => tidy::run()?,
        Command::Translated { pages } => {
            pages.iter().try_for_each(|page| translations::renew(page))?;
            return Ok(Totals::default());
        }
        Command::Deny => steps::deny()?,
        Command::Test => steps::test()?,
        Command::Conformance { backends } => conformance::run(&backends)?,
        Command::Fallback => fallback::run()?,
        Command::Sanitize => sanitize::run()?,
        Command::Sim { many } => simulation::run(many)?,
        Command::Canaries { only, bless } => canaries::run(&only, bless)?,
        #[cfg(target_os = "linux")]
        Command::Faults { only, many } => faults::run(&only, many)?,
        #[cfg(target_os = "linux")]
        Command::Sessions { only, many, backend } => {
            sessions::run(&only, many, backend.as_deref())?
        }
        #[cfg(target_os = "linux")]
        Command::Examples { only, many, backend } => {
            examples::run(&only, many, backend.as_deref())?
        }
        #[cfg(target_os = "linux")]
        Command::AddressesWithin { backend, many, wharf } => {
            println!("{}", sessions::addresses_within(&wharf, &backend, many)?);
            return Ok(Totals::default());
        }
        #[cfg(target_os = "linux")]
        Command::Bystanders { address, count } => {
            sessions::take_part(address, count)?;
            return Ok(Totals::default());
        }
        Command::Fuzz { targets, seconds, keep } => fuzz::run(&targets, seconds, keep)?,
        Command::Loom { exhaustive } => loom::run(exhaustive)?,
        #[cfg(target_os = "linux")]
        Command::Soak { minutes, sessions, backend } => {
            soak::run(soak::Plan { minutes, sessions, backend: backend.as_deref() })?
        }
        Command::Smoke => smoke::run()?,
        Command::Proof { only, quick } => {
            proof::run(&only, if quick { Scale::Quick } else { Scale::Full })?
        }
        Command::Windows { only, many } => windows::run(&only, many)?,
        #[cfg(target_os = "linux")]
        Command::Bench(args) => bench::run(&args)?,
        Command::Instructions { bless } => instructions::run(bless)?,
        #[cfg(target_os = "linux")]
        Command::Release(args) => release::run(args)?,
        Command::Totals { file } => {
            let totals = Totals::of_file(&file)?;
            println!("{totals}");
            return Ok(totals);
        }
    };
    if totals != Totals::default() {
        println!("{totals}");
    }
    Ok(totals)
}
