//! What can be shown on Windows alone. Some of it is not so under Wine, and then the report says what Wine does.
//!
//! | file | what it shows |
//! |---|---|
//! | `packets_fifo` | packets are taken in the order in which they were queued |
//! | `threads_lifo` | of the threads that wait, the last to come is the first to go |
//! | `concurrency_value` | how many threads a port lets run at the same time, and when it lets one more |
//! | `wsabuf_stack` | an array of `WSABUF`s may be gone when the call is back, what it points at may not |
//! | `receives_in_flight` | several receives at once are filled in order, and handled in any |
//! | `accept/` | what the ways to accept cost, and what they leave for others |

mod accept;
mod concurrency_value;
mod packets_fifo;
mod receives_in_flight;
mod threads_lifo;
mod wsabuf_stack;

use std::io;
use std::net::{TcpListener, TcpStream};

use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};

use crate::ModelError;
use crate::experiments::Experiment;

pub(crate) const EXPERIMENTS: [Experiment; 6] = [
    packets_fifo::EXPERIMENT,
    threads_lifo::EXPERIMENT,
    concurrency_value::EXPERIMENT,
    wsabuf_stack::EXPERIMENT,
    receives_in_flight::EXPERIMENT,
    accept::EXPERIMENT,
];

/// How long an experiment waits for a packet that must come, in milliseconds.
const PATIENCE_MS: u32 = 30_000;

fn io_error(error: ModelError) -> io::Error {
    io::Error::other(error)
}

/// Both ends of a connection; the second is the accepted one.
fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let connected = TcpStream::connect(listener.local_addr()?)?;
    Ok((connected, listener.accept()?.0))
}

/// Whether this is a Wine, which has a function that says so.
fn is_wine() -> bool {
    // SAFETY: the name is a constant that ends with zero.
    let ntdll = unsafe { GetModuleHandleA(c"ntdll.dll".as_ptr().cast()) };
    // SAFETY: the library is that of every process, or none, and the name ends with zero.
    !ntdll.is_null()
        && unsafe { GetProcAddress(ntdll, c"wine_get_version".as_ptr().cast()) }.is_some()
}
