//! Rule 1: a wake is never lost.

use std::hint;
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::Duration;

use wharf_port::Completion;

use crate::harness::{Dice, LIMIT, Subject};

on_every_backend![
    rule_01_a_wake_is_never_lost,
    rule_01_a_wake_ends_a_wait_that_has_begun,
    rule_01_a_wake_that_meets_the_end_of_a_wait_is_not_lost,
    rule_01_wakes_before_the_wait_keep_it_from_sleeping,
    rule_01_a_wake_after_the_port_is_gone_is_harmless,
    rule_01_a_wake_while_the_port_goes_is_harmless,
];

/// Four threads put letters into a mailbox that is opened only on a wake: a letter that stays there
/// is a wake that was lost.
fn rule_01_a_wake_is_never_lost(subject: &Subject) {
    const THREADS: usize = 4;
    const LETTERS: usize = 10_000;
    let mut port = subject.open();
    let (mailbox, letters) = mpsc::channel();
    let threads = [(); THREADS].map(|()| {
        let (mailbox, waker) = (mailbox.clone(), port.waker());
        thread::spawn(move || {
            for letter in 0..LETTERS / THREADS {
                mailbox.send(letter).unwrap();
                waker.wake();
            }
        })
    });
    let mut read = 0;
    port.drive("all letters", |_, completion| {
        assert!(matches!(completion, Completion::Wake), "{completion:?}");
        read += letters.try_iter().count();
        (read == LETTERS).then_some(())
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    port.finish();
}

/// One wake for each wait, so that none can stand in for another.
fn rule_01_a_wake_ends_a_wait_that_has_begun(subject: &Subject) {
    let mut port = subject.open();
    let waker = port.waker();
    let (ask, asked) = mpsc::channel();
    let thread = thread::spawn(move || asked.iter().for_each(|()| waker.wake()));
    for _ in 0..1_000 {
        ask.send(()).unwrap();
        let woken = loop {
            port.wait(None);
            if let Some(completion) = port.take() {
                break completion;
            }
        };
        assert!(matches!(woken, Completion::Wake), "{woken:?}");
    }
    drop(ask);
    thread.join().unwrap();
    port.finish();
}

/// Short waits that end by themselves, and wakes at any moment of them.
fn rule_01_a_wake_that_meets_the_end_of_a_wait_is_not_lost(subject: &Subject) {
    let mut port = subject.open();
    let waker = port.waker();
    let (ask, asked) = mpsc::channel();
    let thread = thread::spawn(move || {
        for spins in asked {
            (0..spins).for_each(|_| hint::spin_loop());
            waker.wake();
        }
    });
    let mut dice = Dice::new(1);
    for _ in 0..3_000 {
        ask.send(dice.below(10_000)).unwrap();
        let deadline = port.now() + LIMIT;
        while port.take().is_none() {
            assert!(port.now() < deadline, "a wake was lost");
            port.wait(Some(port.now() + Duration::from_micros(20)));
        }
    }
    drop(ask);
    thread.join().unwrap();
    port.finish();
}

fn rule_01_wakes_before_the_wait_keep_it_from_sleeping(subject: &Subject) {
    let mut port = subject.open();
    let waker = port.waker();
    waker.wake();
    waker.clone().wake();
    port.wait(None);
    let woken = port.take();
    assert!(matches!(woken, Some(Completion::Wake)), "{woken:?}");
    port.wait(Some(port.now()));
    let again = port.take();
    assert!(again.is_none(), "two wakes before the wait are one, but {again:?}");
    port.finish();
}

fn rule_01_a_wake_after_the_port_is_gone_is_harmless(subject: &Subject) {
    let port = subject.open();
    let waker = port.waker();
    port.finish();
    waker.wake();
    waker.wake();
    thread::spawn(move || waker.wake()).join().unwrap();
}

fn rule_01_a_wake_while_the_port_goes_is_harmless(subject: &Subject) {
    for _ in 0..20 {
        let port = subject.open();
        let waker = port.waker();
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            while stopped.try_recv() == Err(TryRecvError::Empty) {
                waker.wake();
            }
        });
        port.finish();
        drop(stop);
        thread.join().unwrap();
    }
}
