//! Giving seats, and getting them back from whatever thread drops them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use loom::thread;

use crate::admission::{Admission, Refusal};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const OTHER_PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

#[test]
fn seats_come_back_from_any_thread_and_the_counts_with_them() {
    loom::model(|| {
        let admission = Arc::new(Admission::new(2, 2, Some(1)));
        let seat = admission.admit(PEER, 0).unwrap();
        let other = {
            let admission = Arc::clone(&admission);
            thread::spawn(move || {
                let own = admission.admit(OTHER_PEER, 0).unwrap();
                drop(seat);
                own
            })
        };
        // Its address has the only seat that one may have until the other thread gives it up.
        let again = admission.admit(PEER, 0);
        assert!(matches!(&again, Ok(_) | Err(Refusal::PerAddressMax)), "{again:?}");
        drop(other.join().unwrap());
        drop(again);
        assert_eq!(admission.counted(), (0, vec![0, 0], 0));
    });
}

#[test]
fn there_are_never_more_sessions_than_allowed() {
    loom::model(|| {
        let admission = Arc::new(Admission::new(1, 1, Some(1)));
        let others: Vec<_> = [PEER, OTHER_PEER]
            .map(|peer| {
                let admission = Arc::clone(&admission);
                thread::spawn(move || admission.admit(peer, 0))
            })
            .into();
        assert!(admission.sessions() <= 1, "more are counted than may be");
        let seats: Vec<_> = others.into_iter().map(|other| other.join().unwrap()).collect();
        assert_eq!(seats.iter().filter(|seat| seat.is_ok()).count(), 1);
        assert_eq!(admission.counted(), (1, vec![1], 1), "who is refused is not counted");
        drop(seats);
        assert_eq!(admission.counted(), (0, vec![0], 0));
    });
}

#[test]
fn a_seat_may_outlive_what_gave_it() {
    loom::model(|| {
        let admission = Admission::new(1, 1, Some(1));
        let seat = admission.admit(PEER, 0).unwrap();
        // loom tells if a count is left when both are gone.
        let other = thread::spawn(move || drop(seat));
        drop(admission);
        other.join().unwrap();
    });
}

#[test]
fn an_address_that_is_known_late_counts_no_less() {
    loom::model(|| {
        let admission = Arc::new(Admission::new(1, 2, Some(1)));
        let other = {
            let admission = Arc::clone(&admission);
            thread::spawn(move || {
                // From a proxy, which says whose it is once the session has its seat.
                let mut seat = admission.admit(None, 0).unwrap();
                let counted = seat.count_address(PEER);
                (seat, counted)
            })
        };
        let own = admission.admit(PEER, 0);
        let (seat, counted) = other.join().unwrap();
        assert!(own.is_ok() != counted.is_ok(), "{own:?} and {counted:?}");
        assert_eq!(admission.counted().2, 1, "one of them has the address");
        drop((own, seat));
        assert_eq!(admission.counted(), (0, vec![0], 0));
    });
}
