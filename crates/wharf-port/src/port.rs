//! The completion port: one face for every backend.

use std::collections::VecDeque;
use std::time::Duration;

use crate::accept_backlog::AcceptBacklog;
use crate::address::Address;
use crate::buffer::{Ledger, Segment};
use crate::clock::{Clock, Random, Time};
use crate::completion::{Completion, Direction};
use crate::error::{CloseError, ConnectError, ListenError, OpenError, UnknownSocket, WaitError};
use crate::ids::{ListenerId, SocketId, TimerId};
use crate::operation_counts::OperationCounts;
use crate::options::PortOptions;
#[cfg(unix)]
use crate::ready_listener::ReadyListener;
use crate::select::{self, Backend, Driver};
use crate::socket::FreshSocket;
use crate::socket_options::{ListenOptions, SocketOptions};
use crate::timers::Timers;
use crate::waker::Waker;

/// How long dropping a port waits for operations to come back.
const DROP_DEADLINE: Duration = Duration::from_secs(5);

/// What a port has met, counted since it opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Waits, each of them one entry into the kernel unless it says otherwise below.
    pub waits: u64,
    /// Completions taken.
    pub completions: u64,
    /// Receives that found no buffer and were parked until one came back.
    pub buffer_shortages: u64,
    /// Accepts and receives that the kernel ended unasked, and that were armed again.
    pub rearmed: u64,
    /// Waits in which completions had not fitted into the kernel's queue (none is lost).
    pub queue_overflows: u64,
    /// Times that the kernel refused submissions for the moment (`EAGAIN`, `EBUSY`); they were
    /// submitted again.
    pub submit_refusals: u64,
    /// Sends that the kernel took only in part or not at all at first.
    pub short_sends: u64,
    /// Accepted connections that were gone before they could be used.
    pub accepts_gone: u64,
    /// Times that a listener had to rest.
    pub accept_delays: u64,
    /// Connections that had ended without a word of the kernel's, found by looking at those that had
    /// gone quiet (`io_uring`).
    pub ends_found: u64,
}

/// The queue of finished I/O of one worker thread; see the [crate's contract](crate).
#[derive(Debug)]
pub struct CompletionPort {
    driver: Driver,
    waker: Waker,
    timers: Timers,
    /// Completions that the port itself has made.
    ready: VecDeque<Completion>,
    now: Time,
    /// By how much the first timer of the last wait was late; `None` if none fired.
    timer_lag: Option<Duration>,
    random: Random,
    kept_from: Option<String>,
    /// How long it looks for something before it sleeps.
    spin: Duration,
}

impl CompletionPort {
    /// Opens a port on this thread.
    ///
    /// # Errors
    /// [`OpenError`] if the options are out of range, if the backend that was named is not to be had,
    /// or if descriptors or memory are short. [`Backend::Auto`] never fails for the lack of a backend.
    pub fn open(options: &PortOptions) -> Result<Self, OpenError> {
        if let Some(problem) = options.problem() {
            return Err(OpenError::Options(problem));
        }
        let selection = select::choose(options)?;
        let (driver, waker) = Driver::open(&selection, options)?;
        // What is simulated has nothing that could come while it is looked for.
        let is_simulated = driver.backend() == Backend::Sim;
        let spin = if is_simulated { Duration::ZERO } else { options.spin };
        Ok(Self {
            now: driver.clock(),
            timer_lag: None,
            random: Random::new(driver.seed()),
            driver,
            waker,
            timers: Timers::new(),
            ready: VecDeque::new(),
            kept_from: selection.kept_from,
            spin,
        })
    }

    /// Which backend this port runs on; never [`Backend::Auto`].
    pub const fn backend(&self) -> Backend {
        self.driver.backend()
    }

    /// Why [`Backend::Auto`] did not take the best backend of this system, if it did not.
    pub fn fallback_reason(&self) -> Option<&str> {
        self.kept_from.as_deref()
    }

    /// A handle that wakes this port from any thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// The clock that it goes by, for any thread.
    pub fn clock(&self) -> Clock {
        self.driver.clock_of_others()
    }

    /// The time as of the last [`wait`](Self::wait).
    pub const fn now(&self) -> Time {
        self.now
    }

    /// How long ago the last [`wait`](Self::wait) ended. Reads the clock: for measuring what a turn takes,
    /// not for deciding anything. On a simulated network no time passes outside of a wait.
    pub fn since_wait(&self) -> Duration {
        self.driver.clock().since(self.now)
    }

    /// By how much the timer with the first deadline of those that the last [`wait`](Self::wait) has fired
    /// was late; `None` if it has fired none. A thread that is held up, or that the system does not run, is
    /// seen here.
    pub const fn timer_lag(&self) -> Option<Duration> {
        self.timer_lag
    }

