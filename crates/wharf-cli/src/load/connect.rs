//! Connecting all sessions before the run starts.

use std::net::ToSocketAddrs;
use std::time::Duration;

use wharf::IpNet;
use wharf_port::{
    Address, Completion, CompletionPort, ConnectError, SocketId, SocketOptions, Time,
};

use super::port;
use super::progress::Progress;
use super::report::grouped;
use super::source::Sources;
use crate::args::Target;
use crate::failure::{Exit, Failure};

/// Connects in flight at a time: a server's queue of connections to accept is often no longer than
/// 128 to 4,096, and what does not fit there waits a second for its next attempt.
const IN_FLIGHT_MAX: usize = 256;
/// How long it may take until a next connect succeeds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Descriptors besides the sessions: the standard streams, the port's own, files that are read.
const DESCRIPTORS_RESERVED: u64 = 32;

/// The addresses of a target, in the order in which they are to be tried.
pub(crate) fn resolve(target: &Target) -> Result<Vec<Address>, Failure> {
    let (name, port) = match target {
        Target::Address(address) => return Ok(vec![address.clone()]),
        Target::Name(name, port) => (name.as_str(), *port),
    };
    let fail = |why: &str| {
        Failure::new(
            Exit::NotConnected,
            format_args!("cannot resolve '{name}': {why}; check the name or give an address"),
        )
    };
    let found = (name, port).to_socket_addrs().map_err(|error| fail(&error.to_string()))?;
    let addresses: Vec<Address> = found.map(Address::Tcp).collect();
    if addresses.is_empty() { Err(fail("it has no address")) } else { Ok(addresses) }
}

/// Raises the descriptor limit and checks that the sessions fit under it.
pub(super) fn check_descriptors(sessions: u64) -> Result<(), Failure> {
    let needed = sessions + DESCRIPTORS_RESERVED;
    match wharf_port::raise_descriptor_limit() {
        Some(limit) if limit < needed => Err(Failure::new(
            Exit::Failed,
            format_args!(
                "{} sessions need {} descriptors, and this process may open {}: raise the hard limit \
                 (ulimit -Hn) or ask for at most {} sessions",
                grouped(sessions),
                grouped(needed),
                grouped(limit),
                grouped(limit.saturating_sub(DESCRIPTORS_RESERVED))
            ),
        )),
        _ => Ok(()),
    }
}

/// Where a server answers, and where connections to it come from.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) address: Address,
    pub(super) sources: Sources,
}

/// Finds the first of the addresses that answers, with one connection: `localhost` is often two, one of
/// them idle. A failure says how many `sessions` there were to be.
pub(super) fn find(
    port: &mut CompletionPort,
    target: &Target,
    source: Option<IpNet>,
    sessions: usize,
) -> Result<(Way, SocketId), Failure> {
    let mut last = None;
    for address in resolve(target)? {
        let sources = match Sources::new(source, &address) {
            Ok(sources) => sources,
            Err(failure) => {
                last.get_or_insert(failure);
                continue;
            }
        };
        let mut way = Way { address, sources };
        let mut attempt = Connector::new(port, &mut way, 1);
        let refusal = match (attempt.run(None)?, attempt.connected.pop()) {
            (Ok(()), Some(socket)) => return Ok((way, socket)),
            (Ok(()), None) => ConnectError::Unreachable,
            (Err(error), _) => error,
        };
        last = Some(not_connected(target, source, &way.address, (0, sessions), refusal));
    }
    Err(last.unwrap_or_else(|| Failure::new(Exit::NotConnected, "there is no address")))
}

/// Connects `sessions` sockets to the first address that answers. All or nothing: a run with fewer
/// sessions than asked for would measure something else.
pub(super) fn connect_all(
    port: &mut CompletionPort,
    target: &Target,
    source: Option<IpNet>,
    sessions: usize,
    progress: Option<&Progress>,
) -> Result<(Way, Vec<SocketId>), Failure> {
    let (mut way, first) = find(port, target, source, sessions)?;
    let mut rest = Connector::new(port, &mut way, sessions - 1);
    let outcome = rest.run(progress)?;
    let mut connected = vec![first];
    connected.append(&mut rest.connected);
    match outcome {
        Ok(()) => Ok((way, connected)),
        Err(error) => {
            let count = (connected.len(), sessions);
            Err(not_connected(target, source, &way.address, count, error))
        }
    }
}

