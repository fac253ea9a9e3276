//! The network as its users see it.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::faults::{FaultKind, Faults};
use super::peer::{Peer, PeerListener};
use super::personality::Personality;
use super::world::World;
use crate::address::Address;
use crate::clock::{Time, monotonic_now};
use crate::error::ListenError;
use crate::socket_options::{ListenOptions, SocketOptions};

/// How a [`Network`] is set up.
///
/// ```
/// use wharf_port::sim::{Faults, Network, NetworkOptions};
///
/// let network = Network::new(NetworkOptions { seed: 42, faults: Faults::all(), ..Default::default() });
/// ```
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// Where all chance comes from: the same seed gives the same run. Default 0.
    pub seed: u64,
    /// How the clock runs; default [`Pace::Virtual`].
    pub pace: Pace,
    /// Whose habits the kernel has; default [`Personality::Uring`].
    pub personality: Personality,
    /// What goes wrong; default nothing.
    pub faults: Faults,
    /// How long it takes from host to host, at least and at most; default 10 to 500 µs. With a most below
    /// the least it always takes the least.
    pub latency: (Duration, Duration),
    /// Bytes that an end holds that have been received and not read, and as many that have been sent
    /// and not delivered; default 256 KiB. 0 is taken for 1.
    pub window_bytes: usize,
    /// Descriptors that the server's process may have open: its listeners and connections. Default no
    /// limit.
    pub descriptors_max: usize,
    /// Whether every step is kept as a line of text ([`Network::take_trace`]); default false.
    pub trace: bool,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            seed: 0,
            pace: Pace::Virtual,
            personality: Personality::Uring,
            faults: Faults::none(),
            latency: (Duration::from_micros(10), Duration::from_micros(500)),
            window_bytes: 256 << 10,
            descriptors_max: usize::MAX,
            trace: false,
        }
    }
}

/// How the clock of a network runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pace {
    /// It moves only when everything waits, to what comes next. All on one thread, and repeatable.
    #[default]
    Virtual,
    /// As the system's clock does, on any number of threads.
    Real,
}

/// A simulated network; see the [module](super). Cheap to clone: all clones are the same network.
#[derive(Clone)]
pub struct Network {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    pace: Pace,
    seed: u64,
    personality: Personality,
    /// When a network of real pace began.
    began: Time,
    /// Something has happened: for threads that wait at a real pace.
    changed: Condvar,
}

/// Wakes a port that waits at a real pace.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicBool,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
    }

    pub(super) fn take(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }

    pub(super) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::Acquire)
    }
}

