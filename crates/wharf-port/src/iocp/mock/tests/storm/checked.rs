//! A driver, its peers, and what has been asked of it and not been answered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::Dice;
use super::peer::{Peer, bytes_from};
use crate::buffer::{Lease, Segment};
use crate::completion::{Completion, Direction, Received};
use crate::ids::{ListenerId, SocketId};
use crate::iocp::mock::client::Client;
use crate::iocp::mock::kernel::Counts;
use crate::iocp::mock::rig::{ADDRESS, Rig, assert_clean};
use crate::iocp::mock::switches::Switches;
use crate::iocp::mock::{Mock, Socket};
use crate::iocp::{Api, Iocp};
use crate::operation_counts::OperationCounts;
use crate::options::PortOptions;
use crate::socket_options::{ListenOptions, SocketOptions};

/// When nothing has come for so long, nothing will.
const QUIET: Duration = Duration::from_millis(20);

/// A driver that is watched.
pub(super) struct Checked {
    rig: Rig,
    listener: Option<ListenerId>,
    /// Where this port connects to: a server that accepts by chance.
    server: Option<Socket>,
    /// Those who have connected here and were not handed out, by address.
    waiting: BTreeMap<SocketAddr, Peer>,
    connections: BTreeMap<SocketId, Watched>,
    /// Received and not given back.
    leases: Vec<Lease>,
}

/// A connection, and what it is owed.
#[derive(Default)]
struct Watched {
    peer: Option<Peer>,
    connects: bool,
    receives: bool,
    receive_cancelled: bool,
    paused: bool,
    sends: bool,
    closes: bool,
    has_shut: bool,
    /// The connection has failed, or its sending has.
    failed: bool,
    /// Bytes of the peer's that were received, and how the stream has ended.
    received: usize,
    ended: bool,
    /// Bytes that were sent, those in flight included.
    sent: usize,
}

/// Where the other server is.
fn elsewhere() -> SocketAddr {
    SocketAddr::new(ADDRESS.ip(), ADDRESS.port() + 1)
}

impl Checked {
    pub(super) fn new(switches: Switches, options: &PortOptions) -> Self {
        let mut rig = Rig::on(&Mock::new(switches), options);
        let listener = Some(rig.listen());
        let backlog = ListenOptions { backlog: 4, ..ListenOptions::default() };
        let server = Some(rig.mock.open_listener(elsewhere(), &backlog).unwrap());
        let (waiting, connections) = (BTreeMap::new(), BTreeMap::new());
        Self { rig, listener, server, waiting, connections, leases: Vec::new() }
    }

    /// The names of connections of which something holds.
    fn those(&self, which: impl Fn(&Watched) -> bool) -> Vec<SocketId> {
        self.connections.iter().filter(|(_, it)| which(it)).map(|(id, _)| *id).collect()
    }

    pub(super) fn step(&mut self, dice: &mut Dice) {
        match dice.below(22) {
            0 | 1 => self.let_connect(),
            2 => self.connect(dice),
            3 | 4 => self.accept_elsewhere(),
            5..=9 => self.let_peer_act(dice),
            10..=15 => self.act(dice),
            16 => self.leases.clear(),
            17 if dice.one_in(4) => self.change_weather(dice),
            18 if dice.one_in(20) => self.rig.iocp.stop_all_listeners(),
            _ => {
                let most = [0, 1, 20, 1_500][dice.below(4)];
                let _ = self.turn(Duration::from_millis(most), dice);
            }
        }
    }

    /// Somebody connects here.
    fn let_connect(&mut self) {
        if let Some(client) = Client::connect(&self.rig.mock, ADDRESS) {
            self.waiting.insert(client.address(), Peer::new(client));
        }
    }

    fn connect(&mut self, dice: &mut Dice) {
        let nobody = SocketAddr::new(ADDRESS.ip(), 9);
        let to = if dice.one_in(4) { nobody } else { elsewhere() };
        let Ok(id) = self.rig.iocp.connect(to.into(), &SocketOptions::default()) else { return };
        let watched = Watched { connects: true, ..Watched::default() };
        assert!(self.connections.insert(id, watched).is_none(), "a name that was given before");
    }

    fn accept_elsewhere(&mut self) {
        let Some(client) = Client::accept(&self.rig.mock, elsewhere()) else { return };
        let peer = client.peer();
        let of_it = |it: &SocketId| self.rig.iocp.local_address(*it) == Some(peer.into());
        let id = self.connections.keys().copied().find(of_it);
        match id.and_then(|id| self.connections.get_mut(&id)) {
            Some(watched) => watched.peer = Some(Peer::new(client)),
            // It was closed meanwhile, or its packet has not come.
            None => client.reset(),
        }
    }

