//! Playing a recording again.
//!
//! | module | what it does |
//! |---|---|
//! | `client` | one session, seen from its peer: what it sends, and what it is to get |
//! | `engine` | all of them on one completion port, record by record |
//! | `world` | what is on the other end: a server anywhere, or one in the simulator |
//! | `network` | the simulated network of a seed |
//! | `report` | what has come of it |
//!
//! Invariant: nothing is sent before everything has come, or was waited for in vain, that was recorded before it.

mod client;
mod engine;
mod network;
mod report;
mod world;

use std::time::Duration;

use thiserror::Error;
use wharf::sim::{Network, NetworkOptions, Pace};
use wharf::{
    Address, Arrival, Backend, ConnectError, FrameError, Framing, FramingError, OpenError,
    PortOptions, Server, ServerError, Session, WaitError,
};
use wharf_port::CompletionPort;

pub use self::network::hidden_network;
pub use self::report::{Difference, Problem, Report};

use self::engine::Engine;
use self::world::{Real, Simulated};
use crate::recording::Recording;

/// How fast a recording is played.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Speed {
    /// So many times as fast as it was recorded: a number above 0.
    Times(f64),
    /// As fast as the answers come.
    Max,
}

/// How a recording is played.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplayOptions {
    /// Default as it was recorded.
    pub speed: Speed,
    /// How long is waited for an answer, and for a connection: 1 ms and up, default 5 s.
    pub patience: Duration,
    /// How long a server is given to have heard of something that nothing was sent for, before another session
    /// does something: a session that joins, say. Default 20 ms. In the simulator it is known and not waited for.
    pub settle: Duration,
    /// How frames are told apart; default what the recording says.
    pub framing: Option<Framing>,
    /// The sessions to be played, as numbers from 1 on; default all.
    pub sessions: Option<Vec<usize>>,
    /// Play sessions of which something is missing, too.
    pub incomplete: bool,
    /// What a server that is replayed to is connected by; default the best there is.
    pub backend: Backend,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            speed: Speed::Times(1.0),
            patience: Duration::from_secs(5),
            settle: Duration::from_millis(20),
            framing: None,
            sessions: None,
            incomplete: false,
            backend: Backend::Auto,
        }
    }
}

/// Why a recording was not played to its end. That answers differ is none of these.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The framing of the recording is none of those that have a name.
    #[error("the framing '{0}' of the capture cannot be had by its name: {1}")]
    Framing(String, FramingError),
    /// A session is asked for that is not there.
    #[error("there is no session {number}: the capture has {sessions}")]
    NoSession {
        /// The one that was asked for.
        number: usize,
        /// How many there are.
        sessions: usize,
    },
    /// Something of a session is missing.
    #[error(
        "session {number} is not complete ({missing}), so its answers cannot be compared: leave it out, capture \
         with more room, or play it all the same"
    )]
    Incomplete {
        /// Which session.
        number: usize,
        /// What is missing.
        missing: &'static str,
    },
    /// A frame of the recording is none in the framing.
    #[error("a frame of session {number} cannot be sent: {error}")]
    Frame {
        /// Which session.
        number: usize,
        /// What is wrong with it.
        error: FrameError,
    },
    /// A session could not be connected.
    #[error("cannot connect session {number} to {address}: {error}")]
    Connect {
        /// Which session.
        number: usize,
        /// The server's address.
        address: Address,
        /// Why.
        error: ConnectError,
    },
    /// The completion port cannot be had.
    #[error(transparent)]
    Port(#[from] OpenError),
    /// The completion port broke.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The simulated server did not start, or broke.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Plays a recording to a server: opens its sessions, sends what was received from them, and compares what comes
/// back with what was sent to them.
///
/// What a real server does at the same time is not in anybody's hands. A recording of a server with one worker
/// gives the same answers if what they hang on is what is received, and its order.
///
/// # Errors
/// [`ReplayError`] if it cannot be played. Answers that differ are in the report.
pub fn replay_to(
    recording: &Recording,
    address: &Address,
    options: &ReplayOptions,
) -> Result<Report, ReplayError> {
    let framing = check(recording, options)?;
    let port = PortOptions { backend: options.backend, ..PortOptions::default() };
    let port = CompletionPort::open(&port)?;
    Engine::new(recording, framing, options, address.clone(), port, Real).run()
}

/// Plays a recording to sessions of one's own on a simulated network, on this thread: simulated time passes, and
/// no other, so that hours take as long as what happens in them. `server` says how they are served, and where: an
/// address of the network, such as `10.0.0.1:7777`. It should have the framing and the limits of the one that was
/// captured, and one worker if that had one.
///
/// The same `network` gives the same run. Its pace is always virtual.
///
/// # Errors
/// [`ReplayError`] if it cannot be played. Answers that differ are in the report.
pub fn replay_in_simulator<H, F>(
    recording: &Recording,
    server: Server,
    factory: F,
    network: NetworkOptions,
    options: &ReplayOptions,
) -> Result<Report, ReplayError>
where
    H: Session,
    F: Fn(&Arrival) -> H,
{
    let framing = check(recording, options)?;
    let network = Network::new(NetworkOptions { pace: Pace::Virtual, ..network });
    let simulated = || PortOptions {
        backend: Backend::Sim,
        simulated: Some(network.clone()),
        ..PortOptions::default()
    };
    let server = server.port_options(simulated()).start_stepped(factory)?;
    let address = server.handle().addresses().first().cloned();
    let address = address.ok_or_else(|| ServerError::Address(String::new()))?;
    let port = CompletionPort::open(&simulated())?;
    let world = Simulated::new(server, network.clone());
    Engine::new(recording, framing, options, address, port, world).run()
}

/// What can be said before anything is connected.
fn check(recording: &Recording, options: &ReplayOptions) -> Result<Framing, ReplayError> {
    let sessions = recording.sessions.len();
    for &number in options.sessions.iter().flatten() {
        if !(1..=sessions).contains(&number) {
            return Err(ReplayError::NoSession { number, sessions });
        }
    }
    for (number, session) in (1..).zip(&recording.sessions) {
        let wanted = options.sessions.as_ref().is_none_or(|wanted| wanted.contains(&number));
        if wanted && !session.is_complete() && !options.incomplete {
            let missing = if !session.is_whole {
                "its beginning"
            } else if session.frames_dropped > 0 {
                "its first frames"
            } else {
                "frames that were left out"
            };
            return Err(ReplayError::Incomplete { number, missing });
        }
    }
    match &options.framing {
        Some(framing) => Ok(framing.clone()),
        None => recording
            .framing
            .parse()
            .map_err(|error| ReplayError::Framing(recording.framing.clone(), error)),
    }
}
