//! A thread that calls plain `accept`: what the notes began with.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use windows_sys::Win32::System::IO::OVERLAPPED_ENTRY;

use super::pool::lock;
use crate::error::AcceptError;
use crate::iocp::{Api, Code, notify};

/// Connections that may wait for the worker. Beyond that they wait in the listener's queue.
const WAITING_MAX: usize = 1024;

/// How long the thread is with the kernel before it looks whether it is to end: a plain `accept` has
/// nothing that interrupts it on every system.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How long it rests when it cannot accept, or when too many wait.
const REST: Duration = Duration::from_millis(10);

/// How long it rests at most while it is paused. It is woken when it is not; the bound is for the case
/// that the kernel had no memory for a knock.
const PAUSE: Duration = Duration::from_secs(5);

/// A connection, or why there was none.
type Accepted<A> = Result<(<A as Api>::Socket, SocketAddr), Code>;

/// The thread, and what it has accepted.
#[derive(Debug)]
pub(super) struct Acceptor<A: Api> {
    shared: Arc<Shared<A>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<A: Api> {
    api: A,
    /// What the thread rests on.
    bell: A::Port,
    /// The worker's.
    port: Arc<A::Port>,
    listener: Arc<A::Socket>,
    book: Mutex<Book<A>>,
}

#[derive(Debug)]
struct Book<A: Api> {
    accepted: VecDeque<Accepted<A>>,
    paused: bool,
    stops: bool,
}

/// What the thread is to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Accept,
    Rest(Duration),
    End,
}

impl<A: Api> Acceptor<A> {
    pub(super) fn start(
        api: &A,
        port: &Arc<A::Port>,
        listener: &Arc<A::Socket>,
    ) -> Result<Self, Code> {
        let shared = Arc::new(Shared {
            api: api.clone(),
            bell: api.open_port()?,
            port: Arc::clone(port),
            listener: Arc::clone(listener),
            book: Mutex::new(Book { accepted: VecDeque::new(), paused: false, stops: false }),
        });
        let its = Arc::clone(&shared);
        let thread = Builder::new().name("wharf-accept".to_owned()).spawn(move || its.run());
        let thread = thread.map_err(|error| Code::of(&error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What has been accepted.
    pub(super) fn take(&self) -> VecDeque<Accepted<A>> {
        std::mem::take(&mut lock(&self.shared.book).accepted)
    }

    /// Has the thread accept nobody, or go on. It may be about to accept one.
    pub(super) fn pause(&self, paused: bool) {
        lock(&self.shared.book).paused = paused;
        if !paused {
            notify(&self.shared.api, &self.shared.bell);
        }
    }

    /// Ends the thread.
    pub(super) fn stop(&mut self) {
        lock(&self.shared.book).stops = true;
        notify(&self.shared.api, &self.shared.bell);
        if let Some(thread) = self.thread.take() {
            // It is never with the kernel for long. A panic of its is not ours to pass on.
            let _ = thread.join();
        }
    }
}

impl<A: Api> Drop for Acceptor<A> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<A: Api> Shared<A> {
    fn run(&self) {
        loop {
            match self.next() {
                Next::Accept if self.api.wait_acceptable(&self.listener, LOOK_EVERY) => {
                    self.accept();
                }
                Next::Accept => {}
                Next::Rest(how_long) => self.rest(how_long),
                Next::End => return,
            }
        }
    }

    fn next(&self) -> Next {
        let book = lock(&self.book);
        if book.stops {
            Next::End
        } else if book.paused {
            Next::Rest(PAUSE)
        } else if book.accepted.len() >= WAITING_MAX {
            Next::Rest(REST)
        } else {
            Next::Accept
        }
    }

    fn accept(&self) {
        let accepted = self.api.accept_now(&self.listener);
        let short = match &accepted {
            // It was said that there is one: not again at once.
            Err(Code::WOULD_BLOCK) => return self.rest(REST),
            Err(code) => AcceptError::from(*code) != AcceptError::Aborted,
            Ok(_) => false,
        };
        lock(&self.book).accepted.push_back(accepted);
        notify(&self.api, &self.port);
        if short {
            self.rest(REST);
        }
    }

    fn rest(&self, how_long: Duration) {
        // It is woken when it is to end or to go on, and looks at what is asked of it either way.
        let _ = self.api.dequeue(&self.bell, &mut [OVERLAPPED_ENTRY::default()], Some(how_long));
    }
}
