//! I/O completion ports, as they are taught: one port, N worker threads, and whoever is free takes what is
//! finished next.
//!
//! **Proactor.** The packets of all sockets go to one queue. They are queued first in, first out; waiting
//! threads are woken last in, first out, so that the one that runs is the one whose caches are warm; and no
//! more of them run than there are processors, since the port counts those that run and lets the next go
//! only when one of them waits, for a packet or for anything else. No limit of 64, no search, no thread that
//! is stuck with what it has started. (`wharf models experiment` has each of these to try.)
//!
//! The price is that two packets of one session may be dealt with by two threads at once, in any order.
//! What keeps that in order is the rest of this folder:
//!
//! | file | idea |
//! |---|---|
//! | `port` | `CreateIoCompletionPort`, `GetQueuedCompletionStatus`, `PostQueuedCompletionStatus` |
//! | `overlapped_ex` | which operation it was stands behind the `OVERLAPPED` |
//! | `session` | a session lies where its key says until its last operation is over: the I/O count |
//! | `session_table` | ids of 8 bytes, for all who are not told by a packet |
//! | `receive_ring` | one receive, to both free pieces of a ring with two `WSABUF`s |
//! | `send_queue` | one send in flight, which gathers what has waited |
//! | `transfer` | how operations are started, and what is done when they are over |
//! | `service` | what the threads share, and the loop of a worker |
//!
//! Connections are accepted by the main thread, one at a time, with a call that blocks.

mod overlapped_ex;
mod port;
mod receive_ring;
mod send_queue;
mod service;
mod session;
mod session_table;
mod transfer;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

pub(super) use self::overlapped_ex::{Operation, OverlappedEx};
pub(super) use self::port::{CompletionPort, Packet};
pub(super) use self::service::{Extension, Service};
pub(super) use self::session::Session;
use crate::portable::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(super) const MODEL: Model = Model {
    name: "iocp",
    pattern: Pattern::Proactor,
    system: "Windows",
    summary: "finished operations go to one queue, from which worker threads take them",
    limit: Limit::Descriptors,
    calls_per_message: "4: GetQueuedCompletionStatus twice, WSARecv, WSASend",
    serve,
};

pub(super) fn serve(
    address: SocketAddr,
    observer: &dyn Observer,
) -> Result<Infallible, ModelError> {
    let service = Arc::new(Service::new(None)?);
    for _ in 0..workers() {
        let service = Arc::clone(&service);
        let worker = thread::Builder::new().name("models-iocp".to_owned());
        worker.spawn(move || service.work()).map_err(ModelError::of("CreateThread"))?;
    }
    let listener = listener::listen(address, observer)?;
    loop {
        if let Some(stream) = listener::accept(&listener)? {
            service.open(stream.into())?;
        }
    }
}

/// Two for each processor: when one blocks, there is another for the port to let go.
pub(super) fn workers() -> usize {
    2 * thread::available_parallelism().map_or(1, usize::from)
}
