//! `wharf replay`: a capture, sent again and compared; what does that lies in `wharf-capture`.
//!
//! | module | what it does |
//! |---|---|
//! | [`simulated`] | the program's own services on simulated networks |
//! | [`report`] | the result, for people and for scripts |

mod report;
mod simulated;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use wharf_capture::{Recording, ReplayError, ReplayOptions, replay_to};

use crate::args::Target;
use crate::counted::Counted;
use crate::failure::{self, Exit, Failure};
use crate::json::{JsonSink, JsonTarget};
use crate::load::resolve;
use crate::simulate::Seeds;
use report::Results;

/// The options of `wharf replay`; they have been checked.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) file: PathBuf,
    pub(crate) place: Place,
    pub(crate) options: ReplayOptions,
    pub(crate) json: Option<JsonTarget>,
}

/// What a capture is replayed to.
#[derive(Debug)]
pub(crate) enum Place {
    /// A server somewhere.
    Server(Target),
    /// A service of the program's, on simulated networks.
    Simulator(Service, Seeds),
}

/// What `wharf serve` serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    Echo,
    Chat,
}

/// Runs `wharf replay`.
pub(crate) fn replay(replay: &Replay) -> Result<(), Failure> {
    let mut json = JsonSink::open(replay.json.as_ref())?;
    let recording = read(replay)?;
    let name = replay.file.display();
    let mut results = Results::new(&recording);
    match &replay.place {
        Place::Server(target) => {
            let report = to_server(&recording, target, &replay.options)?;
            results.add(None, report);
        }
        Place::Simulator(service, seeds) => {
            for seed in seeds.from..seeds.from.saturating_add(seeds.count) {
                let report = simulated::run(&recording, *service, seed, &replay.options);
                results.add(Some(seed), report.map_err(|error| failure(&error))?);
            }
        }
    }
    if !matches!(replay.json, Some(JsonTarget::Stdout)) {
        failure::print(format_args!("{name}: {results}"));
    }
    json.write(&results.json())?;
    results.failure().map_or(Ok(()), Err)
}

fn read(replay: &Replay) -> Result<Recording, Failure> {
    let name = replay.file.display();
    let refused = |problem: &dyn std::fmt::Display| {
        Failure::arguments(format_args!("{name} cannot be replayed: {problem}"))
    };
    let file = File::open(&replay.file).map_err(|error| refused(&error))?;
    let recording = Recording::read(BufReader::new(file)).map_err(|error| refused(&error))?;
    if recording.is_cut {
        let line = recording.records.len() + 1;
        eprintln!("wharf: {name} was cut behind line {line}: what is whole of it is replayed");
    }
    if recording.is_redacted {
        eprintln!(
            "wharf: {name} is redacted, and sent as it is: where answers hang on what was taken out, differences are \
             told that are none"
        );
    }
    // What either is comes out of the file, and may be any number.
    let missing = recording.sessions_missed.saturating_add(recording.sessions_forgotten);
    if missing > 0 {
        eprintln!(
            "wharf: {name} lacks {} that there was no place for: where answers hang on them, differences are told \
             that are none; capture with more --capture-sessions",
            Counted(missing, "session")
        );
    }
    Ok(recording)
}

/// Tries the addresses of a server until one answers.
fn to_server(
    recording: &Recording,
    target: &Target,
    options: &ReplayOptions,
) -> Result<wharf_capture::Report, Failure> {
    let mut last = None;
    for address in resolve(target)? {
        match replay_to(recording, &address, options) {
            Err(error) if is_before_all(&error, options) => last = Some(failure(&error)),
            other => return other.map_err(|error| failure(&error)),
        }
    }
    Err(last.unwrap_or_else(|| Failure::new(Exit::NotConnected, "there is no address")))
}

/// Whether nothing was sent yet: sessions begin in the order of their numbers, and the first was not connected.
fn is_before_all(error: &ReplayError, options: &ReplayOptions) -> bool {
    let first = options.sessions.iter().flatten().min().copied().unwrap_or(1);
    matches!(error, ReplayError::Connect { number, .. } if *number == first)
}

/// Why a capture was not replayed, with what to do.
fn failure(error: &ReplayError) -> Failure {
    let (exit, advice) = match error {
        ReplayError::Connect { .. } => {
            (Exit::NotConnected, "; start the server, or check --connect")
        }
        ReplayError::Incomplete { .. } => {
            (Exit::Arguments, " (--sessions, --capture-bytes of wharf serve, --incomplete)")
        }
        ReplayError::Framing(..) => (Exit::Arguments, "; give the server's with --framing"),
        ReplayError::NoSession { .. } => (Exit::Arguments, "; check --sessions"),
        ReplayError::Frame { .. } => (Exit::Arguments, "; check --framing"),
        _ => (Exit::Failed, ""),
    };
    Failure::new(exit, format_args!("{error}{advice}"))
}

#[cfg(test)]
mod tests {
    use wharf::ConnectError;

    use super::*;

    #[test]
    fn another_address_is_tried_if_the_first_session_of_those_that_are_played_is_not_connected() {
        let error = |number| {
            let address = "127.0.0.1:1".parse().unwrap();
            ReplayError::Connect { number, address, error: ConnectError::Refused }
        };
        let mut options = ReplayOptions::default();
        let firsts = |options: &ReplayOptions| -> Vec<usize> {
            (1..6).filter(|number| is_before_all(&error(*number), options)).collect()
        };
        assert_eq!(firsts(&options), [1]);
        options.sessions = Some(vec![5, 3, 4]);
        assert_eq!(firsts(&options), [3], "the flag takes numbers in any order");
    }
}
