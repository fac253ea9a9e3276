//! Who may come in: how many sessions there are, on which worker, from which address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::PoisonError;

use crate::sync::{Arc, AtomicUsize, Mutex, MutexGuard, Ordering};

/// Gives connections their seats. Touched when a session comes and goes, never for a message.
#[derive(Debug)]
pub(crate) struct Admission {
    counts: Arc<Counts>,
}

/// What the workers of a server, and the seats that were given, count together.
#[derive(Debug)]
struct Counts {
    sessions_max: AtomicUsize,
    /// `OFF` if there is none.
    per_address_max: AtomicUsize,
    /// Sessions of each worker, those that are on their way to it included.
    workers: Box<[AtomicUsize]>,
    sessions: AtomicUsize,
    /// Sessions by address: as many entries as there are addresses connected, so it is bounded by
    /// `sessions_max`. The hash is seeded.
    addresses: Mutex<HashMap<IpAddr, usize>>,
}

/// No maximum.
const OFF: usize = usize::MAX;

/// Why a connection was turned away.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Refusal {
    SessionsMax,
    PerAddressMax,
    AcceptRate,
    Overload,
    Banned,
    Filter,
}

impl Admission {
    pub(crate) fn new(workers: usize, sessions_max: usize, per_address_max: Option<usize>) -> Self {
        let counts = Counts {
            sessions_max: AtomicUsize::new(sessions_max),
            per_address_max: AtomicUsize::new(per_address_max.unwrap_or(OFF)),
            workers: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            sessions: AtomicUsize::new(0),
            addresses: Mutex::default(),
        };
        Self { counts: Arc::new(counts) }
    }

    /// Changes both maxima, for those that come from now on.
    pub(crate) fn set_max(&self, sessions: usize, per_address: Option<usize>) {
        self.counts.sessions_max.store(sessions, Ordering::Relaxed);
        self.counts.per_address_max.store(per_address.unwrap_or(OFF), Ordering::Relaxed);
    }

    /// Gives a connection a seat on the worker that has the fewest sessions; of those that have equally
    /// few, the first from `start` on. Without an address it is not counted by it.
    pub(crate) fn admit(
        &self,
        peer: impl Into<Option<IpAddr>>,
        start: usize,
    ) -> Result<Seat, Refusal> {
        self.seat(peer.into(), |counts| counts.least_loaded(start))
    }

    /// Gives a connection a seat on this worker, which alone can have it.
    pub(crate) fn admit_to(
        &self,
        peer: impl Into<Option<IpAddr>>,
        worker: usize,
    ) -> Result<Seat, Refusal> {
        self.seat(peer.into(), |_| worker)
    }

    fn seat(
        &self,
        peer: Option<IpAddr>,
        choose: impl Fn(&Counts) -> usize,
    ) -> Result<Seat, Refusal> {
        let counts = &self.counts;
        // The address first: who is refused for it must not stand in another's way meanwhile.
        let per_address_max = counts.per_address_max();
        let address = per_address_max.and(peer).and_then(counted_address);
        if let (Some(address), Some(max)) = (address, per_address_max)
            && !counts.count_address(address, max)
        {
            return Err(Refusal::PerAddressMax);
        }
        if !counts.count_session() {
            if let Some(address) = address {
                counts.uncount_address(address);
            }
            return Err(Refusal::SessionsMax);
        }
        Ok(Counts::seat(counts, address, choose(counts)))
    }

    /// Gives a connection that this worker is about to make a seat there; `None` if all are taken. Its
    /// address was chosen by this side, and has no limit.
    pub(crate) fn admit_outgoing(&self, worker: usize) -> Option<Seat> {
        self.counts.count_session().then(|| Counts::seat(&self.counts, None, worker))
    }

    pub(crate) fn sessions(&self) -> usize {
        self.counts.sessions.load(Ordering::Relaxed)
    }

    /// Everything that is counted: sessions, those of each worker, addresses.
    #[cfg(test)]
    pub(crate) fn counted(&self) -> (usize, Vec<usize>, usize) {
        let workers = self.counts.workers.iter().map(|worker| worker.load(Ordering::Relaxed));
        (self.sessions(), workers.collect(), self.counts.addresses().len())
    }
}

impl Counts {
    /// A seat on this worker for a session that has been counted.
    fn seat(counts: &Arc<Self>, address: Option<IpAddr>, worker: usize) -> Seat {
        counts.workers[worker].fetch_add(1, Ordering::Relaxed);
        let worker = u16::try_from(worker).unwrap_or(u16::MAX);
        Seat { counts: Arc::clone(counts), address: address.map(Box::new), worker }
    }

    fn least_loaded(&self, start: usize) -> usize {
        let count = self.workers.len();
        let load = |worker: &usize| self.workers[*worker].load(Ordering::Relaxed);
        (0..count).map(|offset| (start + offset) % count).min_by_key(load).unwrap_or(0)
    }

