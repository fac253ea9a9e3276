//! Connecting all sessions before the run starts.

use std::net::ToSocketAddrs;
use std::time::Duration;

use wharf_port::{
    Address, Completion, CompletionPort, ConnectError, SocketId, SocketOptions, Time,
};

use super::progress::Progress;
use super::report::grouped;
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
pub(super) fn resolve(target: &Target) -> Result<Vec<Address>, Failure> {
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

/// Connects `sessions` sockets to the first of the addresses that answers, which is returned with
/// them. All or nothing: a run with fewer sessions than asked for would measure something else.
pub(super) fn connect_all(
    port: &mut CompletionPort,
    target: &Target,
    addresses: &[Address],
    sessions: usize,
    progress: Option<&Progress>,
) -> Result<(Address, Vec<SocketId>), Failure> {
    // The first session finds the address that answers: `localhost` is often two, one of them idle.
    let mut refusal = ConnectError::Unreachable;
    let mut first = None;
    for address in addresses {
        let mut attempt = Connector::new(port, address, 1);
        match attempt.run(None)? {
            Ok(()) => {
                first = Some((address.clone(), attempt.connected));
                break;
            }
            Err(error) => refusal = error,
        }
    }
    let not_connected = |address: &Address, count: usize, error: ConnectError| {
        let resolved = match target {
            Target::Address(_) => String::new(),
            Target::Name(..) => format!(" ({address})"),
        };
        Failure::new(
            Exit::NotConnected,
            format_args!(
                "cannot connect to {target}{resolved}: {error} ({} of {} sessions connected); {}",
                grouped(count as u64),
                grouped(sessions as u64),
                advice(error)
            ),
        )
    };
    let Some((address, mut connected)) = first else {
        return Err(not_connected(&addresses[addresses.len() - 1], 0, refusal));
    };
    let mut rest = Connector::new(port, &address, sessions - 1);
    let outcome = rest.run(progress)?;
    connected.append(&mut rest.connected);
    match outcome {
        Ok(()) => Ok((address, connected)),
        Err(error) => Err(not_connected(&address, connected.len(), error)),
    }
}

/// What to do about a connect that failed.
const fn advice(error: ConnectError) -> &'static str {
    match error {
        ConnectError::Refused | ConnectError::NoSocket => "start the server, or check --connect",
        ConnectError::Shortage(_) => "ask for fewer --sessions, or raise what is short",
        _ => "check --connect and the way there",
    }
}

/// Connects a number of sockets to one address.
struct Connector<'a> {
    port: &'a mut CompletionPort,
    address: &'a Address,
    wanted: usize,
    started: usize,
    in_flight: Vec<SocketId>,
    connected: Vec<SocketId>,
    failed: Option<ConnectError>,
}

impl<'a> Connector<'a> {
    fn new(port: &'a mut CompletionPort, address: &'a Address, wanted: usize) -> Self {
        Self {
            port,
            address,
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
            self.port.wait(Some(give_up_at)).map_err(|error| Failure::new(Exit::Failed, error))?;
            let now = self.port.now();
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
            match self.port.connect(self.address, &SocketOptions::default()) {
                Ok(socket) => {
                    self.started += 1;
                    self.in_flight.push(socket);
                }
                Err(error) => self.failed = Some(error),
            }
        }
    }

    fn finish(&mut self, socket: SocketId, result: Result<(), ConnectError>) {
        // What is not among them is an attempt on another address that had been given up.
        let Some(at) = self.in_flight.iter().position(|&started| started == socket) else { return };
        self.in_flight.swap_remove(at);
        // Where nobody listens, a port of the range for outgoing connections may connect to itself,
        // and would echo perfectly.
        let met = |local: Address| local == *self.address;
        let to_itself = result.is_ok() && self.port.local_address(socket).is_some_and(met);
        let result = if to_itself { Err(ConnectError::Refused) } else { result };
        match result {
            Ok(()) => self.connected.push(socket),
            Err(error) => {
                self.failed.get_or_insert(error);
                close(self.port, socket);
            }
        }
    }

    fn give_up(&mut self) {
        for socket in self.in_flight.drain(..) {
            close(self.port, socket);
        }
    }
}

fn close(port: &mut CompletionPort, socket: SocketId) {
    // A void name is as closed as can be.
    let _ = port.close(socket);
}
