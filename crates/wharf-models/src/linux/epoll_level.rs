//! epoll, level-triggered: the kernel keeps the list, and answers with those that are ready.
//!
//! What `poll` is told again for each wait, epoll is told once (`epoll_ctl`); it puts itself in the way of what happens
//! to each socket, and a wait returns what has happened, whatever the number of connections. Level-triggered means that
//! a socket is told of as long as it is ready: a server may take a part, or forget it for a turn, and is told again. So
//! who waits for room to send has to say so, and to take it back afterwards, with a call for each.

use std::convert::Infallible;
use std::net::SocketAddr;

use rustix::event::epoll::EventFlags;

use super::epoll::{Epoll, LISTENER, Table};
use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "epoll-level",
    pattern: Pattern::Reactor,
    system: "Linux",
    summary: "one thread, told of what is ready as long as it is",
    limit: Limit::Descriptors,
    calls_per_message: "2 (recv, send), and 1 (epoll_wait) per wait",
    serve,
};

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    listener.set_nonblocking(true).map_err(ModelError::of("fcntl"))?;
    let epoll = Epoll::new()?;
    epoll.add(&listener, LISTENER, EventFlags::IN)?;
    let mut connections = Table::default();
    let mut events = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        epoll.wait(&mut events)?;
        for event in &events {
            let place = event.data.u64();
            if place == LISTENER {
                while let Some(stream) = listener::accept(&listener)? {
                    let connection = Connection::new(stream).map_err(ModelError::of("fcntl"))?;
                    let (place, connection) = connections.put(connection);
                    epoll.add(connection.stream(), place, EventFlags::IN)?;
                }
                continue;
            }
            let Some(connection) = connections.get(place) else { continue };
            let waited = connection.waits();
            match connection.turn(&mut buffer).waits {
                // Closing takes it out of the kernel's list as well.
                Waits::Over => connections.remove(place),
                waits if waits == waited => {}
                Waits::ToReceive => epoll.modify(connection.stream(), place, EventFlags::IN)?,
                Waits::ToSend => epoll.modify(connection.stream(), place, EventFlags::OUT)?,
            }
        }
    }
}
