//! Drains in the middle of traffic: whoever reads gets all that it is owed, then the end of its stream.
//!
//! With echo, every stream is cut somewhere: what came is what was sent, to the end of a frame, and an end of
//! the stream follows, no reset. What each is owed to the byte is known with chat: the speaker has heard all
//! of its own words, so everybody has to, though none of the others has read any when the server is told to
//! end, and most of it is still queued there.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::streams::{Progress, Streams};
use crate::backends::Terms;
use crate::checks::{ensure, grouped};
use crate::client::{Client, piece};
use crate::server::{Server, Signal, serve, serve_echo};
use crate::{Result, chance, procfs, smoke, wait};

/// How long it may take until all clients have had their first bytes.
const START_MAX: Duration = Duration::from_secs(20);
/// The server is told to end so long after that at most, in milliseconds: nobody has chosen the moment.
const MOMENT_MS_MAX: u64 = 300;
/// Bytes of a line that is said, and how many of them at a time. All lines together are twice what a send
/// buffer of the system may hold, so that the rest has to be in the server.
const LINE_BYTES: usize = 4_096;
const AT_A_TIME: usize = 16;
/// A member's send queue takes all of them.
const CHAT: &str = "--framing lines --send-max 64MiB";
/// Bytes of a greeting: `hello 0000`, and the end of the line.
const HELLO_BYTES: usize = 11;
/// How many greetings may be needed until all members are there, and how long each is given.
const HELLOS_MAX: usize = 200;
const HELLO_MAX: Duration = Duration::from_millis(100);

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    let (sessions, rounds) = terms.either((200, 3), (2_000, 10));
    let mut bytes = 0;
    for round in 1..=rounds {
        bytes += echo(terms, sessions).map_err(|error| format!("echo, round {round}: {error}"))?;
    }
    let members = terms.either(20, 100);
    let queued = chat(terms, members).map_err(|error| format!("chat: {error}"))?;
    Ok(format!(
        "echo, {rounds} times with {} sessions: {} KiB verified, each stream to its end, none reset; \
         chat: {} members got every byte, at least {} KiB of it in the server's queues when it was told to end",
        grouped(sessions as u64),
        grouped(bytes >> 10),
        grouped(members as u64),
        grouped(queued >> 10),
    ))
}

/// Ends an echo server in the middle of so many streams; gives how many bytes came back.
fn echo(terms: &Terms<'_>, sessions: usize) -> Result<u64> {
    let server = Server::start(&mut serve_echo(terms.wharf, &terms.flags("--framing u32le")))?;
    let progress = Progress::default();
    let (ended, seen) = std::thread::scope(|scope| {
        let (address, progress) = (server.address, &progress);
        // A port belongs to the thread that opens it.
        let streams = scope.spawn(move || Streams::open(address, sessions, progress)?.run());
        let flowing = || progress.flowing.load(Ordering::Relaxed) >= sessions;
        let begun = wait::until(START_MAX, || (flowing() || streams.is_finished()).then_some(()));
        wait::pause(Duration::from_millis(chance::below(MOMENT_MS_MAX)));
        // Without a server the streams end, whatever has gone wrong.
        let ended = server.stop(Signal::Terminate);
        let seen = streams.join().unwrap_or_else(|_| Err("the clients' thread panicked".into()))?;
        begun.ok_or("not all streams have begun")?;
        Ok::<_, crate::Error>((ended?, seen))
    })?;
    drained(&ended, sessions)?;
    Ok(seen)
}

/// Checks that a server that was told to end has drained all sessions and lost nothing.
fn drained(ended: &crate::process::Ended, sessions: usize) -> Result<()> {
    smoke::drained(ended)?;
    let report = format!("{sessions} sessions drained, 0 forced, 0 bytes lost");
    ensure(ended.stderr.contains(&report), || {
        let said: Vec<&str> = ended.stderr.lines().filter(|line| !line.contains("DEBUG")).collect();
        format!("its report should be '{report}': {said:?}")
    })
}

/// Ends a chat server while much is queued for every member; gives how many bytes that are at least.
fn chat(terms: &Terms<'_>, count: usize) -> Result<u64> {
    let server = Server::start(&mut serve(terms.wharf, "chat", &terms.flags(CHAT)))?;
    let mut speaker = Client::connect(server.address)?;
    let mut members = Client::connect_all(server.address, count)?;
    let hellos = greet(&mut speaker, &members)?;
    let mut owed = Vec::new();
    for member in &mut members {
        owed.push(hellos - heard_first(member)?);
    }
    let send_buffer = procfs::send_buffer_max()?;
    let words = words(2 * send_buffer / LINE_BYTES);
    for part in words.chunks(AT_A_TIME * LINE_BYTES) {
        speaker.write(part)?;
        speaker.expect(part)?;
    }
    let mut queued = 0;
    for (member, hellos) in members.iter().zip(&owed) {
        let on_their_way = hellos * HELLO_BYTES + words.len() - member.waiting()?;
        let in_the_server = on_their_way.saturating_sub(send_buffer);
        ensure(in_the_server > 0, || "the system has taken all: nothing is shown".to_owned())?;
        queued += in_the_server;
    }
    server.signal(Signal::Terminate)?;
    for (member, hellos) in members.iter_mut().zip(&owed) {
        for _ in 0..*hellos {
            heard_first(member)?;
        }
        member.expect(&words)?;
        member.expect_end()?;
    }
    speaker.expect_end()?;
    drop((members, speaker));
    drained(&server.wait()?, count + 1)?;
    Ok(queued as u64)
}

/// Greets until everybody has heard a greeting, and so is a member; gives how many it took.
fn greet(speaker: &mut Client, members: &[Client]) -> Result<usize> {
    for hello in 1..=HELLOS_MAX {
        let line = format!("hello {hello:04}\n");
        speaker.write(line.as_bytes())?;
        speaker.expect(line.as_bytes())?;
        let all = || members.iter().all(|it| it.waiting().is_ok_and(|it| it >= HELLO_BYTES));
        if wait::until(HELLO_MAX, || all().then_some(())).is_some() {
            return Ok(hello);
        }
    }
    Err(format!("not all are members after {HELLOS_MAX} greetings").into())
}

/// Reads a greeting; gives its number.
fn heard_first(member: &mut Client) -> Result<usize> {
    let line = member.read(HELLO_BYTES)?;
    let number = String::from_utf8_lossy(&line);
    let number = number.strip_prefix("hello ").map(str::trim_end).map(str::parse);
    number.ok_or_else(|| format!("no greeting: {line:?}"))?.map_err(Into::into)
}

/// What is said: lines, none like another.
fn words(lines: usize) -> Vec<u8> {
    let mut words = Vec::with_capacity(lines * LINE_BYTES);
    for line in 0..lines {
        let text = piece(line * LINE_BYTES, LINE_BYTES - 1);
        words.extend(text.iter().map(|byte| b' ' + byte % 64));
        words.push(b'\n');
    }
    words
}
