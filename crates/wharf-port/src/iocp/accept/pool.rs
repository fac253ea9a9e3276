//! The pool of accepts that wait in the kernel.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::output::Output;
use super::refiller::Order;
use crate::ids::ListenerId;
use crate::iocp::operation::{Begun, Operations, Purpose};
use crate::iocp::recycle::Recycled;
use crate::iocp::{Api, Code};

/// The accepts of one listener.
#[derive(Debug)]
pub(super) struct Pool<A: Api> {
    listener: ListenerId,
    places: Vec<Place<A>>,
    /// Places without an accept.
    empty: Vec<u32>,
    /// Bytes that an accept waits for.
    first: u32,
}

/// A socket made in advance, and where its accept writes to.
#[derive(Debug)]
struct Place<A: Api> {
    socket: Reserved<A>,
    output: Output,
    /// The operation that the kernel, or the refilling thread, has.
    posted: Option<u32>,
    /// The socket was used before: the number of the port that it is with.
    stays: Option<usize>,
}

/// The socket of a place. Whoever posts holds the lock until the call has returned, so that a client
/// that is faster finds the socket in its place.
pub(super) type Reserved<A> = Arc<Mutex<Option<<A as Api>::Socket>>>;

pub(super) fn lock<T>(reserved: &Mutex<T>) -> MutexGuard<'_, T> {
    reserved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What posting needs of the listener.
pub(super) struct With<'a, A: Api> {
    pub(super) api: &'a A,
    pub(super) listener: &'a A::Socket,
    pub(super) address: SocketAddr,
}

/// A connection that was accepted.
pub(super) struct Connected<A: Api> {
    pub(super) socket: A::Socket,
    pub(super) peer: SocketAddr,
    pub(super) first: Vec<u8>,
    /// Its socket came from the pool, and can serve again.
    pub(super) pooled: Option<Pooled>,
}

/// A socket of the pool.
pub(super) struct Pooled {
    /// The number of the port that it stays with, if it was used before.
    pub(super) stays_with: Option<usize>,
}

impl<A: Api> Pool<A> {
    pub(super) fn new(listener: ListenerId, depth: u16, first: u32) -> Self {
        let place = |_| Place {
            socket: Reserved::<A>::default(),
            output: Output::new(first),
            posted: None,
            stays: None,
        };
        let empty = (0..u32::from(depth)).rev().collect();
        Self { listener, places: (0..depth).map(place).collect(), empty, first }
    }

    /// How many accepts are under way.
    pub(super) const fn posted(&self) -> usize {
        self.places.len() - self.empty.len()
    }

    /// Posts an accept in every place, with sockets that are used again as long as there are any.
    pub(super) fn post_all(
        &mut self,
        with: &With<'_, A>,
        operations: &mut Operations,
        recycled: &mut Recycled<A>,
    ) -> Result<(), Code> {
        while let Some(&place) = self.empty.last() {
            let used = recycled.take(with.address);
            let stays = used.is_some().then(|| recycled.port());
            let socket = used.map_or_else(|| with.api.open_socket(with.address), Ok)?;
            let begun = operations.begin(Purpose::Accept { listener: self.listener, place });
            let entry = &mut self.places[place as usize];
            let order = entry.order(place, begun, None);
            if let Err(code) = order.post(with.api, with.listener, socket, self.first) {
                operations.take_back(begun.index);
                return Err(code);
            }
            entry.posted = Some(begun.index);
            entry.stays = stays;
            self.empty.pop();
        }
        Ok(())
    }

    /// Gives every empty place to a thread that posts.
    pub(super) fn give_all(
        &mut self,
        operations: &mut Operations,
        recycled: &mut Recycled<A>,
        address: SocketAddr,
    ) -> Vec<Order<A>> {
        let mut orders = Vec::new();
        while let Some(place) = self.empty.pop() {
            let begun = operations.begin(Purpose::Accept { listener: self.listener, place });
            let used = recycled.take(address);
            let entry = &mut self.places[place as usize];
            entry.posted = Some(begun.index);
            entry.stays = used.is_some().then(|| recycled.port());
            orders.push(entry.order(place, begun, used));
        }
        orders
    }

    /// The accept of a place is over; its socket, if it has one still.
    pub(super) fn come_back(&mut self, place: u32) -> Option<A::Socket> {
        let entry = self.places.get_mut(place as usize)?;
        if entry.posted.take().is_some() {
            self.empty.push(place);
        }
        lock(&entry.socket).take()
    }

    /// Makes a connection of a socket whose accept has succeeded; `None` if it is gone.
    pub(super) fn connected(
        &self,
        with: &With<'_, A>,
        place: u32,
        socket: A::Socket,
        bytes: u32,
    ) -> Option<Connected<A>> {
        let entry = self.places.get(place as usize)?;
        with.api.update_accepted(&socket, with.listener).ok()?;
        // SAFETY: `come_back` was called for this place, and it is filled again only in a wait.
        let output = unsafe { entry.output.bytes() };
        let addresses = with.api.accepted_addresses(with.listener, output, self.first);
        let peer = addresses.map(|(_, peer)| peer).or_else(|| with.api.peer_address(&socket))?;
        let first = output[..bytes.min(self.first) as usize].to_vec();
        let pooled = Some(Pooled { stays_with: entry.stays });
        Some(Connected { socket, peer, first, pooled })
    }

    /// Closes the sockets of clients that have been connected for long and have said nothing. Their
    /// accepts come back. One whose accept is done has spoken, whether or not anybody has looked.
    pub(super) fn close_silent(&self, api: &A, operations: &Operations, patience: Duration) {
        let waits = |place: &&Place<A>| place.posted.is_some_and(|it| operations.is_pending(it));
        for place in self.places.iter().filter(waits) {
            let mut socket = lock(&place.socket);
            let connected = socket.as_ref().and_then(|socket| api.connected_for(socket));
            if connected.is_some_and(|connected| connected >= patience)
                && let Some(socket) = socket.take()
            {
                api.reset(socket);
            }
        }
    }
}

impl<A: Api> Place<A> {
    /// What posting an accept here takes.
    fn order(&self, place: u32, begun: Begun, used: Option<A::Socket>) -> Order<A> {
        Order {
            place,
            index: begun.index,
            overlapped: begun.overlapped,
            output: self.output.start(),
            socket: Arc::clone(&self.socket),
            used,
        }
    }
}

impl<A: Api> Drop for Pool<A> {
    fn drop(&mut self) {
        for place in self.places.iter().filter(|place| place.posted.is_none()) {
            // SAFETY: its accept is over; what the kernel may still write to is leaked.
            unsafe { place.output.free() };
        }
    }
}
