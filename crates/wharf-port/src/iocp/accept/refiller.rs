//! A thread that makes sockets and posts accepts: what the documentation of `AcceptEx` recommends, and
//! what the notes end with as an open question: how is it to be woken? By a completion port of its
//! own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use windows_sys::Win32::System::IO::{OVERLAPPED, OVERLAPPED_ENTRY};

use super::pool::{Reserved, lock};
use crate::iocp::{Api, Code, key, notify};

/// How long the thread sleeps at most.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(5);

/// An accept that is to be posted.
#[derive(Debug)]
pub(super) struct Order<A: Api> {
    pub(super) place: u32,
    /// The operation, and where it lies.
    pub(super) index: u32,
    pub(super) overlapped: *mut OVERLAPPED,
    /// Where the accept writes to.
    pub(super) output: *mut u8,
    pub(super) socket: Reserved<A>,
    /// A socket that is used again.
    pub(super) used: Option<A::Socket>,
}

// SAFETY: operation and output are nobody's between the giving of the order and the packet but its
// owner's.
unsafe impl<A: Api> Send for Order<A> {}

impl<A: Api> Order<A> {
    /// Posts an accept for this socket, which goes to its place first.
    pub(super) fn post(
        &self,
        api: &A,
        listener: &A::Socket,
        socket: A::Socket,
        first: u32,
    ) -> Result<(), Code> {
        let mut reserved = lock(&self.socket);
        let socket = reserved.insert(socket);
        // SAFETY: operation and output stay where they are until the packet has come, and the pool
        // leaks them if it never does.
        let started =
            unsafe { api.accept_ex(listener, socket, self.output, first, self.overlapped) };
        if started.is_err() {
            *reserved = None;
        }
        // Listeners do not skip packets, so that one comes either way.
        started.map(|_| ())
    }
}

/// The thread, and what it is told.
#[derive(Debug)]
pub(super) struct Refiller<A: Api> {
    shared: Arc<Shared<A>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<A: Api> {
    api: A,
    /// What the thread sleeps on.
    bell: A::Port,
    /// The worker's.
    port: Arc<A::Port>,
    listener: Arc<A::Socket>,
    address: SocketAddr,
    first: u32,
    book: Mutex<Book<A>>,
}

#[derive(Debug)]
struct Book<A: Api> {
    orders: Vec<Order<A>>,
    /// Place, operation, and why it could not be posted.
    failed: Vec<(u32, u32, Code)>,
    stops: bool,
}

impl<A: Api> Refiller<A> {
    pub(super) fn start(
        api: &A,
        port: &Arc<A::Port>,
        listener: &Arc<A::Socket>,
        address: SocketAddr,
        first: u32,
    ) -> Result<Self, Code> {
        let shared = Arc::new(Shared {
            api: api.clone(),
            bell: api.open_port()?,
            port: Arc::clone(port),
            listener: Arc::clone(listener),
            address,
            first,
            book: Mutex::new(Book { orders: Vec::new(), failed: Vec::new(), stops: false }),
        });
        let its = Arc::clone(&shared);
        let thread = Builder::new().name("wharf-accept".to_owned()).spawn(move || its.run());
        let thread = thread.map_err(|error| Code::of(&error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Has accepts posted.
    pub(super) fn order(&self, orders: Vec<Order<A>>) {
        if orders.is_empty() {
            return;
        }
        lock(&self.shared.book).orders.extend(orders);
        notify(&self.shared.api, &self.shared.bell);
    }

    /// Accepts that could not be posted.
    pub(super) fn take_failed(&self) -> Vec<(u32, u32, Code)> {
        std::mem::take(&mut lock(&self.shared.book).failed)
    }

    /// Ends the thread; what it has not posted, by place and operation.
    pub(super) fn stop(&mut self) -> Vec<(u32, u32)> {
        lock(&self.shared.book).stops = true;
        notify(&self.shared.api, &self.shared.bell);
        if let Some(thread) = self.thread.take() {
            // Nothing that it does blocks. A panic of its is not ours to pass on while we close.
            let _ = thread.join();
        }
        let orders = std::mem::take(&mut lock(&self.shared.book).orders);
        orders.iter().map(|order| (order.place, order.index)).collect()
    }
}

impl<A: Api> Drop for Refiller<A> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<A: Api> Shared<A> {
    fn run(&self) {
        let mut entries = [OVERLAPPED_ENTRY::default(); 8];
        loop {
            let Some(orders) = self.take_orders() else { return };
            for mut order in orders {
                if let Err(code) = self.carry_out(&mut order) {
                    lock(&self.book).failed.push((order.place, order.index, code));
                    notify(&self.api, &self.port);
                }
            }
            // Each entry is a knock, whatever its key; it was heard by what comes next.
            debug_assert!(entries.iter().all(|entry| entry.lpCompletionKey <= key::WAKE));
            // It has a bound for the case that the kernel had no memory for a knock.
            match self.api.dequeue(&self.bell, &mut entries, Some(LOOK_AT_LEAST_EVERY)) {
                Ok(_) | Err(Code::TIMED_OUT) => {}
                Err(_) => return,
            }
        }
    }

    /// `None` when it is to end.
    fn take_orders(&self) -> Option<Vec<Order<A>>> {
        let mut book = lock(&self.book);
        if book.stops {
            return None;
        }
        Some(std::mem::take(&mut book.orders))
    }

    fn carry_out(&self, order: &mut Order<A>) -> Result<(), Code> {
        let socket = match order.used.take() {
            Some(used) => used,
            None => self.api.open_socket(self.address)?,
        };
        order.post(&self.api, &self.listener, socket, self.first)
    }
}
