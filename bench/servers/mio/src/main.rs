//! The bare readiness loop, on mio and on one thread: what epoll allows, and nothing else.
//!
//! It is the anchor of every backend that works by readiness, as `bare` is that of io_uring: as fast as an
//! honest expert would make it, and right in every case that an echo server meets.
//!
//! The shape:
//!
//! * mio watches for edges only, so a socket is registered once, when it is accepted, for reading. Only
//!   one that has been full is watched for room too, from then on.
//! * One receive buffer for all connections; an idle one owns none. What was read is answered from where
//!   it lies, with one call. A read that does not fill the buffer has emptied the socket, which saves the
//!   call that would only say so.
//! * What a socket has no room for is copied out, and its connection is not read until that is gone.
//! * In a chat, what a turn has brought is delivered at its end: one call for each member, however many
//!   frames there are. A member without room has them put together behind what it waits for already.

#![forbid(unsafe_code)]

mod chat;
mod connection;
mod output;
mod server;

use std::io;
use std::process::ExitCode;

use bench_common::CommonArgs;
use clap::Parser;

use crate::server::Server;

/// Echo server on a bare mio loop.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,

    /// Events that one wait brings at most.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u16).range(1..))]
    events: u16,
}

fn main() -> ExitCode {
    bench_common::exit_code("mio-server", run(&Cli::parse()))
}

fn run(cli: &Cli) -> io::Result<()> {
    bench_common::raise_descriptor_limit()?;
    let listener = bench_common::listen(cli.common.listen)?;
    let mut server = Server::new(&listener, cli.common.mode)?;
    bench_common::announce(&listener)?;
    server.run(usize::from(cli.events))
}
