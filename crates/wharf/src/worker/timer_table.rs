//! The timers that users have started on one worker, each in the list of its owner.

use std::sync::Weak;

use wharf_port::SocketId;

use crate::group::GroupState;
use crate::timer::TimerName;

/// No timer: the end of a list.
const NONE: u32 = u32::MAX;

/// All timers of users. What is freed is used again; a stale name finds a place with another timer.
#[derive(Debug, Default)]
pub(crate) struct TimerTable {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

/// Whose timer it is.
#[derive(Clone, Debug)]
pub(crate) enum Owner {
    Session(SocketId),
    /// Not counted as a handle: a group is gone with its last member, whatever timers it has.
    Group(Weak<GroupState>),
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: TimerName,
    pub(crate) owner: Owner,
    /// The user's.
    pub(crate) token: u64,
    next: u32,
    previous: u32,
    /// How many timers the list has, where this is the first of it.
    count: u32,
}

/// The timers of one owner. It is no larger than its first timer's place, as every session has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerList(u32);

impl Default for TimerList {
    fn default() -> Self {
        Self(NONE)
    }
}

impl TimerTable {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == self.free.len()
    }

    /// The place of the timer that is added next; `None` if there are too many.
    pub(crate) fn next_index(&self) -> Option<u32> {
        match self.free.last() {
            Some(&index) => Some(index),
            None => u32::try_from(self.entries.len()).ok().filter(|&index| index != NONE),
        }
    }

    /// Adds a timer, whose name has the place that was asked for, to a list.
    pub(crate) fn add(&mut self, list: &mut TimerList, name: TimerName, owner: Owner, token: u64) {
        let index = name.index;
        debug_assert_eq!(self.next_index(), Some(index));
        let (next, count) = (list.0, self.count(*list) + 1);
        let entry = Entry { name, owner, token, next, previous: NONE, count };
        if self.free.pop().is_some() {
            self.entries[index as usize] = Some(entry);
        } else {
            self.entries.push(Some(entry));
        }
        if let Some(next) = self.at(next) {
            next.previous = index;
        }
        list.0 = index;
    }

    /// The timer of this name, if it is still there.
    pub(crate) fn get(&self, name: TimerName) -> Option<&Entry> {
        let entry = self.entries.get(name.index as usize)?.as_ref()?;
        (entry.name == name).then_some(entry)
    }

    /// The first timer of a list.
    pub(crate) fn first(&self, list: TimerList) -> Option<TimerName> {
        Some(self.entries.get(list.0 as usize)?.as_ref()?.name)
    }

    /// How many timers a list has.
    pub(crate) fn count(&self, list: TimerList) -> u32 {
        let first = self.entries.get(list.0 as usize).and_then(Option::as_ref);
        first.map_or(0, |entry| entry.count)
    }

    /// Takes a timer out of its list, which is this one.
    pub(crate) fn remove(&mut self, list: &mut TimerList, name: TimerName) -> Option<Entry> {
        self.get(name)?;
        let left = self.count(*list) - 1;
        let entry = self.entries[name.index as usize].take()?;
        self.free.push(name.index);
        match self.at(entry.previous) {
            Some(previous) => previous.next = entry.next,
            None => list.0 = entry.next,
        }
        if let Some(next) = self.at(entry.next) {
            next.previous = entry.previous;
        }
        if let Some(first) = self.at(list.0) {
            first.count = left;
        }
        Some(entry)
    }

    fn at(&mut self, index: u32) -> Option<&mut Entry> {
        self.entries.get_mut(index as usize)?.as_mut()
    }
}

#[cfg(test)]
mod tests {
    use wharf_port::sim::{Network, NetworkOptions};
    use wharf_port::{Backend, CompletionPort, PortOptions};

    use super::*;

    /// A table, and the port that the names come from.
    struct Tried {
        port: CompletionPort,
        table: TimerTable,
        list: TimerList,
    }

    impl Tried {
        fn new() -> Self {
            let simulated = Some(Network::new(NetworkOptions::default()));
            let options =
                PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
            let port = CompletionPort::open(&options).unwrap();
            Self { port, table: TimerTable::default(), list: TimerList::default() }
        }

        fn add(&mut self, token: u64) -> TimerName {
            let index = self.table.next_index().unwrap();
            let timer = self.port.start_timer(self.port.now(), token).unwrap();
            let name = TimerName { index, timer };
            let owner = Owner::Session(SocketId::from_parts(1, 1));
            self.table.add(&mut self.list, name, owner, token);
            name
        }

        fn remove(&mut self, name: TimerName) -> Option<u64> {
            self.table.remove(&mut self.list, name).map(|entry| entry.token)
        }
    }

    #[test]
    fn a_stale_name_finds_nothing_in_a_place_that_is_used_again() {
        let mut it = Tried::new();
        let first = it.add(1);
        assert_eq!(it.remove(first), Some(1));
        let second = it.add(2);
        assert_eq!(first.index, second.index);
        assert!(it.table.get(first).is_none());
        assert_eq!((it.remove(first), it.remove(second)), (None, Some(2)));
    }

    #[test]
    fn a_list_counts_its_timers_in_whatever_order_they_go() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            let mut it = Tried::new();
            let names: Vec<TimerName> = (0..4).map(|token| it.add(token)).collect();
            for (left, which) in (0..4).rev().zip(order) {
                assert_eq!(it.remove(names[which]), Some(which as u64));
                assert_eq!(it.table.count(it.list), left, "{order:?}");
                let listed = std::iter::successors(it.table.first(it.list), |name| {
                    let next = it.table.get(*name)?.next;
                    it.table.first(TimerList(next))
                });
                assert_eq!(listed.count(), left as usize, "{order:?}");
            }
            assert!(it.table.is_empty());
        }
    }
}
