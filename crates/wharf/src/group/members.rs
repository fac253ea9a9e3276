//! The members of a group that live on one worker.

use std::sync::Arc;

use wharf_port::SocketId;

/// Members in no order, close together, since a broadcast walks through all of them. Only their worker
/// changes it.
#[derive(Debug, Default)]
pub(super) struct Members {
    sockets: Vec<SocketId>,
    /// What they call themselves; as long as the longest that a name was needed for.
    names: Vec<Option<Arc<str>>>,
}

impl Members {
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    pub(super) fn sockets(&self) -> &[SocketId] {
        &self.sockets
    }

    /// Takes a member in and says where it stands.
    pub(super) fn add(&mut self, socket: SocketId, name: Option<Arc<str>>) -> u32 {
        let position = self.sockets.len();
        self.sockets.push(socket);
        self.rename(position, name);
        // A worker has fewer slots than that.
        u32::try_from(position).unwrap_or(u32::MAX)
    }

    /// Gives the member at a place another name.
    pub(super) fn rename(&mut self, position: usize, name: Option<Arc<str>>) {
        if name.is_some() && self.names.len() <= position {
            self.names.resize(position + 1, None);
        }
        if let Some(place) = self.names.get_mut(position) {
            *place = name;
        }
    }

    /// Takes the member at a place out, and returns the one that stands there now.
    pub(super) fn remove(&mut self, position: usize) -> Option<SocketId> {
        let last = self.sockets.len() - 1;
        let name = if self.names.len() > last { self.names.pop().flatten() } else { None };
        self.sockets.swap_remove(position);
        if position < last {
            self.rename(position, name);
        }
        if self.sockets.len() * 4 < self.sockets.capacity() {
            // A crowd has left.
            self.sockets.shrink_to(self.sockets.len() * 2);
            self.names.shrink_to(self.names.len() * 2);
        }
        self.sockets.get(position).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketId, Option<&Arc<str>>)> {
        let names = self.names.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        self.sockets.iter().copied().zip(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_with_their_members_whoever_leaves() {
        let socket = |slot| SocketId::from_parts(slot, 1);
        let name = |slot: u32| (!slot.is_multiple_of(3)).then(|| Arc::from(format!("{slot}")));
        for leaving in 0..7 {
            let mut members = Members::default();
            for slot in 0..7 {
                assert_eq!(members.add(socket(slot), name(slot)), slot);
            }
            let moved = members.remove(leaving);
            assert_eq!(moved, (leaving < 6).then(|| socket(6)));
            assert_eq!(members.len(), 6);
            for (member, its_name) in members.iter() {
                assert_eq!(its_name.cloned(), name(member.slot()), "{leaving} left");
            }
        }
    }
}
