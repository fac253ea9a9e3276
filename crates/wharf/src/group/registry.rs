//! The groups of a server by name, and what the threads share of each.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};

use wharf_port::SocketId;

use super::WorkerSet;
use super::members::Members;
use crate::room::RoomState;
use crate::sync::{AtomicUsize, Mutex, MutexGuard, Ordering};

/// Finds groups by their names. As many entries as there are groups with a member or a handle: each
/// takes itself out when it ends.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    named: Arc<Named>,
    workers: usize,
}

type Named = Mutex<HashMap<Arc<str>, Weak<GroupState>>>;

/// How large the groups of a server are, all together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct GroupSizes {
    /// Groups that have a member or a handle.
    pub groups: usize,
    /// Members of all of them; a session counts once for each group that it is in.
    pub members: usize,
    /// Members of the largest.
    pub members_max: usize,
}

/// What the handles and the members of one group share.
#[derive(Debug)]
pub(crate) struct GroupState {
    name: Arc<str>,
    shards: Box<[Shard]>,
    named: Arc<Named>,
    /// Whose members these are.
    room: Option<Weak<RoomState>>,
}

/// The members on one worker. Each on cache lines of its own, since each worker changes its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard {
    /// How many there are, to be read without the lock.
    count: AtomicUsize,
    members: Mutex<Members>,
}

impl Groups {
    pub(crate) fn new(workers: usize) -> Self {
        Self { named: Arc::default(), workers }
    }

    /// The group of this name, which is made if there is none.
    pub(crate) fn named(&self, name: &str) -> Arc<GroupState> {
        let mut named = lock(&self.named);
        if let Some(group) = named.get(name).and_then(Weak::upgrade) {
            return group;
        }
        let group = self.make(name, None);
        named.insert(Arc::clone(&group.name), Arc::downgrade(&group));
        group
    }

    /// The members of a room. Nobody finds them by name.
    pub(crate) fn of_room(&self, name: &str, room: Weak<RoomState>) -> Arc<GroupState> {
        self.make(name, Some(room))
    }

    fn make(&self, name: &str, room: Option<Weak<RoomState>>) -> Arc<GroupState> {
        let shards = (0..self.workers).map(|_| Shard::default()).collect();
        Arc::new(GroupState { name: name.into(), shards, named: Arc::clone(&self.named), room })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.named).len()
    }

    /// How many members they have.
    pub(crate) fn sizes(&self) -> GroupSizes {
        // A group that ends with this handle takes the lock itself, so they go behind it.
        let groups: Vec<_> = lock(&self.named).values().filter_map(Weak::upgrade).collect();
        let mut sizes = GroupSizes { groups: groups.len(), ..GroupSizes::default() };
        for members in groups.iter().map(|group| group.len()) {
            sizes.members += members;
            sizes.members_max = sizes.members_max.max(members);
        }
        sizes
    }
}

impl GroupState {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The room whose members these are, as long as it is there.
    pub(crate) fn room(&self) -> Option<Arc<RoomState>> {
        self.room.as_ref().and_then(Weak::upgrade)
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    /// The workers that have members.
    pub(crate) fn workers(&self) -> WorkerSet {
        let with_members = self.shards.iter().enumerate().filter(|(_, shard)| shard.len() > 0);
        with_members.map(|(index, _)| index).collect()
    }

    /// Takes a member in, on its worker's thread; says where it stands.
    pub(crate) fn add(&self, worker: u16, socket: SocketId, name: Option<Arc<str>>) -> u32 {
        self.change(worker, |members| members.add(socket, name))
    }

    /// Gives a member another name, on its worker's thread.
    pub(crate) fn rename(&self, worker: u16, position: u32, name: Option<Arc<str>>) {
        self.change(worker, |members| members.rename(position as usize, name));
    }

    /// Takes a member out, on its worker's thread; returns the one that stands in its place now.
    pub(crate) fn remove(&self, worker: u16, position: u32) -> Option<SocketId> {
        self.change(worker, |members| members.remove(position as usize))
    }

    fn change<T>(&self, worker: u16, change: impl FnOnce(&mut Members) -> T) -> T {
        let shard = &self.shards[usize::from(worker)];
        let mut members = lock(&shard.members);
        let result = change(&mut members);
        shard.count.store(members.len(), Ordering::Release);
        result
    }

    /// Goes through the members of a worker, on its thread. None joins or leaves meanwhile.
    pub(crate) fn for_each(&self, worker: u16, mut visit: impl FnMut(SocketId)) {
        let members = lock(&self.shards[usize::from(worker)].members);
        members.sockets().iter().for_each(|socket| visit(*socket));
    }

    /// All members, with their workers and their names.
    pub(crate) fn members<T>(
        &self,
        make: impl Fn(u16, SocketId, Option<&Arc<str>>) -> T,
    ) -> Vec<T> {
        let mut all = Vec::with_capacity(self.len());
        for (worker, shard) in (0..).zip(&self.shards) {
            let members = lock(&shard.members);
            all.extend(members.iter().map(|(socket, name)| make(worker, socket, name)));
        }
        all
    }
}

impl Shard {
    fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl Drop for GroupState {
    fn drop(&mut self) {
        let mut named = lock(&self.named);
        // Another group of the same name may have been made since the last handle went.
        if named.get(&self.name).is_some_and(|group| group.strong_count() == 0) {
            named.remove(&self.name);
        }
    }
}

/// Every change under these locks is whole before anything can panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_gone_with_the_last_handle() {
        let groups = Groups::new(2);
        let lobby = groups.named("lobby");
        assert!(Arc::ptr_eq(&lobby, &groups.named("lobby")));
        let other = groups.named("other");
        assert_eq!(groups.len(), 2);
        drop(lobby);
        assert_eq!(groups.len(), 1);
        drop(other);
        assert_eq!(groups.len(), 0);
    }

    #[test]
    fn members_are_counted_by_worker() {
        let group = Groups::new(3).named("some");
        let socket = SocketId::from_parts(7, 1);
        let position = group.add(2, socket, None);
        assert_eq!(group.workers().iter().collect::<Vec<usize>>(), [2]);
        assert_eq!(group.members(|worker, socket, _| (worker, socket)), [(2, socket)]);
        assert_eq!(group.remove(2, position), None);
        assert_eq!((group.len(), group.workers().is_empty()), (0, true));
    }

    #[test]
    fn sizes_are_of_all_groups_and_of_the_largest() {
        let groups = Groups::new(2);
        let (large, small, _empty) =
            (groups.named("large"), groups.named("small"), groups.named(""));
        for (worker, slot) in [(0, 1), (1, 2), (1, 3)] {
            large.add(worker, SocketId::from_parts(slot, 1), None);
        }
        small.add(0, SocketId::from_parts(1, 1), None);
        let expected = GroupSizes { groups: 3, members: 4, members_max: 3 };
        assert_eq!(groups.sizes(), expected);
        drop(large);
        assert_eq!(groups.sizes(), GroupSizes { groups: 2, members: 1, members_max: 1 });
    }
}
