//! What only Windows has to show: crowds and races on real sockets, the three ways to refill accepts,
//! and that nothing is left of thousands of connections.
//!
//! Under Wine every call on a socket goes through one process, so the numbers are those that its speed
//! allows; each wait has a bound nevertheless.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails panics")]

mod accepts;
mod crowd;
mod leftovers;
mod process;
mod races;
mod server;
