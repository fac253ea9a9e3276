//! The echo and chat server on compio, as somebody who knows compio and cares for speed would write it.
//!
//! One thread, one task per connection, two in a chat. `SINGLE_ISSUER` and `DEFER_TASKRUN` are what its
//! documentation has for a runtime that stays on one thread. Accepts are multishot (`incoming`).
//!
//! A connection owns its receive buffer, since a read takes a buffer with it. With `--multi` it owns none:
//! receives are multishot, into a pool of buffers which all connections share.

#![forbid(unsafe_code)]

mod chat;
mod echo;
mod multi;

use std::io;
use std::num::NonZero;
use std::process::ExitCode;

use bench_common::room::Room;
use bench_common::{ACCEPT_BACKOFF, BUFFER_BYTES, CommonArgs, Mode};
use clap::Parser;
use compio::driver::ProactorBuilder;
use compio::net::{TcpListener, TcpStream};
use compio::runtime::RuntimeBuilder;
use futures_util::StreamExt;

/// Echo server on compio.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,

    /// Receive into a shared pool of buffers (`read_multi`).
    #[arg(long)]
    multi: bool,

    /// Buffers in the shared pool; rounded up to a power of two.
    #[arg(long, default_value = "1024", requires = "multi")]
    buffers: NonZero<u16>,
}

fn main() -> ExitCode {
    bench_common::exit_code("compio-server", run(&Cli::parse()))
}

fn run(cli: &Cli) -> io::Result<()> {
    bench_common::raise_descriptor_limit()?;
    let listener = bench_common::listen(cli.common.listen)?;
    let mut driver = ProactorBuilder::new();
    driver.single_issuer(true).defer_taskrun(true);
    driver.buffer_pool_size(cli.buffers).buffer_pool_buffer_len(BUFFER_BYTES);
    let runtime = RuntimeBuilder::new().with_proactor(driver).build()?;
    runtime.block_on(serve(listener, cli.common.mode, cli.multi))
}

/// Accepts for ever; each connection becomes a task.
async fn serve(listener: std::net::TcpListener, mode: Mode, multi: bool) -> io::Result<()> {
    bench_common::announce(&listener)?;
    let room = Room::default();
    let listener = TcpListener::from_std(listener)?;
    let mut incoming = listener.incoming();
    while let Some(accepted) = incoming.next().await {
        match accepted {
            Ok(stream) => spawn(stream, mode, multi, &room),
            Err(_) => compio::time::sleep(ACCEPT_BACKOFF).await,
        }
    }
    Ok(())
}

/// Starts the task of a connection.
///
/// A task that ends with an error has lost its peer: nobody is left to tell.
fn spawn(stream: TcpStream, mode: Mode, multi: bool, room: &Room) {
    match (mode, multi) {
        (Mode::Raw, false) => compio::runtime::spawn(echo::raw(stream)).detach(),
        (Mode::Raw, true) => compio::runtime::spawn(multi::raw(stream)).detach(),
        (Mode::Framed, false) => compio::runtime::spawn(echo::framed(stream)).detach(),
        (Mode::Framed, true) => compio::runtime::spawn(multi::framed(stream)).detach(),
        (Mode::Chat, false) => chat::take_part(stream, room.join(), echo::say_frames),
        (Mode::Chat, true) => chat::take_part(stream, room.join(), multi::say_frames),
    }
}
