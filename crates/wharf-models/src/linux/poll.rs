//! `poll`: a list of descriptors, with what is wished of each and what it is ready for.
//!
//! The list replaces the bit sets of `select`: it is as long as it has to be, and the answers stand beside the wishes,
//! so that nothing has to be set up again for each call. What stays is that the whole list goes into the kernel and
//! back, and is walked twice, by the kernel and by the server, for each wait: with ten thousand connections of which
//! one has something to say, that is ten thousand looks for one message.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};

use libc::{POLLIN, POLLOUT, c_short, pollfd};

use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "poll",
    pattern: Pattern::Reactor,
    system: "Linux",
    summary: "one thread, a list of all descriptors for each wait",
    limit: Limit::Descriptors,
    calls_per_message: "2 (recv, send), and 1 (poll) per wait",
    serve,
};

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    listener.set_nonblocking(true).map_err(ModelError::of("fcntl"))?;
    // The listener comes first; the connection of each other place is one place further down.
    let mut polled = vec![wish(listener.as_raw_fd(), POLLIN)];
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        wait(&mut polled)?;
        // From the end: what is moved into the place of one that is over has had its turn.
        for place in (1..polled.len()).rev() {
            // Errors and ends are answered without having been wished for, and the calls tell which it is.
            if polled[place].revents == 0 {
                continue;
            }
            match connections[place - 1].turn(&mut buffer).waits {
                Waits::ToReceive => polled[place].events = POLLIN,
                Waits::ToSend => polled[place].events = POLLOUT,
                Waits::Over => {
                    polled.swap_remove(place);
                    connections.swap_remove(place - 1);
                }
            }
        }
        if polled[0].revents == 0 {
            continue;
        }
        while let Some(stream) = listener::accept(&listener)? {
            let connection = Connection::new(stream).map_err(ModelError::of("fcntl"))?;
            polled.push(wish(connection.stream().as_raw_fd(), POLLIN));
            connections.push(connection);
        }
    }
}

const fn wish(descriptor: RawFd, events: c_short) -> pollfd {
    pollfd { fd: descriptor, events, revents: 0 }
}

/// Waits until one of them is ready, without a bound: the server has nothing else to do.
fn wait(polled: &mut [pollfd]) -> Result<(), ModelError> {
    loop {
        // SAFETY: the list is borrowed for the length of the call and is as long as said; the kernel writes to its
        // answers alone, of which any value is valid.
        let ready = unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        if ready >= 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(ModelError::of("poll")(error));
        }
    }
}
