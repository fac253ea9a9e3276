//! The backends under test, and how one test runs on one of them.

use std::env;
use std::panic::resume_unwind;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use wharf_port::{Backend, PortOptions, UringFeatures};

use super::CheckedPort;

/// Names the test that a child process of this binary is to run.
const OWN_PROCESS: &str = "WHARF_CONFORMANCE_TEST";
/// Names the backend that [`Backend::Auto`] must have chosen.
const EXPECT_BACKEND: &str = "WHARF_EXPECT_BACKEND";
/// How long a whole test may take, for those that hang where no smaller bound reaches.
const TEST_LIMIT: Duration = Duration::from_secs(60);

#[cfg(target_os = "linux")]
pub(crate) fn uring() -> PortOptions {
    PortOptions { backend: Backend::Uring, ..PortOptions::default() }
}

/// `io_uring` as the oldest kernel has it, with every step down taken.
#[cfg(target_os = "linux")]
pub(crate) fn uring_stepdown() -> PortOptions {
    let none =
        UringFeatures { defer_taskrun: false, multishot_accept: false, multishot_receive: false };
    PortOptions { uring: none, ..uring() }
}

pub(crate) fn readiness() -> PortOptions {
    PortOptions { backend: Backend::Readiness, ..PortOptions::default() }
}

pub(crate) fn auto() -> PortOptions {
    PortOptions::default()
}

/// What a test runs on.
pub(crate) struct Subject {
    test: &'static str,
    options: PortOptions,
}

impl Subject {
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
        let mut port = CheckedPort::open(&options);
        if let (Backend::Auto, Ok(expected)) = (options.backend, env::var(EXPECT_BACKEND)) {
            assert_eq!(port.raw().backend().name(), expected, "{EXPECT_BACKEND} is set");
        }
        port
    }

    /// Runs `body` in a process of its own, for what a process has only once: its descriptors, its
    /// CPU time.
    pub(crate) fn in_own_process(&self, body: impl FnOnce()) {
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

/// Runs one test on one backend, and fails it if it hangs.
pub(crate) fn run(test: &'static str, options: PortOptions, body: fn(&Subject)) {
    wharf_port::raise_descriptor_limit();
    let (alive, finished) = mpsc::channel::<()>();
    let subject = Subject { test, options };
    let thread = thread::Builder::new()
        .name(test.to_owned())
        .spawn(move || {
            let _alive = alive;
            body(&subject);
        })
        .unwrap();
    if finished.recv_timeout(TEST_LIMIT) == Err(RecvTimeoutError::Timeout) {
        panic!("{test} hangs: nothing after {TEST_LIMIT:?}");
    }
    if let Err(panic) = thread.join() {
        resume_unwind(panic);
    }
}
