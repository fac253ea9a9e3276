//! What a [`wharf`] server has received and sent, as a file, and played again.
//!
//! A server that is [set up](wharf::Server::capture) for it keeps the last frames of its sessions. A [`Recording`] is
//! that as a file of JSON Lines, whose form `docs/capture.md` gives. It is played again to a server
//! ([`replay_to`]), or in the simulator to sessions of your own ([`replay_in_simulator`]): what was received is sent
//! again, in its order and at its times, and what comes back is compared with what was sent, frame by frame. So a
//! capture of what went wrong, or right, is a test:
//!
//! ```
//! use wharf::capture::CaptureOptions;
//! use wharf::{Context, Framing, Outcome, Server, Session};
//! use wharf_capture::{Recording, ReplayOptions, hidden_network, replay_in_simulator};
//!
//! struct Echo;
//! impl Session for Echo {
//!     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
//!         ctx.send(frame);
//!         Ok(())
//!     }
//! }
//!
//! // In the server: keep what happens, and write it down when somebody asks for it.
//! let server = Server::bind("127.0.0.1:0").framing(Framing::LINES).capture(CaptureOptions::default());
//! let running = server.start(|_| Echo)?;
//! # let mut client = std::net::TcpStream::connect(running.handle().addresses()[0].to_string())?;
//! # std::io::Write::write_all(&mut client, b"hello\n")?;
//! # std::io::Read::read_exact(&mut client, &mut [0; 6])?;
//! let captured = running.handle().captured().expect("it was set up for it");
//! let mut file = Vec::new();
//! Recording::of(&captured, None).write(&mut file)?;
//!
//! // In a test: the same sessions answer the same, on whatever network, with much going wrong.
//! let recording = Recording::read(&file[..])?;
//! for seed in 0..10 {
//!     let server = Server::bind("10.0.0.1:7777").framing(Framing::LINES);
//!     let (network, options) = (hidden_network(seed), ReplayOptions::default());
//!     let report = replay_in_simulator(&recording, server, |_| Echo, network, &options)?;
//!     assert!(report.is_equal(), "seed {seed}: {report}");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod line;
mod read;
mod recording;
mod replay;
mod write;

pub use read::ReadError;
pub use recording::{Record, RecordedSession, Recording, What};
pub use replay::{
    Difference, Problem, ReplayError, ReplayOptions, Report, Speed, hidden_network,
    replay_in_simulator, replay_to,
};
