//! Waking a port, tried in every interleaving of the threads that do it: `cargo xtask loom`.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::modelled::{ModelledPort, Until};

#[test]
fn no_wake_is_lost_and_many_may_be_one() {
    loom::model(|| {
        let port = ModelledPort::default();
        let posted = Arc::new(AtomicUsize::new(0));
        let wakers: Vec<_> = (0..2)
            .map(|_| {
                let (waker, posted) = (port.waker(), Arc::clone(&posted));
                thread::spawn(move || {
                    posted.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                })
            })
            .collect();
        let (mut wakes, mut seen) = (0, 0);
        while seen < 2 {
            if port.wait(Until::Notified) {
                wakes += 1;
                seen = posted.load(Ordering::Relaxed);
            }
        }
        assert!(wakes <= 2, "a wake came from nowhere");
        for waker in wakers {
            waker.join().unwrap();
        }
    });
}

#[test]
fn what_was_written_before_a_wake_can_be_read_after_it() {
    loom::model(|| {
        let port = ModelledPort::default();
        let written = Arc::new(UnsafeCell::new(()));
        let waker = write_and_wake(&port, &written);
        while !port.wait(Until::Notified) {}
        written.with(|_| ());
        waker.join().unwrap();
    });
}

#[test]
fn a_wake_during_a_wait_that_something_else_ends_is_kept() {
    loom::model(|| {
        let port = ModelledPort::default();
        let written = Arc::new(UnsafeCell::new(()));
        let waker = write_and_wake(&port, &written);
        let woken = port.wait(Until::Otherwise);
        while !woken && !port.wait(Until::Notified) {}
        written.with(|_| ());
        waker.join().unwrap();
        assert!(!port.wait(Until::Otherwise), "one wake was taken twice");
    });
}

/// Writes from another thread, and wakes the port. loom tells if what is read then is not ordered
/// behind the write.
fn write_and_wake(port: &ModelledPort, written: &Arc<UnsafeCell<()>>) -> thread::JoinHandle<()> {
    let (waker, written) = (port.waker(), Arc::clone(written));
    thread::spawn(move || {
        written.with_mut(|_| ());
        waker.wake();
    })
}
