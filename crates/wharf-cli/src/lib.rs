//! The program `wharf`: it reads the command line, runs one command, and ends with that command's
//! exit code. It is a library so that its parts can be tried by what links to it; it has no other use.
//!
//! | module | what it holds |
//! |---|---|
//! | `args` | the command line: flags, their ranges, what is said about a wrong one |
//! | `failure` | exit codes, and the one line that goes with each |
//! | `serve` | `wharf serve`: a server of the library's, its signals and its console |
//! | `load` | `wharf load`: a generator that verifies every byte it gets back |
//! | `top` | `wharf top`: a running server on a terminal |
//! | `proxy` | `wharf proxy`: it stands between clients and a server, and injects faults |
//! | `replay` | `wharf replay`: captures, sent again and compared |
//! | `simulate` | `wharf sim`: the library's sessions on simulated networks, by seed |
//! | `models` | `wharf models`: every I/O model of the system, side by side |
//! | `admin_token` | the file with the token of an admin endpoint |
//! | `json` | results for scripts |
//! | `split_mix` | chance that is the same in every version |
//! | `signals` | what the process is told from outside |
//! | `console`, `terminal` | the standard error stream: lines, and a live one on a terminal |
//! | `counted`, `clock` | numbers as people write them; the time |

#![forbid(unsafe_code)]

mod admin_token;
mod args;
mod clock;
mod console;
mod counted;
mod failure;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod json;
mod load;
mod models;
mod output_file;
mod proxy;
mod replay;
mod serve;
mod signals;
mod simulate;
mod split_mix;
mod terminal;
mod top;

use std::process::ExitCode;

use args::{Command, Parsed};

/// Runs the program.
pub fn run() -> ExitCode {
    let outcome = match args::parse() {
        Ok(Parsed::Run(Command::ServeEcho(options))) => serve::echo(&options),
        Ok(Parsed::Run(Command::ServeChat(options))) => serve::chat(&options),
        Ok(Parsed::Run(Command::LoadEcho(options))) => load::echo(&options),
        Ok(Parsed::Run(Command::LoadChat(options))) => load::chat(&options),
        Ok(Parsed::Run(Command::LoadAccept(options))) => load::accept(&options),
        Ok(Parsed::Run(Command::LoadIdle(options))) => load::idle(&options),
        Ok(Parsed::Run(Command::LoadStorm(options))) => load::storm(&options),
        Ok(Parsed::Run(Command::LoadSlowReader(options))) => load::slow("slow-reader", &options),
        Ok(Parsed::Run(Command::LoadSlowloris(options))) => load::slow("slowloris", &options),
        Ok(Parsed::Run(Command::Proxy(options))) => proxy::proxy(&options),
        Ok(Parsed::Run(Command::Replay(options))) => replay::replay(&options),
        Ok(Parsed::Run(Command::Top(options))) => top::top(&options),
        Ok(Parsed::Run(Command::Sim(options))) => simulate::simulate(&options),
        Ok(Parsed::Run(Command::ModelsList)) => {
            models::list();
            Ok(())
        }
        Ok(Parsed::Run(Command::ModelsRun(options))) => models::run(&options),
        Ok(Parsed::Run(Command::ModelsCompare(options))) => models::compare(&options),
        Ok(Parsed::Run(Command::ModelsExperiment(experiment))) => models::experiment(&experiment),
        Ok(Parsed::Print(text)) => {
            failure::print(&text);
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
