//! Sockets that are used again: `DisconnectEx`, or `TransmitFile`, with `TF_REUSE_SOCKET`.
//!
//! It saves a socket's creation per accept, and is off by default, for what it costs elsewhere: a
//! socket stays with its port for life, so only that port's listener can use it; and a connection that
//! this end has closed first stays in TIME_WAIT, for which Windows makes the call wait for minutes. So
//! only sockets are recycled whose peer has ended first, that have nothing pending, and that become
//! ready within a second; all others are closed. Under Wine the call succeeds and the socket is useless
//! (8.0), so it is off there whatever the options say.

use std::net::SocketAddr;
use std::time::Duration;

use super::api::{Disconnect, Started};
use super::operation::{Operations, Purpose};
use super::{Api, Code, Iocp};
use crate::clock::Time;
use crate::options::Recycling;

/// How long a socket may take until it can be used again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sockets that wait for use, and sockets that are made ready for it: no more than this of each.
const MAX: usize = 256;

/// The sockets of one port that are used again.
#[derive(Debug)]
pub(super) struct Recycled<A: Api> {
    how: Option<Disconnect>,
    /// The number of the port that they are with.
    port: usize,
    /// Ready for an accept, by family: IPv4, IPv6.
    ready: [Vec<A::Socket>; 2],
    disconnecting: Vec<Option<Disconnecting<A>>>,
    /// As of the last look.
    now: Time,
}

#[derive(Debug)]
struct Disconnecting<A: Api> {
    socket: Option<A::Socket>,
    is_ipv6: bool,
    index: u32,
    give_up_at: Time,
}

impl<A: Api> Recycled<A> {
    pub(super) fn new(api: &A, recycling: Recycling, port: usize) -> Self {
        let how = match recycling {
            Recycling::Off => None,
            _ if api.is_wine() => None,
            Recycling::DisconnectEx => Some(Disconnect::DisconnectEx),
            Recycling::TransmitFile => Some(Disconnect::TransmitFile),
        };
        Self {
            how,
            port,
            ready: [Vec::new(), Vec::new()],
            disconnecting: Vec::new(),
            now: Time::ZERO,
        }
    }

    /// A socket for the next accept, if there is one; it is with the port already.
    pub(super) fn take(&mut self, listener: SocketAddr) -> Option<A::Socket> {
        self.ready[usize::from(listener.is_ipv6())].pop()
    }

    /// The port that the sockets are with.
    pub(super) const fn port(&self) -> usize {
        self.port
    }

    /// A disconnect has come back. A socket whose disconnect has failed is closed.
    pub(super) fn disconnected(&mut self, place: u32, failure: Option<Code>) {
        let Some(entry) = self.disconnecting.get_mut(place as usize).and_then(Option::take) else {
            return;
        };
        if let (None, Some(socket)) = (failure, entry.socket) {
            self.keep(socket, entry.is_ipv6);
        }
    }

    fn keep(&mut self, socket: A::Socket, is_ipv6: bool) {
        let ready = &mut self.ready[usize::from(is_ipv6)];
        if self.how.is_some() && ready.len() < MAX {
            ready.push(socket);
        }
    }

    /// Closes those that take too long. Their packets come nevertheless.
    pub(super) fn give_up(&mut self, api: &A, operations: &Operations, now: Time) {
        self.now = now;
        for entry in self.disconnecting.iter_mut().flatten() {
            if entry.give_up_at <= now {
                entry.close(api, operations);
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let waiting = self.disconnecting.iter().flatten().filter(|it| it.socket.is_some());
        waiting.map(|entry| entry.give_up_at).min()
    }

    /// Closes all of them, and takes no more.
    pub(super) fn close(&mut self, api: &A, operations: &Operations) {
        self.how = None;
        self.ready.iter_mut().for_each(Vec::clear);
        for entry in self.disconnecting.iter_mut().flatten() {
            entry.close(api, operations);
        }
    }

    /// A free place, unless there are too many already.
    fn place(&mut self) -> Option<u32> {
        let free = self.disconnecting.iter().position(Option::is_none);
        let place = free.unwrap_or(self.disconnecting.len());
        if place == self.disconnecting.len() {
            if place == MAX {
                return None;
            }
            self.disconnecting.push(None);
        }
        u32::try_from(place).ok()
    }
}

impl<A: Api> Disconnecting<A> {
    fn close(&mut self, api: &A, operations: &Operations) {
        if let Some(socket) = self.socket.take() {
            // If it is done already, its packet is on its way.
            let _ = api.cancel(&socket, Some(operations.overlapped(self.index)));
        }
    }
}

impl<A: Api> Iocp<A> {
    /// Makes a socket ready for use again, or closes it. Its peer has ended, and nothing is pending.
    pub(super) fn recycle(&mut self, socket: A::Socket) {
        let (Some(how), true) = (self.recycled.how, self.uses_sockets_again()) else { return };
        let Some(place) = self.recycled.place() else { return };
        let Some(is_ipv6) = self.api.local_address(&socket).map(|local| local.is_ipv6()) else {
            return;
        };
        let begun = self.operations.begin(Purpose::Recycle { place });
        // SAFETY: the operation is the kernel's until its outcome is taken, and the caller says that the
        // socket has no other.
        let started = unsafe { self.api.disconnect_ex(&socket, how, begun.overlapped) };
        match started {
            Ok(Started::Done(_)) => {
                // Only sockets that skip packets get here.
                self.operations.take_back(begun.index);
                self.recycled.keep(socket, is_ipv6);
            }
            Ok(Started::Pending) => {
                let give_up_at = self.recycled.now + PATIENCE;
                let (index, socket) = (begun.index, Some(socket));
                let entry = Disconnecting { socket, is_ipv6, index, give_up_at };
                self.recycled.disconnecting[place as usize] = Some(entry);
            }
            Err(_) => {
                self.operations.take_back(begun.index);
            }
        }
    }
}