    /// A random number for jitter and hash seeds; not for secrets.
    pub const fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// Listens on an address and starts to accept.
    ///
    /// At the path of a Unix socket a file is made, and removed when the listener closes, as is the lock
    /// beside it (`PATH.lock`). One that a dead server has left is replaced; one that somebody listens on
    /// is in use, and what is no socket is never touched.
    ///
    /// # Errors
    /// [`ListenError`]: the address is in use, is not this machine's, is not allowed, something is
    /// short, or an [option](ListenOptions::problem) is not to be had.
    pub fn listen(
        &mut self,
        address: impl Into<Address>,
        options: &ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        options.problem().map_or(Ok(()), |problem| Err(ListenError::Options(problem)))?;
        self.driver.listen(&address.into(), options)
    }

    /// Starts to accept on a socket that listens already. What is accepted gets its
    /// [options](ListenOptions::accepted); the rest of them is for listeners that are opened, and whoever has
    /// opened this one has chosen: where it is, how long its queue, who may connect. The file of a Unix socket
    /// stays when the listener closes.
    ///
    /// # Errors
    /// [`ListenError`]: it is no listener of TCP or of the Unix domain, something is short, or an option is not
    /// to be had. A simulated network has no such sockets.
    #[cfg(unix)]
    pub fn listen_on(
        &mut self,
        listener: &ReadyListener,
        options: &ListenOptions,
    ) -> Result<ListenerId, ListenError> {
        options.problem().map_or(Ok(()), |problem| Err(ListenError::Options(problem)))?;
        self.driver.listen_on(listener, options)
    }

    /// The address that a listener has got: with the real port where port 0 was asked for. `None` if
    /// it is closed.
    pub fn listener_address(&self, listener: ListenerId) -> Option<Address> {
        self.driver.listener_address(listener)
    }

    /// How many connections wait in a listener's queue, and how many may: one system call. `None` if it is
    /// closed, is no listener of TCP, or the system does not tell, as only Linux does.
    pub fn accept_backlog(&self, listener: ListenerId) -> Option<AcceptBacklog> {
        self.driver.accept_backlog(listener)
    }

    /// Stops accepting. What waits in the listener's queue is still delivered, then
    /// [`Completion::ListenerClosed`]. Does nothing if the listener is closed or closing.
    pub fn stop_listening(&mut self, listener: ListenerId) {
        self.driver.stop_listening(listener);
    }

    /// Accepts nobody until [`resume_accept`](Self::resume_accept): who connects meanwhile waits in the
    /// listener's queue. What is on its way is still delivered: connections that have been accepted
    /// already, and on Windows those for which accepts had been posted, at most
    /// [`IocpOptions::accept_depth`](crate::IocpOptions::accept_depth). Does nothing if the listener is
    /// closed or closing: [`stop_listening`](Self::stop_listening) ends a pause.
    pub fn pause_accept(&mut self, listener: ListenerId) {
        self.driver.pause_accept(listener);
    }

    /// Accepts again. Does nothing if the listener is not paused.
    pub fn resume_accept(&mut self, listener: ListenerId) {
        self.driver.resume_accept(listener);
    }

    /// Takes a fresh socket in.
    ///
    /// # Errors
    /// The system's error, if the table is full or the socket cannot be registered; the connection is
    /// closed then.
    pub fn adopt(&mut self, socket: FreshSocket) -> std::io::Result<SocketId> {
        self.driver.adopt(socket)
    }

    /// Starts to connect; [`Completion::Connected`] says how it went.
    ///
    /// # Errors
    /// [`ConnectError::Shortage`] and the like, if there is not even a socket to connect with;
    /// [`ConnectError::Options`], if an [option](SocketOptions::problem) is not to be had.
    pub fn connect(
        &mut self,
        address: impl Into<Address>,
        options: &SocketOptions,
    ) -> Result<SocketId, ConnectError> {
        options.problem().map_or(Ok(()), |problem| Err(ConnectError::Options(problem)))?;
        self.driver.connect(address.into(), options)
    }

    /// Starts the receive of a socket: it stays started until its final completion.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    ///
    /// # Panics
    /// If a receive is in flight (rule 4), or the socket is closing.
    pub fn receive(&mut self, socket: SocketId) -> Result<(), UnknownSocket> {
        self.driver.receive(socket)
    }

