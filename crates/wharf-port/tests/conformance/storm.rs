//! Rules 2 to 8 at once: everything that can be done to a socket, in an order that a seed decides.
//!
//! Beside what the model checks, both ends see nothing but a prefix of what the other has sent.

use std::io;
use std::net::SocketAddr;

use wharf_port::{Completion, Direction, Lease, Received, Segment, SocketId};

use crate::harness::{
    CANCELLED_SENDS_ARE_EXACT, CheckedPort, Dice, Peer, Subject, assert_bytes, owned, pattern,
};

on_every_backend![
    rule_02_a_storm_of_operations_loses_nothing,
    rule_02_a_storm_over_a_small_pool_and_queue_loses_nothing,
];

fn rule_02_a_storm_of_operations_loses_nothing(subject: &Subject) {
    for seed in 0..3 {
        storm(subject.open(), seed);
    }
}

fn rule_02_a_storm_over_a_small_pool_and_queue_loses_nothing(subject: &Subject) {
    for seed in 10..13 {
        let port = subject.open_with(|options| {
            (options.buffers, options.buffer_bytes) = (2, 500);
            options.completion_queue = 8;
        });
        storm(port, seed);
    }
}

fn storm(mut port: CheckedPort, seed: u64) {
    let bytes = pattern(seed, 2 << 20);
    let mut dice = Dice::new(seed);
    let mut sessions: Vec<_> = (0..24).map(|_| Session::open(&mut port)).collect();
    let (_outside, address) = port.outside();
    let mut held = Vec::new();
    for _ in 0..6_000 {
        match dice.below(500) {
            0 => connect_and_think_better_of_it(&mut port, &mut dice, address),
            1..5 => held.clear(),
            _ => sessions[dice.below(24)].act(&mut port, &mut dice, &bytes),
        }
        if dice.below(4) > 0 {
            continue;
        }
        port.wait(Some(port.now()));
        for _ in 0..dice.below(40) {
            let Some(completion) = port.next() else { break };
            let of = |session: &&mut Session| Some(session.socket) == socket_of(&completion);
            let Some(session) = sessions.iter_mut().find(of) else { continue };
            held.extend(session.take(&mut port, completion, &bytes));
        }
    }
    drop((sessions, held));
    port.finish();
}

fn connect_and_think_better_of_it(port: &mut CheckedPort, dice: &mut Dice, address: SocketAddr) {
    let nobody = port.nobody();
    let socket = port.connect(if dice.below(2) == 0 { address } else { nobody });
    if dice.below(2) == 0 {
        port.wait(Some(port.now()));
        port.cancel(socket, Direction::Send);
    }
    port.close(socket);
}

const fn socket_of(completion: &Completion) -> Option<SocketId> {
    match completion {
        Completion::Received { socket, .. }
        | Completion::Sent { socket, .. }
        | Completion::Closed { socket } => Some(*socket),
        _ => None,
    }
}

/// One connection, with what each end has done. Both ends send the same bytes.
struct Session {
    socket: SocketId,
    /// `None` once it has gone.
    peer: Option<Peer>,
    /// What the peer has written, and the port received.
    written: usize,
    received: usize,
    /// What the kernel has taken of the port's bytes, and the peer read.
    sent: usize,
    read: usize,
    receiving: bool,
    /// How much of the send in flight.
    sending: Option<usize>,
    peer_ended: bool,
    closing: bool,
}

impl Session {
    fn open(port: &mut CheckedPort) -> Self {
        let (socket, peer) = port.pair();
        Self {
            socket,
            peer: Some(peer),
            written: 0,
            received: 0,
            sent: 0,
            read: 0,
            receiving: false,
            sending: None,
            peer_ended: false,
            closing: false,
        }
    }

    /// Does one thing, if it is allowed now.
    fn act(&mut self, port: &mut CheckedPort, dice: &mut Dice, bytes: &[u8]) {
        let socket = self.socket;
        match dice.below(100) {
            0..25 => self.peer_writes(&bytes[self.written..][..1 + dice.below(3_000)]),
            25..35 => self.peer_reads(bytes),
            35..50 if !self.receiving && !self.closing => {
                port.receive(socket);
                self.receiving = true;
            }
            50..55 => port.cancel(socket, Direction::Receive),
            55..63 => port.pause(socket),
            63..71 => port.resume(socket),
            71..85 if self.sending.is_none() && !self.closing => {
                let bytes = &bytes[self.sent..][..dice.below(20_000)];
                port.send(socket, bytes.chunks(1 + dice.below(4_000)).map(owned).collect());
                self.sending = Some(bytes.len());
            }
            85..89 if CANCELLED_SENDS_ARE_EXACT => port.cancel(socket, Direction::Send),
            89..91 if self.sending.is_none() && !self.closing => port.shutdown(socket),
            91..93 if !self.peer_ended => {
                self.peer_ended = self.peer.as_ref().is_some_and(|peer| peer.try_end().is_ok());
            }
            93 => drop(self.peer.take()),
            94 => drop(self.peer.take().map(Peer::reset)),
            95 => {
                port.close(socket);
                self.closing = true;
            }
            96 => {
                port.abort(socket);
                self.closing = true;
            }
            97 => port.waker().wake(),
            _ => {}
        }
    }

    /// Writes, unless the kernel might not hold it.
    fn peer_writes(&mut self, bytes: &[u8]) {
        let has_room = self.written - self.received < 30_000;
        if let (Some(peer), true, false) = (&mut self.peer, has_room, self.peer_ended) {
            match peer.try_write(bytes) {
                Ok(()) => self.written += bytes.len(),
                Err(error) => self.peer_lost(&error),
            }
        }
    }

    fn peer_reads(&mut self, bytes: &[u8]) {
        let Some(peer) = &mut self.peer else { return };
        match peer.read_what_is_there() {
            Ok(read) => {
                let expected = &bytes[self.read..][..read.len()];
                assert_bytes(&read, expected, "what the peer read");
                self.read += read.len();
            }
            Err(error) => self.peer_lost(&error),
        }
    }

    fn peer_lost(&mut self, error: &io::Error) {
        assert!(self.closing, "nobody closes, and yet the peer sees: {error}");
        self.peer = None;
    }

    /// Checks a completion against what went before. A buffer that is to stay out for a while is
    /// given back.
    fn take(
        &mut self,
        port: &mut CheckedPort,
        completion: Completion,
        bytes: &[u8],
    ) -> Option<Lease> {
        match completion {
            Completion::Received { what: Received::Data(lease), .. } => {
                let expected = &bytes[self.received..][..lease.len()];
                assert_bytes(&lease, expected, "what the port received");
                self.received += lease.len();
                return self.received.is_multiple_of(5).then_some(lease);
            }
            Completion::Received { what, .. } => {
                self.receiving = false;
                if matches!(what, Received::End) && self.peer.is_some() && !self.closing {
                    assert!(self.peer_ended, "an end from nowhere");
                    assert_eq!(self.received, self.written, "the end came before the bytes");
                }
            }
            Completion::Sent { segments, .. } => {
                let rest: usize = segments.iter().map(Segment::len).sum();
                self.sent += self.sending.take().unwrap() - rest;
            }
            Completion::Closed { .. } => *self = Self::open(port),
            _ => {}
        }
        None
    }
}
