//! Metrics, health and sessions of a running [`wharf`] server, over HTTP.
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
//! | `GET` | what it answers |
//! |---|---|
//! | `/` | a page for people: charts, workers, sessions, and what can be done to them. It asks for the token itself |
//! | `/metrics` | what the server counts and measures, as OpenMetrics text, which Prometheus reads |
//! | `/health` | 200 if every worker that has not ended answers within [`AdminOptions::worker_patience`], else 503 |
//! | `/ready` | 200 if the server accepts connections, else 503 |
//! | `/api/v1/openapi.json` | the description of all this, as OpenAPI has it |
//! | `/api/v1/server` | the server as a whole, as JSON |
//! | `/api/v1/sessions` | some sessions, as JSON |
//! | `/api/v1/sessions/ID` | one session |
//! | `/api/v1/sessions/ID/capture` | what is [captured](wharf::capture) of it, as a file of `wharf-capture` |
//! | `/api/v1/limits` | the limits that may change |
//! | `/api/v1/bans` | the networks that are banned |
//! | `/api/v1/workers` | what each worker counts and holds, and who has its buffers |
//! | `/api/v1/ledger` | what each worker holds, by kind: buffers, operations, sessions. Each looks at all that it has |
//!
//! | `POST`, with the header `X-Wharf-Admin: 1` | what it does |
//! |---|---|
//! | `/api/v1/sessions/ID/kick` | closes a session in order |
//! | `/api/v1/sessions/ID/capture` | [captures](wharf::ServerHandle::capture_session) a session from now on |
//! | `/api/v1/accepting/pause` | [accepts nobody](wharf::ServerHandle::pause_accepting) for now |
//! | `/api/v1/accepting/resume` | accepts again |
//! | `/api/v1/limits` | [changes](wharf::ServerHandle::change_limits) those that its body has |
//! | `/api/v1/bans` | [bans](wharf::ServerHandle::ban) the network that its body has |
//! | `/api/v1/bans/lift` | lifts the ban of the network that its body has |
//! | `/api/v1/drain` | [drains](wharf::ServerHandle::drain) the server, or does [`AdminOptions::drain`] |
//!
//! `/api/v1/sessions` takes `order=` `id`, `queue` (the fullest first), `age` (the oldest first), `silence`,
//! `received` or `sent` (the most bytes first), `received_rate` or `sent_rate` (the most bytes a second
//! [of late](wharf::SessionReport::received_per_second)), `limit=` 1 to 1,000, `peer=`, how the text of the peer's
//! address begins, `group=`, the name of a group, and with `order=id` `after=ID`, which gives the next page. It is
//! 100 sessions by id if nothing is said. Ids are text, since they have 64 bits. What cannot be answered is a line of
//! text, with a status that says why.
//!
//! It runs on one thread of its own, and asks the workers by messages: no lock and no counter is added to
//! the way of a message. It trusts nobody but the users of its machine, and not even them if there is a
//! [token](AdminOptions::token): it listens on a loopback address or at a file of its owner's
//! unless there is one, answers no request whose
//! `Host` is not its own (a page that has rebound its name to this machine; [`AdminOptions::hosts`]) and none that
//! says it comes from a page of somebody else's (`Origin`), and bounds connections, headers, time, and questions to
//! the workers: four at a time, and 503 for who finds no place within [`AdminOptions::worker_patience`]. No foreign
//! page can send the header that changes need. A capture is what people say: it is begun and given only where there is
//! a token or a file, and whoever has that one may read it; one at a time, in memory until it has been sent, for at
//! most the ten seconds of an exchange. Set up a server for it by [`Server::capture`](wharf::Server::capture), with
//! [`Chosen::None`](wharf::capture::Chosen::None) if nobody is to be captured before somebody asks.
//!
//! The connection of a `GET` that was answered, with a MiB at most, is kept for the next request: five seconds without
//! one, for a minute in all, and only while no more than half of the 32 connections that may be are taken. Any other
//! answer has `Connection: close`.
#![forbid(unsafe_code)]

mod answer;
mod captures;
mod changes;
mod connection;
mod dashboard;
mod endpoint;
mod guard;
mod ledger;
mod limits;
mod listener;
mod listing;
mod metrics;
mod options;
mod questions;
mod route;
mod routes;
mod server;
mod sessions;
mod workers;

pub use endpoint::{Admin, AdminError, AdminSocket};
pub use options::{AdminOptions, AdminOptionsError};
