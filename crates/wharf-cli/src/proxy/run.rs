//! The loop: one wait, then all of its completions, each of which moves one direction of one pair.
//!
//! ```text
//! accept -> connect to the server -> both directions flow -> each ends by itself -> close
//!              | fails: reset          | a peer resets, or a fault does
//!              v                       v
//!            reset                   reset both, behind what came before
//! ```
//!
//! Here and below, what the port says about names of sockets is left alone: a name is void only once
//! its socket has been closed, and then its pair is gone.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wharf_port::{
    AcceptError, Completion, CompletionPort, ConnectError, FreshSocket, Lease, Received, SendError,
    SocketId, SocketOptions, Time, TimerId,
};

use super::counts::{Count, Counts};
use super::flow::Step;
use super::options::{Direction, Faults};
use super::pairs::{Fate, Pair, Pairs, Place};
use super::start::Upstream;
use crate::console::Console;
use crate::failure::{Exit, Failure};

/// How long closing waits for operations to come back.
const PATIENCE: Duration = Duration::from_secs(5);

/// A proxy that runs.
pub(super) struct Proxy<'a> {
    pub(super) port: CompletionPort,
    pub(super) upstream: Upstream,
    pub(super) faults: Rc<Faults>,
    pub(super) seed: u64,
    /// What one direction of a connection may hold.
    pub(super) held_max: usize,
    /// Sockets of connections that there are descriptors for.
    pub(super) sockets_max: usize,
    pub(super) console: &'a Console,
    pub(super) counts: Arc<Counts>,
    /// The program has been told to end.
    pub(super) stop: Arc<AtomicBool>,
    pub(super) pairs: Pairs,
    /// Connections that have come.
    pub(super) arrived: u64,
    /// Causes that have been said: each is said again only after another.
    pub(super) said: (Option<ConnectError>, Option<AcceptError>),
}

