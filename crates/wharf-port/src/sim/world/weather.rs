//! What happens to links: they clog, hosts are parted, connections die.

use std::net::IpAddr;
use std::time::Duration;

use super::end::{EndId, Failure};
use super::{Event, World};
use crate::clock::Time;
use crate::sim::faults::FaultKind;

/// A clogged direction stands still for at most this long.
const CLOG: Duration = Duration::from_millis(500);
/// Hosts are parted by chance for at most this long.
const PARTED: Duration = Duration::from_secs(2);
/// Who gets no answer gives up after this long, and up to twice of it.
const PATIENCE: Duration = Duration::from_secs(5);

impl World {
    /// How long a delivery has to wait, if it has to.
    pub(super) fn held_up(&mut self, from: EndId) -> Option<Duration> {
        if self.chance(FaultKind::LinkClog) {
            return Some(self.within(CLOG) + Duration::from_micros(1));
        }
        let end = self.end(from)?;
        let (a, b) = (end.local.ip(), end.remote.ip());
        if self.chance(FaultKind::Partition) {
            let time = self.within(PARTED);
            self.part(a, b, self.now + time);
        }
        let until = self.parted_until(a, b)?;
        // Whoever heals the hosts earlier is noticed within a tenth of a second.
        let wait = until.since(self.now).min(Duration::from_millis(100));
        Some(wait.max(Duration::from_micros(1)))
    }

    /// Whether the connection breaks now.
    pub(super) fn broken(&mut self, from: EndId, to: EndId) -> bool {
        if self.chance(FaultKind::LinkReset) {
            self.fail(from, Failure::Reset);
            self.reset_arrives(to);
            return true;
        }
        if self.chance(FaultKind::LinkVanish) {
            self.vanish(from);
            return true;
        }
        false
    }

    /// Nothing is delivered between these two any more. Who has something to send gives up at some
    /// time; who has not never learns of it.
    pub(in crate::sim) fn vanish(&mut self, id: EndId) {
        let other = self.end(id).and_then(|end| end.other);
        for id in [Some(id), other].into_iter().flatten() {
            let Some(end) = self.end_mut(id) else { continue };
            end.vanished = true;
            if !end.open {
                self.forget(id);
                continue;
            }
            self.deliver_soon(id);
        }
    }

    /// Who has something to send and gets no answer gives up at some time.
    pub(super) fn give_up_later(&mut self, from: EndId) {
        let time = PATIENCE + self.within(PATIENCE);
        if let Some(end) = self.end_mut(from) {
            end.delivers = true;
            self.plan(time, Event::GiveUp(from));
        }
    }

    /// Keeps two hosts from reaching each other.
    pub(in crate::sim) fn part(&mut self, a: IpAddr, b: IpAddr, until: Time) {
        self.partitions.push((a.to_canonical(), b.to_canonical(), until));
    }

    /// Lets all hosts reach each other again.
    pub(in crate::sim) fn heal(&mut self) {
        self.partitions.clear();
    }

    pub(super) fn parted_until(&mut self, a: IpAddr, b: IpAddr) -> Option<Time> {
        let now = self.now;
        // A host is one host, also where a listener on IPv6 sees its address mapped.
        let (a, b) = (a.to_canonical(), b.to_canonical());
        self.partitions.retain(|(_, _, until)| *until > now);
        let between =
            |(x, y, _): &&(IpAddr, IpAddr, Time)| (*x, *y) == (a, b) || (*x, *y) == (b, a);
        self.partitions.iter().filter(between).map(|(_, _, until)| *until).max()
    }
}