    fn let_peer_act(&mut self, dice: &mut Dice) {
        let (count, kind) = (1 + dice.below(300), dice.below(20));
        let known = self.connections.values_mut().filter_map(|it| it.peer.as_mut());
        let mut peers: Vec<&mut Peer> = known.chain(self.waiting.values_mut()).collect();
        let at = dice.below(peers.len());
        let Some(peer) = peers.get_mut(at) else { return };
        match kind {
            0 => peer.reset(),
            1 | 2 => peer.finish(),
            3..=9 => peer.take(count),
            _ => peer.send(count),
        }
    }

    fn act(&mut self, dice: &mut Dice) {
        let open = self.those(|it| !it.closes && !it.connects);
        let Some(id) = dice.pick(&open) else { return };
        let Some(watched) = self.connections.get_mut(&id) else { return };
        let iocp = &mut self.rig.iocp;
        match dice.below(16) {
            0..=4 if !watched.receives && !watched.ended => {
                watched.receives = true;
                iocp.receive(id).unwrap();
            }
            5..=9 if !watched.sends && !watched.has_shut => watched.send(iocp, id, dice),
            10 => {
                watched.paused = true;
                iocp.pause_receive(id).unwrap();
            }
            11 | 12 => {
                watched.paused = false;
                iocp.resume_receive(id).unwrap();
            }
            13 => {
                watched.receive_cancelled = watched.receives;
                iocp.cancel(id, Direction::Receive).unwrap();
            }
            14 if dice.one_in(2) => iocp.cancel(id, Direction::Send).unwrap(),
            14 if !watched.sends => {
                watched.has_shut = true;
                iocp.shutdown(id).unwrap();
            }
            15 if dice.one_in(3) => {
                watched.closes = true;
                iocp.close(id, dice.one_in(2)).unwrap();
            }
            _ => {}
        }
    }

    fn change_weather(&mut self, dice: &mut Dice) {
        let (open, short) = (self.rig.mock.sockets(), dice.one_in(2));
        let locks = dice.one_in(2);
        self.rig.mock.switch(|switches| {
            switches.sockets_max = if short { open + 1 } else { usize::MAX };
            switches.locks_pages = locks;
        });
    }

    /// A turn; how many completions it has brought.
    fn turn(&mut self, most: Duration, dice: &mut Dice) -> usize {
        let came = self.rig.turn_for(most);
        let count = came.len();
        for completion in came {
            self.check(completion, dice);
        }
        self.check_counts();
        count
    }

    /// Checks that what is under way is what is counted, of each kind.
    fn check_counts(&self) {
        let count = |is: fn(&Watched) -> bool| self.those(is).len();
        let expected = OperationCounts {
            accepts: usize::from(self.listener.is_some()),
            connects: count(|it| it.connects),
            receives: count(|it| it.receives),
            sends: count(|it| it.sends),
            closes: count(|it| it.closes),
            timers: 0,
        };
        assert_eq!(self.rig.iocp.operation_counts(), expected, "operations under way");
        assert_eq!(self.rig.iocp.operations(), expected.total());
    }

    fn check(&mut self, completion: Completion, dice: &mut Dice) {
        match completion {
            Completion::Accepted { listener, socket } => {
                assert_eq!(Some(listener), self.listener);
                let peer =
                    self.waiting.remove(&socket.peer().tcp().unwrap()).expect("accepted twice");
                if dice.one_in(10) {
                    return;
                }
                // It fails only where nothing is left: there is no such table here.
                let id = self.rig.iocp.adopt(socket).unwrap();
                let watched = Watched { peer: Some(peer), ..Watched::default() };
                assert!(self.connections.insert(id, watched).is_none(), "an old name");
            }
            Completion::AcceptDelayed { listener, .. } => {
                assert_eq!(Some(listener), self.listener);
            }
            Completion::ListenerClosed { listener } => {
                assert_eq!(Some(listener), self.listener.take(), "closed twice");
            }
            Completion::Connected { socket, result } => {
                let watched = self.watched(socket);
                assert!(std::mem::take(&mut watched.connects), "connected twice");
                watched.failed |= result.is_err();
            }
            Completion::Received { socket, what } => {
                let ends = matches!(what, Received::End);
                self.check_received(socket, what);
                // As most programs do.
                if ends && dice.one_in(2) && !self.watched(socket).closes {
                    self.watched(socket).closes = true;
                    self.rig.iocp.close(socket, false).unwrap();
                }
            }
            Completion::Sent { socket, segments, result } => {
                let left: usize = segments.iter().map(Segment::len).sum();
                let watched = self.watched(socket);
                assert!(std::mem::take(&mut watched.sends), "sent twice");
                assert_eq!(result.is_ok(), left == 0, "{left} bytes left and {result:?}");
                watched.sent -= left;
            }
            Completion::Closed { socket } => {
                let watched = self.connections.remove(&socket).expect("closed twice");
                assert!(watched.closes, "closed and not asked to");
                assert_eq!(watched.owed(), 1, "closed and something is under way");
            }
            other => panic!("{other:?}"),
        }
    }

