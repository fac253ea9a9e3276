//! Naming a session whose slot goes to another one meanwhile.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use loom::thread;
use wharf_port::modelled::Until;
use wharf_port::{SocketId, Time};

use super::{id, server};
use crate::inbox::Message;
use crate::send_queue::{SendQueue, SendStatus};
use crate::session_ref::SessionRef;
use crate::shared::Shared;
use crate::worker::{Connection, Connections};

/// A session whose peer has the only seat of its address.
fn connection(shared: &Shared, socket: SocketId) -> Connection {
    let peer = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    let seat = shared.admission.admit(peer, 0).unwrap();
    Connection::new(
        socket,
        seat,
        SendQueue::new(&crate::Limits::default().send()),
        Time::from_nanos(0),
    )
}

#[test]
fn a_message_for_a_session_that_is_gone_reaches_nobody() {
    loom::model(|| {
        let (shared, ports) = server(1, 0);
        let (old, new) = (id(1), id(2));
        let mut connections = Connections::default();
        connections.insert(connection(&shared, old.socket()));
        let senders = [old, new].map(|id| {
            let session = SessionRef::new(id, Arc::clone(&shared));
            thread::spawn(move || assert_eq!(session.close(), SendStatus::Queued))
        });
        // Meanwhile the slot goes to the next session, and with it the only seat.
        drop(connections.remove(old.socket()));
        connections.insert(connection(&shared, new.socket()));
        let (mut reached_new, mut reached_nobody) = (0, 0);
        while reached_new + reached_nobody < 2 {
            if !ports[0].wait(Until::Notified) {
                continue;
            }
            for message in shared.inboxes[0].take() {
                let Message::Close(id) = message else { panic!("{message:?}") };
                match connections.get_mut(id.socket()) {
                    Some(_) => reached_new += 1,
                    None => reached_nobody += 1,
                }
            }
        }
        assert_eq!((reached_new, reached_nobody), (1, 1));
        for sender in senders {
            sender.join().unwrap();
        }
        drop(connections);
        assert_eq!(shared.admission.sessions(), 0);
    });
}
