//! `wharf load` that a signal ends before its time, and what becomes of its files then.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::load_chat::chat_spoiled;
use crate::program::{load, load_echo, run};
use crate::server;
use crate::serving::{PATIENCE, Process, Signal};

const OLD: &str = "of an earlier run";

/// A run of a mode with files for its results, in which something else stands.
struct Running {
    process: Process,
    folder: TempDir,
}

impl Running {
    fn start(mode: &str, server: SocketAddr, arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = load(mode, server, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        for (flag, name) in [("--json", "json"), ("--plot", "svg")] {
            let path = folder.path().join(name);
            std::fs::write(&path, OLD).unwrap();
            command.arg(flag).arg(path);
        }
        Self { process: Process(command.spawn().unwrap()), folder }
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Its exit code and its standard error stream; it is killed if it does not end.
    fn end(&mut self) -> (Option<i32>, String) {
        let stderr = self.process.0.stderr.take().unwrap();
        let (sender, said) = channel();
        std::thread::spawn(move || sender.send(std::io::read_to_string(stderr)));
        let said = soon(&said, "it does not end").unwrap();
        (self.process.exit_code(), said)
    }
}

/// What comes within the patience of a test.
#[track_caller]
fn soon<T>(receiver: &Receiver<T>, in_vain: &str) -> T {
    receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{in_vain}"))
}

/// A server that echoes, and tells when a connection has sent so many bytes.
fn echo_that_tells(bytes: usize) -> (SocketAddr, Receiver<()>) {
    let (sender, receiver) = channel();
    let server = server::echo_spoiled(move |_, position, _| {
        if position >= bytes {
            let _ = sender.send(());
        }
    });
    (server, receiver)
}

/// A server that answers nothing, and tells when it is sent something.
fn silent_that_tells() -> (SocketAddr, Receiver<()>) {
    let (sender, receiver) = channel();
    let server = server::serve(move |_, stream| {
        server::wait_for_more(&stream);
        let _ = sender.send(());
        server::swallow(&stream);
    });
    (server, receiver)
}

/// A server that tells of each connection but the first, which is only to find it.
fn keeping_that_tells() -> (SocketAddr, Receiver<()>) {
    let (sender, receiver) = channel();
    let server = server::serve(move |number, stream| {
        if number > 0 {
            let _ = sender.send(());
        }
        server::swallow(&stream);
    });
    (server, receiver)
}

/// Starts a mode, and ends it by a signal once the server has told that it runs: its JSON.
#[track_caller]
fn ended_early(
    mode: &str,
    (server, told): (SocketAddr, Receiver<()>),
    arguments: &str,
    signal: Signal,
) -> Value {
    let mut running = Running::start(mode, server, arguments);
    soon(&told, "the server is not asked");
    assert_eq!([running.file("json"), running.file("svg")], [OLD; 2], "{mode}");
    running.process.signal(signal);
    let (code, said) = running.end();
    assert_eq!(code, Some(0), "{mode}: {said}");
    assert!(said.contains("wharf: ended early, by a signal"), "{mode}: {said}");
    let svg = running.file("svg");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{mode}: {svg}");
    let json: Value = serde_json::from_str(&running.file("json")).unwrap();
    assert_eq!(json["ended_early"], true, "{json}");
    json
}

#[test]
fn a_signal_ends_the_window_and_the_result_is_that_of_the_time_until_then() {
    for signal in [Signal::INT, Signal::TERM] {
        for length in ["--duration 600 --warmup off", "--messages 100000000"] {
            let flags = format!("--sessions 3 --depth 4 {length}");
            let json = ended_early("echo", echo_that_tells(100_000), &flags, signal);
            assert!(json["received"].as_u64() > Some(1_000), "{json}");
            assert_eq!(json["sent"], json["received"], "{json}");
            assert!(json["per_second"].as_f64() > Some(0.0), "{json}");
            assert!(json["latency_us"]["p50"].as_f64() > Some(0.0), "{json}");
        }
    }
}

#[test]
fn a_signal_in_the_warm_up_ends_a_run_that_has_measured_nothing() {
    let flags = "--sessions 3 --duration 600 --warmup 600";
    let json = ended_early("echo", echo_that_tells(1_000), flags, Signal::INT);
    assert_eq!(json["sent"], json["received"], "{json}");
    assert_eq!(
        (&json["per_second"], &json["latency_us"]["max"]),
        (&Value::from(0.0), &Value::Null)
    );
}

#[test]
fn a_signal_ends_every_mode() {
    let (sender, told) = channel();
    let chat = chat_spoiled(move |_, position, _| {
        if position > 10_000 {
            let _ = sender.send(());
        }
    });
    let json = ended_early("chat", (chat, told), "--sessions 3 --duration 600", Signal::INT);
    assert!(json["received"].as_u64() > Some(0) && json["sent"] == json["received"], "{json}");

    // Nothing is said in this chat, so that nobody becomes a member.
    let flags = "--sessions 3 --duration 600";
    ended_early("chat", silent_that_tells(), flags, Signal::INT);

    let flags = "--sessions 3 --duration 600 --size 100";
    let json = ended_early("accept", echo_that_tells(0), flags, Signal::INT);
    assert!(json["connections"].as_u64() > Some(0) && json["missing"] == 0, "{json}");

    let json =
        ended_early("idle", keeping_that_tells(), "--sessions 3 --duration 600", Signal::INT);
    assert_eq!(json["lost"]["count"], 0, "{json}");

    for mode in ["storm", "slowloris"] {
        let flags = "--sessions 3 --honest 2 --duration 600 --framing u32le";
        let json = ended_early(mode, echo_that_tells(10_000), flags, Signal::INT);
        assert!(json["received"].as_u64() > Some(0) && json["sent"] == json["received"], "{json}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once_and_leaves_the_files_as_they_were() {
    // It waits for answers that do not come.
    let (server, told) = silent_that_tells();
    let mut running = Running::start("echo", server, "--sessions 1 --rate 10 --duration 600");
    soon(&told, "the server is not asked");
    // Two signals at a time may be one: more of them, as long as it has not ended.
    let (_sender, pause) = channel::<()>();
    for _ in 0..300 {
        running.process.signal(Signal::INT);
        let _ = pause.recv_timeout(Duration::from_millis(10));
        if running.process.0.try_wait().unwrap().is_some() {
            break;
        }
    }
    let (code, said) = running.end();
    assert_eq!(code, Some(1), "{said}");
    assert_eq!([running.file("json"), running.file("svg")], [OLD; 2], "{said}");
}

#[test]
fn a_run_that_does_not_begin_makes_no_files_and_spoils_none() {
    let folder = tempfile::tempdir().unwrap();
    let [new, old] = ["new.json", "old.svg"].map(|name| folder.path().join(name));
    std::fs::write(&old, OLD).unwrap();
    let run_with = |server, json: &PathBuf, plot: &PathBuf| {
        let mut command: Command = load_echo(server, "--sessions 1 --messages 5");
        command.arg("--json").arg(json).arg("--plot").arg(plot);
        run(command)
    };
    run_with(server::nobody(), &new, &old).failure_alone(4);
    assert!(!new.exists());
    assert_eq!(std::fs::read_to_string(&old).unwrap(), OLD);

    // A result is whole even if what was there was longer.
    std::fs::write(&new, OLD.repeat(1000)).unwrap();
    assert_eq!(run_with(server::echo(), &new, &old).code, Some(0));
    let json: Value = serde_json::from_str(&std::fs::read_to_string(&new).unwrap()).unwrap();
    assert_eq!(json["ended_early"], false, "{json}");
}
