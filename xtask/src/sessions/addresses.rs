//! One address that wants to have all sessions: it gets as many as it may have, what is beyond that is reset
//! at once, and the others are served meanwhile. With `IPv6` a network of 64 bits is one address. Nothing is
//! kept of an address that has gone.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::attempts::{Attacker, attempt};
use super::namespace;
use crate::backends::Terms;
use crate::checks::{ensure, grouped};
use crate::faults::settled;
use crate::server::{Server, Signal};
use crate::{Result, client, load, procfs, smoke, wait};

/// Sessions that an address may have.
const CAP: usize = 64;
/// Threads that attack.
const THREADS: usize = 2;
/// Those who are served meanwhile, with another address. As many as may be, from one.
const HONEST: &str = "--framing u32le --sessions 64 --rate 2000 --warmup off --duration 1";
const HONEST_SESSIONS: usize = 64;
/// Connections that are being taken in or reset, at most.
const PASSING_MAX: usize = 32;
/// What the server's memory may grow by from a tenth of the first attack to the end of all, when nobody is
/// there: an allocator's leftovers. An entry kept for each address would be more.
const GROWTH_MAX: u64 = 1 << 20;
const GROWTH_MAX_SHOWN: u64 = 4 << 20;
/// How long a server with no session may take to give back what it does not need.
const REST: Duration = Duration::from_millis(1_500);
/// How long it may take until it has no session.
const GO_MAX: Duration = Duration::from_secs(5);
/// What the server may say: its report, and once that connections are refused.
const LINES_MAX: usize = 3;

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    namespace::again(terms)
}

/// The check itself, in its namespace.
pub(crate) fn within(wharf: &Path, backend: &str, many: bool) -> Result<String> {
    let terms = Terms { wharf, backend, many };
    let has_v6 = namespace::set_up()?;
    let mut server = start(&terms, has_v6)?;
    let attempts = terms.either(10_000, 100_000);
    let descriptors = procfs::descriptors(server.id())?;
    let places = places(&server)?;
    // The honest ones come from another address than any of those who attack.
    server.address = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), places.v4);

    let first = attack(&terms, &server, attempts / 10, |_| one_v4(places.v4))?;
    let memory = memory_at_rest(&server, descriptors)?;
    let mut one = attack(&terms, &server, attempts - attempts / 10, |_| one_v4(places.v4))?;
    one.join(first);
    let network = match places.v6 {
        Some(port) => attack(&terms, &server, attempts / 10, |at| of_one_network(port, at))?,
        None => Seen::default(),
    };
    let many = many_addresses(places.v4, 2 * attempts)?;
    let grown = memory_at_rest(&server, descriptors)?.saturating_sub(memory);
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;

    let figure = format!(
        "from one address {one}; from one /64 {network}; {} addresses served one after another; memory \
         {} KiB, {} KiB more in the end",
        grouped(many as u64),
        grouped(memory >> 10),
        grouped(grown >> 10),
    );
    ensure(one.held == CAP && (!has_v6 || network.held == CAP), || {
        format!("{CAP} are allowed, no more and no less: {figure}")
    })?;
    let descriptors_max = descriptors + CAP + HONEST_SESSIONS + PASSING_MAX;
    ensure(one.descriptors.max(network.descriptors) <= descriptors_max, || {
        format!("{descriptors_max} descriptors are allowed: {figure}")
    })?;
    ensure(grown <= terms.either(GROWTH_MAX, GROWTH_MAX_SHOWN), || {
        format!("the memory grows: {figure}")
    })?;
    ensure(ended.stderr.lines().count() <= LINES_MAX, || {
        format!("it says too much: {}", ended.stderr)
    })?;
    Ok(figure)
}

/// A server for every address of the namespace.
fn start(terms: &Terms<'_>, has_v6: bool) -> Result<Server> {
    let mut command = Command::new(terms.wharf);
    command.args(["serve", "echo", "--listen", "0.0.0.0:0"]);
    command.args(has_v6.then_some(["--listen", "[::]:0"]).into_iter().flatten());
    command.args(["--framing", "u32le", "--workers", "2", "--backend", terms.backend]);
    command.args(["--per-address-max", &CAP.to_string()]);
    Server::start(&mut command)
}

