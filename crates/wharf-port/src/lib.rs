//! A completion port for programs that hold many TCP connections: start operations, wait once, take
//! what has finished.
//!
//! ```
//! use wharf_port::{Completion, CompletionPort, ListenOptions, PortOptions, Received, Segment};
//!
//! // An echo server for one connection.
//! let mut port = CompletionPort::open(&PortOptions::default())?;
//! let listener = port.listen("127.0.0.1:0".parse::<wharf_port::Address>()?, &ListenOptions::default())?;
//! # let address = port.listener_address(listener).unwrap();
//! # let client = std::thread::spawn(move || {
//! #     use std::io::{Read, Write};
//! #     let mut stream = std::net::TcpStream::connect(address).unwrap();
//! #     stream.write_all(b"hello").unwrap();
//! #     stream.shutdown(std::net::Shutdown::Write).unwrap();
//! #     let mut echo = String::new();
//! #     stream.read_to_string(&mut echo).unwrap();
//! #     assert_eq!(echo, "hello");
//! # });
//! 'serve: loop {
//!     port.wait(None)?;
//!     while let Some(completion) = port.take() {
//!         match completion {
//!             Completion::Accepted { socket, .. } => {
//!                 let socket = port.adopt(socket)?;
//!                 port.receive(socket)?;
//!             }
//!             Completion::Received { socket, what: Received::Data(lease) } => {
//!                 port.send(socket, vec![Segment::Received(lease)])?;
//!             }
//!             Completion::Received { socket, .. } => port.close(socket)?,
//!             Completion::Closed { .. } => break 'serve,
//!             _ => {}
//!         }
//!     }
//! }
//! # client.join().unwrap();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! One [`CompletionPort`] belongs to one thread. It knows sockets, buffers and operations, and
//! nothing of sessions, frames or users; the crate `wharf` builds those on top.
//!
//! | backend | system | what finishes an operation |
//! |---|---|---|
//! | [`Backend::Uring`] | Linux 6.1 or newer in full, 5.19 with less | the kernel; one ring per port |
//! | [`Backend::Readiness`] | Linux; macOS, BSDs (never run) | the port, when a call will not block (epoll, kqueue) |
//! | [`Backend::Iocp`] | Windows 10 or newer | the kernel; one completion port per port |
//! | [`Backend::Sim`] | any | a simulated network, from a seed: see [`sim`] |
//!
//! # The contract
//!
//! The same on every backend. Each rule names the tests of the conformance suite (`tests/conformance`)
//! that check it, and that run on every backend: on the simulator with each of its personalities, and
//! once more with faults.
//!
//! 1. **Threads.** A port stays on its thread. Only a [`Waker`] may be used from other threads, and
//!    only a [`FreshSocket`], which has had no operation yet, may move between ports. A wake is never
//!    lost; many wakes may be one. (`rule_01_*`)
//! 2. **One final completion.** Every started operation gets exactly one final completion, whatever
//!    happens. Accepting and receiving may give any number before it. (`rule_02_*`)
//! 3. **Ownership.** From its start to its final completion an operation owns its socket and its
//!    buffers: segments are moved into [`send`](CompletionPort::send) and come back with
//!    [`Completion::Sent`]. Nothing else frees, moves or reuses them. (`rule_03_*`)
//! 4. **One each way.** At most one receive and one send are in flight on a socket. A second one is a
//!    bug of the caller and panics. (`rule_04_*`)
//! 5. **Cancel only asks.** The final completion still comes, and may report success: what it delivers
//!    counts. An error code never says who owns something. (`rule_05_*`)
//! 6. **Close joins.** [`close`](CompletionPort::close) cancels every operation of the socket and waits
//!    for all of them; [`Completion::Closed`] comes last. After it no completion names that socket, and
//!    the name is never used again. (`rule_06_*`)
//! 7. **Stage, then wait.** Operations are staged and start with the next
//!    [`wait`](CompletionPort::wait), which enters the kernel once for all of them, or on Windows and on
//!    readiness once for each and once to wait. Completions are taken
//!    one at a time; the caller works between two takes and may only stage. A backend may do a receive
//!    itself when its completion is taken. A send may finish within the wait that starts it; what of a
//!    received buffer could not be sent there is copied, so the buffer is back at the end of the batch.
//!    (`rule_07_*`)
//! 8. **The same words.** A send that goes out in parts is continued until all of it is with the kernel.
//!    End of stream, reset and refusal are reported alike everywhere; a receive gives at least one byte
//!    or ends. After [`pause`](CompletionPort::pause_receive) no bytes are delivered until
//!    [`resume`](CompletionPort::resume_receive); what comes late is kept, at most the port's buffers.
//!    An end or a failure that comes during a pause is reported after the bytes before it. (`rule_08_*`)
//! 9. **Closing the port** cancels and joins everything, unmaps, closes, frees, in that order.
//!    [`shut_down`](CompletionPort::shut_down) says what did not come back in time; dropping does the
//!    same and prints it. What is not joined is leaked, since the kernel may still write there.
//!    (`rule_09_*`)
//! 10. **Nothing without a maximum.** Running out of descriptors, buffers or memory is a reported
//!     condition with a back-off by timer, never a spin and never a dead listener. A receive that finds
//!     no buffer waits until one comes back. (`rule_10_*`)
//! 11. **Time and chance** come from the port: [`now`](CompletionPort::now) is read once per wait, and
//!     [`random`](CompletionPort::random) seeds hashes and jitter. (`rule_11_*`)
//! 12. **One listener per address.** A second one fails. Stopping a listener delivers what waits in its
//!     queue first. A [paused](CompletionPort::pause_accept) one accepts nobody, but what had been accepted
//!     or asked for is still delivered; who waits in its queue is not lost. (`rule_12_*`)

