//! `select`: a set of bits, one for each descriptor there could be.
//!
//! The first call that waits for many sockets at once (4.2BSD, 1983), and the one that every system has. Its answer
//! takes the place of its question, so the sets are copied for each wait; the kernel looks at every bit below the
//! highest, and so does the server afterwards. The sets of C are 1,024 bits long (`FD_SETSIZE`), and a higher
//! descriptor would be written behind their end: such a connection has to be refused. The kernel itself would take
//! longer sets, and poll came instead.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use libc::{FD_SETSIZE, fd_set};

use crate::portable::listener;
use crate::portable::reactive::{BUFFER_BYTES, Connection, Waits};
use crate::{Limit, Model, ModelError, Observer, Pattern, Refusal};

pub(crate) const MODEL: Model = Model {
    name: "select",
    pattern: Pattern::Reactor,
    system: "Linux",
    summary: "one thread, sets of bits that are copied for each wait",
    limit: Limit::Handles(FD_SETSIZE),
    calls_per_message: "2 (recv, send), and 1 (select) per wait",
    serve,
};

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    listener.set_nonblocking(true).map_err(ModelError::of("fcntl"))?;
    let mut connections: Vec<Connection> = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    // What is wished, and what a wait makes of its copies.
    let (mut wish_to_receive, mut wish_to_send) = (Set::new(), Set::new());
    wish_to_receive.set(listener.as_raw_fd(), true);
    let mut descriptors = listener.as_raw_fd() + 1;
    loop {
        let (mut can_receive, mut can_send) = (wish_to_receive, wish_to_send);
        wait(descriptors, &mut can_receive, &mut can_send)?;
        for place in (0..connections.len()).rev() {
            let descriptor = connections[place].stream().as_raw_fd();
            if !can_receive.has(descriptor) && !can_send.has(descriptor) {
                continue;
            }
            let waits = connections[place].turn(&mut buffer).waits;
            wish_to_receive.set(descriptor, waits == Waits::ToReceive);
            wish_to_send.set(descriptor, waits == Waits::ToSend);
            if waits == Waits::Over {
                connections.swap_remove(place);
            }
        }
        if !can_receive.has(listener.as_raw_fd()) {
            continue;
        }
        while let Some(stream) = listener::accept(&listener)? {
            if !Set::can_have(stream.as_raw_fd()) {
                let why = "select takes descriptors below 1024 (FD_SETSIZE)";
                observer.refused(&Refusal { connections: connections.len(), why });
                continue;
            }
            wish_to_receive.set(stream.as_raw_fd(), true);
            descriptors = descriptors.max(stream.as_raw_fd() + 1);
            connections.push(Connection::new(stream).map_err(ModelError::of("fcntl"))?);
        }
    }
}

/// A set of descriptors below `FD_SETSIZE`.
#[derive(Clone, Copy)]
struct Set(fd_set);

impl Set {
    fn new() -> Self {
        // SAFETY: a set is an array of numbers, and zero is a valid number; all zeros are the empty set.
        Self(unsafe { std::mem::zeroed() })
    }

    /// Whether a descriptor lies within the set.
    fn can_have(descriptor: RawFd) -> bool {
        usize::try_from(descriptor).is_ok_and(|number| number < FD_SETSIZE)
    }

    fn has(&self, descriptor: RawFd) -> bool {
        assert!(Self::can_have(descriptor), "descriptor {descriptor} was let in");
        // SAFETY: the descriptor lies within the set, which is initialised and borrowed for the call.
        unsafe { libc::FD_ISSET(descriptor, &self.0) }
    }

    fn set(&mut self, descriptor: RawFd, is_member: bool) {
        assert!(Self::can_have(descriptor), "descriptor {descriptor} was let in");
        if is_member {
            // SAFETY: as in `has`.
            unsafe { libc::FD_SET(descriptor, &mut self.0) }
        } else {
            // SAFETY: as in `has`.
            unsafe { libc::FD_CLR(descriptor, &mut self.0) }
        }
    }
}

/// Waits until one of the descriptors below `descriptors` is as wished; the sets are left with those that are.
fn wait(descriptors: RawFd, receive: &mut Set, send: &mut Set) -> Result<(), ModelError> {
    let wished = (*receive, *send);
    loop {
        // SAFETY: both sets are borrowed for the length of the call, and `descriptors` is at most their length, since
        // only descriptors were counted that lie within. Null is no set, and no bound of time.
        let ready = unsafe {
            libc::select(descriptors, &mut receive.0, &mut send.0, ptr::null_mut(), ptr::null_mut())
        };
        if ready >= 0 {
            return Ok(());
        }
        let error = std::io::Error::last_os_error();
        if error.kind() != std::io::ErrorKind::Interrupted {
            return Err(ModelError::of("select")(error));
        }
        (*receive, *send) = wished;
    }
}
