//! One session that floods its worker: it gets its share of each turn, and nobody else waits longer than
//! that. On a simulated network, where a test decides what has arrived before a turn.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use wharf::sim::{Network, NetworkOptions, Peer, Personality};
use wharf::{Arrival, Context, Outcome, PortOptions, Server, Session, SteppedServer};

use crate::support::wire::Wire;

/// What a session gets of a turn.
const SHARE_FRAMES: usize = 64;
const SHARE_BYTES: usize = 256 << 10;

const NEIGHBOURS: usize = 3;
const ROUNDS: usize = 100;
/// Everything that was written arrives within this time.
const ARRIVES_WITHIN: Duration = Duration::from_millis(1);

/// What the sessions of the server have had.
#[derive(Default)]
struct Had {
    flood_frames: Cell<usize>,
    pings: Cell<usize>,
}

struct Counting(Rc<Had>);

impl Session for Counting {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if frame == b"ping" {
            self.0.pings.update(|pings| pings + 1);
            ctx.send(frame);
        } else {
            self.0.flood_frames.update(|frames| frames + 1);
        }
        Ok(())
    }
}

/// One that writes frames as long as the network takes them.
struct Flooder {
    peer: Peer,
    frame: Vec<u8>,
    /// How much of a frame has been written.
    at: usize,
}

impl Flooder {
    fn flood(&mut self) {
        while let Ok(written) = self.peer.try_write(&self.frame[self.at..]) {
            self.at = (self.at + written) % self.frame.len();
        }
    }
}

type Factory = Box<dyn Fn(&Arrival) -> Counting>;

/// A server with one worker, whose turns are made here.
struct Scene {
    network: Network,
    server: SteppedServer<Counting, Factory>,
    had: Rc<Had>,
}

impl Scene {
    fn new(personality: Personality) -> Self {
        let window_bytes = 1 << 20;
        let network =
            Network::new(NetworkOptions { personality, window_bytes, ..NetworkOptions::default() });
        let simulated = Some(network.clone());
        // So much can be received in one turn that a share is a small part of it.
        let port = PortOptions {
            simulated,
            buffers: 16,
            buffer_bytes: 256 << 10,
            ..PortOptions::default()
        };
        let had = Rc::new(Had::default());
        let counted = Rc::clone(&had);
        let factory = move |_: &Arrival| Counting(Rc::clone(&counted));
        let server = Server::bind("10.0.0.1:7777").workers(1).port_options(port);
        let server = server.start_stepped(Box::new(factory) as Factory).unwrap();
        Self { network, server, had }
    }

    fn connect(&mut self) -> Peer {
        let peer = self.network.connect(self.server.handle().addresses()[0].tcp().unwrap());
        let sessions = self.server.handle().sessions();
        for _ in 0..10 {
            self.network.advance_by(ARRIVES_WITHIN);
            self.turn();
        }
        assert!(peer.is_connected() && self.server.handle().sessions() == sessions + 1);
        peer
    }

    fn turn(&mut self) {
        self.server.turn(0, Some(self.network.now())).unwrap();
    }

    fn had(&self) -> (usize, usize) {
        (self.had.flood_frames.get(), self.had.pings.get())
    }
}

/// Has frames of `len` bytes flood a worker, of which a share has room for `share`.
fn who_floods_gets_its_share(len: usize, share: usize) {
    for personality in Personality::ALL {
        let mut scene = Scene::new(personality);
        let frame = Wire::U32Le.encode(&vec![7; len]);
        let mut flooder = Flooder { peer: scene.connect(), frame, at: 0 };
        let mut neighbours: Vec<Peer> = (0..NEIGHBOURS).map(|_| scene.connect()).collect();
        let ping = Wire::U32Le.encode(b"ping");
        let mut most = 0;
        for round in 1..=ROUNDS {
            flooder.flood();
            for neighbour in &mut neighbours {
                assert_eq!(neighbour.try_write(&ping).unwrap(), ping.len());
            }
            scene.network.advance_by(ARRIVES_WITHIN);
            let (flood_before, _) = scene.had();
            scene.turn();
            let (flood, pings) = scene.had();
            let flood = flood - flood_before;
            assert_eq!(pings, round * NEIGHBOURS, "{personality:?}: all have had their turn");
            assert!(flood <= share, "{personality:?}: {flood} frames, and {share} are a share");
            most = most.max(flood);
            // What was answered goes out as the next turn begins.
            scene.turn();
            scene.network.advance_by(ARRIVES_WITHIN);
            for neighbour in &mut neighbours {
                let mut answer = vec![0; 2 * ping.len()];
                let len = neighbour.try_read(&mut answer).unwrap_or(0);
                assert_eq!(answer[..len], ping, "{personality:?}: one answer, one turn later");
            }
        }
        assert_eq!(most, share, "{personality:?}: it has flooded");
    }
}

#[test]
fn nobody_waits_longer_than_for_a_share_of_short_frames() {
    who_floods_gets_its_share(8, SHARE_FRAMES);
}

#[test]
fn nobody_waits_longer_than_for_a_share_of_long_frames() {
    let whole = 4 << 10;
    who_floods_gets_its_share(whole - 4, SHARE_BYTES / whole);
}
