//! A port that looks for something for a while before it sleeps.

use std::thread;
use std::time::Duration;

use wharf_port::{Backend, Completion, Received};

use crate::harness::{CheckedPort, Subject, owned};

on_every_backend![
    spin_what_comes_meanwhile_or_afterwards_is_found,
    spin_a_wake_is_not_lost,
    spin_a_timer_that_is_due_ends_it;
    // They count waits.
    without_faults:
    spin_it_looks_again_and_again_and_then_sleeps,
];

/// How often what depends on the system's scheduler is tried.
const TRIES: usize = 5;
const MOMENT: Duration = Duration::from_millis(2);

fn spinning(subject: &Subject, spin: Duration) -> CheckedPort {
    subject.open_with(|options| options.spin = spin)
}

fn spin_what_comes_meanwhile_or_afterwards_is_found(subject: &Subject) {
    for spin in [Duration::from_micros(1), MOMENT, Duration::from_secs(1)] {
        let mut port = spinning(subject, spin);
        let (socket, mut peer) = port.pair();
        port.receive(socket);
        let answering = thread::spawn(move || {
            for _ in 0..20 {
                assert_eq!(peer.read(5), b"hello");
                peer.write(b"world");
            }
            peer
        });
        for _ in 0..20 {
            port.send(socket, vec![owned(b"hello")]);
            let (mut sent, mut read) = (false, 0);
            port.drive("the answer", |_, completion| {
                match completion {
                    Completion::Sent { .. } => sent = true,
                    Completion::Received { what: Received::Data(lease), .. } => read += lease.len(),
                    other => panic!("{other:?}"),
                }
                (sent && read == 5).then_some(())
            });
        }
        drop(answering.join());
        port.finish();
    }
}

fn spin_a_wake_is_not_lost(subject: &Subject) {
    let mut port = spinning(subject, MOMENT);
    for _ in 0..50 {
        let waker = port.waker();
        let waking = thread::spawn(move || waker.wake());
        port.drive("the wake", |_, completion| match completion {
            Completion::Wake => Some(()),
            other => panic!("{other:?}"),
        });
        drop(waking.join());
    }
    port.finish();
}

fn spin_a_timer_that_is_due_ends_it(subject: &Subject) {
    let mut port = spinning(subject, Duration::from_secs(1));
    let began = port.now();
    port.start_timer(began + MOMENT, 1);
    port.drive("the timer", |_, completion| match completion {
        Completion::Timer { .. } => Some(()),
        other => panic!("{other:?}"),
    });
    let took = port.now().since(began);
    assert!((MOMENT..Duration::from_secs(1)).contains(&took), "it fired after {took:?}");
    port.finish();
}

/// How often a port goes into the kernel in a wait of this length in which nothing comes.
fn waits(subject: &Subject, spin: Duration, length: Duration) -> u64 {
    let mut port = spinning(subject, spin);
    port.wait(Some(port.now()));
    let before = port.stats().waits;
    let until = port.now() + length;
    while port.now() < until {
        port.wait(Some(until));
        assert!(port.take().is_none());
    }
    let waits = port.stats().waits - before;
    port.finish();
    waits
}

fn spin_it_looks_again_and_again_and_then_sleeps(subject: &Subject) {
    let length = 50 * MOMENT;
    let sleeps = waits(subject, Duration::ZERO, length);
    let mut port = subject.open();
    let is_simulated = port.raw().backend() == Backend::Sim;
    port.finish();
    if is_simulated {
        // No time passes while it would look.
        assert_eq!(waits(subject, length, length), sleeps);
        return;
    }
    // A thread that is not let run looks less often: not every try need show it.
    let seen = (0..TRIES).map(|_| [MOMENT, length].map(|spin| waits(subject, spin, length)));
    let seen: Vec<_> = seen.collect();
    let holds = |&[briefly, long]: &[u64; 2]| sleeps < briefly / 2 && briefly < long / 2;
    assert!(seen.iter().any(holds), "{sleeps} without, {seen:?} for a moment and all the time");
}
