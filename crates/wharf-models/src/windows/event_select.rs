//! `WSAEventSelect`: what happens to a socket sets its event, and a thread waits for up to 64 events.
//!
//! **Reactor.** What `WSAAsyncSelect` is without a window: events instead of messages, so that a service or
//! any worker thread can use it. The kernel remembers what happened to each socket; a wait hands over
//! events, not sockets, and needs no search of everything. But `WSAWaitForMultipleEvents` takes no more than
//! 64 of them (`WSA_MAXIMUM_WAIT_EVENTS`). One is the listener's, so that 63 connections are served and the
//! next is refused; more need a further thread for each 64, and something that spreads sockets over threads.
//!
//! The wait tells of the first event that is set. A loop that looked only at that one would never come to
//! the last while the first are busy, so all behind it are looked at too.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};

use windows_sys::Win32::Networking::WinSock::{
    FD_ACCEPT, FD_CLOSE, FD_READ, FD_WRITE, SOCKET, WSAEnumNetworkEvents, WSAEventSelect,
    WSANETWORKEVENTS,
};

use super::event::{EVENTS_MAX, Event, first_set};
use super::told_once::ToldOnce;
use super::winsock::{failed, raw};
use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern, Refusal};

pub(super) const MODEL: Model = Model {
    name: "wsaeventselect",
    pattern: Pattern::Reactor,
    system: "Windows",
    summary: "what happens to a socket sets its event, 64 of which can be waited for",
    limit: Limit::Handles(EVENTS_MAX),
    calls_per_message: "4: WSAWaitForMultipleEvents, WSAEnumNetworkEvents, recv, send",
    serve,
};

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    // The event of the listener is the first, and that of a connection the one after its own place.
    let mut events = vec![Event::new()?];
    select(raw(&listener), &events[0], FD_ACCEPT)?;
    let mut connections: Vec<(SOCKET, ToldOnce)> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let first = first_set(&events)?;
        // From the last to the first, since the last takes the place of one that has ended.
        for place in (first.max(1)..events.len()).rev() {
            let (socket, connection) = &mut connections[place - 1];
            let happened = take(*socket, &events[place])?;
            if happened != 0 && connection.act(happened, &mut buffer) == Waits::Over {
                connections.swap_remove(place - 1);
                events.swap_remove(place);
            }
        }
        if first == 0 && take(raw(&listener), &events[0])? != 0 {
            accept(&listener, &mut connections, &mut events, observer)?;
        }
    }
}

fn accept(
    listener: &TcpListener,
    connections: &mut Vec<(SOCKET, ToldOnce)>,
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
    let connection = Connection::new(stream).map_err(ModelError::of("ioctlsocket"))?;
    let socket = raw(connection.stream());
    let event = Event::new()?;
    // Until now it had the listener's. What has come already is told at once.
    select(socket, &event, FD_READ | FD_WRITE | FD_CLOSE)?;
    connections.push((socket, ToldOnce::new(connection)));
    events.push(event);
    Ok(())
}

/// Has an event set by what happens to a socket, and makes it one that does not block.
fn select(socket: SOCKET, event: &Event, of: u32) -> Result<(), ModelError> {
    // SAFETY: both are open; the kernel keeps what it needs of the event.
    let answer = unsafe { WSAEventSelect(socket, event.handle(), of.cast_signed()) };
    if answer == 0 { Ok(()) } else { Err(failed("WSAEventSelect")) }
}

/// What has happened to a socket since this was last asked, and resets its event in the same step, so that
/// nothing can happen in between.
fn take(socket: SOCKET, event: &Event) -> Result<u32, ModelError> {
    let mut happened = WSANETWORKEVENTS::default();
    // SAFETY: both are open; the structure is written during the call alone.
    let answer = unsafe { WSAEnumNetworkEvents(socket, event.handle(), &raw mut happened) };
    if answer != 0 {
        return Err(failed("WSAEnumNetworkEvents"));
    }
    Ok(happened.lNetworkEvents.cast_unsigned())
}
