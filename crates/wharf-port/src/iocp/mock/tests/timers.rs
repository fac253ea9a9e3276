//! How exactly waits end.

use std::time::Duration;

use super::super::rig::{Rig, assert_clean};
use super::super::switches::Switches;
use crate::clock::Time;
use crate::iocp::notify;

const FRAME: Duration = Duration::from_millis(16);

#[test]
fn waits_of_16_ms_are_exact_with_a_timer() {
    let mut rig = Rig::new(Switches::default());
    for _ in 0..60 {
        assert!(rig.turn_for(FRAME).is_empty());
    }
    assert_eq!(rig.now.as_nanos(), 60 * 16_000_000);
    assert_clean(&rig.finish());
}

#[test]
fn waits_are_rounded_up_to_the_tick_without_one() {
    let mut rig = Rig::new(Switches { fine_timer: false, ..Switches::default() });
    let tick = Switches::default().tick;
    for turns in 1..=60 {
        assert!(rig.turn_for(FRAME).is_empty());
        assert_eq!(rig.now, Time::ZERO + 2 * turns * tick);
    }
    assert_clean(&rig.finish());
}

#[test]
fn long_waits_and_none_at_all_need_no_timer() {
    let mut rig = Rig::new(Switches::default());
    rig.turn_for(Duration::from_secs(1));
    rig.turn_for(Duration::ZERO);
    assert_eq!(rig.mock.counts().timers_set, 0);
    assert_clean(&rig.finish());
}

#[test]
fn a_timer_whose_wait_has_ended_early_does_not_end_a_later_one_late() {
    let mut rig = Rig::new(Switches::default());
    notify(&rig.mock, &rig.port);
    rig.turn_for(Duration::from_millis(20));
    assert_eq!(rig.now.as_nanos(), 0, "it was woken");
    rig.turn_for(Duration::from_millis(5));
    assert_eq!(rig.now.as_nanos(), 5_000_000);
    rig.turn_for(Duration::from_millis(30));
    assert_eq!(rig.now.as_nanos(), 35_000_000);
    assert_clean(&rig.finish());
}

#[test]
fn a_wake_from_another_thread_ends_a_wait() {
    let mut rig = Rig::new(Switches { threads: true, ..Switches::default() });
    std::thread::scope(|scope| {
        scope.spawn(|| notify(&rig.mock, &rig.port));
    });
    rig.turn_for(Duration::from_secs(1));
    assert_eq!(rig.now.as_nanos(), 0);
    assert_clean(&rig.finish());
}
