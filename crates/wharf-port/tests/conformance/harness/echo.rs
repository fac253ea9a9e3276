//! The echo server of the suite.

use std::collections::HashMap;
use std::thread;

use wharf_port::{Completion, OwnedBytes, Received, Segment, SocketId, Stats};

use super::{CheckedPort, Ending, Peer, assert_bytes, pattern};

/// Sends back what comes, on any number of connections.
///
/// What comes while a send is in flight is copied and joins the next send, as a session layer does
/// it, so that this server never stops reading: a peer may write all before it reads.
#[derive(Default)]
pub(crate) struct Echo {
    sessions: HashMap<SocketId, Session>,
    ended: usize,
    listener_closed: bool,
}

#[derive(Default)]
struct Session {
    queue: Vec<Segment>,
    sending: bool,
    end_seen: bool,
}

impl Echo {
    /// Serves until `sessions` connections have come, ended and closed.
    pub(crate) fn serve(port: &mut CheckedPort, sessions: usize) {
        Self::default().drive(port, "all sessions to end", |echo| echo.ended == sessions);
    }

    /// Serves until `is_done`.
    pub(crate) fn drive(
        &mut self,
        port: &mut CheckedPort,
        what: &str,
        is_done: impl Fn(&Self) -> bool,
    ) {
        port.drive(what, |port, completion| {
            self.step(port, completion);
            is_done(self).then_some(())
        });
    }

    /// Whether a listener has closed and no session is left.
    pub(crate) fn has_stopped(&self) -> bool {
        self.listener_closed && self.sessions.is_empty()
    }

    /// Sessions that have ended.
    pub(crate) const fn ended(&self) -> usize {
        self.ended
    }

    /// Does what a completion asks for.
    pub(crate) fn step(&mut self, port: &mut CheckedPort, completion: Completion) {
        match completion {
            Completion::Accepted { socket, .. } => {
                let socket = port.adopt(socket);
                self.start(port, socket);
            }
            Completion::Received { socket, what: Received::Data(lease) } => {
                let session = self.session(socket);
                session.queue.push(Segment::Received(lease));
                self.flush(port, socket);
            }
            Completion::Received { socket, what } => {
                let session = self.session(socket);
                session.end_seen = true;
                if !matches!(what, Received::End) {
                    session.queue.clear();
                }
                self.flush(port, socket);
            }
            Completion::Sent { socket, result, .. } => {
                let session = self.session(socket);
                session.sending = false;
                if result.is_err() {
                    session.queue.clear();
                }
                self.flush(port, socket);
            }
            Completion::Closed { socket } => {
                self.sessions.remove(&socket).expect("a socket closes once");
                self.ended += 1;
            }
            Completion::ListenerClosed { .. } => self.listener_closed = true,
            _ => {}
        }
    }

    /// Starts to serve a socket.
    pub(crate) fn start(&mut self, port: &mut CheckedPort, socket: SocketId) {
        self.sessions.insert(socket, Session::default());
        port.receive(socket);
    }

    fn session(&mut self, socket: SocketId) -> &mut Session {
        self.sessions.get_mut(&socket).expect("a socket that was started")
    }

    fn flush(&mut self, port: &mut CheckedPort, socket: SocketId) {
        let session = self.session(socket);
        if session.sending {
            if let Some(last) = session.queue.last_mut() {
                *last = Segment::Owned(OwnedBytes::from(last.as_slice().to_vec()));
            }
        } else if !session.queue.is_empty() {
            session.sending = true;
            port.send(socket, std::mem::take(&mut session.queue));
        } else if session.end_seen {
            port.close(socket);
        }
    }
}

/// Echoes on many connections at once, checks that each gets its own bytes back, and returns what the
/// port has met. All are open, and have sent, before the first reads.
pub(crate) fn echo_at_once(mut port: CheckedPort, connections: usize, len: usize) -> Stats {
    let (_, address) = port.listen();
    let clients = thread::spawn(move || {
        let mut peers: Vec<_> = (0..connections).map(|_| Peer::connect(address)).collect();
        for (seed, peer) in (0..).zip(&mut peers) {
            peer.write(&pattern(seed, len));
        }
        for (seed, peer) in (0..).zip(&mut peers) {
            assert_bytes(&peer.read(len), &pattern(seed, len), &format!("session {seed}"));
        }
        peers.iter().for_each(Peer::end);
        for peer in &mut peers {
            assert_eq!(peer.read_to_ending(), (Vec::new(), Ending::End));
        }
    });
    Echo::serve(&mut port, connections);
    clients.join().unwrap();
    let stats = port.stats();
    port.finish();
    stats
}
