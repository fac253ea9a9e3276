//! What every comparison server shares, so that they differ only in what is measured.
//!
//! The command-line words, the listening socket with its options, the descriptor limit and the
//! one line on stdout are the same for all of them. [`check`] holds the tests of behaviour that a
//! server has to pass before its speed means anything.

#![forbid(unsafe_code)]

pub mod check;
pub mod frames;
pub mod room;

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that the kernel may queue before the server has accepted them.
const BACKLOG: i32 = 4096;

/// Bytes of a receive buffer.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Pause after a failed accept: out of descriptors is the usual cause, and passes.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(10);

/// Bytes of the length prefix of a frame: `u32`, little-endian, counting the payload only.
pub const FRAME_HEADER_BYTES: usize = 4;

/// Largest payload of a frame, inclusive. A longer one closes the connection.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// What the server does with what it gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Mode {
    /// Sends back whatever bytes arrive, as they arrive.
    Raw,
    /// Sends back whole frames: a `u32` little-endian length and that many bytes.
    Framed,
    /// Sends every such frame to every connection, the one that it came from included.
    Chat,
}

/// The words that every server takes.
#[derive(Args, Clone, Debug)]
pub struct CommonArgs {
    /// Address to listen on; port 0 takes any free port.
    #[arg(long, default_value = "127.0.0.1:7777")]
    pub listen: SocketAddr,

    /// What to do with what comes.
    #[arg(long, value_enum, default_value_t = Mode::Raw)]
    pub mode: Mode,
}

/// Opens the listening socket: `TCP_NODELAY`, `SO_REUSEADDR`, a backlog of 4096.
///
/// `TCP_NODELAY` is inherited by every accepted socket, so no server pays a call per connection.
///
/// # Errors
/// Whatever the kernel answers to socket, bind or listen.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

/// Prints the one line that says that the server accepts, with the real port.
///
/// # Errors
/// If stdout is closed or the socket has no address.
pub fn announce(listener: &TcpListener) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()
}

/// How a server ends: with a line on stderr, if it could not go on.
pub fn exit_code(program: &str, done: Result<(), impl Display>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Raises the soft limit of descriptors to the hard one and returns it.
///
/// # Errors
/// If the kernel refuses, which it does not for a limit within the hard one.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    Ok(limit.maximum.unwrap_or(u64::MAX))
}
