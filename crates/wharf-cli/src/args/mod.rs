//! The command line.
//!
//! clap reads it; what comes out of here has been checked, flag against flag too, so a command gets
//! nothing that it would have to refuse. Every flag can also be given by the environment, as `WHARF_`
//! and the flag in capitals; the command line goes before it. A wrong command line is one line of
//! text and exit code 2.

mod admin;
mod capture;
mod config;
mod load;
mod models;
mod peers;
mod proxy;
mod replay;
mod serve;
mod sim;
mod sockets;
mod top;
mod values;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use wharf_models::experiments::Experiment;

use crate::failure::Failure;
use crate::load::{
    AcceptOptions, ChatOptions, IdleOptions, LoadOptions, SlowOptions, StormOptions,
};
use crate::models::{CompareOptions, RunOptions};
use crate::proxy::ProxyOptions;
use crate::replay::Replay;
use crate::serve::ServeOptions;
use crate::simulate::SimOptions;
use crate::top::TopOptions;
use config::{ConfigFile, Schema, Sources};
use load::LoadMode;
use models::ModelsMode;
use proxy::ProxyArgs;
use replay::ReplayArgs;
use serve::ServeMode;
use top::TopArgs;
pub(crate) use values::{Bytes, Listen, Target};
#[cfg(any(test, fuzzing))]
pub(crate) use values::{UNBOUNDED, bytes};

/// What clap knows of the command line, for what makes some up.
#[cfg(any(test, fuzzing))]
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

const HELP: &str = "\
Try it:  wharf serve echo        and, in another terminal:  wharf load echo
    or:  wharf serve chat        and, in two others:        nc 127.0.0.1 7777

wharf COMMAND --help has the flags of a command, and its exit codes.";

/// A server core for many long-lived TCP sessions.
#[derive(Debug, Parser)]
#[command(name = "wharf", version, arg_required_else_help = true, after_help = HELP)]
struct Cli {
    #[command(subcommand)]
    command: TopLevel,
}

#[derive(Debug, Subcommand)]
enum TopLevel {
    /// Run a server.
    Serve {
        #[command(subcommand)]
        mode: ServeMode,
    },
    /// Put load on a server, and verify every byte that comes back.
    Load {
        #[command(subcommand)]
        mode: Box<LoadMode>,
    },
    /// Show a running server on this terminal: workers, throughput, latency, sessions; kick, pause, drain.
    Top(TopArgs),
    /// Stand between clients and a server, and inject faults.
    Proxy(Box<ProxyArgs>),
    /// Send what was captured of a server to one again, and compare what comes back.
    ///
    /// Exit code: 0 all answers are equal, 1 some are not, 2 wrong arguments or a file that is no capture, 4 could
    /// not connect.
    Replay(Box<ReplayArgs>),
    /// Run servers and clients on simulated networks where everything goes wrong, one run for each
    /// seed, and check what must hold.
    ///
    /// Exit code: 0 all is well, 1 something broke (its seed is told), 2 wrong arguments.
    Sim(sim::SimArgs),
    /// Serve by every I/O model that this system has, and compare them: thread per connection, select and
    /// so on, up to completion ports.
    Models {
        #[command(subcommand)]
        mode: Option<ModelsMode>,
    },
}

/// What to do, with options that have been checked.
#[derive(Debug)]
pub(crate) enum Command {
    /// `wharf serve echo`.
    ServeEcho(Box<ServeOptions>),
    /// `wharf serve chat`.
    ServeChat(Box<ServeOptions>),
    /// `wharf load echo`.
    LoadEcho(LoadOptions),
    /// `wharf load chat`.
    LoadChat(Box<ChatOptions>),
    /// `wharf load accept`.
    LoadAccept(Box<AcceptOptions>),
    /// `wharf load idle`.
    LoadIdle(Box<IdleOptions>),
    /// `wharf load storm`.
    LoadStorm(Box<StormOptions>),
    /// `wharf load slow-reader`.
    LoadSlowReader(Box<SlowOptions>),
    /// `wharf load slowloris`.
    LoadSlowloris(Box<SlowOptions>),
    /// `wharf top`.
    Top(TopOptions),
    /// `wharf proxy`.
    Proxy(Box<ProxyOptions>),
    /// `wharf replay`.
    Replay(Box<Replay>),
    /// `wharf sim`.
    Sim(SimOptions),
    /// `wharf models list`.
    ModelsList,
    /// `wharf models run`.
    ModelsRun(RunOptions),
    /// `wharf models compare`.
    ModelsCompare(Box<CompareOptions>),
    /// `wharf models experiment`.
    ModelsExperiment(Experiment),
}

/// What a command line asks for.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a process has one")]
pub(crate) enum Parsed {
    /// To run a command.
    Run(Command),
    /// To print a text: the help, the version or what is in force.
    Print(String),
}

/// Reads the command line of this process.
pub(crate) fn parse() -> Result<Parsed, Failure> {
    parse_line(&std::env::args_os().collect::<Vec<_>>())
}

/// Reads a command line, the program's name included.
pub(crate) fn parse_line(line: &[OsString]) -> Result<Parsed, Failure> {
    match read(line) {
        Ok(parsed) => parsed,
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            Ok(Parsed::Print(error.render().to_string()))
        }
        // Who gives nothing at all wants to know what there is.
        Err(error) if line.len() < 2 => Err(Failure::usage(error.render())),
        Err(error) => Err(Failure::arguments(one_line(&error, line))),
    }
}

