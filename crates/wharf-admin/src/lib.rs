//! Metrics and health of a running [`wharf`] server, over HTTP.
//!
//! ```no_run
//! use wharf::{Context, Outcome, Server, Session};
//! use wharf_admin::{Admin, AdminOptions};
//!
//! struct Echo;
//!
//! impl Session for Echo {
//!     fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
//!         ctx.send(frame);
//!         Ok(())
//!     }
//! }
//!
//! let running = Server::bind("127.0.0.1:7777").start(|_| Echo)?;
//! let admin = Admin::start(running.handle(), AdminOptions::new(([127, 0, 0, 1], 7778).into()))?;
//! println!("http://{}/metrics", admin.address());
//! running.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | path | what it answers |
//! |---|---|
//! | `/metrics` | what the server counts and measures, as OpenMetrics text, which Prometheus reads |
//! | `/health` | 200 if every worker answers within [`AdminOptions::worker_patience`], else 503 and who does not |
//! | `/ready` | 200 if the server accepts connections, else 503 |
//!
//! Nothing can be changed by it: every route is a `GET`.
//!
//! It runs on one thread of its own, and asks the workers by messages: no lock and no counter is added to
//! the way of a message. It trusts nobody: it listens on a loopback address unless there is a
//! [token](AdminOptions::token), answers no request whose `Host` is not its own (a page that has rebound its
//! name to this machine) and none that says it comes from a page of somebody else's (`Origin`), and bounds
//! connections, headers and time.
#![forbid(unsafe_code)]

mod endpoint;
mod guard;
mod metrics;
mod options;
mod routes;

pub use endpoint::{Admin, AdminError};
pub use options::{AdminOptions, AdminOptionsError};