#![cfg_attr(docsrs, feature(doc_cfg))]

mod accept_backlog;
mod address;
mod backoff;
mod buffer;
mod clock;
mod completion;
mod error;
#[cfg(unix)]
mod full_queues;
mod ids;
#[cfg(any(windows, test))]
mod iocp;
mod limits;
#[cfg(unix)]
mod local_listener;
#[cfg(test)]
#[cfg(loom)]
mod loom_models;
#[cfg(loom)]
#[doc(hidden)]
pub mod modelled;
mod operation_counts;
mod options;
mod port;
#[cfg(unix)]
mod readiness;
#[cfg(unix)]
mod ready_listener;
mod select;
pub mod sim;
mod slots;
mod socket;
mod socket_options;
mod sync;
mod sys;
mod timers;
#[cfg(target_os = "linux")]
mod uring;
mod wake_state;
mod waker;

pub use accept_backlog::AcceptBacklog;
pub use address::{Address, AddressError, Credentials, UnixAddress};
pub use buffer::{Lease, Ledger, OwnedBytes, Segment, SharedBytes};
pub use clock::{Clock, Time};
pub use completion::{Completion, Direction, Received};
pub use error::{
    AcceptError, CloseError, ConnectError, ListenError, OpenError, ReceiveError, SendError,
    UnknownSocket, WaitError,
};
pub use ids::{ListenerId, SocketId, TimerId};
pub use limits::{pin_to_core, raise_descriptor_limit, release_free_memory};
#[cfg(unix)]
pub use local_listener::LocalListener;
pub use operation_counts::OperationCounts;
pub use options::{AcceptRefill, FirstReceive, IocpOptions, PortOptions, Recycling, UringFeatures};
pub use port::{CompletionPort, Stats};
#[cfg(unix)]
pub use ready_listener::ReadyListener;
pub use select::Backend;
pub use socket::FreshSocket;
pub use socket_options::{Keepalive, ListenOptions, SocketOptions};
pub use waker::Waker;
