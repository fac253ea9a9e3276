//! `AcceptEx`: accepting becomes an operation like any other, and the accepting thread goes.
//!
//! **Proactor.** Some accepts are under way at any time, each with a socket that was made for it before its
//! client came. A packet on the same port tells of a connection, and any worker begins with it. What the
//! accepting thread did on the side, to make a socket for each client, is now done by somebody else:
//!
//! - *inline*: the worker that deals with an accept makes the next socket and posts it, while packets of
//!   others wait. This is what is served here.
//! - *by a thread of its own*, which the workers tell what is missing, and which does nothing but make
//!   sockets. It waits for a channel, so that each message wakes it.
//! - *not at all*: a socket that is over is disconnected (`DisconnectEx` with `TF_REUSE_SOCKET`) and accepted again.
//!
//! `wharf models experiment accept` measures all of them beside the accepting thread of `iocp`.
//!
//! | file | what it is about |
//! |---|---|
//! | `extensions` | functions that must be asked for |
//! | `slot` | one accept that is under way |
//! | `acceptor` | all of them, what follows each, and where sockets come from |

mod acceptor;
mod extensions;
mod slot;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;

use self::acceptor::{Acceptor, Shared};
use super::iocp::{Service, workers};
use crate::portable::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(super) const MODEL: Model = Model {
    name: "iocp-acceptex",
    pattern: Pattern::Proactor,
    system: "Windows",
    summary: "as iocp, with accepts that are under way before their clients come",
    limit: Limit::Descriptors,
    calls_per_message: "4: GetQueuedCompletionStatus twice, WSARecv, WSASend",
    serve: |address, observer| {
        serve(address, observer, Accepting { refiller: false, recycling: false })
    },
};

/// Where sockets for accepts come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepting {
    /// A thread of its own posts accepts.
    pub(super) refiller: bool,
    /// Sockets are used again.
    pub(super) recycling: bool,
}

pub(super) fn serve(
    address: SocketAddr,
    observer: &dyn Observer,
    how: Accepting,
) -> Result<Infallible, ModelError> {
    // The first thread that ends says why.
    let (ended, first_end) = mpsc::channel();
    let (refill, orders) = mpsc::channel();
    let listener = listener::listen(address, observer)?;
    let refiller = how.refiller.then_some(refill);
    let acceptor = Arc::new(Acceptor::new(listener, refiller, how.recycling)?);
    let service = Arc::new(Service::new(Some(Box::new(Shared(Arc::clone(&acceptor)))))?);
    acceptor.start(&service)?;
    for _ in 0..workers() {
        let (service, ended) = (Arc::clone(&service), ended.clone());
        spawn(move || ended.send(service.work().err()))?;
    }
    if how.refiller {
        spawn(move || ended.send(orders.iter().find_map(|index| acceptor.post(index).err())))?;
    }
    let end = first_end.recv();
    // Sessions may still be with the kernel, and their service must outlive them.
    std::mem::forget(service);
    Err(end.ok().flatten().unwrap_or(ModelError::Ended))
}

fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Result<(), ModelError> {
    let thread = thread::Builder::new().name("models-acceptex".to_owned());
    thread.spawn(body).map(drop).map_err(ModelError::of("CreateThread"))
}
