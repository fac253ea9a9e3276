//! Overlapped operations with events: receives and sends are started before they can be done, and the kernel
//! sets an event when one is.
//!
//! **Proactor.** The first of them here: nobody asks whether a socket is ready, the receive is already
//! waiting in the kernel with its buffer, and what comes is written there at once. From the call until the
//! event, the buffer and the `OVERLAPPED` are the kernel's: they must neither move nor go, whatever becomes
//! of the connection. The wait is that of `WSAEventSelect`, and so is its limit: 64 events for a thread, one of
//! them the listener's, since `accept` is not overlapped. The 64th connection is refused.
//!
//! A connection has one operation at a time, a receive and then the send of what came, so it needs one
//! event.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ptr::{NonNull, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Networking::WinSock::{
    FD_ACCEPT, WSA_IO_INCOMPLETE, WSABUF, WSAEventSelect, WSAGetOverlappedResult, WSARecv,
    WSAResetEvent, WSASend,
};
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};

use super::event::{EVENTS_MAX, Event, first_set};
use super::winsock::{failed, raw, started};
use crate::portable::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern, Refusal};

pub(super) const MODEL: Model = Model {
    name: "overlapped-event",
    pattern: Pattern::Proactor,
    system: "Windows",
    summary: "operations are started in advance, and set one of 64 events when they are done",
    limit: Limit::Handles(EVENTS_MAX),
    calls_per_message: "6: WSAWaitForMultipleEvents and WSAResetEvent twice, WSARecv, WSASend",
    serve,
};

const BUFFER_BYTES: u32 = 16 * 1024;

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    // The event of the listener is the first, and that of a connection the one after its own place.
    let mut events = vec![Event::new()?];
    select(&listener, &events[0], FD_ACCEPT)?;
    let mut connections: Vec<Connection> = Vec::new();
    loop {
        let first = first_set(&events)?;
        // From the last to the first, since the last takes the place of one that has ended; and all behind
        // the first that is set, which would else never get their turn while that one is busy.
        for place in (first.max(1)..events.len()).rev() {
            if connections[place - 1].go_on(&events[place]).is_err() {
                connections.swap_remove(place - 1);
                events.swap_remove(place);
            }
        }
        if first == 0 {
            reset(&events[0])?;
            accept(&listener, &mut connections, &mut events, observer)?;
        }
    }
}

fn accept(
    listener: &TcpListener,
    connections: &mut Vec<Connection>,
    events: &mut Vec<Event>,
    observer: &dyn Observer,
) -> Result<(), ModelError> {
    let Some(stream) = listener::accept(listener)? else { return Ok(()) };
    if events.len() == EVENTS_MAX {
        let why =
            "a thread can wait for 64 events (WSA_MAXIMUM_WAIT_EVENTS), and the listener has one";
        observer.refused(&Refusal { connections: connections.len(), why });
        return Ok(());
    }
    let event = Event::new()?;
    // An accepted socket sets the listener's event until it is told not to.
    select(&stream, &event, 0)?;
    let mut connection = Connection::new(stream, event.handle() as HANDLE);
    if connection.receive().is_ok() {
        connections.push(connection);
        events.push(event);
    }
    Ok(())
}

struct Connection {
    stream: TcpStream,
    /// What the kernel is given. It stays where it is, whatever moves here.
    operation: NonNull<Operation>,
    state: State,
}

struct Operation {
    overlapped: OVERLAPPED,
    buffer: [u8; BUFFER_BYTES as usize],
}

/// Whose the operation is.
enum State {
    Ours,
    Receiving,
    /// These bytes of the buffer are being sent.
    Sending {
        from: u32,
        to: u32,
    },
}

impl Connection {
    fn new(stream: TcpStream, event: HANDLE) -> Self {
        let overlapped = OVERLAPPED { hEvent: event, ..OVERLAPPED::default() };
        let buffer = [0; BUFFER_BYTES as usize];
        let operation = NonNull::from(Box::leak(Box::new(Operation { overlapped, buffer })));
        Self { stream, operation, state: State::Ours }
    }