/// The memory of a server that has no session and has tidied up.
fn memory_at_rest(server: &Server, descriptors: usize) -> Result<u64> {
    settled(server, descriptors, GO_MAX)?;
    wait::pause(REST);
    procfs::memory(server.id())
}

/// The TCP ports of a server.
#[derive(Clone, Copy, Debug)]
struct Places {
    v4: u16,
    v6: Option<u16>,
}

fn places(server: &Server) -> Result<Places> {
    let addresses = server.addresses();
    let port = |v6: bool| addresses.iter().find(|it| it.is_ipv6() == v6).map(SocketAddr::port);
    Ok(Places { v4: port(false).ok_or("it does not listen on IPv4")?, v6: port(true) })
}

/// The address that attacks alone.
const fn one_v4(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 66, 0, 1)), port)
}

/// Addresses of one network of 64 bits.
fn of_one_network(port: u16, number: usize) -> SocketAddr {
    let host = u16::try_from(number % 60_000).unwrap_or(0) + 1;
    SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xfd66, 0, 0, 1, 0, host, 0, host)), port)
}

/// What an attack has shown.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    served: usize,
    refused: usize,
    /// The most that were served at a time.
    held: usize,
    slowest_reset_ms: u128,
    /// The most that the server had open.
    descriptors: usize,
    /// Messages of the others that were verified meanwhile.
    honest: u64,
}

impl Seen {
    fn join(&mut self, other: Self) {
        self.served += other.served;
        self.refused += other.refused;
        self.held = self.held.max(other.held);
        self.slowest_reset_ms = self.slowest_reset_ms.max(other.slowest_reset_ms);
        self.descriptors = self.descriptors.max(other.descriptors);
        self.honest += other.honest;
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [attempts, served, refused] =
            [self.served + self.refused, self.served, self.refused].map(|it| grouped(it as u64));
        write!(
            f,
            "{attempts} attempts: {served} served, at most {} at a time, {refused} reset, the slowest \
             after {} ms, at most {} descriptors, {} messages of others verified meanwhile",
            self.held,
            self.slowest_reset_ms,
            self.descriptors,
            grouped(self.honest)
        )
    }
}

/// Attempts to connect, while others are served.
fn attack(
    terms: &Terms<'_>,
    server: &Server,
    attempts: usize,
    to: impl Fn(usize) -> SocketAddr + Sync,
) -> Result<Seen> {
    let attacker = Attacker::new(attempts);
    let ended = AtomicBool::new(false);
    let descriptors = AtomicUsize::new(0);
    let honest = std::thread::scope(|scope| {
        let threads = scope.spawn(|| {
            let result = client::at_once(THREADS, || attacker.run(&to));
            ended.store(true, Ordering::Relaxed);
            result
        });
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let now = procfs::descriptors(server.id()).unwrap_or_default();
                descriptors.fetch_max(now, Ordering::Relaxed);
            }
        });
        let mut honest = 0;
        let mut failed = None;
        while failed.is_none() && (honest == 0 || !ended.load(Ordering::Relaxed)) {
            match load::echo(terms.wharf, server, HONEST).and_then(|it| it.count("received")) {
                Ok(received) => honest += received,
                Err(error) => failed = Some(error),
            }
        }
        threads.join().unwrap_or_else(|_| Err("the attackers' thread panicked".into()))?;
        failed.map_or(Ok(honest), Err)
    })?;
    let (served, refused, held, slowest) = attacker.seen();
    Ok(Seen {
        served,
        refused,
        held,
        slowest_reset_ms: slowest.as_millis(),
        descriptors: descriptors.into_inner(),
        honest,
    })
}

/// One session each from so many addresses, which are all served, and reset.
fn many_addresses(port: u16, count: usize) -> Result<usize> {
    let next = AtomicUsize::new(0);
    client::at_once(THREADS, || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            let [.., high, middle, low] = number.to_be_bytes();
            let address = IpAddr::V4(Ipv4Addr::new(10, 128 + high, middle, low));
            let served: Option<TcpStream> = attempt(SocketAddr::new(address, port))?.served;
            let stream = served.ok_or_else(|| format!("{address} was refused"))?;
            // Reset, or as many ports would be kept for a minute.
            set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
    })?;
    Ok(count)
}
