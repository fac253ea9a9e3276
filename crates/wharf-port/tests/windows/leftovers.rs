//! What is left of connections that are over: nothing.

use std::process::Command;

use wharf_port::CompletionPort;

use crate::process::{handles, memory};
use crate::server::{Server, assert_echo, connect, end, options};

/// Names the test that a child process is to run.
const ALONE: &str = "WHARF_ALONE";

/// Runs a test in a process of its own: other tests open handles, too.
fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var(ALONE).is_ok_and(|test| test == name) {
        return body();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("leftovers::{name}"), "--nocapture"])
        .env(ALONE, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    let ran = child.status.success() && said.contains("1 passed");
    assert!(ran, "{said}\n{}", String::from_utf8_lossy(&child.stderr));
}

/// Opens, uses and closes connections one after the other.
fn connections(server: &Server, count: u32) {
    for number in 0..count {
        let mut client = connect(server.address);
        assert_echo(&mut client, &number.to_le_bytes());
        end(client);
    }
}

#[test]
fn ten_thousand_connections_leave_neither_handles_nor_memory() {
    alone("ten_thousand_connections_leave_neither_handles_nor_memory", || {
        let server = Server::start(options());
        connections(&server, 500);
        let before = (handles(), memory());
        connections(&server, 10_000);
        let after = (handles(), memory());
        assert!(after.0 <= before.0 + 16, "handles: {before:?}, {after:?}");
        assert!(after.1 <= before.1 + (1 << 20), "memory: {before:?}, {after:?}");
        assert_eq!(server.stop().accepted, 10_500);
    });
}

#[test]
fn stopping_with_accepts_and_sessions_under_way_leaves_nothing() {
    alone("stopping_with_accepts_and_sessions_under_way_leaves_nothing", || {
        // The first port of a process leaves what Winsock opens once.
        CompletionPort::open(&options()).unwrap();
        let server = Server::start(options());
        end(connect(server.address));
        server.stop();
        let before = handles();
        let server = Server::start(options());
        let mut clients: Vec<_> = (0..1_000).map(|_| connect(server.address)).collect();
        for client in &mut clients {
            assert_echo(client, b"hello");
        }
        let report = server.stop();
        assert_eq!(report.open, 1_000, "{report:?}");
        drop(clients);
        let after = handles();
        assert!(after <= before + 8, "{before} handles, then {after}");
    });
}