    /// If its operation is done, starts the next. An error means that the connection is over.
    fn go_on(&mut self, event: &Event) -> io::Result<()> {
        let outcome = self.transferred(false).transpose();
        let Some(outcome) = outcome else { return Ok(()) };
        // Done, well or not.
        let state = std::mem::replace(&mut self.state, State::Ours);
        let bytes = outcome?;
        reset(event).map_err(io::Error::other)?;
        match state {
            State::Receiving if bytes > 0 => self.send(0, bytes),
            State::Sending { from, to } if from + bytes < to => self.send(from + bytes, to),
            State::Sending { .. } => self.receive(),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let (overlapped, buffer) = self.parts(0, BUFFER_BYTES);
        let mut flags = 0;
        let socket = raw(&self.stream);
        // SAFETY: nothing is under way on the operation, which is only freed when that is so again (`drop`).
        // The `WSABUF` is read during the call alone.
        let answer = unsafe {
            WSARecv(socket, &raw const buffer, 1, null_mut(), &raw mut flags, overlapped, None)
        };
        self.become_pending(answer, State::Receiving)
    }

    fn send(&mut self, from: u32, to: u32) -> io::Result<()> {
        let (overlapped, buffer) = self.parts(from, to);
        let socket = raw(&self.stream);
        // SAFETY: as in `receive`.
        let answer =
            unsafe { WSASend(socket, &raw const buffer, 1, null_mut(), 0, overlapped, None) };
        self.become_pending(answer, State::Sending { from, to })
    }

    /// What is done at once sets the event too, so there is no difference.
    fn become_pending(&mut self, answer: i32, state: State) -> io::Result<()> {
        self.state = State::Ours;
        started(answer == 0)?;
        self.state = state;
        Ok(())
    }

    /// Where the operation lies, and these bytes of its buffer.
    fn parts(&self, from: u32, to: u32) -> (*mut OVERLAPPED, WSABUF) {
        let operation = self.operation.as_ptr();
        // SAFETY: the operation lives as long as this, and to take an address touches nothing.
        let overlapped = unsafe { &raw mut (*operation).overlapped };
        // SAFETY: as above.
        let buffer = unsafe { &raw mut (*operation).buffer };
        let start = buffer.cast::<u8>().wrapping_add(from as usize);
        (overlapped, WSABUF { len: to - from, buf: start })
    }

    /// How many bytes the operation has moved; `None` if it is not done and is not to be waited for.
    fn transferred(&self, wait: bool) -> io::Result<Option<u32>> {
        let (mut bytes, mut flags) = (0, 0);
        let (overlapped, _) = self.parts(0, 0);
        let (socket, wait) = (raw(&self.stream), i32::from(wait));
        // SAFETY: the operation was started on this socket, and lives as long as this.
        let done = unsafe {
            WSAGetOverlappedResult(socket, overlapped, &raw mut bytes, wait, &raw mut flags)
        };
        if done != 0 {
            return Ok(Some(bytes));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() == Some(WSA_IO_INCOMPLETE) { Ok(None) } else { Err(error) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !matches!(self.state, State::Ours) {
            let (overlapped, _) = self.parts(0, 0);
            // SAFETY: the socket is open, and the pointer is compared with those of pending operations.
            let _ = unsafe { CancelIoEx(raw(&self.stream) as HANDLE, overlapped) };
            // Whatever it has come to, it is done then.
            let _ = self.transferred(true);
        }
        // SAFETY: the operation was made by a `Box`, and nothing is under way on it.
        drop(unsafe { Box::from_raw(self.operation.as_ptr()) });
    }
}

/// Has an event set by a socket, or by nothing if that is all that is asked for.
fn select(
    socket: &impl std::os::windows::io::AsRawSocket,
    event: &Event,
    of: u32,
) -> Result<(), ModelError> {
    let event = if of == 0 { 0 } else { event.handle() };
    // SAFETY: both are open; the kernel keeps what it needs of the event.
    let answer = unsafe { WSAEventSelect(raw(socket), event, of.cast_signed()) };
    if answer == 0 { Ok(()) } else { Err(failed("WSAEventSelect")) }
}

fn reset(event: &Event) -> Result<(), ModelError> {
    // SAFETY: the event is open.
    let answer = unsafe { WSAResetEvent(event.handle()) };
    if answer == 0 { Err(failed("WSAResetEvent")) } else { Ok(()) }
}
