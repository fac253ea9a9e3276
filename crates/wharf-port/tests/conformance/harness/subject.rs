//! The backends under test, and how one test runs on one of them.

use std::env;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

#[cfg(target_os = "linux")]
use wharf_port::UringFeatures;
use wharf_port::sim::{FaultKind, Faults, NetworkOptions, Pace, Personality};
use wharf_port::{Backend, PortOptions};

use super::CheckedPort;
use super::place::Place;
use super::wine::on_wine;

/// Names the test that a child process of this binary is to run.
const OWN_PROCESS: &str = "WHARF_CONFORMANCE_TEST";
/// Names the backend that [`Backend::Auto`] must have chosen.
const EXPECT_BACKEND: &str = "WHARF_EXPECT_BACKEND";
/// How many times `sim_faulty` runs each test on each personality, each time from another seed;
/// once if it is not set.
const ROUNDS: &str = "WHARF_CONFORMANCE_ROUNDS";
/// How long it takes from host to host on a simulated network.
const LATENCY: (Duration, Duration) = (Duration::ZERO, Duration::from_micros(50));
/// How long a whole test may take, for those that hang where no smaller bound reaches.
const TEST_LIMIT: Duration = Duration::from_secs(60);

/// One run of a test: the options of its ports, and where it takes place.
pub(crate) struct Setup {
    options: PortOptions,
    simulated: Option<Simulated>,
    /// Over Unix sockets, and not TCP.
    #[cfg(target_os = "linux")]
    is_unix: bool,
}

/// Which simulated network.
struct Simulated {
    personality: Personality,
    faults: Faults,
    /// Which of several runs of a test.
    round: u64,
}

impl Setup {
    fn system(backend: Backend) -> Self {
        Self {
            options: PortOptions { backend, ..PortOptions::default() },
            simulated: None,
            #[cfg(target_os = "linux")]
            is_unix: false,
        }
    }

    fn simulated(personality: Personality, faults: Faults, round: u64) -> Self {
        let simulated = Some(Simulated { personality, faults, round });
        Self { simulated, ..Self::system(Backend::Sim) }
    }
}

#[cfg(target_os = "linux")]
pub(crate) fn uring() -> [Setup; 1] {
    [Setup::system(Backend::Uring)]
}

/// `io_uring` as the oldest kernel has it, with every step down taken.
#[cfg(target_os = "linux")]
pub(crate) fn uring_stepdown() -> [Setup; 1] {
    let mut setup = Setup::system(Backend::Uring);
    setup.options.uring =
        UringFeatures { defer_taskrun: false, multishot_accept: false, multishot_receive: false };
    [setup]
}

#[cfg(unix)]
pub(crate) fn readiness() -> [Setup; 1] {
    [Setup::system(Backend::Readiness)]
}

#[cfg(target_os = "linux")]
pub(crate) fn uring_unix() -> [Setup; 1] {
    [Setup { is_unix: true, ..Setup::system(Backend::Uring) }]
}

#[cfg(target_os = "linux")]
pub(crate) fn readiness_unix() -> [Setup; 1] {
    [Setup { is_unix: true, ..Setup::system(Backend::Readiness) }]
}

#[cfg(windows)]
pub(crate) fn iocp() -> [Setup; 1] {
    [Setup::system(Backend::Iocp)]
}

/// With accepts posted by the port itself, and not by a thread.
#[cfg(windows)]
pub(crate) fn iocp_inline() -> [Setup; 1] {
    let mut setup = Setup::system(Backend::Iocp);
    setup.options.iocp.refill = wharf_port::AcceptRefill::Inline;
    [setup]
}

pub(crate) fn auto() -> [Setup; 1] {
    [Setup::system(Backend::Auto)]
}

pub(crate) fn sim_uring() -> [Setup; 1] {
    [Setup::simulated(Personality::Uring, Faults::none(), 0)]
}

pub(crate) fn sim_iocp() -> [Setup; 1] {
    [Setup::simulated(Personality::Iocp, Faults::none(), 0)]
}

pub(crate) fn sim_readiness() -> [Setup; 1] {
    [Setup::simulated(Personality::Readiness, Faults::none(), 0)]
}

/// Every personality, with faults that the contract hides.
pub(crate) fn sim_faulty() -> Vec<Setup> {
    let rounds = env::var(ROUNDS).map_or(1, |rounds| rounds.parse().expect("a number"));
    let of_a_round = |round| {
        Personality::ALL.map(|personality| Setup::simulated(personality, hidden_faults(), round))
    };
    (0..rounds).flat_map(of_a_round).collect()
}

/// What goes wrong without a word of it in the contract: whatever a kernel or a network does of this
/// kind, a caller sees the same completions, later perhaps, or in other parts.
fn hidden_faults() -> Faults {
    let usual = Faults::parse(
        "reordered,queue-overflow,submit-refused,spurious-wake,partial-receive,buffer-shortage,\
         multishot-ended,partial-send,cancel-missed,late-success,unclear-abort,chopped-delivery",
    );
    // Each late one takes up to 20 ms, and some tests have thousands.
    usual.unwrap().with(FaultKind::LateCompletion, 5_000)
}