    /// Stops the delivery of bytes until [`resume_receive`](Self::resume_receive); the receive stays
    /// started.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    pub fn pause_receive(&mut self, socket: SocketId) -> Result<(), UnknownSocket> {
        self.driver.pause_receive(socket)
    }

    /// Lets bytes be delivered again.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    pub fn resume_receive(&mut self, socket: SocketId) -> Result<(), UnknownSocket> {
        self.driver.resume_receive(socket)
    }

    /// Starts a send of segments, in their order. An empty list is sent at once.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void; the segments are dropped.
    ///
    /// # Panics
    /// If a send or a connect is in flight (rule 4), or the socket is closing.
    pub fn send(&mut self, socket: SocketId, segments: Vec<Segment>) -> Result<(), UnknownSocket> {
        self.driver.send(socket, segments)
    }

    /// Ends the sending direction at once: the peer sees the end of the stream after what has been
    /// sent. A connection that is gone already is no error.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    ///
    /// # Panics
    /// If a send is in flight: its rest would be lost.
    pub fn shutdown(&mut self, socket: SocketId) -> Result<(), UnknownSocket> {
        self.driver.shutdown(socket)
    }

    /// Asks for the end of an operation; its final completion says how it ended. Does nothing if
    /// there is none. Of a send that was cancelled, Windows does not say how much has gone: what comes
    /// back may have been sent, and such a socket is good for closing only.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    pub fn cancel(&mut self, socket: SocketId, direction: Direction) -> Result<(), UnknownSocket> {
        self.driver.cancel(socket, direction)
    }

    /// Closes a socket: cancels its operations, waits for them, and gives [`Completion::Closed`]. What
    /// the kernel has been given to send is still sent. Closing twice is closing once.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    pub fn close(&mut self, socket: SocketId) -> Result<(), UnknownSocket> {
        self.driver.close(socket, false)
    }

    /// Closes a socket like [`close`](Self::close), but the peer sees a reset and what has not been
    /// sent is thrown away. Unix sockets have no resets: the peer reads what has been sent and then the end,
    /// or a reset after all if something of its own was not read.
    ///
    /// # Errors
    /// [`UnknownSocket`] if the name is void.
    pub fn abort(&mut self, socket: SocketId) -> Result<(), UnknownSocket> {
        self.driver.close(socket, true)
    }

    /// The local address of a socket; `None` if it is closed. Of a Unix socket that has been accepted it is
    /// that of its listener.
    pub fn local_address(&self, socket: SocketId) -> Option<Address> {
        self.driver.local_address(socket)
    }

    /// The address of a socket's peer; `None` if it is closed or not connected.
    pub fn peer_address(&self, socket: SocketId) -> Option<Address> {
        self.driver.peer_address(socket)
    }

    /// Whether `TCP_NODELAY` is set on a socket; `None` if it is closed, or no TCP.
    pub fn no_delay(&self, socket: SocketId) -> Option<bool> {
        self.driver.no_delay(socket)
    }

    /// Starts a timer; [`Completion::Timer`] comes with the first wait that ends after `deadline`.
    /// `None` if more than eight million are running.
    pub fn start_timer(&mut self, deadline: Time, token: u64) -> Option<TimerId> {
        self.timers.start(deadline, token)
    }

    /// Stops a timer. True if it had not fired: then there is no completion. False if it has fired or
    /// been stopped before.
    pub fn cancel_timer(&mut self, timer: TimerId) -> bool {
        self.timers.cancel(timer).is_some()
    }

    /// Starts what is staged and waits until there is something to [`take`](Self::take), or until
    /// `deadline`; `None` waits for as long as it takes.
    ///
    /// # Errors
    /// [`WaitError`] if the kernel object is broken; the port is of no further use then. Signals and
    /// shortages are no errors: there is nothing to take then.
    #[inline]
    pub fn wait(&mut self, deadline: Option<Time>) -> Result<(), WaitError> {
        let timer = self.timers.next_deadline();
        self.driver.set_timer(timer);
        let backend = self.backend();
        let first = earlier(deadline, timer);
        let (waited, woken) =
            if self.spin.is_zero() { self.enter(self.timeout(first)) } else { self.spin(first) };
        if woken {
            self.ready.push_back(Completion::Wake);
        }
        self.now = self.driver.clock();
        waited.map_err(|source| WaitError { backend, source })?;
        self.check_ledger();
        self.driver.tick(self.now);
        self.timer_lag = None;
        while let Some((timer, token)) = self.timers.pop_due(self.now) {
            // They come in order, so the first is the latest.
            self.timer_lag.get_or_insert_with(|| self.now.since(timer.deadline));
            self.ready.push_back(Completion::Timer { timer, token });
        }
        Ok(())
    }

    /// Goes into the driver, which may sleep for so long unless the port has been woken; true if it had been.
    #[inline]
    fn enter(&mut self, timeout: Option<Duration>) -> (std::io::Result<()>, bool) {
        let Self { driver, waker, now, .. } = self;
        waker.sleep(timeout != Some(Duration::ZERO), |blocks| {
            let timeout = if blocks { timeout } else { Some(Duration::ZERO) };
            driver.wait(timeout, *now)
        })
    }

    /// Looks for something to take again and again, for as long as the port is to, before it goes in as ever.
    #[cold]
    fn spin(&mut self, deadline: Option<Time>) -> (std::io::Result<()>, bool) {
        let until = self.driver.clock() + self.spin;
        while self.timeout(deadline) != Some(Duration::ZERO) && self.driver.clock() < until {
            let (waited, woken) = self.enter(Some(Duration::ZERO));
            if woken || waited.is_err() || self.driver.has_ready() {
                return (waited, woken);
            }
            std::hint::spin_loop();
        }
        self.enter(self.timeout(deadline))
    }

    /// Three additions beside a system call; in debug builds each buffer is looked at as well.
    fn check_ledger(&self) {
        let pool = self.driver.pool();
        if cfg!(debug_assertions) {
            pool.audit();
        } else {
            pool.ledger();
        }
    }

    /// How long the kernel may keep us, until this or what the driver has itself to do: not at all if there is
    /// something to take already.
    #[inline]
    fn timeout(&self, deadline: Option<Time>) -> Option<Duration> {
        if !self.ready.is_empty() || self.driver.has_ready() {
            return Some(Duration::ZERO);
        }
        let first = earlier(deadline, self.driver.next_deadline())?;
        Some(first.since(self.driver.clock()))
    }

    /// Takes one completion of those that the last [`wait`](Self::wait) found; `None` if all have been
    /// taken.
    #[inline]
    pub fn take(&mut self) -> Option<Completion> {
        if let Some(completion) = self.ready.pop_front() {
            return Some(completion);
        }
        self.driver.take(self.now)
    }

    /// Sockets that this port holds.
    pub fn sockets(&self) -> usize {
        self.driver.sockets()
    }

    /// Operations that have been started and have not had their final completion, timers included.
    pub fn operations(&self) -> usize {
        self.driver.operations() + self.timers.len()
    }

    /// The same by kind. Looks at every socket, so it is for a look now and then.
    pub fn operation_counts(&self) -> OperationCounts {
        OperationCounts { timers: self.timers.len(), ..self.driver.operation_counts() }
    }

    /// Who has the receive buffers.
    ///
    /// # Panics
    /// If the ledger does not balance; a [`wait`](Self::wait) panics then, too.
    pub fn ledger(&self) -> Ledger {
        self.driver.ledger()
    }

    /// What the port has met so far.
    pub fn stats(&self) -> Stats {
        self.driver.stats()
    }

    /// Closes the port: every socket and listener, joined. Completions that are still to come are
    /// thrown away.
    ///
    /// # Errors
    /// [`CloseError`] if operations did not come back within `timeout`; their memory is leaked.
    pub fn shut_down(mut self, timeout: Duration) -> Result<(), CloseError> {
        self.ready.clear();
        self.driver.shut_down(timeout)?;
        self.driver.pool().audit();
        Ok(())
    }
}

