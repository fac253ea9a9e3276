//! The endpoint over TCP, beside a server that runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

mod answers;
mod captures;
mod changes;
mod dashboard;
mod hostile;
mod ledger;
mod limits;
mod openapi;
mod questions;
mod server;
mod sessions;
#[cfg(unix)]
mod unix_sockets;
mod workers;
