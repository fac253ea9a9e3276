//! The echo and chat server on tokio, as somebody who knows tokio and cares for speed would write it.
//!
//! One thread (`current_thread`), one task per connection, nothing shared between tasks.

#![forbid(unsafe_code)]

mod chat;
mod framed;
mod raw;

use std::io;

use bench_common::{ACCEPT_BACKOFF, CommonArgs, Mode};
use clap::Parser;
use tokio::net::TcpListener;

/// Echo server on tokio's current_thread runtime.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    common: CommonArgs,
}

fn main() -> io::Result<()> {
    let cli = Cli::parse();
    bench_common::raise_descriptor_limit()?;
    let listener = bench_common::listen(cli.common.listen)?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(listener, cli.common.mode))
}

/// Accepts for ever; each connection becomes a task.
///
/// A task that ends with an error has lost its peer: nobody is left to tell.
async fn serve(listener: std::net::TcpListener, mode: Mode) -> io::Result<()> {
    bench_common::announce(&listener)?;
    let everybody = chat::Everybody::new();
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_BACKOFF).await;
            continue;
        };
        match mode {
            Mode::Raw => drop(tokio::spawn(raw::echo(stream))),
            Mode::Framed => drop(tokio::spawn(framed::echo(stream))),
            Mode::Chat => drop(tokio::spawn(chat::take_part(stream, everybody.clone()))),
        }
    }
}