impl Network {
    /// A network on which nothing has happened.
    pub fn new(options: NetworkOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                world: Mutex::new(World::new(&options)),
                pace: options.pace,
                seed: options.seed,
                personality: options.personality,
                began: monotonic_now(),
                changed: Condvar::new(),
            }),
        }
    }

    /// What time it is here.
    pub fn now(&self) -> Time {
        self.with(|world| world.now)
    }

    /// Lets happen what is due, or else moves the clock to what comes next, timers of ports included.
    /// False if nothing will ever happen. For several ports on one thread; a single one does this in
    /// its wait. At a real pace the clock then runs ahead and stands still until the system's has caught
    /// up; [`settle`](Self::settle) waits instead.
    pub fn advance(&self) -> bool {
        self.with(|world| {
            let Some(next) = world.next_of_all() else { return false };
            world.move_clock(next);
            world.run_due();
            true
        })
    }

    /// Moves the clock on, and lets happen what is due by then. At a real pace as for
    /// [`advance`](Self::advance).
    pub fn advance_by(&self, time: Duration) {
        self.with(|world| {
            let until = world.now + time;
            while let Some(next) = world.next_event().filter(|next| *next <= until) {
                world.move_clock(next);
                world.run_due();
            }
            world.move_clock(until);
        });
    }

    /// When something will happen next that no port does: a delivery, the end of an operation, another
    /// try to connect. `None` if nothing is on its way.
    pub fn next_event(&self) -> Option<Time> {
        self.with(|world| world.next_event())
    }

    /// Lets everything happen that is on its way, until nothing is left that is due within `horizon`.
    /// False if that takes longer than `timeout`. What is staged on a port is not on its way.
    ///
    /// At a virtual pace this moves the clock; at a real one it waits.
    pub fn settle(&self, horizon: Duration, timeout: Duration) -> bool {
        let mut world = self.lock();
        let until = world.now + timeout;
        let settled = loop {
            let Some(next) = world.next_event().filter(|next| *next <= world.now + horizon) else {
                break true;
            };
            if world.now >= until {
                break false;
            }
            // There is a time to sleep until, so that this returns.
            let Some(woken) = self.sleep(world, Some(next.min(until))) else { return true };
            world = woken;
        };
        self.unlock(world);
        settled
    }

    /// From now on these faults come.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|world| world.set_faults(faults));
    }

    /// How often a fault has come.
    pub fn injected(&self, kind: FaultKind) -> u64 {
        self.with(|world| world.injected(kind))
    }

    /// A number that is the same for two runs in which the same things have happened at the same time.
    pub fn trace_hash(&self) -> u64 {
        self.with(|world| world.trace.hash())
    }

    /// Things that have happened.
    pub fn steps(&self) -> u64 {
        self.with(|world| world.trace.steps())
    }

    /// Takes a line into the trace, and into its hash.
    pub fn say(&self, line: &str) {
        self.with(|world| {
            let now = world.now;
            world.trace.say(now, line);
        });
    }

    /// The lines of the trace since the last call, if [`NetworkOptions::trace`] is set.
    pub fn take_trace(&self) -> Vec<String> {
        self.with(|world| world.trace.take_lines())
    }

    /// A random number of this network's seed, for the choices of a test.
    pub fn random(&self) -> u64 {
        self.with(World::seed)
    }

    /// Starts to connect a [`Peer`] from the host that it connects to. If the network has no local
    /// address or no room left for it, all that it does fails with `OutOfMemory`.
    pub fn connect(&self, to: impl Into<Address>) -> Peer {
        self.connect_with(to, &SocketOptions::default())
    }

    /// Starts to connect a [`Peer`]: [`SocketOptions::bind`] says from where.
    pub fn connect_with(&self, to: impl Into<Address>, options: &SocketOptions) -> Peer {
        Peer::connect(self.clone(), &to.into(), options)
    }

    /// Listens where ports may connect to.
    ///
    /// # Errors
    /// [`ListenError`] if somebody listens there, or no host has the address.
    pub fn listen(&self, address: impl Into<Address>) -> Result<PeerListener, ListenError> {
        self.listen_with(address, &ListenOptions::default())
    }

    /// Listens where ports may connect to, with a queue and with accepted ends as the options say.
    ///
    /// # Errors
    /// As [`listen`](Self::listen).
    pub fn listen_with(
        &self,
        address: impl Into<Address>,
        options: &ListenOptions,
    ) -> Result<PeerListener, ListenError> {
        PeerListener::listen(self.clone(), &address.into(), options)
    }

    /// Keeps two hosts from reaching each other for some time.
    pub fn partition(&self, a: IpAddr, b: IpAddr, time: Duration) {
        self.with(|world| {
            let until = world.now + time;
            world.part(a, b, until);
        });
    }

    /// Ends every partition.
    pub fn heal(&self) {
        self.with(World::heal);
    }

    /// How many descriptors the server's process may have open from now on. Those that are open stay.
    pub fn set_descriptors_max(&self, most: usize) {
        self.with(|world| world.set_descriptors_max(most));
    }

    /// Descriptors that the server's process has open: its listeners and connections.
    pub fn descriptors(&self) -> usize {
        self.with(|world| world.descriptors())
    }

    /// Ends of connections that somebody has open, peers included.
    pub fn open_ends(&self) -> usize {
        self.with(|world| world.open_ends())
    }

    /// Ends that the network keeps: those that are open, and those that were closed and have something
    /// left to deliver, or are not given up yet.
    pub fn kept_ends(&self) -> usize {
        self.with(|world| world.kept_ends())
    }

    /// How the clock runs.
    pub fn pace(&self) -> Pace {
        self.shared.pace
    }

    /// Whose habits the kernel has.
    pub fn personality(&self) -> Personality {
        self.shared.personality
    }
}

/// What tells it from others, and not all that happens on it.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { seed, personality, pace, .. } = &*self.shared;
        f.debug_struct("Network")
            .field("seed", seed)
            .field("personality", personality)
            .field("pace", pace)
            .finish_non_exhaustive()
    }
}

/// For ports and peers.
impl Network {
    /// Does something with the world, as of now.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.lock();
        let done = work(&mut world);
        self.unlock(world);
        done
    }

    /// Whether both are the same network.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        let mut world = self.shared.world.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut world);
        world
    }

    /// Tells the threads that wait.
    pub(super) fn unlock(&self, mut world: MutexGuard<'_, World>) {
        self.tell(&mut world);
    }

    fn tell(&self, world: &mut World) {
        if self.shared.pace == Pace::Real && world.take_news() {
            self.shared.changed.notify_all();
        }
    }

    fn catch_up(&self, world: &mut World) {
        if self.shared.pace == Pace::Real {
            let elapsed = monotonic_now().since(self.shared.began);
            world.move_clock(Time::ZERO + elapsed);
            world.run_due();
        }
    }

    /// Wakes the threads that wait, to look at their bells.
    pub(super) fn wake_all(&self) {
        if self.shared.pace == Pace::Real {
            // Under the lock, so that none is between looking and waiting.
            drop(self.shared.world.lock().unwrap_or_else(PoisonError::into_inner));
            self.shared.changed.notify_all();
        }
    }

    /// Waits until something may have happened, or until `until`. `None` if, at a virtual pace, nothing
    /// will ever happen.
    pub(super) fn sleep<'a>(
        &self,
        mut world: MutexGuard<'a, World>,
        until: Option<Time>,
    ) -> Option<MutexGuard<'a, World>> {
        let next = [world.next_event(), until].into_iter().flatten().min();
        if self.shared.pace == Pace::Virtual {
            world.move_clock(next?);
            world.run_due();
            return Some(world);
        }
        // What this thread has done and planned is news for the others.
        self.tell(&mut world);
        // A second is long enough to cost nothing and short enough to forgive a lost notification.
        let most = Duration::from_secs(1);
        let time = next.map_or(most, |next| next.since(world.now).min(most));
        let slept = self.shared.changed.wait_timeout(world, time);
        let (mut world, _) = slept.unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut world);
        Some(world)
    }
}
