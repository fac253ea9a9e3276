//! The table of a worker's sessions.
//!
//! Invariant: a session is reached only by the name that its socket has now; a name that was kept for
//! too long reaches nobody, whoever has the slot.

use wharf_port::SocketId;

use super::connection::Connection;

/// The sessions of a worker by slot: the port's slots, so that no second table translates.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    places: Vec<Option<Connection>>,
    len: usize,
}

impl Connections {
    /// How many there are.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Slots that it has room for.
    pub(crate) const fn slots(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The session that has this socket now; `None` for a name that is void.
    #[inline]
    pub(crate) fn get(&self, socket: SocketId) -> Option<&Connection> {
        let connection = self.places.get(socket.slot() as usize)?.as_ref()?;
        (connection.socket == socket).then_some(connection)
    }

    /// The same, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, socket: SocketId) -> Option<&mut Connection> {
        let connection = self.places.get_mut(socket.slot() as usize)?.as_mut()?;
        (connection.socket == socket).then_some(connection)
    }

    /// Takes a session in. Its slot is free: the port gives one out only after it has closed the
    /// socket that had it.
    pub(crate) fn insert(&mut self, connection: Connection) {
        let slot = connection.socket.slot() as usize;
        if slot >= self.places.len() {
            self.places.resize_with(slot + 1, || None);
        }
        debug_assert!(self.places[slot].is_none());
        self.places[slot] = Some(connection);
        self.len += 1;
    }

    /// Takes a session out; `None` for a name that is void.
    pub(crate) fn remove(&mut self, socket: SocketId) -> Option<Connection> {
        self.get(socket)?;
        self.len -= 1;
        self.places[socket.slot() as usize].take()
    }

    /// All sessions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.places.iter().flatten()
    }

    /// The sockets of all sessions.
    pub(crate) fn sockets(&self) -> Vec<SocketId> {
        self.iter().map(|connection| connection.socket).collect()
    }
}