/// What a test runs on.
pub(crate) struct Subject {
    test: &'static str,
    options: PortOptions,
    place: Place,
    has_faults: bool,
}

impl Subject {
    fn new(test: &'static str, setup: Setup) -> Self {
        let Setup { mut options, simulated, .. } = setup;
        let Some(Simulated { personality, faults, round }) = simulated else {
            #[cfg(target_os = "linux")]
            let place = if setup.is_unix { Place::unix() } else { Place::LOOPBACK };
            #[cfg(not(target_os = "linux"))]
            let place = Place::LOOPBACK;
            return Self { test, options, place, has_faults: false };
        };
        let place = Place::simulated(NetworkOptions {
            seed: seed_of(test).wrapping_add(round),
            pace: Pace::Real,
            personality,
            faults,
            latency: LATENCY,
            ..NetworkOptions::default()
        });
        options.simulated = place.network().cloned();
        Self { test, options, place, has_faults: faults != Faults::none() }
    }

    /// Whether kernel and network do what the contract hides.
    pub(crate) const fn has_faults(&self) -> bool {
        self.has_faults
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// The options of a port of this backend.
    pub(crate) fn options(&self) -> PortOptions {
        self.options.clone()
    }

    /// Opens a port of this backend.
    pub(crate) fn open(&self) -> CheckedPort {
        self.open_with(|_| ())
    }

    /// Opens a port of this backend, set up otherwise.
    pub(crate) fn open_with(&self, change: impl FnOnce(&mut PortOptions)) -> CheckedPort {
        let mut options = self.options();
        change(&mut options);
        let mut port = CheckedPort::open(&options, self.place.clone());
        if let (Backend::Auto, Ok(expected)) = (options.backend, env::var(EXPECT_BACKEND)) {
            assert_eq!(port.raw().backend().name(), expected, "{EXPECT_BACKEND} is set");
        }
        port
    }

    /// Opens a port of another backend, which sockets of this one may be moved to: on a simulated
    /// network, another port of the same.
    pub(crate) fn open_other(&self) -> CheckedPort {
        if self.place.is_simulated() {
            return self.open();
        }
        let backend = if cfg!(windows) { Backend::Iocp } else { Backend::Readiness };
        CheckedPort::open(&PortOptions { backend, ..PortOptions::default() }, self.place.clone())
    }

    /// Adds to the faults that this run has: windows too small for what a peer writes on the thread
    /// of the port. For tests in which no peer does.
    pub(crate) fn may_have_small_windows(&self) {
        if let Some(network) = self.place.network().filter(|_| self.has_faults) {
            let small = FaultKind::SmallWindow;
            network.set_faults(hidden_faults().with(small, small.usual_ppm()));
        }
    }

    /// Runs `body` in a process of its own, for what a process has only once: its descriptors, its
    /// CPU time. A simulated network is a process's worth of its own.
    pub(crate) fn in_own_process(&self, body: impl FnOnce()) {
        if self.place.is_simulated() {
            return body();
        }
        self.in_own_process_beside(body, |_| ());
    }

    /// Runs `body` in a process of its own, and `beside` in this one meanwhile.
    pub(crate) fn in_own_process_beside(
        &self,
        body: impl FnOnce(),
        beside: impl FnOnce(&mut Child),
    ) {
        // The path of a test as the test runner knows it lacks the name of the crate.
        let (_, path) = self.test.split_once("::").unwrap();
        if env::var(OWN_PROCESS).is_ok_and(|test| test == path) {
            return body();
        }
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", path, "--nocapture"])
            .env(OWN_PROCESS, path)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        beside(&mut child);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "in a process of its own ({}):\n{said}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// A seed for each test: some number that its name always gives (FNV-1a).
fn seed_of(test: &str) -> u64 {
    test.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
    })
}

/// Runs one test on one backend, its runs side by side, and fails it if one of them hangs.
pub(crate) fn run(test: &'static str, setups: impl IntoIterator<Item = Setup>, body: fn(&Subject)) {
    wharf_port::raise_descriptor_limit();
    let runs: Vec<Run> = setups.into_iter().map(|setup| Run::start(test, setup, body)).collect();
    runs.into_iter().for_each(Run::join);
}

/// One run of a test, on a thread of its own.
struct Run {
    place: Place,
    thread: JoinHandle<()>,
    /// Closed when the thread ends.
    finished: mpsc::Receiver<()>,
}

impl Run {
    fn start(test: &'static str, setup: Setup, body: fn(&Subject)) -> Self {
        let (alive, finished) = mpsc::channel::<()>();
        let subject = Subject::new(test, setup);
        let place = subject.place.clone();
        let thread = thread::Builder::new().name(test.to_owned()).spawn(move || {
            let _alive = alive;
            body(&subject);
        });
        Self { place, thread: thread.unwrap(), finished }
    }

    fn join(self) {
        let Self { place, thread, finished } = self;
        let limit = if on_wine() { 4 * TEST_LIMIT } else { TEST_LIMIT };
        if finished.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            let test = thread.thread().name().unwrap_or_default();
            panic!("{test} hangs: nothing after {limit:?}; {place:?}");
        }
        place.leave();
        if let Err(panic) = thread.join() {
            eprintln!("in {place:?}");
            resume_unwind(panic);
        }
    }
}
