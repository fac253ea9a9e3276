//! The simulated network by itself: a seed is one run, every fault comes, nothing is lost or left.
//!
//! What the backend on top owes to the contract is the conformance suite's; what the session layer
//! makes of it is `wharf sim`'s.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails panics")]

mod clock;
mod driver;
mod echo;
mod ends;
mod faults;
mod links;
mod listeners;
mod place;
mod replay;
