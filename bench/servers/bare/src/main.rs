//! The bare io_uring echo loop, on one thread: what the machine allows, and nothing else.
//!
//! It has no sessions, no limits, no timers and no statistics. It is the anchor of the comparison:
//! the distance between it and another server is what that server's comfort costs. So it has to be
//! as fast as an honest expert would make it, and right in every case that an echo server meets:
//! short sends, slow readers, peers that reset, more ready connections than buffers.
//!
//! The shape:
//!
//! * `SINGLE_ISSUER`, `DEFER_TASKRUN`, `SUBMIT_ALL`; one kernel entry per turn, which submits what
//!   the last turn staged and brings the next completions.
//! * Multishot accept and receive. All connections share one ring of receive buffers; an idle
//!   connection owns none. Without a free buffer a receive ends (`ENOBUFS`); such connections wait
//!   in a queue and are armed again when buffers have come back.
//! * At most one send in flight per connection, staged at the end of the turn, straight from the
//!   receive buffers, with everything that the turn has received on that connection.
//! * At most half of the buffers can be held by sends that wait for a slow reader. What goes
//!   beyond is copied out, and a connection with too much of that is not read until it has drained.

mod accept;
mod buffers;
mod connection;
mod outgoing;
mod receive;
mod ring;
mod send;
mod server;

use std::io;
use std::process::ExitCode;

use bench_common::CommonArgs;
use clap::Parser;

use crate::server::Server;

/// Echo server on a bare io_uring loop.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,

    /// Receive buffers in the shared ring; a power of two.
    #[arg(long, default_value_t = 256, value_parser = buffers_in_range)]
    buffers: u16,

    /// Bytes of one receive buffer.
    #[arg(long, default_value_t = 16 * 1024, value_parser = bytes_in_range())]
    buffer_size: u32,

    /// Use direct (registered) descriptors.
    #[arg(long)]
    direct: bool,

    /// Send without waiting and without a completion if all was taken at once.
    #[arg(long)]
    skip: bool,
}

fn bytes_in_range() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(64..=1 << 20)
}

fn buffers_in_range(word: &str) -> Result<u16, String> {
    match word.parse::<u16>() {
        Ok(count) if count.is_power_of_two() && (2..=1 << 15).contains(&count) => Ok(count),
        _ => Err("a power of two from 2 to 32768 is needed".into()),
    }
}

fn main() -> ExitCode {
    bench_common::exit_code("bare-server", run(&Cli::parse()))
}

fn run(cli: &Cli) -> io::Result<()> {
    let descriptors = bench_common::raise_descriptor_limit()?;
    let listener = bench_common::listen(cli.common.listen)?;
    let options = server::Options {
        mode: cli.common.mode,
        buffers: cli.buffers,
        buffer_bytes: cli.buffer_size,
        direct_descriptors: cli.direct.then(|| u32::try_from(descriptors).unwrap_or(1 << 20)),
        skip: cli.skip,
    };
    // Never dropped: should the loop fail, the kernel may still be reading what the connections
    // are sending, and closing the ring does not wait for it. The process ends instead.
    let server = Box::leak(Box::new(Server::new(&listener, options)?));
    bench_common::announce(&listener)?;
    server.run()
}
