//! Where received bytes lie and how sent bytes are handed over.
//!
//! Received bytes lie in one [`pool`](BufferPool) per port; who gets them holds a [`Lease`]. Bytes to
//! send are [`Segment`]s that own what they point at, so that nothing the kernel reads can be freed
//! under it.

mod lease;
mod pool;
mod segment;

pub use lease::Lease;
pub(crate) use pool::BufferPool;
pub use pool::Ledger;
pub(crate) use segment::advance_all;
pub use segment::{OwnedBytes, Segment, SharedBytes};
