//! Tests about the whole process run in one of their own, where no other test opens descriptors or
//! starts threads.

use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use wharf::Backend;

use super::time::{PATIENCE, Stopwatch, let_pass};

/// Set in a child.
const CHILD: &str = "WHARF_TEST_CHILD";

/// Runs `body` in a process of its own: this test, alone. `module` and `test` are its path.
#[track_caller]
pub(crate) fn in_a_child(module: &str, test: &str, backend: Backend, body: impl FnOnce()) {
    in_a_child_with("exec \"$0\" \"$@\"", module, test, backend, body);
}

/// The same, in a process that may open no more than `limit` descriptors.
#[track_caller]
pub(crate) fn in_a_child_with_descriptors(
    limit: usize,
    module: &str,
    test: &str,
    backend: Backend,
    body: impl FnOnce(),
) {
    let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
    in_a_child_with(&script, module, test, backend, body);
}

#[track_caller]
fn in_a_child_with(script: &str, module: &str, test: &str, backend: Backend, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        Holdings::await_no_server();
        return body();
    }
    let path = format!("{module}::{backend}::{test}");
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(std::env::current_exe().unwrap());
    command.args([&path, "--exact", "--nocapture"]).env(CHILD, "1");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("this test's own program");
    let id = child.id();
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(2 * PATIENCE) else {
        let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
        panic!("{path} does not end in a process of its own");
    };
    let output = output.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let passed = output.status.success() && stdout.contains("test result: ok. 1 passed");
    assert!(passed, "in a process of its own:\n{stdout}{stderr}");
}

/// What a process holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Holdings {
    /// What its descriptors lead to, in order.
    pub(crate) descriptors: Vec<String>,
    /// The names of its threads, in order.
    pub(crate) threads: Vec<String>,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        let entries = |path: &str| -> Vec<_> {
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        // The list of descriptors has one of its own, which is closed again by now.
        let led_to = entries("/proc/self/fd").into_iter().filter_map(|path| path.read_link().ok());
        let mut descriptors: Vec<String> =
            led_to.map(|target| target.display().to_string()).collect();
        descriptors.sort();
        let tasks = entries("/proc/self/task").into_iter();
        let mut threads: Vec<String> =
            tasks.filter_map(|path| std::fs::read_to_string(path.join("comm")).ok()).collect();
        threads.sort();
        Self { descriptors, threads }
    }

    /// Waits until nothing is left of the server that has tried whether there is the backend.
    fn await_no_server() {
        let watch = Stopwatch::start();
        while Self::now().threads.iter().any(|name| name.starts_with("wharf-")) {
            assert!(watch.elapsed() < PATIENCE, "{:?}", Self::now());
            let_pass(Duration::from_millis(1));
        }
    }

    /// Checks that the process holds this and nothing else. A thread that was joined may be in the
    /// kernel's list for a moment still.
    #[track_caller]
    pub(crate) fn assert_now(&self, what: &str) {
        let watch = Stopwatch::start();
        let mut now = Self::now();
        while now != *self && watch.elapsed() < PATIENCE {
            let_pass(Duration::from_millis(1));
            now = Self::now();
        }
        assert_eq!(now, *self, "{what}");
    }
}

/// Bytes of memory that the process has in use.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a resident size");
    let kibibytes = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kibibytes.expect("a number of KiB") * 1024
}
