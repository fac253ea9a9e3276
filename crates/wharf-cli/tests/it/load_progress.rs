//! The progress bar of `wharf load`, on a terminal of our own.

use std::net::SocketAddr;
use std::num::NonZero;
use std::process::{Command, Stdio};

use crate::program::{load, run};
use crate::pty::Pty;
use crate::server;
use crate::serving::{PATIENCE, Process};

/// A load on a backend that is there anywhere: to fall back to it is told in a line.
fn load_anywhere(mode: &str, server: SocketAddr, arguments: &str) -> Command {
    let mut command = load(mode, server, arguments);
    command.args(["--backend", "readiness"]);
    command
}

/// What stands on the terminal that a run has for its standard error stream, piece by piece, and in the end.
fn shown(mut command: Command) -> Vec<String> {
    let Pty { output, user, .. } = &Pty::open(24, 100);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(user.try_clone().unwrap());
    let mut process = Process(command.spawn().unwrap());
    drop(command);
    let [rows, columns] = [24, 100].map(|size| NonZero::new(size).unwrap());
    let mut screen = vt100::Parser::new(rows, columns, 0);
    let mut shown = |bytes: Vec<u8>| {
        screen.process(&bytes);
        screen.screen().contents()
    };
    let mut all = Vec::new();
    while process.0.try_wait().unwrap().is_none() {
        // A bar moves ten times a second; a run that shows none says nothing.
        all.extend(output.recv_timeout(PATIENCE / 300).ok().map(&mut shown));
    }
    assert_eq!(process.exit_code(), Some(0), "{all:?}");
    // What it has written last may still be on its way through the terminal.
    while all.last().is_some_and(|text| !text.is_empty()) {
        let Ok(bytes) = output.recv_timeout(PATIENCE) else { break };
        all.push(shown(bytes));
    }
    all
}

/// The percentages that a bar has gone through, of those lines that say something.
fn percentages(shown: &[String], say: &str) -> Vec<u32> {
    let lines = shown.iter().filter(|text| text.contains(say));
    let numbers = lines.filter_map(|line| line.split('%').next()?.split_whitespace().last());
    let mut numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
    numbers.dedup();
    numbers
}

#[test]
fn a_bar_moves_on_a_terminal_and_is_gone_in_the_end() {
    for (mode, flags, say) in [
        ("echo", "--sessions 3 --duration 2 --warmup 0.3", "messages/s"),
        ("accept", "--sessions 3 --duration 2 --rate 100", "connections/s"),
        // They are all open before the first look.
        ("idle", "--sessions 3 --duration 2", "keeping them"),
    ] {
        let shown = shown(load_anywhere(mode, server::echo(), flags));
        let percentages = percentages(&shown, say);
        // How often it is drawn depends on what else the machine does.
        assert!(percentages.len() >= 2 && percentages.is_sorted(), "{mode}: {shown:?}");
        assert_eq!(shown.last().map(String::as_str), Some(""), "{mode}: {shown:?}");
    }
}

#[test]
fn no_bar_is_written_to_what_is_no_terminal() {
    let ended = run(load_anywhere("echo", server::echo(), "--sessions 3 --duration 0.5"));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}
