//! Who may come in: how many sessions there are, on which worker, from which address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The counts of a server, shared by its workers. Touched when a session comes and goes, never for a
/// message.
#[derive(Debug)]
pub(crate) struct Admission {
    sessions_max: usize,
    per_address_max: Option<usize>,
    /// Sessions of each worker, those that are on their way to it included.
    workers: Box<[AtomicUsize]>,
    sessions: AtomicUsize,
    /// Sessions by address: as many entries as there are addresses connected, so it is bounded by
    /// `sessions_max`. The hash is seeded.
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

/// Why a connection was turned away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Refusal {
    SessionsMax,
    PerAddressMax,
}

impl Admission {
    pub(crate) fn new(workers: usize, sessions_max: usize, per_address_max: Option<usize>) -> Self {
        Self {
            sessions_max,
            per_address_max,
            workers: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            sessions: AtomicUsize::new(0),
            addresses: Mutex::default(),
        }
    }

    /// Gives a connection a seat on the worker that has the fewest sessions; of those that have equally
    /// few, the first from `start` on.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr, start: usize) -> Result<Seat, Refusal> {
        if self.sessions.fetch_add(1, Ordering::Relaxed) >= self.sessions_max {
            self.sessions.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::SessionsMax);
        }
        let address = self.per_address_max.and_then(|_| counted_address(peer));
        if let (Some(address), Some(max)) = (address, self.per_address_max)
            && !self.count_address(address, max)
        {
            self.sessions.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::PerAddressMax);
        }
        let worker = self.least_loaded(start);
        self.workers[worker].fetch_add(1, Ordering::Relaxed);
        let worker = u16::try_from(worker).unwrap_or(u16::MAX);
        Ok(Seat { admission: Arc::clone(self), address: address.map(Box::new), worker })
    }

    fn least_loaded(&self, start: usize) -> usize {
        let count = self.workers.len();
        let load = |worker: &usize| self.workers[*worker].load(Ordering::Relaxed);
        (0..count).map(|offset| (start + offset) % count).min_by_key(load).unwrap_or(0)
    }

    fn count_address(&self, address: IpAddr, max: usize) -> bool {
        let mut addresses = self.addresses();
        let count = addresses.entry(address).or_insert(0);
        let room = *count < max;
        if room {
            *count += 1;
        }
        room
    }

    /// The counts stay right even if a thread panicked while it had the lock: each update is one
    /// addition.
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }
}

/// What an address counts as: IPv6 by its /64, which one subscriber has to itself; loopback not at
/// all.
fn counted_address(peer: IpAddr) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if peer.is_loopback() {
        return None;
    }
    Some(match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(v6) => {
            let network = v6.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    })
}

/// A session's place among those that are allowed; given up when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    admission: Arc<Admission>,
    /// Boxed: sessions are many, and those of loopback have none.
    address: Option<Box<IpAddr>>,
    worker: u16,
}

impl Seat {
    pub(crate) fn worker(&self) -> usize {
        usize::from(self.worker)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.admission.sessions.fetch_sub(1, Ordering::Relaxed);
        self.admission.workers[self.worker()].fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.address.as_deref() else { return };
        if let Entry::Occupied(mut entry) = self.admission.addresses().entry(*address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn sessions_are_spread_evenly_and_counted_honestly() {
        let admission = Arc::new(Admission::new(3, 9, None));
        let mut seats: Vec<Seat> =
            (0..9).map(|_| admission.admit(ip("10.0.0.1"), 0).unwrap()).collect();
        for worker in 0..3 {
            assert_eq!(seats.iter().filter(|seat| seat.worker() == worker).count(), 3);
        }
        assert_eq!(admission.admit(ip("10.0.0.1"), 0).unwrap_err(), Refusal::SessionsMax);
        seats.retain(|seat| seat.worker() != 1);
        assert_eq!(admission.sessions(), 6);
        assert_eq!(admission.admit(ip("10.0.0.1"), 0).unwrap().worker(), 1);
        drop(seats);
        assert_eq!(admission.sessions(), 0);
    }

    #[test]
    fn addresses_are_counted_ipv6_by_network_and_loopback_never() {
        let admission = Arc::new(Admission::new(1, 100, Some(1)));
        let first = admission.admit(ip("2001:db8::1"), 0).unwrap();
        let refused = admission.admit(ip("2001:db8::2"), 0).unwrap_err();
        assert_eq!(refused, Refusal::PerAddressMax);
        assert!(admission.admit(ip("2001:db8:0:1::1"), 0).is_ok());
        let mapped = admission.admit(ip("::ffff:10.0.0.1"), 0).unwrap();
        assert!(admission.admit(ip("10.0.0.1"), 0).is_err());
        let local: Vec<Seat> = (0..5).map(|_| admission.admit(ip("::1"), 0).unwrap()).collect();
        drop((first, mapped, local));
        assert_eq!(admission.addresses().len(), 0, "the table is as small as what it counts");
        assert!(admission.admit(ip("2001:db8::2"), 0).is_ok());
    }
}
