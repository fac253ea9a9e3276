//! What is allocated on the path of a message, counted.
//!
//! One test, in a program of its own: the allocator counts for the whole process.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use dhat::HeapStats;
use rustix::process::{Resource, Rlimit, setrlimit};
use wharf::{
    Arrival, Backend, Context, Group, Limits, Outcome, PortOptions, Server, ServerError, Session,
    SteppedServer, Time,
};

#[global_allocator]
static COUNTING: dhat::Alloc = dhat::Alloc;

/// Members, where the descriptor limit allows it: each takes two.
const MEMBERS: usize = 10_000;
/// Descriptors of the test besides its clients.
const RESERVE: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(20);
/// What the bytes of a frame say that is to go to everybody, or back.
const BROADCAST: u8 = 7;
const ECHO: u8 = 8;
/// That it is to be answered with a long payload, which is given away.
const GIVE: u8 = 9;
const GIVEN: usize = 20_000;
/// The length of a frame on the wire.
const FRAME: usize = 4 + 100;

struct Member {
    room: Group,
}

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.room)?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match frame[0] {
            ECHO => ctx.send(frame),
            GIVE => ctx.send_owned(vec![GIVE; GIVEN]),
            _ => ctx.broadcast(&self.room, frame),
        };
        Ok(())
    }
}

fn member(arrival: &Arrival) -> Member {
    Member { room: arrival.group("room") }
}

fn server(backend: Backend, sessions: usize) -> Result<Server, ServerError> {
    // Most of them say nothing, however long the test takes.
    let (first_frame, idle) = (None, None);
    let limits = Limits { sessions_max: Some(sessions), first_frame, idle, ..Limits::default() };
    let port = PortOptions { backend, ..PortOptions::default() };
    let server = Server::bind("127.0.0.1:0").workers(1).limits(limits).port_options(port);
    server.clone().start_stepped(member)?;
    Ok(server)
}

/// As many members as there can be; root may have as many as it likes.
fn members_of(backend: Backend) -> usize {
    let enough = 3 * MEMBERS as u64;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(enough), maximum: Some(enough) });
    match server(backend, 2 * MEMBERS + 1) {
        Err(ServerError::TooFewDescriptors { possible, .. }) => {
            usize::try_from(possible.saturating_sub(RESERVE) / 2).unwrap().min(MEMBERS)
        }
        _ => MEMBERS,
    }
}

struct Room<F> {
    server: SteppedServer<Member, F>,
    clients: Vec<TcpStream>,
}

impl<F: Fn(&Arrival) -> Member> Room<F> {
    fn turn(&mut self) {
        self.server.turn(0, Some(Time::ZERO)).unwrap();
    }

    fn join(&mut self, members: usize) {
        let address = self.server.handle().addresses()[0].tcp().unwrap();
        while self.clients.len() < members {
            // The listener's queue is shorter than the room.
            for _ in 0..(members - self.clients.len()).min(100) {
                let client = TcpStream::connect(address).unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                self.clients.push(client);
            }
            let joined = self.clients.len();
            while self.server.handle().group("room").len() < joined {
                self.turn();
            }
        }
    }

    /// One member says something; gives the allocations until it has gone to all of them.
    fn broadcast(&mut self) -> u64 {
        self.clients[0].write_all(&frame(BROADCAST)).unwrap();
        let allocated = self.allocated_until_gone(self.clients.len());
        self.clients.iter_mut().for_each(|client| check_hears(client, BROADCAST));
        allocated
    }

    /// So many clients say something and get it back.
    fn echo(&mut self, count: usize) -> u64 {
        let written = |client: &mut TcpStream| client.write_all(&frame(ECHO)).unwrap();
        self.clients[..count].iter_mut().for_each(written);
        let allocated = self.allocated_until_gone(count);
        self.clients[..count].iter_mut().for_each(|client| check_hears(client, ECHO));
        allocated
    }

    /// Encodes a frame to be shared.
    fn encode(&self) -> u64 {
        let (handle, payload) = (self.server.handle(), vec![7; GIVEN]);
        let before = HeapStats::get().total_blocks;
        let frame = handle.frame(&payload).unwrap();
        let allocated = HeapStats::get().total_blocks - before;
        assert_eq!(frame.payload(), payload);
        allocated
    }

    /// One client is given something long.
    fn give(&mut self) -> u64 {
        self.clients[0].write_all(&frame(GIVE)).unwrap();
        let allocated = self.allocated_until_bytes_gone(4 + GIVEN);
        let mut given = vec![0; 4 + GIVEN];
        self.clients[0].read_exact(&mut given).unwrap();
        assert!(given[4..].iter().all(|byte| *byte == GIVE));
        allocated
    }

    /// Turns until so many frames have gone, and gives the allocations that it took.
    fn allocated_until_gone(&mut self, frames: usize) -> u64 {
        self.allocated_until_bytes_gone(FRAME * frames)
    }

    fn allocated_until_bytes_gone(&mut self, bytes: usize) -> u64 {
        let handle = self.server.handle();
        let gone = handle.stats().bytes_out + bytes as u64;
        let before = HeapStats::get().total_blocks;
        while handle.stats().bytes_out < gone {
            self.turn();
        }
        HeapStats::get().total_blocks - before
    }
}

fn frame(what: u8) -> Vec<u8> {
    [&100_u32.to_le_bytes()[..], &[what; 100]].concat()
}

fn check_hears(client: &mut TcpStream, what: u8) {
    let mut heard = [0; FRAME];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(heard, *frame(what));
}

fn what_is_allocated_for_a_message(backend: Backend) {
    let members = members_of(backend);
    let server = server(backend, members + 1).unwrap().start_stepped(member).unwrap();
    let mut room = Room { server, clients: Vec::new() };
    room.join(members);
    let first = room.broadcast();
    for _ in 0..3 {
        let allocated = room.broadcast();
        assert_eq!(allocated, 1, "{backend}, {members} members; the first time {first}");
    }
    room.echo(100);
    assert_eq!(room.echo(100), 0, "{backend}");
    assert_eq!(room.encode(), 1, "{backend}: a frame that is shared");
    room.give();
    assert_eq!(room.give(), 1, "{backend}: the payload, and nothing for sending it");
}

/// A worker that has not looked yet is told once, however often the word changes.
fn a_toggled_pause_keeps_next_to_nothing() {
    let server = server(Backend::Readiness, 1).unwrap().start_stepped(member).unwrap();
    let handle = server.handle();
    let before = HeapStats::get().curr_bytes;
    for _ in 0..10_000 {
        handle.pause_accepting();
        handle.resume_accepting();
    }
    let kept = HeapStats::get().curr_bytes.saturating_sub(before);
    // 10,000 words would take megabytes, and the threads of the test program allocate as well.
    assert!(kept <= 16 << 10, "{kept} bytes wait for a worker that has only to look");
}

#[test]
fn what_is_allocated_on_the_path_of_a_message_is_bounded() {
    let _profiler = dhat::Profiler::builder().testing().build();
    a_toggled_pause_keeps_next_to_nothing();
    what_is_allocated_for_a_message(Backend::Readiness);
    if cfg!(target_os = "linux") {
        what_is_allocated_for_a_message(Backend::Auto);
    }
}
