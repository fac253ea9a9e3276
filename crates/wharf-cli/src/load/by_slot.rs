//! A table of sockets, by their slots.

use wharf_port::SocketId;

/// What is kept of some sockets. To find it is to look at one place; a name whose slot has been given to
/// another socket finds nothing.
#[derive(Debug)]
pub(super) struct BySlot<T> {
    slots: Vec<Option<(SocketId, T)>>,
    count: usize,
}

impl<T> BySlot<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), count: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Keeps something of a socket that is not among them.
    pub(super) fn insert(&mut self, socket: SocketId, what: T) {
        let slot = socket.slot() as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        let before = self.slots[slot].replace((socket, what));
        self.count += usize::from(before.is_none());
    }

    pub(super) fn get_mut(&mut self, socket: SocketId) -> Option<&mut T> {
        let (found, what) = self.slots.get_mut(socket.slot() as usize)?.as_mut()?;
        (*found == socket).then_some(what)
    }

    /// Forgets a socket.
    pub(super) fn remove(&mut self, socket: SocketId) -> Option<T> {
        self.get_mut(socket)?;
        self.count -= 1;
        self.slots[socket.slot() as usize].take().map(|(_, what)| what)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().flatten().map(|(_, what)| what)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().flatten().map(|(_, what)| what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_name_finds_nothing_in_a_slot_that_is_used_again() {
        let (old, new) = (SocketId::from_parts(3, 1), SocketId::from_parts(3, 2));
        let mut table = BySlot::new();
        table.insert(old, 'a');
        assert_eq!(table.remove(old), Some('a'));
        table.insert(new, 'b');
        assert_eq!(table.get_mut(old), None);
        assert_eq!((table.remove(old), table.len()), (None, 1));
        assert_eq!((table.remove(new), table.len()), (Some('b'), 0));
    }
}
