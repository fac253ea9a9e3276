//! `WSAAsyncSelect`: what happens to sockets comes as messages to a window.
//!
//! **Reactor.** Made for Windows 3, whose programs had one thread and a message loop and must not block:
//! a socket becomes one more source of messages, between the mouse and the timer. So a server has a
//! window, here one that is never shown (`HWND_MESSAGE`), and a program with a window needs no second
//! thread. There is no limit of 64, but each event is posted to a message queue and fetched from it, and a
//! queue that is not read stops at 10,000 messages: what is posted beyond is lost without a word.
//!
//! Events are told once (`told_once.rs`). And a message names a socket by its number alone, which may be
//! another connection's by the time the message is read: here that does no harm, as nothing is believed of
//! a message but that something is worth a try.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::HWND;
use windows_sys::Win32::Networking::WinSock::{
    FD_ACCEPT, FD_CLOSE, FD_READ, FD_WRITE, SOCKET, WSAAsyncSelect,
};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    CreateWindowExW, DestroyWindow, GetMessageW, HWND_MESSAGE, MSG, WM_APP,
};
use windows_sys::w;

use super::told_once::ToldOnce;
use super::winsock::{failed, raw};
use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(super) const MODEL: Model = Model {
    name: "wsaasyncselect",
    pattern: Pattern::Reactor,
    system: "Windows",
    summary: "what happens to sockets comes as messages to a window",
    limit: Limit::Descriptors,
    calls_per_message: "3: GetMessageW, recv, send",
    serve,
};

/// The message that says that something has happened to a socket.
const SOCKET_EVENT: u32 = WM_APP;

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let window = Window::open()?;
    let listener = listener::listen(address, observer)?;
    window.select(raw(&listener), FD_ACCEPT)?;
    let mut connections: HashMap<SOCKET, ToldOnce> = HashMap::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let Some((socket, event)) = window.next_event()? else { continue };
        if socket == raw(&listener) {
            accept(&listener, &window, &mut connections)?;
        } else if let Some(connection) = connections.get_mut(&socket)
            && connection.act(event, &mut buffer) == Waits::Over
        {
            connections.remove(&socket);
        }
    }
}

fn accept(
    listener: &TcpListener,
    window: &Window,
    connections: &mut HashMap<SOCKET, ToldOnce>,
) -> Result<(), ModelError> {
    let Some(stream) = listener::accept(listener)? else { return Ok(()) };
    let connection = Connection::new(stream).map_err(ModelError::of("ioctlsocket"))?;
    let socket = raw(connection.stream());
    // Until now it had the listener's events. What has come already is told at once.
    window.select(socket, FD_READ | FD_WRITE | FD_CLOSE)?;
    connections.insert(socket, ToldOnce::new(connection));
    Ok(())
}

/// A window that nobody sees. Its messages go to the thread that has made it.
struct Window(HWND);

impl Window {
    fn open() -> Result<Self, ModelError> {
        // A class that every system has; its procedure is never called, as no message is dispatched.
        // SAFETY: the names are constants that end with zero, and nothing else is pointed at.
        let window = unsafe {
            CreateWindowExW(
                0,
                w!("STATIC"),
                null(),
                0,
                0,
                0,
                0,
                0,
                HWND_MESSAGE,
                null_mut(),
                null_mut(),
                null(),
            )
        };
        if window.is_null() { Err(failed("CreateWindowExW")) } else { Ok(Self(window)) }
    }

    /// Has a socket's events posted to this window, and makes it one that does not block.
    fn select(&self, socket: SOCKET, events: u32) -> Result<(), ModelError> {
        // SAFETY: socket and window are open, and nothing is pointed at.
        let answer = unsafe { WSAAsyncSelect(socket, self.0, SOCKET_EVENT, events.cast_signed()) };
        if answer == 0 { Ok(()) } else { Err(failed("WSAAsyncSelect")) }
    }

    /// The next event, whose it is and what it is; `None` for a message that is about something else.
    fn next_event(&self) -> Result<Option<(SOCKET, u32)>, ModelError> {
        let mut message = MSG::default();
        // SAFETY: the message is written during the call alone; the window is this thread's, and open.
        let answer = unsafe { GetMessageW(&raw mut message, self.0, 0, 0) };
        if answer < 0 {
            return Err(failed("GetMessageW"));
        }
        // The low half is the event and the high half an error, which the next `recv` reports anyway.
        let event = u32::from(message.lParam.to_le_bytes()[0]);
        Ok((message.message == SOCKET_EVENT).then_some((message.wParam, event)))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: this thread has made the window, and nobody else destroys it.
        let _ = unsafe { DestroyWindow(self.0) };
    }
}
