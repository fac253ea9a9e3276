//! What the tests stand on: the port under test, the other ends, and bytes to send.

mod checked_port;
#[cfg(target_os = "linux")]
mod descriptors;
mod echo;
mod model;
mod pattern;
mod peer;
mod place;
pub(crate) mod subject;
mod unix;
mod wine;

use std::time::Duration;

pub(crate) use checked_port::CheckedPort;
pub(crate) use echo::{Echo, echo_at_once};
pub(crate) use model::{Final, kinds};
pub(crate) use pattern::{Dice, assert_bytes, owned, pattern, shared};
pub(crate) use peer::{Ending, Peer};
pub(crate) use place::Outside;
#[cfg(target_os = "linux")]
pub(crate) use place::Place;
pub(crate) use subject::{Subject, run};
pub(crate) use unix::{connected, of_port, to_port};

/// How long anything may take before the test fails. Nothing here takes a tenth of it on an idle
/// machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Whether what a cancelled send has sent is known to the byte. A cancelled `WSASend` does not say.
pub(crate) const CANCELLED_SENDS_ARE_EXACT: bool = cfg!(not(windows));
