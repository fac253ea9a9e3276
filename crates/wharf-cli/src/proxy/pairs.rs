//! The connections of a proxy, found by either of their sockets.

use std::rc::Rc;

use wharf_port::SocketId;

use super::dice::{Dice, Purpose};
use super::flow::Flow;
use super::options::{Direction, Faults};
use super::plan::Plan;

/// A client, the server that it is connected through to, and both directions between them.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) client: SocketId,
    pub(super) server: SocketId,
    /// Addresses of the server that have been tried.
    pub(super) attempts: usize,
    up: Flow,
    down: Flow,
}

impl Pair {
    pub(super) fn new(client: SocketId, server: SocketId, fate: &Fate) -> Self {
        let [up, down] = Direction::BOTH.map(|direction| Flow::new(fate.plan(direction)));
        Self { client, server, attempts: 1, up, down }
    }

    pub(super) const fn flow(&mut self, direction: Direction) -> &mut Flow {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    /// Where a direction comes from.
    pub(super) const fn source(&self, direction: Direction) -> SocketId {
        match direction {
            Direction::Up => self.client,
            Direction::Down => self.server,
        }
    }

    /// Where a direction goes to.
    pub(super) const fn destination(&self, direction: Direction) -> SocketId {
        self.source(direction.other())
    }

    /// Whether nothing will happen any more.
    pub(super) fn is_over(&self) -> bool {
        self.up.is_over() && self.down.is_over()
    }

    /// Whether both directions have come to their ends in order.
    pub(super) fn is_complete(&self) -> bool {
        self.up.is_complete() && self.down.is_complete()
    }
}

/// What has been drawn for a connection.
#[derive(Debug)]
pub(super) struct Fate {
    faults: Rc<Faults>,
    seed: u64,
    /// Counted from 0 in the order of arrival.
    connection: u64,
    /// Whether faults apply to it.
    pub(super) affected: bool,
    /// Whether it is reset at once.
    pub(super) dropped: bool,
}

impl Fate {
    pub(super) fn draw(faults: &Rc<Faults>, seed: u64, connection: u64) -> Self {
        let hits = |purpose, chance| Dice::new(seed, connection, purpose).hits(chance);
        let affected = (faults.change_streams() || faults.drop.is_some())
            && hits(Purpose::Share, faults.share);
        let dropped = affected && faults.drop.is_some_and(|chance| hits(Purpose::Drop, chance));
        Self { faults: Rc::clone(faults), seed, connection, affected, dropped }
    }

    fn plan(&self, direction: Direction) -> Option<Plan> {
        self.affected
            .then(|| Plan::new(&self.faults, self.seed, self.connection, direction))
            .flatten()
    }
}

/// Where a pair lies in [`Pairs`]. It is used again when the pair is gone.
pub(super) type Place = usize;

/// All pairs.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    places: Vec<Option<Pair>>,
    free: Vec<Place>,
    /// By the slot of a socket: whose it is, and which direction comes from it.
    by_slot: Vec<Option<(SocketId, Place, Direction)>>,
}

impl Pairs {
    pub(super) fn insert(&mut self, pair: Pair) -> Place {
        let (client, server) = (pair.client, pair.server);
        let place = self.free.pop().unwrap_or(self.places.len());
        if place == self.places.len() {
            self.places.push(Some(pair));
        } else {
            self.places[place] = Some(pair);
        }
        self.register(client, place, Direction::Up);
        self.register(server, place, Direction::Down);
        place
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Pair> {
        let pair = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        self.forget(pair.client);
        self.forget(pair.server);
        Some(pair)
    }

    /// Gives a pair another socket to its server.
    pub(super) fn replace_server(&mut self, place: Place, server: SocketId) {
        let Some(pair) = self.get_mut(place) else { return };
        let before = std::mem::replace(&mut pair.server, server);
        self.forget(before);
        self.register(server, place, Direction::Down);
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: Place) -> Option<&mut Pair> {
        self.places.get_mut(place)?.as_mut()
    }

    /// The pair of a socket, and the direction that comes from there.
    #[inline]
    pub(super) fn find(&self, socket: SocketId) -> Option<(Place, Direction)> {
        let &(owner, place, direction) = self.by_slot.get(socket.slot() as usize)?.as_ref()?;
        (owner == socket).then_some((place, direction))
    }

    pub(super) const fn places(&self) -> usize {
        self.places.len()
    }

    fn register(&mut self, socket: SocketId, place: Place, direction: Direction) {
        let slot = socket.slot() as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        self.by_slot[slot] = Some((socket, place, direction));
    }

    /// A slot may have been given to the next socket already.
    fn forget(&mut self, socket: SocketId) {
        if self.find(socket).is_some() {
            self.by_slot[socket.slot() as usize] = None;
        }
    }
}