    /// Counts one more session if there may be one; none is let in beyond the maximum, not even for a moment.
    fn count_session(&self) -> bool {
        let max = self.sessions_max.load(Ordering::Relaxed);
        let one_more = |count| (count < max).then_some(count + 1);
        self.sessions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn per_address_max(&self) -> Option<usize> {
        let max = self.per_address_max.load(Ordering::Relaxed);
        (max != OFF).then_some(max)
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

    fn uncount_address(&self, address: IpAddr) {
        if let Entry::Occupied(mut entry) = self.addresses().entry(address) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    /// The counts stay right even if a thread panicked while it had the lock: each update is one
    /// addition.
    fn addresses(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
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
    counts: Arc<Counts>,
    /// Boxed: sessions are many, and those of loopback have none.
    address: Option<Box<IpAddr>>,
    worker: u16,
}

impl Seat {
    pub(crate) fn worker(&self) -> usize {
        usize::from(self.worker)
    }

    /// Counts a session that has been seated without an address by the one that it turns out to have.
    pub(crate) fn count_address(&mut self, peer: IpAddr) -> Result<(), Refusal> {
        debug_assert!(self.address.is_none(), "it is counted once");
        let Some(max) = self.counts.per_address_max() else { return Ok(()) };
        let Some(address) = counted_address(peer) else { return Ok(()) };
        if !self.counts.count_address(address, max) {
            return Err(Refusal::PerAddressMax);
        }
        self.address = Some(Box::new(address));
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.counts.sessions.fetch_sub(1, Ordering::Relaxed);
        self.counts.workers[self.worker()].fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address.as_deref() {
            self.counts.uncount_address(*address);
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
        let admission = Admission::new(3, 9, None);
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
    fn one_that_was_seated_without_an_address_is_counted_when_it_has_one() {
        let admission = Admission::new(1, 9, Some(1));
        let mut seats: Vec<Seat> = (0..3).map(|_| admission.admit(None, 0).unwrap()).collect();
        assert_eq!(admission.counted(), (3, vec![3], 0));
        assert_eq!(seats[0].count_address(ip("10.0.0.1")), Ok(()));
        assert_eq!(seats[1].count_address(ip("10.0.0.1")), Err(Refusal::PerAddressMax));
        assert_eq!(seats[2].count_address(ip("127.0.0.1")), Ok(()));
        assert_eq!(admission.counted(), (3, vec![3], 1));
        drop(seats);
        assert_eq!(admission.counted(), (0, vec![0], 0));
    }

    #[test]
    fn one_that_has_to_stay_gets_its_seat_there() {
        let admission = Admission::new(3, 9, None);
        let seats: Vec<Seat> =
            (0..5).map(|_| admission.admit_to(ip("10.0.0.1"), 2).unwrap()).collect();
        assert_eq!(admission.counted(), (5, vec![0, 0, 5], 0));
        drop(seats);
        assert_eq!(admission.counted(), (0, vec![0, 0, 0], 0));
    }

    #[test]
    fn addresses_are_counted_ipv6_by_network_and_loopback_never() {
        let admission = Admission::new(1, 100, Some(1));
        let first = admission.admit(ip("2001:db8::1"), 0).unwrap();
        let refused = admission.admit(ip("2001:db8::2"), 0).unwrap_err();
        assert_eq!(refused, Refusal::PerAddressMax);
        assert!(admission.admit(ip("2001:db8:0:1::1"), 0).is_ok());
        let mapped = admission.admit(ip("::ffff:10.0.0.1"), 0).unwrap();
        assert!(admission.admit(ip("10.0.0.1"), 0).is_err());
        let local: Vec<Seat> = (0..5).map(|_| admission.admit(ip("::1"), 0).unwrap()).collect();
        drop((first, mapped, local));
        let nothing = (0, vec![0], 0);
        assert_eq!(admission.counted(), nothing, "the table is as small as what it counts");
        assert!(admission.admit(ip("2001:db8::2"), 0).is_ok());
    }

    #[test]
    fn maxima_that_change_are_for_those_that_come() {
        let admission = Admission::new(1, 4, None);
        let mut seats: Vec<Seat> =
            (0..3).map(|_| admission.admit(ip("10.0.0.1"), 0).unwrap()).collect();
        admission.set_max(2, Some(1));
        assert_eq!(admission.sessions(), 3, "who is there stays");
        assert_eq!(admission.admit(ip("10.0.0.2"), 0).unwrap_err(), Refusal::SessionsMax);
        seats.truncate(1);
        seats.push(admission.admit(ip("10.0.0.1"), 0).unwrap());
        admission.set_max(4, Some(1));
        assert_eq!(admission.admit(ip("10.0.0.1"), 0).unwrap_err(), Refusal::PerAddressMax);
        admission.set_max(4, None);
        seats.push(admission.admit(ip("10.0.0.1"), 0).unwrap());
        drop(seats);
        assert_eq!(admission.counted(), (0, vec![0], 0), "whatever was counted is given back");
    }
}
