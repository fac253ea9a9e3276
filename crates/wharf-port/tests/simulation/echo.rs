//! An echo server on several ports and its clients, all on one thread.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;

use wharf_port::sim::{FaultKind, Faults, Network, NetworkOptions, Peer, Personality};
use wharf_port::{
    Backend, Completion, CompletionPort, ListenOptions, ListenerId, PortOptions, Received, Segment,
    SocketId,
};

/// What a run is made of.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) personality: Personality,
    pub(crate) faults: Faults,
    pub(crate) turns: u32,
}

/// What has come of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) hash: u64,
    pub(crate) steps: u64,
    pub(crate) echoed: u64,
    pub(crate) injected: Vec<u64>,
}

/// A server on one port.
struct Server {
    port: CompletionPort,
    listener: Option<ListenerId>,
    sessions: BTreeMap<SocketId, Echo>,
}

/// What is to be sent back to one socket: what came while a send is in flight waits.
#[derive(Default)]
struct Echo {
    waiting: Vec<Segment>,
    sending: bool,
    closing: bool,
}

/// A client, what it has sent, and how much of that has come back.
struct Client {
    peer: Peer,
    sent: u64,
    received: u64,
    ended: bool,
}

const CLIENTS: usize = 6;

pub(crate) fn run(plan: Plan) -> Outcome {
    let options = NetworkOptions {
        seed: plan.seed,
        personality: plan.personality,
        faults: plan.faults,
        ..NetworkOptions::default()
    };
    let network = Network::new(options);
    let mut servers = vec![Server::open(&network, 1), Server::open(&network, 2)];
    let addresses: Vec<SocketAddr> = servers.iter().map(Server::address).collect();
    let mut clients: Vec<Client> = Vec::new();
    let mut echoed = 0;
    for _ in 0..plan.turns {
        let choice = pick(&network, 8);
        match choice {
            0..3 => servers[pick(&network, 2)].turn(),
            3 if clients.len() < CLIENTS => {
                let peer = network.connect(addresses[pick(&network, 2)]);
                clients.push(Client { peer, sent: 0, received: 0, ended: false });
            }
            4 => {
                network.advance();
            }
            _ if !clients.is_empty() => {
                let at = pick(&network, clients.len());
                if !clients[at].step(&network) {
                    echoed += clients[at].received;
                    let client = clients.swap_remove(at);
                    if pick(&network, 3) == 0 {
                        client.peer.reset()
                    }
                }
            }
            _ => {}
        }
    }
    echoed += clients.iter().map(|client| client.received).sum::<u64>();
    drop(clients);
    wind_down(&network, servers);
    Outcome {
        hash: network.trace_hash(),
        steps: network.steps(),
        echoed,
        injected: FaultKind::ALL.iter().map(|&kind| network.injected(kind)).collect(),
    }
}

/// Closes everything, with the faults still on, and checks that nothing is left.
fn wind_down(network: &Network, mut servers: Vec<Server>) {
    servers.iter_mut().for_each(Server::stop);
    for _ in 0..100_000 {
        if servers.iter().all(|server| server.port.operations() == 0) {
            break;
        }
        servers.iter_mut().for_each(Server::turn);
        network.advance();
    }
    for server in servers {
        assert_eq!(server.port.operations(), 0, "operations that never came back");
        assert_eq!(server.port.sockets(), 0);
        assert_eq!(server.port.ledger().free, server.port.ledger().total);
    }
    assert_eq!(network.descriptors(), 0, "descriptors that are left");
    // What was closed may have something left to deliver, or somebody to give up.
    while network.kept_ends() > 0 && network.advance() {}
    assert_eq!(network.kept_ends(), 0, "ends that are left");
}

fn pick(network: &Network, count: usize) -> usize {
    usize::try_from(network.random() % count as u64).unwrap()
}

