//! epoll, edge-triggered: the kernel tells of changes, once.
//!
//! A socket is told of when bytes come or room is made, and not again for the same bytes. So nothing has to be changed
//! at the kernel's list, ever: both directions are watched from the start, and a wish that is not fulfilled yet costs
//! nothing. In turn the server has to go on until the kernel has no more, or the rest is never told of. A call that
//! takes less than it could have is such an end: whatever comes after it is a new change.

use std::convert::Infallible;
use std::net::SocketAddr;

use rustix::event::epoll::EventFlags;

use super::epoll::{Epoll, LISTENER, Table};
use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "epoll-edge",
    pattern: Pattern::Reactor,
    system: "Linux",
    summary: "one thread, told of what has become ready, once",
    limit: Limit::Descriptors,
    calls_per_message: "2 (recv, send), and 1 (epoll_wait) per wait",
    serve,
};

/// All that there is to tell of a socket. An end of stream is told apart, since it may lie behind bytes that fill no
/// buffer.
const ALL: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
/// After these, the stream has an end or an error to be taken behind its bytes.
const ENDS: EventFlags = EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR);

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    listener.set_nonblocking(true).map_err(ModelError::of("fcntl"))?;
    let epoll = Epoll::new()?;
    epoll.add(&listener, LISTENER, EventFlags::IN.union(EventFlags::ET))?;
    let mut connections = Table::default();
    let mut events = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        epoll.wait(&mut events)?;
        for event in &events {
            let (place, flags) = (event.data.u64(), event.flags);
            if place == LISTENER {
                while let Some(stream) = listener::accept(&listener)? {
                    let connection = Connection::new(stream).map_err(ModelError::of("fcntl"))?;
                    let (place, connection) = connections.put(connection);
                    epoll.add(connection.stream(), place, ALL)?;
                }
                continue;
            }
            let Some(connection) = connections.get(place) else { continue };
            if go_on(connection, flags.intersects(ENDS), &mut buffer) == Waits::Over {
                connections.remove(place);
            }
        }
    }
}

/// Takes turns until the kernel has nothing more to give or no more room. That may be long: whoever sends as fast as
/// it is read keeps the others waiting, unless its answers fill the way back.
fn go_on(connection: &mut Connection, has_ended: bool, buffer: &mut [u8]) -> Waits {
    loop {
        let turn = connection.turn(buffer);
        let ends_here = match turn.waits {
            Waits::ToReceive => !turn.may_go_on && !has_ended,
            Waits::ToSend | Waits::Over => true,
        };
        if ends_here {
            return turn.waits;
        }
    }
}
