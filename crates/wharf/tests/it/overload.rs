//! The ceiling of what waits on all workers together, on a simulated network.

use std::net::SocketAddr;

use wharf::sim::{Network, NetworkOptions, Peer};
use wharf::{
    Arrival, Context, Framing, Limits, Outcome, PortOptions, Server, Session, SocketOptions,
    SteppedServer,
};

const KIB: usize = 1 << 10;

/// Answers a frame of one byte with as many KiB.
struct Greedy;

impl Session for Greedy {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        for _ in 0..frame[0] {
            ctx.send(&[7; KIB]);
        }
        Ok(())
    }
}

/// So that what is not read waits where it is counted.
fn small_buffers() -> SocketOptions {
    SocketOptions {
        send_buffer_bytes: Some(4 << 10),
        receive_buffer_bytes: Some(4 << 10),
        ..SocketOptions::default()
    }
}

struct It<F> {
    network: Network,
    server: SteppedServer<Greedy, F>,
}

fn start(workers: usize) -> It<impl Fn(&Arrival) -> Greedy> {
    let network = Network::new(NetworkOptions { seed: 5, ..NetworkOptions::default() });
    let simulated = Some(network.clone());
    let limits = Limits {
        send_total_max: 1 << 20,
        send_bytes_max: 8 << 20,
        per_address_max: None,
        first_frame: None,
        idle: None,
        send_deadline: None,
        ..Limits::default()
    };
    let server = Server::bind("10.0.0.1:7777")
        .workers(workers)
        .framing(Framing::U32_LE)
        .limits(limits)
        .socket_options(small_buffers())
        .port_options(PortOptions { simulated, ..PortOptions::default() })
        .start_stepped(|_| Greedy)
        .unwrap();
    It { network, server }
}

impl<F: Fn(&Arrival) -> Greedy> It<F> {
    fn address(&self) -> SocketAddr {
        self.server.handle().addresses()[0].tcp().unwrap()
    }

    fn connect_one(&self) -> Peer {
        self.network.connect_with(self.address(), &small_buffers())
    }

    fn turn(&mut self) {
        for worker in 0..self.server.workers() {
            self.server.turn(worker, Some(self.network.now())).unwrap();
        }
        self.network.advance();
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        for _ in 0..20_000 {
            if holds(self) {
                return;
            }
            self.turn();
        }
        panic!("not in 20,000 steps: {what}; {:?}", self.server.handle().stats());
    }

    /// As many steps as anything that is under way may need.
    fn settle(&mut self) {
        (0..500).for_each(|_| self.turn());
    }

    fn connect(&mut self, count: usize) -> Vec<Peer> {
        let before = self.server.handle().stats().accepted;
        let peers: Vec<Peer> = (0..count).map(|_| self.connect_one()).collect();
        let wanted = before + count as u64;
        self.until("all have a session", |it| it.server.handle().stats().accepted == wanted);
        self.until("all know of it", |_| peers.iter().all(Peer::is_connected));
        peers
    }

    /// Has so many KiB wait for a peer that reads nothing.
    fn ask(&mut self, peer: &mut Peer, kib: u8) {
        let frames = self.server.handle().stats().frames_in + 1;
        assert_eq!(peer.try_write(&[1, 0, 0, 0, kib]).unwrap(), 5);
        self.until("it is asked for", |it| it.server.handle().stats().frames_in == frames);
        self.settle();
    }

    fn closed(&self, reason: &str) -> u64 {
        self.server.handle().close_counts().get(reason)
    }

    /// A connection that is refused, for the total alone.
    fn is_refused(&mut self) {
        let refused = self.server.handle().stats().refused_send_total;
        let _peer = self.connect_one();
        self.until("one is refused", |it| {
            it.server.handle().stats().refused_send_total == refused + 1
        });
    }
}

/// The order of docs/overload.md: new connections, then silent sessions, then the fullest queues; and
/// back to normal.
#[test]
fn load_is_shed_in_order_and_all_is_normal_again() {
    let mut it = start(1);
    let _silent = it.connect(2);
    let mut greedy = it.connect(4);
    for peer in &mut greedy {
        it.ask(peer, 180);
    }
    drop(it.connect(1));
    it.until("it has left", |it| it.closed("peer_closed") + it.closed("peer_reset") == 1);
    assert_eq!(it.server.handle().stats().refused_send_total, 0, "70% is nothing unusual");

    it.ask(&mut greedy[0], 100);
    it.is_refused();
    assert_eq!((it.closed("overload"), it.closed("slow_reader")), (0, 0), "80%");

    it.ask(&mut greedy[0], 120);
    assert_eq!((it.closed("overload"), it.closed("slow_reader")), (2, 0), "92%");
    it.is_refused();

    it.ask(&mut greedy[1], 120);
    assert_eq!((it.closed("overload"), it.closed("slow_reader")), (2, 1), "103%");
    assert!(it.server.worker(0).unwrap().queued_bytes_max < 310 * KIB, "the fullest has gone");

    let mut peers = it.connect(1);
    it.ask(&mut peers[0], 1);
    it.until("a new session is served", |_| peers[0].readable_bytes() == KIB + 4);
    drop((peers, greedy));
    it.until("all have left", |it| it.server.handle().sessions() == 0);
    let _again = it.connect(3);
}

/// What waits on several workers counts together, and all of them get rid of their parts.
#[test]
fn workers_shed_together() {
    let mut it = start(3);
    let mut greedy = it.connect(12);
    for peer in &mut greedy {
        it.ask(peer, 75);
    }
    assert!(it.closed("slow_reader") == 0, "{}", it.server.handle().close_counts());
    let mut more = it.server.handle().stats().frames_in;
    for peer in greedy.iter_mut().take(2) {
        more += 1;
        let _ = peer.try_write(&[1, 0, 0, 0, 80]);
    }
    it.until("all is asked for", |it| it.server.handle().stats().frames_in == more);
    it.settle();
    let slow = it.closed("slow_reader");
    assert!((1..=6).contains(&slow), "{slow} were closed");
    drop(greedy);
    it.until("all have left", |it| it.server.handle().sessions() == 0);
    let _again = it.connect(3);
}