    fn watched(&mut self, id: SocketId) -> &mut Watched {
        self.connections.get_mut(&id).expect("a name that is void")
    }

    fn check_received(&mut self, id: SocketId, what: Received) {
        let watched = self.watched(id);
        assert!(watched.receives, "nobody receives");
        let Received::Data(lease) = what else {
            watched.receives = false;
            let was_asked = std::mem::take(&mut watched.receive_cancelled) || watched.closes;
            match what {
                Received::Cancelled => assert!(was_asked, "cancelled and not asked to"),
                Received::End => {
                    let peer = watched.peer.as_ref();
                    assert!(peer.is_none_or(|it| it.has_ended), "an end that nobody has sent");
                    let sent = peer.map_or(0, Peer::sent);
                    assert_eq!(watched.received, sent, "bytes are missing before the end");
                    watched.ended = true;
                }
                _ => {
                    watched.ended = true;
                    watched.failed = true;
                }
            }
            return;
        };
        assert!(!watched.paused, "bytes in a pause");
        assert!(!lease.is_empty(), "a receive of nothing");
        assert_eq!(*lease, bytes_from(watched.received, lease.len()), "received");
        watched.received += lease.len();
        self.leases.push(lease);
    }

    /// Has everything received that there is.
    fn receive_all(&mut self) {
        for id in self.those(|it| !it.closes && !it.connects) {
            let Some(watched) = self.connections.get_mut(&id) else { continue };
            watched.paused = false;
            self.rig.iocp.resume_receive(id).unwrap();
            if !watched.receives && !watched.ended {
                watched.receives = true;
                self.rig.iocp.receive(id).unwrap();
            }
        }
    }

    /// The storm is over: what was sent arrives, and all comes to an end.
    pub(super) fn finish(mut self, dice: &mut Dice) -> Counts {
        self.rig.mock.switch(|switches| {
            switches.sockets_max = usize::MAX;
            switches.locks_pages = true;
            switches.window = usize::MAX;
        });
        let mut turns = 0;
        let mut last = self.rig.now;
        while self.rig.now.since(last) < QUIET {
            turns += 1;
            assert!(turns < 50_000, "it spins");
            self.leases.clear();
            self.receive_all();
            if self.turn(Duration::from_millis(2), dice) > 0 {
                last = self.rig.now;
            }
            let peers = self.connections.values_mut().filter_map(|it| it.peer.as_mut());
            peers.for_each(|peer| peer.take(usize::MAX));
        }
        for watched in self.connections.values() {
            watched.check_all_arrived();
        }
        let Self { rig, server, leases, .. } = self;
        drop((server, leases));
        let mock = rig.finish();
        assert_clean(&mock);
        mock.counts()
    }
}

impl Watched {
    fn owed(&self) -> usize {
        [self.connects, self.receives, self.sends, self.closes].map(usize::from).iter().sum()
    }

    fn send(&mut self, iocp: &mut Iocp<Mock>, id: SocketId, dice: &mut Dice) {
        let mut segments = Vec::new();
        for _ in 0..dice.below(100) {
            let bytes = bytes_from(self.sent, dice.below(60));
            self.sent += bytes.len();
            segments.push(Segment::Owned(bytes.into()));
        }
        self.sends = true;
        iocp.send(id, segments).unwrap();
    }

    /// What was sent on a connection that has not failed is there, now that there was time.
    fn check_all_arrived(&self) {
        let Some(peer) = self.peer.as_ref().filter(|it| !it.has_reset) else { return };
        if self.closes || self.failed {
            return;
        }
        assert!(!self.sends, "a send that does not end");
        assert_eq!(peer.received(), self.sent, "sent and not arrived");
        // It may have been accepted by the last turn.
        let all = self.received == peer.sent() || !(self.receives || self.ended);
        assert!(all, "{} of {} bytes were received", self.received, peer.sent());
    }
}
