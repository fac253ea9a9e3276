//! Cancels and closes that race completions, on four threads.

use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use wharf_port::{
    Completion, CompletionPort, Direction, FreshSocket, OwnedBytes, Received, Segment, SocketId,
};

use crate::server::{LIMIT, options};

const THREADS: u64 = 4;
const RECEIVES: u32 = 15_000;
const PAIRS: usize = 32;

/// Rule 2, where Windows makes it hard: a receive that is cancelled, or whose socket is closed, while
/// bytes or the end arrive, ends once and not twice.
#[test]
fn sixty_thousand_receives_end_exactly_once_each() {
    let threads: Vec<_> =
        (1..=THREADS).map(|seed| thread::spawn(move || Storm::new(seed).run())).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Sockets of one port whose receives are started, and ended in every way.
struct Storm {
    port: CompletionPort,
    listener: TcpListener,
    pairs: Vec<Pair>,
    dice: u64,
    started: u32,
    ended: u32,
    closed: u32,
}

struct Pair {
    socket: SocketId,
    peer: TcpStream,
    receiving: bool,
    closing: bool,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut storm = Self {
            port: CompletionPort::open(&options()).unwrap(),
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            pairs: Vec::new(),
            dice: seed,
            started: 0,
            ended: 0,
            closed: 0,
        };
        storm.pairs = (0..PAIRS).map(|_| storm.pair()).collect();
        storm
    }

    fn pair(&mut self) -> Pair {
        let peer = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let fresh = FreshSocket::try_from(self.listener.accept().unwrap().0).unwrap();
        let socket = self.port.adopt(fresh).unwrap();
        Pair { socket, peer, receiving: false, closing: false }
    }

    /// A number below `limit`.
    fn roll(&mut self, limit: u64) -> u64 {
        // xorshift64*: enough to choose among a few things.
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        (self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn run(mut self) {
        let deadline = self.port.now() + 10 * LIMIT;
        while self.ended < RECEIVES {
            for at in 0..PAIRS {
                self.act(at);
            }
            self.port.wait(Some(self.port.now())).unwrap();
            self.take();
            assert!(self.port.now() < deadline, "{} of {} ended", self.ended, self.started);
        }
        let (started, closed) = (self.started, self.closed);
        for at in 0..PAIRS {
            self.close(at);
        }
        while self.closed < closed + u32::try_from(PAIRS).unwrap() {
            self.port.wait(Some(deadline)).unwrap();
            assert!(self.port.now() < deadline, "not all are closed");
            self.take();
        }
        assert_eq!(self.ended, started, "each started receive ends once");
        assert_eq!(self.port.operations(), 0);
        self.port.shut_down(LIMIT).unwrap();
    }

    /// Does something to one socket: mostly starts and cancels, so that they meet.
    fn act(&mut self, at: usize) {
        if self.pairs[at].closing {
            return;
        }
        if !self.pairs[at].receiving {
            self.port.receive(self.pairs[at].socket).unwrap();
            self.pairs[at].receiving = true;
            self.started += 1;
            if self.roll(2) == 0 {
                self.port.wait(Some(self.port.now())).unwrap();
            }
        }
        let Pair { socket, peer, .. } = &mut self.pairs[at];
        let socket = *socket;
        let choice = self.dice % 16;
        match choice {
            // It may have ended before, or have been reset.
            0..4 => drop(peer.write_all(b"bytes")),
            4 => drop(peer.shutdown(Shutdown::Write)),
            _ => {}
        }
        match self.roll(32) {
            0..24 => self.port.cancel(socket, Direction::Receive).unwrap(),
            24 => self.close(at),
            _ => {}
        }
    }

    fn close(&mut self, at: usize) {
        let socket = self.pairs[at].socket;
        if std::mem::replace(&mut self.pairs[at].closing, true) {
            return;
        }
        match self.roll(2) {
            0 => self.port.close(socket).unwrap(),
            _ => self.port.abort(socket).unwrap(),
        }
    }

    fn take(&mut self) {
        while let Some(completion) = self.port.take() {
            match completion {
                Completion::Received { what: Received::Data(_), .. } => {}
                Completion::Received { socket, what } => self.receive_ended(socket, &what),
                Completion::Closed { socket } => self.has_closed(socket),
                other => panic!("{other:?}"),
            }
        }
    }

    fn receive_ended(&mut self, socket: SocketId, what: &Received) {
        let pair = self.pairs.iter_mut().find(|pair| pair.socket == socket).expect("its name");
        assert!(pair.receiving, "a second end of {socket:?}: {what:?}");
        pair.receiving = false;
        self.ended += 1;
        // One whose peer has ended would end at once for ever.
        let at = self.pairs.iter().position(|pair| pair.socket == socket).unwrap();
        if !matches!(what, Received::Cancelled) {
            self.close(at);
        }
    }

    fn has_closed(&mut self, socket: SocketId) {
        let at = self.pairs.iter().position(|pair| pair.socket == socket).expect("its name");
        assert!(!self.pairs[at].receiving, "{socket:?} is closed before its receive has ended");
        self.closed += 1;
        self.pairs[at] = self.pair();
    }
}

/// A receive that is done at once, and is cancelled before anybody has looked at it: what is sent
/// meanwhile must not take the cancel for its own.
#[test]
fn a_cancel_that_comes_too_late_meets_no_other_operation() {
    let mut port = CompletionPort::open(&options()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let fresh = FreshSocket::try_from(listener.accept().unwrap().0).unwrap();
    let socket = port.adopt(fresh).unwrap();
    peer.write_all(b"x").unwrap();
    // So that the bytes have come.
    let arrived = port.now() + Duration::from_millis(50);
    port.wait(Some(arrived)).unwrap();
    port.receive(socket).unwrap();
    port.wait(Some(port.now())).unwrap();
    // More than the kernel takes while nobody reads.
    let bytes = Segment::Owned(OwnedBytes::from(vec![7; 64 << 20]));
    port.send(socket, vec![bytes]).unwrap();
    port.cancel(socket, Direction::Receive).unwrap();
    let until = port.now() + Duration::from_millis(500);
    while port.now() < until {
        port.wait(Some(until)).unwrap();
        while let Some(completion) = port.take() {
            let sent = matches!(completion, Completion::Sent { .. });
            assert!(!sent, "nobody has cancelled the send");
        }
    }
    port.shut_down(LIMIT).unwrap();
}