/// That a connect failed, after so many of so many had not.
pub(super) fn not_connected(
    target: &Target,
    source: Option<IpNet>,
    address: &Address,
    (count, all): (usize, usize),
    error: ConnectError,
) -> Failure {
    let resolved = match target {
        Target::Address(_) => String::new(),
        Target::Name(..) => format!(" ({address})"),
    };
    let from = source.map_or_else(String::new, |source| format!(" from {source}"));
    Failure::new(
        Exit::NotConnected,
        format_args!(
            "cannot connect to {target}{resolved}{from}: {error} ({} of {} sessions connected); {}",
            grouped(count as u64),
            grouped(all as u64),
            advice(error, source.is_some())
        ),
    )
}

/// What to do about a connect that failed.
const fn advice(error: ConnectError, has_source: bool) -> &'static str {
    match error {
        ConnectError::Shortage(_) | ConnectError::Os(_) if has_source => {
            "check that all of --source are addresses of this machine, or give more of them"
        }
        ConnectError::Refused | ConnectError::NoSocket => "start the server, or check --connect",
        ConnectError::Shortage(_) => {
            "ask for fewer --sessions, give a --source of more addresses, or raise what is short"
        }
        _ => "check --connect and the way there",
    }
}

/// Connects a number of sockets to one address.
struct Connector<'a> {
    port: &'a mut CompletionPort,
    way: &'a mut Way,
    wanted: usize,
    started: usize,
    in_flight: Vec<(SocketId, SocketOptions)>,
    connected: Vec<SocketId>,
    failed: Option<ConnectError>,
}

impl<'a> Connector<'a> {
    fn new(port: &'a mut CompletionPort, way: &'a mut Way, wanted: usize) -> Self {
        Self {
            port,
            way,
            wanted,
            started: 0,
            in_flight: Vec::with_capacity(IN_FLIGHT_MAX),
            connected: Vec::with_capacity(wanted),
            failed: None,
        }
    }

    /// Runs until all are connected or, after a first failure, until those in flight have ended.
    fn run(&mut self, progress: Option<&Progress>) -> Result<Result<(), ConnectError>, Failure> {
        // The first wait only starts the connects and asks for the time.
        let mut give_up_at = Time::ZERO;
        loop {
            self.start();
            if self.in_flight.is_empty() {
                return Ok(self.failed.map_or(Ok(()), Err));
            }
            let now = port::wait(self.port, give_up_at)?;
            let before = self.connected.len();
            while let Some(completion) = self.port.take() {
                if let Completion::Connected { socket, result } = completion {
                    self.finish(socket, result);
                }
            }
            if self.connected.len() > before || give_up_at == Time::ZERO {
                give_up_at = now + PATIENCE;
            } else if give_up_at <= now {
                self.give_up();
                return Ok(Err(self.failed.unwrap_or(ConnectError::TimedOut)));
            }
            if let Some(progress) = progress {
                progress.show(self.connected.len() as u64 + 1, "connecting");
            }
        }
    }

    fn start(&mut self) {
        while self.failed.is_none()
            && self.started < self.wanted
            && self.in_flight.len() < IN_FLIGHT_MAX
        {
            let options = self.way.sources.options();
            match self.port.connect(&self.way.address, &options) {
                Ok(socket) => {
                    self.started += 1;
                    self.in_flight.push((socket, options));
                }
                Err(error) if self.way.sources.spread(&options, error) => {}
                Err(error) => self.failed = Some(error),
            }
        }
    }

    fn finish(&mut self, socket: SocketId, result: Result<(), ConnectError>) {
        // What is not among them is an attempt on another address that had been given up.
        let Some(at) = self.in_flight.iter().position(|(started, _)| *started == socket) else {
            return;
        };
        let (_, options) = self.in_flight.swap_remove(at);
        // Where nobody listens, a port of the range for outgoing connections may connect to itself,
        // and would echo perfectly.
        let met = |local: Address| local == self.way.address;
        let to_itself = result.is_ok() && self.port.local_address(socket).is_some_and(met);
        let result = if to_itself { Err(ConnectError::Refused) } else { result };
        match result {
            Ok(()) => self.connected.push(socket),
            Err(error) => {
                if self.way.sources.spread(&options, error) {
                    self.started -= 1;
                } else {
                    self.failed.get_or_insert(error);
                }
                close(self.port, socket);
            }
        }
    }

    fn give_up(&mut self) {
        for (socket, _) in self.in_flight.drain(..) {
            close(self.port, socket);
        }
    }
}

fn close(port: &mut CompletionPort, socket: SocketId) {
    // A void name is as closed as can be.
    let _ = port.close(socket);
}
