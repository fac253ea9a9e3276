//! Runs the checks of behaviour on any program that takes the words of the comparison servers: those that are
//! not written in Rust have no tests of their own.
//!
//! `check PROGRAM MODE [ARGUMENTS...]` panics with a sentence if an answer is wrong. With `--ends` before them
//! the program must end well at SIGTERM, as one does that looks for leaks then.

use std::path::PathBuf;

use bench_common::Mode;
use bench_common::check::{self, TestServer};
use clap::Parser;

/// Checks that a server does what it has to.
#[derive(Parser)]
struct Cli {
    /// Ask it to end by SIGTERM afterwards, and expect the exit code 0.
    #[arg(long)]
    ends: bool,
    /// The server.
    program: PathBuf,
    /// What it does with what comes.
    #[arg(value_enum)]
    mode: Mode,
    /// More arguments for it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

fn main() {
    let cli = Cli::parse();
    let arguments: Vec<&str> = cli.arguments.iter().map(String::as_str).collect();
    let server = TestServer::start(&cli.program, cli.mode, &arguments);
    check::all(&server);
    if cli.mode == Mode::Chat {
        check::lagging_members(&server);
    }
    if cli.ends {
        server.end();
    }
}
