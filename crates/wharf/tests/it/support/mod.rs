//! What the tests are made of: servers, clients that speak plain TCP, sessions that record.

pub(crate) mod backend;
pub(crate) mod caller;
#[cfg_attr(not(target_os = "linux"), path = "no_child.rs")]
pub(crate) mod child;
pub(crate) mod client;
pub(crate) mod gate;
pub(crate) mod record;
pub(crate) mod server;
pub(crate) mod simulated;
pub(crate) mod time;
pub(crate) mod wine;
pub(crate) mod wire;
