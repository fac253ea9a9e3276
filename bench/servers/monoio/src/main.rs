//! The echo and chat server on monoio, as somebody who knows monoio and cares for speed would write it.
//!
//! One thread, one task per connection, two in a chat, on the io_uring driver. monoio sets none of the
//! switches of the ring, and has a way to set them (`uring_builder`): its runtime stays on one thread and
//! waits in the kernel, so `SINGLE_ISSUER` and `DEFER_TASKRUN` hold. `--default-ring` leaves them out.
//!
//! A connection owns its receive buffer, since a read takes a buffer with it. monoio has neither multishot
//! operations nor shared buffers.

#![forbid(unsafe_code)]

mod chat;
mod echo;

use std::io;
use std::process::ExitCode;

use bench_common::room::Room;
use bench_common::{ACCEPT_BACKOFF, CommonArgs, Mode};
use clap::Parser;
use io_uring::IoUring;
use monoio::net::TcpListener;
use monoio::{IoUringDriver, RuntimeBuilder};

/// Echo server on monoio's io_uring driver.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,

    /// Leave the ring as monoio sets it up.
    #[arg(long)]
    default_ring: bool,
}

fn main() -> ExitCode {
    bench_common::exit_code("monoio-server", run(&Cli::parse()))
}

fn run(cli: &Cli) -> io::Result<()> {
    bench_common::raise_descriptor_limit()?;
    let listener = bench_common::listen(cli.common.listen)?;
    let mut ring = IoUring::builder();
    if !cli.default_ring {
        ring.setup_single_issuer().setup_defer_taskrun();
    }
    let builder = RuntimeBuilder::<IoUringDriver>::new().uring_builder(ring).enable_timer();
    builder.build()?.block_on(serve(listener, cli.common.mode))
}

/// Accepts for ever; each connection becomes a task.
///
/// A task that ends with an error has lost its peer: nobody is left to tell.
async fn serve(listener: std::net::TcpListener, mode: Mode) -> io::Result<()> {
    bench_common::announce(&listener)?;
    let room = Room::default();
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            monoio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        match mode {
            Mode::Raw => drop(monoio::spawn(echo::raw(stream))),
            Mode::Framed => drop(monoio::spawn(echo::framed(stream))),
            Mode::Chat => chat::take_part(stream, room.join()),
        }
    }
}
