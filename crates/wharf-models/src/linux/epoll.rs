//! What both uses of epoll share: the calls, and the connections by descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

use crate::ModelError;
use crate::portable::reactive::Connection;

/// The place of the listener; no descriptor has this number.
pub(super) const LISTENER: u64 = u64::MAX;

/// Events taken with one wait; what is beyond them comes with the next.
const EVENTS_MAX: usize = 1024;

/// The kernel's list of sockets and what is wished of each.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

impl Epoll {
    pub(super) fn new() -> Result<Self, ModelError> {
        epoll::create(CreateFlags::CLOEXEC).map(Self).map_err(ModelError::of("epoll_create1"))
    }

    /// Has a socket watched; `place` is what its events will be known by.
    pub(super) fn add(
        &self,
        socket: impl AsFd,
        place: u64,
        wish: EventFlags,
    ) -> Result<(), ModelError> {
        epoll::add(&self.0, socket, EventData::new_u64(place), wish)
            .map_err(ModelError::of("epoll_ctl"))
    }

    /// Wishes something else of a socket that is watched.
    pub(super) fn modify(
        &self,
        socket: impl AsFd,
        place: u64,
        wish: EventFlags,
    ) -> Result<(), ModelError> {
        epoll::modify(&self.0, socket, EventData::new_u64(place), wish)
            .map_err(ModelError::of("epoll_ctl"))
    }

    /// Waits until something is ready, and puts it into `events`: each socket at most once, by its place.
    pub(super) fn wait(&self, events: &mut Vec<Event>) -> Result<(), ModelError> {
        events.clear();
        events.reserve(EVENTS_MAX);
        loop {
            match epoll::wait(&self.0, rustix::buffer::spare_capacity(events), None) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(ModelError::of("epoll_wait")(error)),
            }
        }
    }
}

/// Connections by descriptor: the kernel gives the lowest number that is free, so a list is as good as any table. A
/// number is used again only when its connection has been dropped, and no event of a wait names it twice.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Option<Connection>>);

impl Table {
    /// Keeps a connection: its place, and where it lies.
    pub(super) fn put(&mut self, connection: Connection) -> (u64, &mut Connection) {
        let descriptor = connection.stream().as_raw_fd();
        let index = usize::try_from(descriptor).unwrap_or_default();
        if self.0.len() <= index {
            self.0.resize_with(index + 1, || None);
        }
        (index as u64, self.0[index].insert(connection))
    }

    pub(super) fn get(&mut self, place: u64) -> Option<&mut Connection> {
        self.0.get_mut(usize::try_from(place).ok()?)?.as_mut()
    }

    /// Drops a connection, which closes it.
    pub(super) fn remove(&mut self, place: u64) {
        if let Some(slot) = usize::try_from(place).ok().and_then(|index| self.0.get_mut(index)) {
            *slot = None;
        }
    }
}