/// The outer error is clap's: a flag for itself. The inner one is ours: flags that do not go together.
fn read(line: &[OsString]) -> Result<Result<Parsed, Failure>, clap::Error> {
    let matches = Cli::command().try_get_matches_from(line)?;
    let cli = Cli::from_arg_matches(&matches)?;
    let command = match cli.command {
        TopLevel::Serve { mode } => return read_serve(line, &matches, mode),
        TopLevel::Load { mode } => mode.check(&Given::of(&matches)),
        TopLevel::Top(args) => args.check().map(Command::Top),
        TopLevel::Proxy(args) => args.check().map(Box::new).map(Command::Proxy),
        TopLevel::Replay(args) => args.check().map(Box::new).map(Command::Replay),
        TopLevel::Sim(args) => args.check().map(Command::Sim),
        TopLevel::Models { mode } => mode.unwrap_or(ModelsMode::List).check(),
    };
    Ok(command.map(Parsed::Run))
}

/// `wharf serve`, which may have a file: that becomes the defaults of the command line, which is then
/// read again.
fn read_serve(
    line: &[OsString],
    matches: &ArgMatches,
    mode: ServeMode,
) -> Result<Result<Parsed, Failure>, clap::Error> {
    let (name, args) = match &mode {
        ServeMode::Echo(args) => ("echo", args),
        ServeMode::Chat(args) => ("chat", args),
    };
    let schema = Schema::of(&definition_of(name));
    let Some(path) = &args.config else {
        return Ok(finish_serve(mode, &Sources { matches, schema: &schema, file: None }));
    };
    let file = match ConfigFile::read(path, &schema) {
        Ok(file) => file,
        Err(failure) => return Ok(Err(failure)),
    };
    let definition = Cli::command()
        .mut_subcommand("serve", |serve| serve.mut_subcommand(name, |mode| file.as_defaults(mode)));
    let matches = definition.try_get_matches_from(line)?;
    let TopLevel::Serve { mode } = Cli::from_arg_matches(&matches)?.command else {
        return Ok(Err(Failure::arguments("a command is missing")));
    };
    Ok(finish_serve(mode, &Sources { matches: &matches, schema: &schema, file: Some(&file) }))
}

/// What clap knows of a mode of `wharf serve`.
fn definition_of(mode: &str) -> clap::Command {
    let found = |command: clap::Command, name| command.find_subcommand(name).cloned();
    found(Cli::command(), "serve").and_then(|serve| found(serve, mode)).unwrap_or_default()
}

fn finish_serve(mode: ServeMode, sources: &Sources<'_>) -> Result<Parsed, Failure> {
    let sources = Sources { matches: Given::of(sources.matches).0, ..*sources };
    let (args, is_chat) = match mode {
        ServeMode::Echo(args) => (args, false),
        ServeMode::Chat(args) => (args, true),
    };
    let prints = args.print_config;
    let options = args.check().map_err(|failure| failure.and(|line| sources.behind(line)))?;
    Ok(match (prints, is_chat) {
        (true, _) => Parsed::Print(sources.print()),
        (_, false) => Parsed::Run(Command::ServeEcho(Box::new(options))),
        (_, true) => Parsed::Run(Command::ServeChat(Box::new(options))),
    })
}

/// Where the flags of the command that was given come from.
struct Given<'a>(&'a ArgMatches);

impl<'a> Given<'a> {
    /// The flags of the innermost command.
    fn of(mut matches: &'a ArgMatches) -> Self {
        while let Some((_, inner)) = matches.subcommand() {
            matches = inner;
        }
        Self(matches)
    }

    /// Where a flag comes from; what goes first is greater, and what is not given the least.
    fn source(&self, flag: &str) -> Option<ValueSource> {
        self.0.value_source(flag).filter(|&source| source > ValueSource::DefaultValue)
    }
}

/// clap's error as one line: what it says without the usage, and where a value came from that does
/// not stand on the command line.
fn one_line(error: &clap::Error, line: &[OsString]) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
        || error.kind() == ErrorKind::MissingSubcommand
    {
        return "a command is missing: try 'wharf serve echo', 'wharf load echo', 'wharf proxy' or 'wharf --help'"
            .to_owned();
    }
    let text = error.render().to_string();
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    let said = said.join("; ").replace("; [possible values: ", ": give one of [");
    let said = said.strip_prefix("error: ").unwrap_or(&said);
    if let Some(variable) = from_environment(error, line) {
        return format!("{said} (from the environment: {variable})");
    }
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => said.to_owned(),
        _ => format!("{said}; --help shows what there is"),
    }
}

/// The environment variable that a wrong value came from, if it did.
fn from_environment(error: &clap::Error, line: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let flag = argument.split_whitespace().next()?;
    let stands_there = line.iter().filter_map(|word| word.to_str()).any(|word| {
        word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    let name = flag.strip_prefix("--")?.replace('-', "_").to_uppercase();
    let variable = format!("WHARF_{name}");
    (!stands_there && std::env::var_os(&variable).is_some()).then_some(variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_of_the_command_line_holds() {
        Cli::command().debug_assert();
    }
}
