//! The peers of the driver, which a test holds.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::{Mock, World};

/// A connection of somebody else's.
#[derive(Debug)]
pub(crate) struct Client {
    world: Arc<World>,
    link: usize,
    end: usize,
}

/// Where clients come from.
fn address_of_client(number: usize) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), u16::try_from(1024 + number % 60_000).unwrap_or(0)).into()
}

/// Where a socket of the driver's comes from.
pub(super) fn address_of_socket(number: usize) -> SocketAddr {
    (Ipv4Addr::new(198, 51, 100, 1), u16::try_from(1024 + number % 60_000).unwrap_or(0)).into()
}

impl Client {
    /// Connects to a listener; `None` if that is not there, or its backlog is full.
    pub(crate) fn connect(mock: &Mock, to: SocketAddr) -> Option<Self> {
        let link = mock.world.with(|kernel| {
            let from = address_of_client(kernel.links.len());
            kernel.knock(from, to).flatten()
        })?;
        Some(Self { world: Arc::clone(&mock.world), link, end: 0 })
    }

    /// Accepts what waits in the backlog of a test's own listener.
    pub(crate) fn accept(mock: &Mock, at: SocketAddr) -> Option<Self> {
        let link = mock.world.with(|kernel| kernel.listener_on(at)?.backlog.pop_front())?;
        Some(Self { world: Arc::clone(&mock.world), link, end: 1 })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.world.with(|kernel| kernel.links[self.link].ends[self.end].address)
    }

    /// The address of the other end.
    pub(crate) fn peer(&self) -> SocketAddr {
        self.world.with(|kernel| kernel.links[self.link].ends[1 - self.end].address)
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.world.with(|kernel| {
            kernel.links[self.link].ends[1 - self.end].inbox.extend(bytes);
            kernel.settle();
        });
    }

    /// Receives at most so many bytes of what has come.
    pub(crate) fn take(&self, most: usize) -> Vec<u8> {
        self.world.with(|kernel| {
            let inbox = &mut kernel.links[self.link].ends[self.end].inbox;
            let taken = inbox.drain(..most.min(inbox.len())).collect();
            kernel.settle();
            taken
        })
    }

    pub(crate) fn take_all(&self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let some = self.take(usize::MAX);
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    /// Ends its stream.
    pub(crate) fn finish(&self) {
        self.world.with(|kernel| {
            kernel.links[self.link].finish(self.end);
            kernel.settle();
        });
    }

    pub(crate) fn reset(&self) {
        self.world.with(|kernel| {
            kernel.links[self.link].reset(self.end);
            kernel.settle();
        });
    }

    pub(crate) fn sees_end(&self) -> bool {
        self.world.with(|kernel| kernel.links[self.link].ends[self.end].is_ended)
    }

    pub(crate) fn sees_reset(&self) -> bool {
        self.world.with(|kernel| kernel.links[self.link].ends[self.end].is_reset)
    }
}
