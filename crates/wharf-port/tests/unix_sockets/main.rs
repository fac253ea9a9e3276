//! What only Unix sockets have: files, names, and who the peer is. All that they share with TCP is in the
//! conformance suite.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails panics")]

mod credentials;
mod files;
mod place;
mod reaching;
