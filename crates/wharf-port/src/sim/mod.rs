//! A simulated network: test a server against everything that a network does, again and again from
//! a seed.
//!
//! ```
//! use std::time::Duration;
//! use wharf_port::sim::{Faults, Network, NetworkOptions};
//! use wharf_port::{Backend, Completion, CompletionPort, ListenOptions, PortOptions, Received, Segment};
//!
//! // The network of seed 7 on which receives and sends come in parts.
//! let network = Network::new(NetworkOptions { seed: 7, ..NetworkOptions::default() });
//! network.set_faults(Faults::parse("partial-receive,partial-send")?);
//! let simulated = Some(network.clone());
//! let options = PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
//!
//! // The server is written as for any other backend; here it echoes.
//! let mut port = CompletionPort::open(&options)?;
//! let listener = port.listen("10.0.0.1:7777".parse::<wharf_port::Address>()?, &ListenOptions::default())?;
//! let mut client = network.connect(port.listener_address(listener).unwrap());
//! let mut echo = Vec::new();
//! let mut sent = false;
//! while echo.len() < 5 {
//!     port.wait(Some(port.now() + Duration::from_millis(1)))?;
//!     while let Some(completion) = port.take() {
//!         match completion {
//!             Completion::Accepted { socket, .. } => {
//!                 let socket = port.adopt(socket)?;
//!                 port.receive(socket)?;
//!             }
//!             Completion::Received { socket, what: Received::Data(lease) } => {
//!                 // One send at a time: what comes meanwhile waits.
//!                 port.send(socket, vec![Segment::Received(lease)])?;
//!                 port.pause_receive(socket)?;
//!             }
//!             Completion::Sent { socket, .. } => port.resume_receive(socket)?,
//!             _ => {}
//!         }
//!     }
//!     sent = sent || client.try_write(b"hello").is_ok();
//!     let mut bytes = [0; 16];
//!     if let Ok(count) = client.try_read(&mut bytes) {
//!         echo.extend_from_slice(&bytes[..count]);
//!     }
//! }
//! assert_eq!(echo, b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`Network`] owns a clock, a source of chance, and every connection. Ports that are opened on it
//! ([`PortOptions::simulated`](crate::PortOptions::simulated)) keep the [contract](crate) of every
//! other backend; the ends that are not the server's are [`Peer`]s. Every operation draws its own
//! time to finish, so completions come in another order with every seed, and [`Faults`] says what
//! else goes wrong, and how often.
//!
//! # Time
//!
//! At [`Pace::Virtual`] nothing takes time: a wait with nothing to take moves the clock to what comes
//! next, so that a minute of silence passes in a microsecond. Everything is on one thread then, and
//! the same seed gives the same run, to the last byte ([`Network::trace_hash`]). A wait for what can
//! never come is an error and no hang. At [`Pace::Real`] the clock runs as the system's does, and the
//! network may be used from many threads: for tests that were written for sockets.
//!
//! # Several ports
//!
//! Ports that share a thread are turned one after the other, each with a deadline that is over, and
//! [`Network::advance`] moves the clock when none of them has anything to do.
//!
//! # Two layers
//!
//! `world` is what a kernel and a network would be: ends, windows, deliveries, and operations that
//! post packets when they finish, whatever became of who asked. `driver` is the backend on top, which
//! has to make the contract's completions of them. What differs between platforms is the
//! [`Personality`] of the first.

mod driver;
mod faults;
mod network;
mod peer;
mod personality;
mod world;

pub(crate) use driver::{Ringer, Sim};
pub use faults::{FaultKind, Faults, UnknownFault};
pub use network::{Network, NetworkOptions, Pace};
pub use peer::{Peer, PeerListener};
pub use personality::Personality;
pub(crate) use world::FreshEnd;
