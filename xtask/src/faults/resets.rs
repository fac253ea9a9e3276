//! Connections that are reset as soon as they are there, or after half a frame.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use super::{SETTLED_MAX, settled};
use crate::Result;
use crate::backends::Terms;
use crate::checks::{ensure, grouped};
use crate::server::Signal;
use crate::wait::Stopwatch;
use crate::{client, load, procfs, smoke};

/// Lines that the server may say about all of it, its report and the reasons of ends among them.
const LINES_MAX: usize = 4;
/// Half a frame: its length, and less than that.
const HALF: &[u8] = b"\x40\0\0\0half";

pub(super) fn run(terms: &Terms<'_>) -> Result<String> {
    // Longer than it may take until all is settled: no deadline is to end what a reset has not.
    let server = terms.serve("--frame-deadline 60")?;
    let before = procfs::descriptors(server.id())?;
    let seconds = terms.time().as_secs();
    let flags = format!("--framing u32le --sessions 50 --size 256 --duration {seconds}");
    let honest = load::start(terms.wharf, &server, &flags)?;
    let resets: u64 = client::at_once(2, || flood(server.address, terms.time()))?.iter().sum();
    let honest = honest.finish()?;
    settled(&server, before, SETTLED_MAX)?;
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    let lines = ended.stderr.lines().count();
    ensure(lines <= LINES_MAX, || format!("{lines} lines for {resets} resets: {}", ended.stderr))?;
    ensure(resets > 1_000 * seconds, || format!("only {resets} connections were reset"))?;
    Ok(format!("{} resets; beside them {}", grouped(resets), honest.figure()?))
}

/// Connects and resets for so long; gives how often.
fn flood(address: SocketAddr, time: Duration) -> Result<u64> {
    let stopwatch = Stopwatch::start();
    let mut resets = 0u64;
    while stopwatch.elapsed() < time {
        let mut stream = TcpStream::connect(address)?;
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        if resets.is_multiple_of(2) {
            stream.write_all(HALF)?;
        }
        resets += 1;
    }
    Ok(resets)
}
