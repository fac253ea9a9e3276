//! `select`: a list of sockets goes in, the same list comes back with only those that are ready.
//!
//! **Reactor.** The oldest of them, and the one that every system has. Each call hands over all sockets
//! again, and each return is searched for the ready ones, so a message costs more the more idle
//! connections there are. An `fd_set` of Windows is an array of handles with a count, not the bit mask of
//! Unix: numbers may be as high as they like, but only `FD_SETSIZE` of them, 64 unless a program is
//! compiled otherwise, have room. One is the listener, so that 63 connections are served and the next is
//! refused.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::ptr::{null, null_mut};

use windows_sys::Win32::Networking::WinSock::{FD_SET, SOCKET, SOCKET_ERROR, select};

use super::winsock::{failed, raw};
use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern, Refusal};

pub(super) const MODEL: Model = Model {
    name: "select",
    pattern: Pattern::Reactor,
    system: "Windows",
    summary: "a set of at most 64 sockets is handed over and searched at each wait",
    limit: Limit::Handles(SET_MAX),
    calls_per_message: "3: select, recv, send",
    serve,
};

/// `FD_SETSIZE`, as the headers of Windows have it.
const SET_MAX: usize = 64;

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    listener.set_nonblocking(true).map_err(ModelError::of("ioctlsocket"))?;
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        // Both sets are made anew each time: the last call has left only the ready ones in them.
        let waiting = |what| connections.iter().filter(move |it| it.waits() == what).map(number);
        let mut readable = set_of([raw(&listener)].into_iter().chain(waiting(Waits::ToReceive)));
        let mut writable = set_of(waiting(Waits::ToSend));
        wait(&mut readable, &mut writable)?;
        connections.retain_mut(|connection| {
            let number = number(connection);
            let is_ready = contains(&readable, number) || contains(&writable, number);
            // One turn for each that is ready: the next call finds what remains.
            !is_ready || connection.turn(&mut buffer).waits != Waits::Over
        });
        if contains(&readable, raw(&listener)) {
            accept(&listener, &mut connections, observer)?;
        }
    }
}

fn accept(
    listener: &TcpListener,
    connections: &mut Vec<Connection>,
    observer: &dyn Observer,
) -> Result<(), ModelError> {
    let Some(stream) = listener::accept(listener)? else { return Ok(()) };
    // The listener has one of the places.
    if connections.len() == SET_MAX - 1 {
        let why = "an fd_set has 64 places (FD_SETSIZE), and the listener takes one";
        observer.refused(&Refusal { connections: connections.len(), why });
        return Ok(());
    }
    connections.push(Connection::new(stream).map_err(ModelError::of("ioctlsocket"))?);
    Ok(())
}

fn number(connection: &Connection) -> SOCKET {
    raw(connection.stream())
}

fn set_of(sockets: impl Iterator<Item = SOCKET>) -> FD_SET {
    let mut set = FD_SET::default();
    for (place, socket) in set.fd_array.iter_mut().zip(sockets) {
        *place = socket;
        set.fd_count += 1;
    }
    set
}

fn contains(set: &FD_SET, socket: SOCKET) -> bool {
    set.fd_array.iter().take(set.fd_count as usize).any(|it| *it == socket)
}

/// Waits until something is ready, however long that takes.
fn wait(readable: &mut FD_SET, writable: &mut FD_SET) -> Result<(), ModelError> {
    // The first argument means nothing on Windows.
    // SAFETY: each set has as many sockets as its count says, all of them open; they are written during
    // the call alone.
    let ready = unsafe { select(0, readable, writable, null_mut(), null()) };
    if ready == SOCKET_ERROR { Err(failed("select")) } else { Ok(()) }
}
