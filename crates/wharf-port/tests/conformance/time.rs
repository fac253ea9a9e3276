//! Rule 11: time and chance come from the port.

use std::time::Duration;

use wharf_port::{Completion, Time};

use crate::harness::{CheckedPort, Subject, owned};

on_every_backend![
    rule_11_the_time_changes_only_in_a_wait,
    rule_11_all_ports_have_one_clock,
    rule_11_a_wait_ends_at_its_deadline,
    rule_11_a_deadline_that_is_past_does_not_block,
    rule_11_timers_fire_in_the_order_of_their_deadlines,
    rule_11_a_timer_that_is_due_does_not_block,
    rule_11_a_timer_ends_a_wait_without_a_deadline,
    rule_11_a_cancelled_timer_does_not_fire,
    rule_11_a_timer_that_has_fired_cannot_be_cancelled,
    rule_11_a_timer_fires_while_bytes_flow,
    rule_11_random_numbers_differ,
];

const MOMENT: Duration = Duration::from_millis(30);

/// What fires, in its order, until there is nothing left.
fn fired(port: &mut CheckedPort, count: usize) -> Vec<u64> {
    let mut tokens = Vec::new();
    while tokens.len() < count {
        tokens.push(port.drive("a timer", |_, completion| match completion {
            Completion::Timer { token, .. } => Some(token),
            other => panic!("{other:?}"),
        }));
    }
    tokens
}

fn rule_11_the_time_changes_only_in_a_wait(subject: &Subject) {
    let mut port = subject.open();
    let before = port.now();
    let (mut other, timer) = (subject.open(), port.start_timer(before, 1));
    other.wait(Some(other.now() + MOMENT));
    assert_eq!(port.now(), before, "time has passed, but this port has not waited");
    port.wait(Some(port.now()));
    let after = port.now();
    assert!(after.since(before) >= MOMENT, "{:?} have passed", after.since(before));
    assert!(port.take().is_some());
    assert!(!port.cancel_timer(timer));
    assert_eq!(port.now(), after);
    other.finish();
    port.finish();
}

fn rule_11_all_ports_have_one_clock(subject: &Subject) {
    let (mut first, mut second) = (subject.open(), subject.open());
    for _ in 0..10 {
        first.wait(Some(Time::ZERO));
        second.wait(Some(Time::ZERO));
        assert!(first.now() <= second.now(), "time runs backwards from port to port");
    }
    first.finish();
    second.finish();
}

fn rule_11_a_wait_ends_at_its_deadline(subject: &Subject) {
    let mut port = subject.open();
    for pause in [Duration::from_micros(100), Duration::from_millis(1), MOMENT] {
        port.wait(Some(Time::ZERO));
        let deadline = port.now() + pause;
        port.wait(Some(deadline));
        assert!(port.take().is_none());
        assert!(port.now() >= deadline, "{:?} early", deadline.since(port.now()));
        let late = port.now().since(deadline);
        assert!(late < Duration::from_secs(2), "{late:?} late");
    }
    port.finish();
}

fn rule_11_a_deadline_that_is_past_does_not_block(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    port.send(socket, vec![owned(b"hello")]);
    port.wait(Some(Time::ZERO));
    assert_eq!(peer.read(5), b"hello", "what was staged starts all the same");
    port.finish();
}

fn rule_11_timers_fire_in_the_order_of_their_deadlines(subject: &Subject) {
    let mut port = subject.open();
    let start = port.now();
    for millis in [5, 1, 4, 2, 3, 9, 7, 8, 6] {
        port.start_timer(start + Duration::from_millis(millis), millis);
    }
    assert_eq!(fired(&mut port, 9), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    port.finish();
}

fn rule_11_a_timer_that_is_due_does_not_block(subject: &Subject) {
    let mut port = subject.open();
    port.start_timer(port.now(), 1);
    port.start_timer(Time::ZERO, 0);
    port.wait(None);
    let tokens = [port.take(), port.take()].map(|completion| match completion {
        Some(Completion::Timer { token, .. }) => token,
        other => panic!("{other:?}"),
    });
    assert_eq!(tokens, [0, 1]);
    port.finish();
}

fn rule_11_a_timer_ends_a_wait_without_a_deadline(subject: &Subject) {
    let mut port = subject.open();
    port.start_timer(port.now() + MOMENT, 7);
    let fired = loop {
        port.wait(None);
        if let Some(completion) = port.take() {
            break completion;
        }
    };
    assert!(matches!(fired, Completion::Timer { token: 7, .. }), "{fired:?}");
    port.finish();
}

fn rule_11_a_cancelled_timer_does_not_fire(subject: &Subject) {
    let mut port = subject.open();
    let start = port.now();
    let timers =
        [1, 2, 3].map(|millis| port.start_timer(start + Duration::from_millis(millis), millis));
    assert!(port.cancel_timer(timers[1]));
    assert!(!port.cancel_timer(timers[1]), "a timer is cancelled once");
    port.start_timer(start + Duration::from_millis(4), 4);
    assert_eq!(fired(&mut port, 3), [1, 3, 4]);
    port.finish();
}

fn rule_11_a_timer_that_has_fired_cannot_be_cancelled(subject: &Subject) {
    let mut port = subject.open();
    let timer = port.start_timer(port.now(), 1);
    assert_eq!(fired(&mut port, 1), [1]);
    let next = port.start_timer(port.now() + MOMENT, 2);
    assert!(!port.cancel_timer(timer), "nor does its old name reach the next one");
    assert!(port.cancel_timer(next));
    port.finish();
}

/// Each byte is answered with the next, so that the port never comes to rest.
fn rule_11_a_timer_fires_while_bytes_flow(subject: &Subject) {
    let mut port = subject.open();
    let (socket, mut peer) = port.pair();
    port.receive(socket);
    port.start_timer(port.now() + MOMENT, 1);
    peer.write(b"!");
    port.drive("a timer", |_, completion| {
        peer.write(b"!");
        matches!(completion, Completion::Timer { .. }).then_some(())
    });
    port.finish();
}

fn rule_11_random_numbers_differ(subject: &Subject) {
    let (mut first, mut second) = (subject.open(), subject.open());
    let mut numbers: Vec<_> = (0..1_000).map(|_| first.raw().random()).collect();
    numbers.extend((0..1_000).map(|_| second.raw().random()));
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 2_000, "numbers repeat");
    first.finish();
    second.finish();
}