impl Server {
    fn open(network: &Network, host: u8) -> Self {
        let options = PortOptions {
            backend: Backend::Sim,
            buffers: 4,
            buffer_bytes: 256,
            simulated: Some(network.clone()),
            ..PortOptions::default()
        };
        let mut port = CompletionPort::open(&options).unwrap();
        let address = SocketAddr::from(([10, 0, 0, host], 7777));
        let listener = port.listen(address, &ListenOptions::default()).unwrap();
        Self { port, listener: Some(listener), sessions: BTreeMap::new() }
    }

    fn address(&self) -> SocketAddr {
        self.port.listener_address(self.listener.unwrap()).unwrap().tcp().unwrap()
    }

    fn turn(&mut self) {
        self.port.wait(Some(self.port.now())).unwrap();
        while let Some(completion) = self.port.take() {
            self.complete(completion);
        }
        assert_eq!(self.port.ledger().kernel, 0, "a buffer is lent to nobody between two waits");
    }

    fn complete(&mut self, completion: Completion) {
        match completion {
            Completion::Accepted { socket, .. } => {
                if let Ok(socket) = self.port.adopt(socket) {
                    self.port.receive(socket).unwrap();
                    self.sessions.insert(socket, Echo::default());
                    if self.listener.is_none() {
                        // It waited in the queue; whether its client is dead would never be told.
                        self.close(socket, false);
                    }
                }
            }
            Completion::Received { socket, what: Received::Data(lease) } => {
                assert!(!lease.is_empty());
                let mut segment = Segment::Received(lease);
                segment.detach();
                self.session(socket).waiting.push(segment);
                self.send(socket);
            }
            Completion::Received { what: Received::Cancelled, .. } => {}
            Completion::Received { socket, .. } => self.close(socket, false),
            Completion::Sent { socket, result, .. } => {
                self.session(socket).sending = false;
                match result {
                    Ok(()) => self.send(socket),
                    Err(_) => self.close(socket, true),
                }
            }
            Completion::Closed { socket } => {
                self.sessions.remove(&socket).expect("closed once");
            }
            _ => {}
        }
    }

    fn session(&mut self, socket: SocketId) -> &mut Echo {
        self.sessions.get_mut(&socket).expect("no completion after the close")
    }

    fn send(&mut self, socket: SocketId) {
        let session = self.session(socket);
        if !session.sending && !session.closing && !session.waiting.is_empty() {
            session.sending = true;
            let segments = std::mem::take(&mut session.waiting);
            self.port.send(socket, segments).unwrap();
        }
    }

    fn close(&mut self, socket: SocketId, reset: bool) {
        self.session(socket).closing = true;
        if reset {
            self.port.abort(socket).unwrap();
        } else {
            self.port.close(socket).unwrap();
        }
    }

    fn stop(&mut self) {
        if let Some(listener) = self.listener.take() {
            self.port.stop_listening(listener);
        }
        let sockets: Vec<SocketId> = self.sessions.keys().copied().collect();
        sockets.into_iter().for_each(|socket| self.close(socket, false));
    }
}

impl Client {
    /// Writes or reads something; false when the connection is over.
    fn step(&mut self, network: &Network) -> bool {
        match pick(network, 20) {
            0 if !self.ended => {
                self.ended = true;
                self.peer.end();
                true
            }
            1 => pick(network, 4) != 0,
            2..10 if !self.ended => self.write(network),
            _ => self.read(),
        }
    }

    fn write(&mut self, network: &Network) -> bool {
        let count = pick(network, 600) + 1;
        let bytes: Vec<u8> = (self.sent..self.sent + count as u64).map(byte_at).collect();
        match self.peer.try_write(&bytes) {
            Ok(written) => self.sent += written as u64,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        true
    }

    fn read(&mut self) -> bool {
        let mut bytes = [0; 500];
        match self.peer.try_read(&mut bytes) {
            Ok(0) => return false,
            Ok(count) => {
                for byte in &bytes[..count] {
                    assert_eq!(*byte, byte_at(self.received), "byte {} of an echo", self.received);
                    self.received += 1;
                }
                assert!(self.received <= self.sent, "more came back than was sent");
            }
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
        true
    }
}

fn byte_at(position: u64) -> u8 {
    (position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56).try_into().unwrap()
}
