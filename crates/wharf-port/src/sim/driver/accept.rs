//! Listening.

use std::net::SocketAddr;

use super::Sim;
use crate::address::Address;
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::ListenError;
use crate::ids::ListenerId;
use crate::sim::network::Network;
use crate::sim::world::{Accepted, FreshEnd, Holder, Unlistenable, World};
use crate::socket::FreshSocket;
use crate::socket_options::ListenOptions;

/// Connections that one listener accepts at a time.
const BATCH: usize = 64;

#[derive(Debug)]
pub(super) struct Listener {
    id: ListenerId,
    address: SocketAddr,
    backoff: Backoff,
    /// The kernel tells when somebody waits.
    armed: bool,
    paused: bool,
    stopped: bool,
}

impl Listener {
    pub(super) const fn resume_at(&self) -> Option<Time> {
        self.backoff.resume_at()
    }

    pub(super) fn close(&self, network: &Network) {
        network.with(|world| world.close_listener(self.address));
    }
}

impl Sim {
    pub(crate) fn listen(
        &mut self,
        address: &Address,
        options: &ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        let listening = self.network.with(|world| {
            let place = world.place_of(address).ok_or(Unlistenable::Nowhere)?;
            world.listen(place, options, Some(self.number))
        });
        let address = listening.map_err(|problem| problem.at(address.clone()))?;
        let id = ListenerId(self.next_listener);
        self.next_listener += 1;
        let backoff = Backoff::default();
        let (armed, paused, stopped) = (false, false, false);
        self.listeners.push(Listener { id, address, backoff, armed, paused, stopped });
        self.operations += 1;
        Ok(id)
    }

    pub(crate) fn listener_address(&self, id: ListenerId) -> Option<Address> {
        let listener = self.listeners.iter().find(|listener| listener.id == id)?;
        Some(self.network.with(|world| world.address_at(listener.address)))
    }

    pub(crate) fn stop_listening(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.id == id) {
            listener.stopped = true;
            self.note_work();
        }
    }

    /// What the kernel tells of meanwhile is left in the queue; being armed again, it tells anew.
    pub(crate) fn pause_accept(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.id == id) {
            listener.paused = true;
        }
    }

    pub(crate) fn resume_accept(&mut self, id: ListenerId) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.id == id) {
            listener.paused = false;
            self.note_work();
        }
    }

    /// Arms what has rested, and closes what is stopped, after who waits in its queue.
    pub(super) fn tend_listeners(&mut self, world: &mut World) {
        for listener in &mut self.listeners {
            let rests = listener.backoff.resume_at().is_some();
            let rests = rests && !listener.backoff.take_due(world.now);
            if !rests && !listener.armed && !listener.paused && !listener.stopped {
                listener.armed = true;
                world.arm_accept(listener.address);
            }
        }
        while let Some(at) = self.listeners.iter().position(|listener| listener.stopped) {
            let address = self.listeners[at].address;
            let waiting = world.waiting(address);
            self.accept_some(world, at, waiting);
            let listener = self.listeners.remove(at);
            world.close_listener(address);
            self.done.push_back(Completion::ListenerClosed { listener: listener.id });
        }
    }

    /// The kernel says that somebody waits.
    pub(super) fn accept(&mut self, world: &mut World, address: SocketAddr, stays_armed: bool) {
        let at = self.listeners.iter().position(|listener| listener.address == address);
        let Some(at) = at else { return };
        self.listeners[at].armed = false;
        if !stays_armed && self.personality.stays_armed() {
            self.stats.rearmed += 1;
        }
        if self.listeners[at].paused {
            return;
        }
        self.accept_some(world, at, BATCH);
        let listener = &mut self.listeners[at];
        if listener.backoff.resume_at().is_none() && !listener.stopped {
            listener.armed = true;
            world.arm_accept(address);
        }
    }

    fn accept_some(&mut self, world: &mut World, at: usize, most: usize) {
        let listener = &mut self.listeners[at];
        for _ in 0..most {
            match world.accept(listener.address, Holder::Fresh) {
                Accepted::Connection(id, peer) => {
                    listener.backoff.success();
                    let fresh = FreshEnd { network: self.network.clone(), id };
                    let socket = FreshSocket::simulated(fresh, world.address_at(peer));
                    self.done.push_back(Completion::Accepted { listener: listener.id, socket });
                }
                Accepted::Gone => self.stats.accepts_gone += 1,
                Accepted::Nobody => return,
                Accepted::Failed(cause) => {
                    let failed = listener.backoff.failure(cause, world.now);
                    let Some(retry_after) = failed else { continue };
                    self.stats.accept_delays += 1;
                    let listener = listener.id;
                    let delayed = Completion::AcceptDelayed { listener, cause, retry_after };
                    return self.done.push_back(delayed);
                }
            }
        }
    }
}
