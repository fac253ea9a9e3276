//! The echo and chat server on glommio, as somebody who knows glommio and cares for speed would write it.
//!
//! One executor on the main thread, one task per connection. glommio tries each call on a socket at once and
//! polls through io_uring for what would block; it has no way to set the switches of its rings but their
//! depth. Its registered memory is for files, so as little of it is taken as glommio allows.

mod chat;
mod echo;

use std::error::Error;
use std::net;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::process::ExitCode;

use bench_common::room::Room;
use bench_common::{ACCEPT_BACKOFF, CommonArgs, Mode};
use clap::Parser;
use glommio::net::TcpListener;
use glommio::{LocalExecutorBuilder, Placement};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Entries of a ring: the default of 128 would be submitted several times per turn.
const RING_DEPTH: usize = 1024;

/// Bytes of memory that a process must be allowed to lock; with less, glommio does not start.
const LOCKED_BYTES_MIN: u64 = 512 * 1024;

/// Echo server on glommio.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> ExitCode {
    bench_common::exit_code("glommio-server", run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    bench_common::raise_descriptor_limit()?;
    raise_locked_memory_limit()?;
    let listener = bench_common::listen(cli.common.listen)?;
    let builder = LocalExecutorBuilder::new(Placement::Unbound);
    let executor = builder.ring_depth(RING_DEPTH).io_memory(0).make()?;
    executor.run(serve(listener, cli.common.mode))
}

/// Raises the soft limit of locked memory to the hard one.
fn raise_locked_memory_limit() -> Result<(), Box<dyn Error>> {
    let limit = getrlimit(Resource::Memlock);
    match limit.maximum {
        Some(bytes) if bytes < LOCKED_BYTES_MIN => Err(format!(
            "glommio needs {LOCKED_BYTES_MIN} bytes of locked memory and {bytes} are allowed: raise the hard \
             limit, for a shell with `ulimit -Hl {}`",
            LOCKED_BYTES_MIN / 1024
        )
        .into()),
        maximum => Ok(setrlimit(Resource::Memlock, Rlimit { current: maximum, maximum })?),
    }
}

/// Accepts for ever; each connection becomes a task.
///
/// A task that ends with an error has lost its peer: nobody is left to tell.
async fn serve(listener: net::TcpListener, mode: Mode) -> Result<(), Box<dyn Error>> {
    bench_common::announce(&listener)?;
    let room = Room::default();
    // SAFETY: the descriptor is a listening socket's, and nobody else has it: the listener gave it away.
    let listener = unsafe { TcpListener::from_raw_fd(listener.into_raw_fd()) };
    loop {
        let Ok(stream) = listener.accept().await else {
            glommio::timer::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        match mode {
            Mode::Raw => drop(glommio::spawn_local(echo::raw(stream)).detach()),
            Mode::Framed => drop(glommio::spawn_local(echo::framed(stream)).detach()),
            Mode::Chat => drop(glommio::spawn_local(chat::take_part(stream, room.join())).detach()),
        }
    }
}
