//! What an idle session takes of the process's memory, counted on the simulated network, which has
//! room for more of them than this system has descriptors.
//!
//! One test, in a program of its own: the allocator counts for the whole process. The network and the
//! peers lie in the same memory, so the same connections are opened twice: by a completion port with
//! nothing above it, and by a server.
//!
//! `WHARF_IDLE_SESSIONS=1000000 cargo test --release -p wharf --test idle_memory -- --nocapture`
//! counts for a million.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use dhat::HeapStats;
use wharf::{
    Arrival, Backend, Context, Limits, Outcome, PortOptions, Server, Session, SocketOptions,
};
use wharf_port::sim::{Network, NetworkOptions, Peer};
use wharf_port::{Completion, CompletionPort, ListenOptions};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

/// What a session may take beside its socket on the port.
const SESSION_BYTES_MAX: usize = 400;
/// Connections that are opened at a time: fewer than a port accepts in a turn, or the listener's queue grows until
/// peers are turned away, some of them for good.
const BATCH: usize = 50;
/// Turns beyond those that bring a batch each, after which the last ones no longer come.
const TURNS_SPARE: usize = 100;
/// How long the network may take for them.
const ARRIVES_WITHIN: Duration = Duration::from_millis(10);
/// Connections from one address: a free port is soon found.
const PER_ADDRESS: usize = 1000;

struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

/// How many. Tables grow by doubling, and what they have free counts as the sessions': the default is a little
/// below a power of two, where that is little. Just above one it would be half of each table.
fn sessions() -> usize {
    std::env::var("WHARF_IDLE_SESSIONS").map_or(60_000, |count| count.parse().unwrap())
}

fn network(sessions: usize) -> Network {
    let descriptors_max = sessions + 100;
    Network::new(NetworkOptions { descriptors_max, ..NetworkOptions::default() })
}

fn on(network: &Network) -> PortOptions {
    let simulated = Some(network.clone());
    PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() }
}

/// Peers that connect, a batch at a time.
struct Peers {
    network: Network,
    server: SocketAddr,
    connected: Vec<Peer>,
    turns_left: usize,
}

impl Peers {
    fn new(network: &Network, server: SocketAddr, most: usize) -> Self {
        let turns_left = most / BATCH + TURNS_SPARE;
        Self { network: network.clone(), server, connected: Vec::with_capacity(most), turns_left }
    }

    /// Connects as many as one turn takes, up to `most` in all.
    fn connect_batch(&mut self, most: usize) {
        let are_connected = || self.connected.iter().filter(|peer| peer.is_connected()).count();
        assert!(self.turns_left > 0, "only {} of {most} are connected", are_connected());
        self.turns_left -= 1;
        for _ in 0..BATCH.min(most - self.connected.len()) {
            let [_, _, high, low] =
                u32::try_from(self.connected.len() / PER_ADDRESS).unwrap().to_be_bytes();
            let own = SocketAddr::from(([10, 1, high, low], 0));
            let options = SocketOptions { bind: Some(own), ..SocketOptions::default() };
            self.connected.push(self.network.connect_with(self.server, &options));
        }
        self.network.advance_by(ARRIVES_WITHIN);
    }
}

/// Bytes for each connection that a port has taken, and receives on.
fn of_sockets(count: usize) -> usize {
    let network = network(count);
    let mut port = CompletionPort::open(&on(&network)).unwrap();
    let address: SocketAddr = "10.0.0.1:7777".parse().unwrap();
    port.listen(address, &ListenOptions::default()).unwrap();
    let mut peers = Peers::new(&network, address, count);
    let before = HeapStats::get().curr_bytes;
    let mut adopted = 0;
    while adopted < count {
        peers.connect_batch(count);
        port.wait(Some(port.now())).unwrap();
        while let Some(completion) = port.take() {
            if let Completion::Accepted { socket, .. } = completion {
                let socket = port.adopt(socket).unwrap();
                port.receive(socket).unwrap();
                adopted += 1;
            }
        }
    }
    assert!(peers.connected.iter().all(Peer::is_connected));
    (HeapStats::get().curr_bytes - before) / count
}

/// Bytes for each session of a server.
fn of_sessions(count: usize) -> usize {
    let network = network(count);
    // Many come from an address at once, and say nothing for however long it takes to open all.
    let (per_address_max, accept_rate, first_frame, idle) = (None, None, None, None);
    let limits = Limits {
        sessions_max: Some(count),
        per_address_max,
        accept_rate,
        first_frame,
        idle,
        ..Limits::default()
    };
    let server = Server::bind("10.0.0.1:7777").workers(1).limits(limits).port_options(on(&network));
    let mut server = server.start_stepped(|_: &Arrival| Echo).unwrap();
    let handle = server.handle();
    let mut peers = Peers::new(&network, handle.addresses()[0].tcp().unwrap(), count);
    let before = HeapStats::get().curr_bytes;
    while handle.sessions() < count {
        peers.connect_batch(count);
        server.turn(0, Some(network.now())).unwrap();
    }
    assert!(peers.connected.iter().all(Peer::is_connected));
    (HeapStats::get().curr_bytes - before) / count
}

#[test]
fn an_idle_session_takes_little_beside_its_socket() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let count = sessions();
    let (socket, session) = (of_sockets(count), of_sessions(count));
    let own = session - socket;
    println!(
        "{count} sessions: {own} bytes each, and {socket} of the simulated network, its peers and \
         the port"
    );
    assert!(own <= SESSION_BYTES_MAX, "{own} bytes each, beside {socket}");
}