/// The first of two moments; one that is not set is no moment.
#[inline]
fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Drop for CompletionPort {
    /// Does what [`shut_down`](Self::shut_down) does within five seconds, and says so on the standard
    /// error stream if it fails.
    fn drop(&mut self) {
        self.ready.clear();
        if let Err(error) = self.driver.shut_down(DROP_DEADLINE) {
            eprintln!("wharf-port: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::buffer::BufferPool;

    /// A port on each backend that there is: a container may deny `io_uring`.
    fn ports() -> impl Iterator<Item = CompletionPort> {
        [Backend::Uring, Backend::Readiness].into_iter().filter_map(|backend| {
            match CompletionPort::open(&PortOptions { backend, ..PortOptions::default() }) {
                Err(OpenError::Unavailable { .. }) => None,
                port => Some(port.unwrap()),
            }
        })
    }

    /// Falsifies the ledger of a port and waits, which must panic. Doing the same again puts the
    /// ledger right, so that the port can close.
    fn check_noticed(port: &mut CompletionPort, falsify: impl Fn(&BufferPool, bool)) {
        port.wait(Some(Time::ZERO)).unwrap();
        falsify(port.driver.pool(), true);
        let waited = catch_unwind(AssertUnwindSafe(|| port.wait(Some(Time::ZERO))));
        falsify(port.driver.pool(), false);
        let said = waited.expect_err("the wait has not noticed");
        let said = said.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(said.contains("buffer ledger"), "{:?}: {said}", port.backend());
    }

    #[test]
    fn a_wait_notices_a_ledger_that_does_not_balance() {
        ports().for_each(|mut port| check_noticed(&mut port, BufferPool::miscount));
    }

    #[cfg(debug_assertions)]
    #[test]
    fn a_wait_notices_a_buffer_that_is_not_where_the_ledger_has_it() {
        ports().for_each(|mut port| check_noticed(&mut port, |pool, _| pool.swap_owners()));
    }
}
