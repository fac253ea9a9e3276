//! Work of a fixed size on the simulated network: `instructions CASE COUNT`. The same words make the same
//! instructions, so that `cargo xtask instructions` can count what a message costs, whatever the machine
//! and its load.
//!
//! Server and clients are on one thread, and no byte goes unverified.

#![forbid(unsafe_code)]

mod clients;
mod serving;

use std::process::ExitCode;

use crate::clients::Clients;
use crate::serving::{Kind, Serving};

type Error = Box<dyn std::error::Error>;

/// Sessions of all cases that keep theirs.
const SESSIONS: usize = 32;
/// Payload of a message.
const PAYLOAD_BYTES: usize = 60;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match words.as_slice() {
        [case, count] => match count.parse() {
            Ok(count) => run(case, count),
            Err(_) => Err(format!("`{count}` is no number of messages").into()),
        },
        _ => Err("instructions CASE COUNT is what is wanted".into()),
    };
    match done {
        Ok(messages) => {
            println!("{messages}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs a case for `rounds` rounds, and says how many messages, deliveries or connections that were.
fn run(case: &str, rounds: usize) -> Result<usize, Error> {
    match case {
        "echo" => exchange(Kind::Raw, 1, rounds),
        "framed" => exchange(Kind::Framed, 16, rounds),
        "broadcast" => broadcast(8, rounds),
        "accept" => connections(rounds),
        _ => {
            Err(format!("there is no case `{case}`: echo, framed, broadcast and accept are").into())
        }
    }
}

/// Each session sends `depth` messages and gets them back, again and again.
fn exchange(kind: Kind, depth: usize, rounds: usize) -> Result<usize, Error> {
    let mut serving = Serving::start(kind)?;
    let mut clients = Clients::connect(&mut serving, SESSIONS)?;
    let burst = kind.burst(PAYLOAD_BYTES, depth);
    for _ in 0..rounds {
        clients.send_all(&burst)?;
        clients.expect_all(&mut serving, &burst)?;
    }
    Ok(rounds * SESSIONS * depth)
}

/// One session sends `depth` messages to all, itself included.
fn broadcast(depth: usize, rounds: usize) -> Result<usize, Error> {
    let mut serving = Serving::start(Kind::Chat)?;
    let mut clients = Clients::connect(&mut serving, SESSIONS)?;
    let burst = Kind::Chat.burst(PAYLOAD_BYTES, depth);
    for _ in 0..rounds {
        clients.send_first(&burst)?;
        clients.expect_all(&mut serving, &burst)?;
    }
    Ok(rounds * SESSIONS * depth)
}

/// Connections that have one message echoed and are reset, as many at a time as others have sessions.
fn connections(rounds: usize) -> Result<usize, Error> {
    let mut serving = Serving::start(Kind::Raw)?;
    for _ in 0..rounds {
        let mut clients = Clients::connect(&mut serving, SESSIONS)?;
        clients.send_all(b"x")?;
        clients.expect_all(&mut serving, b"x")?;
        clients.reset();
        serving.turn_until_empty()?;
    }
    Ok(rounds * SESSIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_its_work() {
        for (case, each) in [("echo", 32), ("framed", 512), ("broadcast", 256), ("accept", 32)] {
            assert_eq!(run(case, 100).ok(), Some(100 * each), "{case}");
        }
    }

    #[test]
    fn an_unknown_case_is_refused() {
        let error = run("dance", 1).unwrap_err().to_string();
        assert!(error.contains("there is no case `dance`"), "{error}");
    }
}
