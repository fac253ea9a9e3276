//! The models of Windows, a file or a folder each.
//!
//! | file | model |
//! |---|---|
//! | `select` | `select` |
//! | `wsapoll` | `WSAPoll` |
//! | `async_select` | `WSAAsyncSelect`, with a window that is never shown |
//! | `event_select` | `WSAEventSelect` and `WSAWaitForMultipleEvents` |
//! | `overlapped_event` | overlapped operations that set events |
//! | `overlapped_apc` | overlapped operations that call completion routines |
//! | `iocp/` | one completion port that worker threads share |
//! | `iocp_acceptex/` | the same with `AcceptEx` |
//!
//! `event`, `told_once` and `winsock` are what several of them would else repeat; `experiments/` is what can be
//! shown on Windows alone.

mod async_select;
mod event;
mod event_select;
mod experiments;
mod iocp;
mod iocp_acceptex;
mod overlapped_apc;
mod overlapped_event;
mod select;
mod told_once;
mod winsock;
mod wsapoll;

use crate::Model;

/// The oldest first.
pub(crate) const MODELS: [Model; 8] = [
    select::MODEL,
    async_select::MODEL,
    event_select::MODEL,
    overlapped_event::MODEL,
    overlapped_apc::MODEL,
    iocp::MODEL,
    iocp_acceptex::MODEL,
    wsapoll::MODEL,
];

pub(crate) use self::experiments::EXPERIMENTS;
