//! Captures as files, and played again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod files;
mod replays;
mod support;
