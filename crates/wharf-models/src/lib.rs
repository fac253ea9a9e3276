//! The model lab: every way of serving many TCP connections that the systems offer, as the same raw echo server,
//! each in its own purest form, and wharf as the last one.
//!
//! A server here is made to be read in one sitting and to be measured beside the others. It sends back what comes,
//! byte by byte and in order, whatever the peer does: it sends slowly, reads slowly, closes one direction, resets.
//! It has nothing else: no limits, no timeouts, no framing, no end. When the system denies it what it cannot do
//! without, such as descriptors, it ends with that error.
//!
//! | model | pattern | system | file |
//! |---|---|---|---|
//! | `thread-per-connection` | blocking | any | `portable/thread_per_connection.rs` |
//! | `select` | reactor | Linux | `linux/select.rs` |
//! | `poll` | reactor | Linux | `linux/poll.rs` |
//! | `epoll-level` | reactor | Linux | `linux/epoll_level.rs` |
//! | `epoll-edge` | reactor | Linux | `linux/epoll_edge.rs` |
//! | `uring-one-shot` | proactor | Linux | `linux/uring_one_shot.rs` |
//! | `uring-multishot` | proactor | Linux | `linux/uring_multishot.rs` |
//! | `select` | reactor | Windows | `windows/select.rs` |
//! | `wsaasyncselect` | reactor | Windows | `windows/async_select.rs` |
//! | `wsaeventselect` | reactor | Windows | `windows/event_select.rs` |
//! | `overlapped-event` | proactor | Windows | `windows/overlapped_event.rs` |
//! | `overlapped-apc` | proactor | Windows | `windows/overlapped_apc.rs` |
//! | `iocp` | proactor | Windows | `windows/iocp/` |
//! | `iocp-acceptex` | proactor | Windows | `windows/iocp_acceptex/` |
//! | `wsapoll` | reactor | Windows | `windows/wsapoll.rs` |
//! | `wharf` | proactor | any | `portable/wharf.rs` |
//!
//! Three patterns are all there are. *Blocking*: a call returns when it is done, and whoever waits is a thread.
//! *Reactor*: the system says which sockets a call would not block on, and the program makes the calls. *Proactor*:
//! the program says what is to be done, the system does it and says when it is finished, and until then the buffers
//! are the system's.
//!
//! `wharf models` lists, runs and compares them.

mod model;
mod observer;
mod portable;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(windows)]
mod windows;

pub mod experiments;
pub mod usage;

pub use model::{Limit, Model, ModelError, Pattern, models};
pub use observer::{Observer, Refusal};
