//! A long stream goes through the gateway to a reader who is slower than its sender, and who stops again and
//! again until nothing moves. Each byte is compared, and the gateway's memory stays where it is.

use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use super::flow::{Flow, Stalled};
use super::{Running, free_address};
use crate::backends::Terms;
use crate::checks::{ensure, grouped};
use crate::{Result, procfs, wait};

/// How long the gateway may take to listen.
const START_MAX: Duration = Duration::from_secs(10);
/// What the gateway's own memory may grow by from before the first byte on. A direction holds a queue of 256 KiB
/// and one frame more; of its paused half, 64 KiB and what the kernel had put into the port's buffers by then,
/// which are there from the start and copied out: 2 MiB at most. As much again for what the allocator keeps of
/// pieces that came and went.
const GROWTH_MAX: u64 = 5 << 20;
/// What it may grow by from the first third of the samples to the last: flat is flat.
const DRIFT_MAX: u64 = 1 << 20;

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    // How much, and how often the reader stops.
    let (bytes, stops) = terms.either((48 << 20, 3), (1 << 30, 8));
    let there =
        to(terms, bytes, stops, true).map_err(|error| format!("to the upstream: {error}"))?;
    let back = to(terms, bytes, stops, false).map_err(|error| format!("to the client: {error}"))?;
    Ok(format!("{} MiB to a slow upstream: {there}; to a slow client: {back}", bytes >> 20))
}

/// Sends a stream through a gateway of its own, in one direction.
fn to(terms: &Terms<'_>, bytes: usize, stops: usize, upstream_reads: bool) -> Result<Memory> {
    let upstream = TcpListener::bind("127.0.0.1:0")?;
    let address = free_address()?;
    let mut command = terms.example("gateway")?;
    command.args([address.to_string(), upstream.local_addr()?.to_string()]).stdout(Stdio::null());
    let gateway = Running::start(&mut command)?;
    let client = wait::until(START_MAX, || TcpStream::connect(address).ok());
    let client = client.ok_or_else(|| format!("the gateway does not listen on {address}"))?;
    let (half, _) = upstream.accept()?;
    let process = gateway.0.id();
    let mut memory = Memory::before(process)?;
    let (from, to) = if upstream_reads { (client, half) } else { (half, client) };
    Flow { from, to, bytes, stops }.run(|stalled| memory.sample(process, stalled))?;
    memory.check()?;
    Ok(memory)
}

/// What the gateway has used, in bytes of its own memory.
#[derive(Debug)]
struct Memory {
    before: u64,
    samples: Vec<u64>,
    /// The most that was on its way when nothing moved.
    on_its_way: usize,
}

impl Memory {
    fn before(process: u32) -> Result<Self> {
        Ok(Self { before: procfs::memory(process)?, samples: Vec::new(), on_its_way: 0 })
    }

    fn sample(&mut self, process: u32, stalled: Option<Stalled>) -> Result<()> {
        self.samples.push(procfs::memory(process)?);
        if let Some(Stalled { on_its_way }) = stalled {
            self.on_its_way = self.on_its_way.max(on_its_way);
        }
        Ok(())
    }

    fn most(&self) -> u64 {
        self.samples.iter().copied().max().unwrap_or_default()
    }

    /// The means of the first and the last third.
    fn thirds(&self) -> [u64; 2] {
        let third = (self.samples.len() / 3).max(1).min(self.samples.len());
        let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len().max(1) as u64;
        [&self.samples[..third], &self.samples[self.samples.len() - third..]].map(mean)
    }

    fn check(&self) -> Result<()> {
        ensure(self.on_its_way > 0, || "the reader has never stopped the sender".to_owned())?;
        ensure(self.most().saturating_sub(self.before) <= GROWTH_MAX, || {
            format!("the gateway holds more than its queues: {self}")
        })?;
        let [first, last] = self.thirds();
        ensure(last.saturating_sub(first) <= DRIFT_MAX, || {
            format!("the memory is not flat: {self}")
        })
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, last] = self.thirds();
        let [before, first, last, most] =
            [self.before, first, last, self.most()].map(|bytes| grouped(bytes >> 10));
        write!(
            f,
            "{before} KiB before, {first} in the first third of {} samples, {last} in the last, {most} at most; \
             {} KiB on their way while nothing moved",
            self.samples.len(),
            grouped(self.on_its_way as u64 >> 10)
        )
    }
}
