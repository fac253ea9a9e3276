//! Overlapped operations with completion routines: the kernel queues a call (an APC) to the thread that has
//! started the operation, which runs when that thread next waits alertably.
//!
//! **Proactor.** No events and so no limit of 64: the `OVERLAPPED` says which connection it is, since it is its
//! first field. Routines run nowhere but in a wait that allows it, on the thread that started the
//! operation, so nothing has to be locked; for the same reason no other thread can ever take over, and one
//! that falls behind stays behind. `accept` has no completion routine, which is why the wait here is one for
//! the listener's event that routines may interrupt. Each wait runs all routines that are queued and then
//! returns, so a busy server enters and leaves the kernel for every few messages.
//!
//! A connection belongs to whoever works on it: to the kernel from the start of an operation, to the
//! routine when it is called. Nobody else knows where it lies, and so there is nothing that could be freed
//! too early.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpStream};
use std::ptr::null_mut;

use windows_sys::Win32::Networking::WinSock::{
    FD_ACCEPT, WSABUF, WSAEventSelect, WSARecv, WSAResetEvent, WSASend,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::event::{Event, is_set_or_routines_ran};
use super::winsock::{failed, raw, started};
use crate::portable::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(super) const MODEL: Model = Model {
    name: "overlapped-apc",
    pattern: Pattern::Proactor,
    system: "Windows",
    summary: "operations are started in advance, and call a routine when they are done",
    limit: Limit::Descriptors,
    calls_per_message: "2 and a part of a wait: WSARecv, WSASend",
    serve,
};

const BUFFER_BYTES: u32 = 16 * 1024;

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    let accepts = Event::new()?;
    let socket = raw(&listener);
    // SAFETY: both are open; the kernel keeps what it needs of the event.
    if unsafe { WSAEventSelect(socket, accepts.handle(), FD_ACCEPT.cast_signed()) } != 0 {
        return Err(failed("WSAEventSelect"));
    }
    loop {
        // All that happens to connections happens within this call.
        if !is_set_or_routines_ran(&accepts)? {
            continue;
        }
        // SAFETY: the event is open.
        if unsafe { WSAResetEvent(accepts.handle()) } == 0 {
            return Err(failed("WSAResetEvent"));
        }
        // One for each event: the call has the next told. Wine 8.0 tells of none any more after a call that has found
        // nothing, if it had told of a connection that was accepted by then.
        if let Some(stream) = listener::accept(&listener)? {
            // SAFETY: the socket is open. It has the listener's event until it is told not to.
            if unsafe { WSAEventSelect(raw(&stream), 0, 0) } != 0 {
                return Err(failed("WSAEventSelect"));
            }
            Connection::new(stream).receive();
        }
    }
}

#[repr(C)]
struct Connection {
    /// First, so that a pointer to it is one to the whole.
    overlapped: OVERLAPPED,
    stream: TcpStream,
    /// The bytes of the buffer that are being sent; none during a receive.
    unsent: std::ops::Range<u32>,
    buffer: [u8; BUFFER_BYTES as usize],
}

impl Connection {
    fn new(stream: TcpStream) -> Box<Self> {
        let buffer = [0; BUFFER_BYTES as usize];
        Box::new(Self { overlapped: OVERLAPPED::default(), stream, unsent: 0..0, buffer })
    }

    /// Starts a receive, which owns the connection from here on; one that cannot be started ends it.
    fn receive(mut self: Box<Self>) {
        self.unsent = 0..0;
        let socket = raw(&self.stream);
        let whole = Box::into_raw(self);
        let buffer = part(whole, 0, BUFFER_BYTES);
        let mut flags = 0;
        // SAFETY: the connection was leaked just now, so that it stays until its routine is called, which
        // is not before this thread waits. The `WSABUF` is read during the call alone.
        let answer = unsafe {
            WSARecv(
                socket,
                &raw const buffer,
                1,
                null_mut(),
                &raw mut flags,
                whole.cast(),
                Some(completed),
            )
        };
        own_again_unless_started(whole, answer);
    }

    fn send(mut self: Box<Self>, from: u32, to: u32) {
        self.unsent = from..to;
        let socket = raw(&self.stream);
        let whole = Box::into_raw(self);
        let buffer = part(whole, from, to);
        // SAFETY: as in `receive`.
        let answer = unsafe {
            WSASend(socket, &raw const buffer, 1, null_mut(), 0, whole.cast(), Some(completed))
        };
        own_again_unless_started(whole, answer);
    }
}

/// These bytes of a connection's buffer.
fn part(whole: *mut Connection, from: u32, to: u32) -> WSABUF {
    // SAFETY: the caller has just leaked it, and to take an address touches nothing.
    let buffer = unsafe { &raw mut (*whole).buffer };
    WSABUF { len: to - from, buf: buffer.cast::<u8>().wrapping_add(from as usize) }
}

/// What could not be started calls no routine, and ends here with its socket.
fn own_again_unless_started(whole: *mut Connection, answer: i32) {
    if started(answer == 0).is_err() {
        // SAFETY: it was leaked by the caller, and the kernel has not taken it.
        drop(unsafe { Box::from_raw(whole) });
    }
}

/// What the kernel has called when an operation is done, whether at once, later, or never because the
/// connection has failed.
unsafe extern "system" fn completed(error: u32, bytes: u32, overlapped: *mut OVERLAPPED, _: u32) {
    // SAFETY: it is the first field of a connection that was leaked for this operation, of which this is
    // the end, so that nobody else has it.
    let connection = unsafe { Box::from_raw(overlapped.cast::<Connection>()) };
    let unsent = connection.unsent.clone();
    match (error, bytes) {
        // Dropped, and with it closed: it has failed, or the peer has ended.
        (1.., _) | (0, 0) => {}
        _ if unsent.is_empty() => connection.send(0, bytes),
        _ if unsent.start + bytes < unsent.end => connection.send(unsent.start + bytes, unsent.end),
        _ => connection.receive(),
    }
}
