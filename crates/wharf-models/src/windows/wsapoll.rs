//! `WSAPoll`: as `select`, with an array that is as long as one likes.
//!
//! **Reactor.** Came with Windows Vista, as what Unix calls `poll`. What is asked and what is answered are
//! separate fields, so the array is kept from call to call, and there is no limit of 64. It is still
//! handed over whole and searched whole: the price of a message grows with the number of idle
//! connections. Until Windows 10 2004 it did not tell that a connect had failed; for a server, which
//! connects nowhere, that never mattered.

use std::convert::Infallible;
use std::net::SocketAddr;

use windows_sys::Win32::Networking::WinSock::{
    POLLRDNORM, POLLWRNORM, SOCKET, SOCKET_ERROR, WSAPOLLFD, WSAPoll,
};

use super::winsock::{failed, length, raw};
use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(super) const MODEL: Model = Model {
    name: "wsapoll",
    pattern: Pattern::Reactor,
    system: "Windows",
    summary: "an array of any length is handed over and searched at each wait",
    limit: Limit::Descriptors,
    calls_per_message: "3: WSAPoll, recv, send",
    serve,
};

/// Wait for as long as it takes.
const FOREVER: i32 = -1;

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    listener.set_nonblocking(true).map_err(ModelError::of("ioctlsocket"))?;
    // The listener has the first entry, and each connection the one after its own place.
    let mut polled = vec![entry(raw(&listener))];
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        wait(&mut polled)?;
        // From the last to the first, since the last takes the place of one that has ended.
        for place in (0..connections.len()).rev() {
            if polled[place + 1].revents == 0 {
                continue;
            }
            match connections[place].turn(&mut buffer).waits {
                Waits::ToReceive => polled[place + 1].events = POLLRDNORM,
                Waits::ToSend => polled[place + 1].events = POLLWRNORM,
                Waits::Over => {
                    connections.swap_remove(place);
                    polled.swap_remove(place + 1);
                }
            }
        }
        if polled[0].revents != 0
            && let Some(stream) = listener::accept(&listener)?
        {
            let connection = Connection::new(stream).map_err(ModelError::of("ioctlsocket"))?;
            polled.push(entry(raw(connection.stream())));
            connections.push(connection);
        }
    }
}

/// An end, a reset and an error are told whatever is asked for.
const fn entry(socket: SOCKET) -> WSAPOLLFD {
    WSAPOLLFD { fd: socket, events: POLLRDNORM, revents: 0 }
}

fn wait(polled: &mut [WSAPOLLFD]) -> Result<(), ModelError> {
    // SAFETY: the array has as many entries as is said, whose sockets are open, and is written during the
    // call alone.
    let ready = unsafe { WSAPoll(polled.as_mut_ptr(), length(polled.len()), FOREVER) };
    if ready == SOCKET_ERROR { Err(failed("WSAPoll")) } else { Ok(()) }
}