impl Proxy<'_> {
    /// Runs until the program is told to end; then resets what is open, since no stream of it has
    /// come to its end.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        while !self.stop.load(Ordering::Acquire) {
            self.port.wait(None).map_err(|error| Failure::new(Exit::Failed, error))?;
            while let Some(completion) = self.port.take() {
                self.on_completion(completion);
            }
        }
        for place in 0..self.pairs.places() {
            self.abort(place);
        }
        if let Err(error) = self.port.shut_down(PATIENCE) {
            self.console.say(error);
        }
        Ok(())
    }

    fn on_completion(&mut self, completion: Completion) {
        match completion {
            Completion::Accepted { socket, .. } => self.on_accepted(socket),
            Completion::Connected { socket, result } => self.on_connected(socket, result),
            Completion::Received { socket, what } => match what {
                Received::Data(lease) => self.on_bytes(socket, lease),
                Received::End => self.on_end(socket, Ok(())),
                Received::Failed(_) => self.on_end(socket, Err(())),
                Received::Cancelled => {}
            },
            Completion::Sent { socket, result, .. } => self.on_sent(socket, result),
            Completion::Timer { timer, token } => self.on_timer(timer, token),
            Completion::AcceptDelayed { cause, .. } => self.say_delayed(cause),
            // A wake is for the loop; what is left concerns sockets that have been closed.
            _ => {}
        }
    }

    fn on_accepted(&mut self, socket: FreshSocket) {
        let fate = Fate::draw(&self.faults, self.seed, self.arrived);
        self.arrived += 1;
        self.counts.add(Count::Connections, 1_u64);
        self.counts.add(Count::Affected, u64::from(fate.affected));
        if fate.dropped {
            return self.turn_away(socket, Count::Drops);
        }
        if self.port.sockets() + 2 > self.sockets_max {
            return self.turn_away(socket, Count::Refused);
        }
        let Ok(client) = self.port.adopt(socket) else {
            self.counts.add(Count::Refused, 1_u64);
            self.counts.add(Count::Ended, 1_u64);
            return;
        };
        match self.connect(0) {
            Ok(server) => {
                self.pairs.insert(Pair::new(client, server, &fate));
                // What the client sends may come before the server is there, and so may its end.
                let _ = self.port.receive(client);
            }
            Err(error) => {
                let _ = self.port.abort(client);
                self.count_not_connected(error);
            }
        }
    }

    fn turn_away(&self, socket: FreshSocket, why: Count) {
        socket.reset();
        self.counts.add(why, 1_u64);
        self.counts.add(Count::Ended, 1_u64);
    }

    fn connect(&mut self, attempts: usize) -> Result<SocketId, ConnectError> {
        self.port.connect(self.upstream.address(attempts), &SocketOptions::default())
    }

    fn on_connected(&mut self, socket: SocketId, result: Result<(), ConnectError>) {
        let Some((place, _)) = self.pairs.find(socket) else { return };
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let address = self.upstream.address(pair.attempts - 1).clone();
        // Where nobody listens, a port of the range for outgoing connections may connect to itself.
        let to_itself =
            result.is_ok() && self.port.local_address(socket).is_some_and(|local| local == address);
        match if to_itself { Err(ConnectError::Refused) } else { result } {
            Ok(()) => {
                self.upstream.prefer(&address);
                let _ = self.port.receive(socket);
                for direction in Direction::BOTH {
                    pair.flow(direction).open();
                }
                self.move_on(place, Direction::Up);
            }
            Err(error) => self.connect_again(place, error),
        }
    }

    /// Tries the next address of the server; resets the client if there is none.
    fn connect_again(&mut self, place: Place, error: ConnectError) {
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let (server, attempts) = (pair.server, pair.attempts);
        pair.attempts += 1;
        if attempts < self.upstream.addresses()
            && let Ok(next) = self.connect(attempts)
        {
            self.pairs.replace_server(place, next);
            let _ = self.port.close(server);
        } else {
            let Some(pair) = self.take_out(place) else { return };
            let _ = self.port.close(pair.server);
            let _ = self.port.abort(pair.client);
            self.count_not_connected(error);
        }
    }

    fn on_bytes(&mut self, socket: SocketId, lease: Lease) {
        let Some((place, direction)) = self.pairs.find(socket) else { return };
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let at_once = pair.flow(direction).take(lease, self.port.now(), &self.counts);
        match at_once {
            Some(segment) => {
                let _ = self.port.send(pair.destination(direction), vec![segment]);
            }
            None => self.move_on(place, direction),
        }
    }

    /// A peer has ended its stream, or failed.
    fn on_end(&mut self, socket: SocketId, how: Result<(), ()>) {
        let Some((place, direction)) = self.pairs.find(socket) else { return };
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let now = self.port.now();
        match how {
            Ok(()) => pair.flow(direction).end(now, &self.counts),
            Err(()) => pair.flow(direction).fail(now, &self.counts),
        }
        // Who resets before it is connected through has nothing to be told of.
        if how.is_err() && !pair.flow(direction).is_open() {
            return self.abort(place);
        }
        self.move_on(place, direction);
    }

    fn on_sent(&mut self, socket: SocketId, result: Result<(), SendError>) {
        let Some((place, opposite)) = self.pairs.find(socket) else { return };
        let direction = opposite.other();
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let bytes = pair.flow(direction).sent();
        if result.is_ok() {
            let count = match direction {
                Direction::Up => Count::BytesUp,
                Direction::Down => Count::BytesDown,
            };
            self.counts.add(count, bytes);
        } else {
            self.counts.add(Count::BytesDiscarded, bytes);
            pair.flow(direction).break_off(&self.counts);
            // Its receive tells the rest, unless that was over before.
            if pair.flow(opposite).has_source_ended() {
                pair.flow(opposite).fail(self.port.now(), &self.counts);
                self.move_on(place, opposite);
            }
        }
        self.move_on(place, direction);
    }

    fn on_timer(&mut self, timer: TimerId, token: u64) {
        let Ok(place) = Place::try_from(token >> 1) else { return };
        let direction = if token & 1 == 0 { Direction::Up } else { Direction::Down };
        let Some(pair) = self.pairs.get_mut(place) else { return };
        // It may have been another pair's, which was here before and is gone.
        if pair.flow(direction).timer == Some(timer) {
            pair.flow(direction).timer = None;
            self.move_on(place, direction);
        }
    }

    /// Does what a direction wants done, until it rests or the pair is gone.
    fn move_on(&mut self, place: Place, direction: Direction) {
        let now = self.port.now();
        while let Some(pair) = self.pairs.get_mut(place) {
            let destination = pair.destination(direction);
            match pair.flow(direction).next(now, &self.counts) {
                Step::Send(segments) => {
                    let _ = self.port.send(destination, segments);
                }
                Step::ShutDown => {
                    let _ = self.port.shutdown(destination);
                }
                Step::Reset => return self.abort(place),
                Step::WaitUntil(time) => {
                    self.set_timer(place, direction, time);
                    break;
                }
                Step::Rest => break,
            }
        }
        self.settle(place);
    }

    /// Holds the sources of a pair back, or lets them go on, and closes it when it is over.
    fn settle(&mut self, place: Place) {
        let Some(pair) = self.pairs.get_mut(place) else { return };
        for direction in Direction::BOTH {
            if pair.flow(direction.other()).has_source_ended() {
                pair.flow(direction).give_up_if_stuck(&self.counts);
            }
            let source = pair.source(direction);
            match pair.flow(direction).regulate(self.held_max) {
                Some(true) => drop(self.port.pause_receive(source)),
                Some(false) => drop(self.port.resume_receive(source)),
                None => {}
            }
        }
        if pair.is_complete() {
            let Some(pair) = self.take_out(place) else { return };
            let _ = self.port.close(pair.client);
            let _ = self.port.close(pair.server);
        } else if pair.is_over() {
            self.abort(place);
        }
    }

    fn set_timer(&mut self, place: Place, direction: Direction, time: Time) {
        let Some(pair) = self.pairs.get_mut(place) else { return };
        let timer = &mut pair.flow(direction).timer;
        if timer.is_some_and(|timer| timer.deadline() == time) {
            return;
        }
        if let Some(timer) = timer.take() {
            self.port.cancel_timer(timer);
        }
        // The port has room for more timers than for sockets, and a pair has no more of the one than
        // of the other.
        *timer = self.port.start_timer(time, (place as u64) << 1 | direction as u64);
    }

    /// Resets both ends of a pair.
    fn abort(&mut self, place: Place) {
        let Some(pair) = self.take_out(place) else { return };
        let _ = self.port.abort(pair.client);
        let _ = self.port.abort(pair.server);
    }

    /// Forgets a pair, whose sockets are about to be closed.
    fn take_out(&mut self, place: Place) -> Option<Pair> {
        let mut pair = self.pairs.remove(place)?;
        for direction in Direction::BOTH {
            if let Some(timer) = pair.flow(direction).timer.take() {
                self.port.cancel_timer(timer);
            }
        }
        self.counts.add(Count::Ended, 1_u64);
        Some(pair)
    }

    fn count_not_connected(&mut self, error: ConnectError) {
        self.counts.add(Count::NotConnected, 1_u64);
        if self.said.0.replace(error) != Some(error) {
            let target = &self.upstream;
            self.console
                .say(format_args!("cannot connect to {target}: {error}; clients are reset"));
        }
    }

    fn say_delayed(&mut self, cause: AcceptError) {
        if self.said.1.replace(cause) != Some(cause) {
            self.console.say(format_args!("accepting rests and tries again: {cause}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc::channel;

    use wharf_port::{ListenOptions, PortOptions, Waker};

    use super::*;

    /// Runs a proxy to the first of these addresses that answers; `talk` gets the proxy's own.
    fn with_proxy(addresses: Vec<SocketAddr>, talk: impl FnOnce(SocketAddr)) -> Arc<Counts> {
        let counts = Arc::new(Counts::default());
        let stop = Arc::new(AtomicBool::new(false));
        let (told, running) = channel::<(SocketAddr, Waker)>();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut port = CompletionPort::open(&PortOptions::default()).unwrap();
                let any = SocketAddr::from(([127, 0, 0, 1], 0));
                let listener = port.listen(any, &ListenOptions::default()).unwrap();
                let own = port.listener_address(listener).unwrap().tcp().unwrap();
                told.send((own, port.waker())).unwrap();
                let proxy = Proxy {
                    port,
                    upstream: Upstream::new(
                        addresses.into_iter().map(wharf_port::Address::Tcp).collect(),
                        "the server".to_owned(),
                    ),
                    faults: Rc::new(Faults::none()),
                    seed: 1,
                    held_max: 4096,
                    sockets_max: 100,
                    console: &Console::start().unwrap(),
                    counts: Arc::clone(&counts),
                    stop: Arc::clone(&stop),
                    pairs: Pairs::default(),
                    arrived: 0,
                    said: (None, None),
                };
                proxy.run().unwrap();
            });
            let (address, waker) = running.recv_timeout(PATIENCE).unwrap();
            let talked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| talk(address)));
            stop.store(true, Ordering::Release);
            waker.wake();
            talked.unwrap();
        });
        counts
    }

    #[test]
    fn an_address_that_does_not_answer_is_passed_over() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = server.local_addr().unwrap();
        // An echo server for one connection after another.
        std::thread::spawn(move || {
            for stream in server.incoming().map_while(Result::ok) {
                let _ = std::io::copy(&mut &stream, &mut &stream);
            }
        });
        // Nobody listens here any more, and others are not given ports of this address.
        let dead = TcpListener::bind("127.0.0.2:0").unwrap().local_addr().unwrap();
        let counts = with_proxy(vec![dead, alive], |proxy| {
            for _ in 0..3 {
                let mut client = TcpStream::connect(proxy).unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                client.write_all(b"ping").unwrap();
                let mut bytes = [0; 4];
                client.read_exact(&mut bytes).unwrap();
                assert_eq!(&bytes, b"ping");
            }
        });
        assert_eq!(counts.get(Count::NotConnected), 0);
        assert_eq!(counts.get(Count::Connections), 3);
    }
}
