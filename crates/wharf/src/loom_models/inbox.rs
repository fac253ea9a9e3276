//! Posting to a worker that sleeps, and to one that ends.

use std::sync::Arc;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use wharf_port::modelled::{ModelledPort, Until};

use super::{id, server};
use crate::inbox::{Message, Refused};
use crate::send_queue::SendStatus;
use crate::session_ref::SessionRef;
use crate::shared::Shared;

/// The turns of a worker that ends as soon as it can once it has had a message; gives how many it has
/// taken.
fn work(shared: &Shared, port: &ModelledPort) -> usize {
    let inbox = &shared.inboxes[0];
    let mut taken = 0;
    loop {
        if port.wait(Until::Notified) {
            taken += inbox.take().len();
        }
        if taken > 0 && inbox.end_if_empty() {
            return taken;
        }
    }
}

#[test]
fn a_message_is_taken_or_refused_and_its_worker_is_woken() {
    loom::model(|| {
        let (shared, ports) = server(1, 0);
        let queued = Arc::new(AtomicUsize::new(0));
        let senders: Vec<_> = (0..2)
            .map(|_| {
                let (session, queued) =
                    (SessionRef::new(id(1), Arc::clone(&shared)), Arc::clone(&queued));
                thread::spawn(move || match session.close() {
                    SendStatus::Queued => {
                        queued.fetch_add(1, Ordering::Relaxed);
                    }
                    status => assert_eq!(status, SendStatus::Closed),
                })
            })
            .collect();
        let taken = work(&shared, &ports[0]);
        for sender in senders {
            sender.join().unwrap();
        }
        assert_eq!(queued.load(Ordering::Relaxed), taken, "a message was taken in and lost");
        assert_eq!(shared.put(0, Message::Drain(None)), Err(Refused::Ended));
    });
}

#[test]
fn an_inbox_that_has_ended_keeps_nothing_and_takes_nothing() {
    loom::model(|| {
        let (shared, _ports) = server(1, 0);
        let session = SessionRef::new(id(1), Arc::clone(&shared));
        let sender = thread::spawn(move || session.send(b"frame"));
        shared.inboxes[0].end();
        let status = sender.join().unwrap();
        assert!(matches!(status, SendStatus::Queued | SendStatus::Closed), "{status:?}");
        assert!(shared.inboxes[0].take().is_empty(), "a message outlives its worker");
        assert_eq!(shared.put(0, Message::Drain(None)), Err(Refused::Ended));
    });
}

#[test]
fn the_last_listener_tells_every_worker_once() {
    loom::model(|| {
        let (shared, ports) = server(2, 2);
        let other = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.listener_closed())
        };
        shared.listener_closed();
        other.join().unwrap();
        for (inbox, port) in shared.inboxes.iter().zip(&ports) {
            assert!(port.wait(Until::Otherwise), "a worker is not woken");
            let messages = inbox.take();
            assert!(matches!(messages.as_slices().0, [Message::NothingComes]), "{messages:?}");
        }
    });
}
