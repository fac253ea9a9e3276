//! Completion ports, as the kernel has them: what has finished, and who rings.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Packet, PortNumber, World};
use crate::clock::Time;
use crate::sim::faults::FaultKind;
use crate::sim::network::Bell;

/// The open ports of a network, by number. No number is used twice: an end whose port is gone must not
/// post to another.
#[derive(Debug, Default)]
pub(super) struct Ports {
    open: BTreeMap<PortNumber, Port>,
    next: PortNumber,
}

/// A port on this network.
#[derive(Debug, Default)]
struct Port {
    /// What has finished and was not taken.
    packets: VecDeque<Packet>,
    /// When its next timer is due, as of its last wait.
    timer: Option<Time>,
    /// Rung by who wakes it and by what it has to start, not by packets.
    bell: Arc<Bell>,
}

impl Ports {
    /// When each of them has something to do: now, if there is something to take.
    pub(super) fn next(&self, now: Time) -> impl Iterator<Item = Time> {
        self.open.values().filter_map(move |port| {
            let has_something = !port.packets.is_empty() || port.bell.is_rung();
            if has_something { Some(now) } else { port.timer }
        })
    }
}

impl World {
    pub(in crate::sim) fn open_port(&mut self) -> (PortNumber, Arc<Bell>) {
        let port = Port::default();
        let bell = Arc::clone(&port.bell);
        let number = self.ports.next;
        self.ports.next += 1;
        self.ports.open.insert(number, port);
        (number, bell)
    }

    pub(in crate::sim) fn close_port(&mut self, number: PortNumber) {
        self.ports.open.remove(&number);
    }

    pub(in crate::sim) fn set_timer(&mut self, number: PortNumber, timer: Option<Time>) {
        if let Some(port) = self.ports.open.get_mut(&number) {
            port.timer = timer;
        }
    }

    pub(in crate::sim) fn packets(&self, number: PortNumber) -> usize {
        self.ports.open.get(&number).map_or(0, |port| port.packets.len())
    }

    pub(super) fn post(&mut self, number: PortNumber, packet: Packet) {
        if let Some(port) = self.ports.open.get_mut(&number) {
            port.packets.push_back(packet);
        }
    }

    /// The next packet of a port.
    pub(in crate::sim) fn next_packet(&mut self, number: PortNumber) -> Option<Packet> {
        let waiting = self.packets(number);
        let swapped = waiting > 1 && self.chance(FaultKind::Reordered);
        let other = if swapped { self.up_to(waiting - 1) } else { 0 };
        let packets = &mut self.ports.open.get_mut(&number)?.packets;
        if swapped {
            packets.swap(0, other);
        }
        packets.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use crate::sim::network::NetworkOptions;
    use crate::sim::world::World;

    #[test]
    fn a_port_that_is_closed_leaves_nothing_and_its_number_is_nobodys() {
        let mut world = World::new(&NetworkOptions::default());
        let numbers: Vec<usize> = (0..10)
            .map(|_| {
                let (number, _) = world.open_port();
                world.close_port(number);
                number
            })
            .collect();
        assert!(world.ports.open.is_empty());
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}
