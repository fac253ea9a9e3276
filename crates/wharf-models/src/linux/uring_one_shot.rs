//! io_uring, one operation at a time: receive, send, receive, and so on.
//!
//! The server says what is to be done, and is told when it is done: nothing is ever ready, and nothing would block. All
//! that a turn has to say goes to the kernel in one call, and the same call waits: with many connections that have
//! something to say, a call does for many messages what a reactor makes two calls for each. The price is the buffer.
//! From the staging of a receive until its completion the buffer is the kernel's, so each idle connection has one.

use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

use io_uring::{IoUring, opcode, types};

use super::uring::Ring;
use crate::portable::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "uring-one-shot",
    pattern: Pattern::Proactor,
    system: "Linux",
    summary: "one thread, a receive or a send in flight for each connection",
    limit: Limit::Descriptors,
    calls_per_message: "2 (io_uring_enter) of one connection; of many, 1 per turn",
    serve,
};

/// Bytes of the buffer that each connection has.
const BUFFER_BYTES: u32 = 4096;
/// The name of the accept; connections are named by their places.
const ACCEPT: u64 = u64::MAX;

/// A connection, which always has exactly one operation in flight.
struct Connection {
    stream: TcpStream,
    buffer: Box<[u8; BUFFER_BYTES as usize]>,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Receiving,
    /// The bytes of the buffer from `sent` to `received` are being sent.
    Sending {
        sent: u32,
        received: u32,
    },
}

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let mut server = Server {
        ring: Ring::new(&mut IoUring::builder())?,
        listener: listener::listen(address, observer)?,
        connections: ManuallyDrop::default(),
        free: Vec::new(),
    };
    server.accept()?;
    let mut completed = Vec::new();
    loop {
        server.ring.turn(&mut completed)?;
        for completion in &completed {
            match completion.user_data() {
                ACCEPT => server.accepted(completion.result())?,
                place => server.finished(place, completion.result())?,
            }
        }
    }
}

struct Server {
    ring: Ring,
    listener: TcpListener,
    /// By place. Never dropped as a whole: should the loop fail, the kernel would go on writing to the buffers.
    connections: ManuallyDrop<Vec<Option<Connection>>>,
    /// Places without a connection.
    free: Vec<usize>,
}

impl Server {
    fn accept(&mut self) -> Result<(), ModelError> {
        let listener = types::Fd(self.listener.as_raw_fd());
        let entry = opcode::Accept::new(listener, null_mut(), null_mut()).flags(libc::SOCK_CLOEXEC);
        // SAFETY: it names no memory, and the listener stays as long as the ring.
        unsafe { self.ring.stage(&entry.build().user_data(ACCEPT)) }
    }

    fn accepted(&mut self, result: i32) -> Result<(), ModelError> {
        if let Some(stream) = accepted_stream(result)? {
            let buffer = Box::new([0; BUFFER_BYTES as usize]);
            let connection = Connection { stream, buffer, state: State::Receiving };
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.connections[place] = Some(connection);
            self.start(place)?;
        }
        self.accept()
    }

    /// The operation of a connection has finished: the next one follows from what it brought.
    fn finished(&mut self, place: u64, result: i32) -> Result<(), ModelError> {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(connection) = self.connections.get_mut(place).and_then(Option::as_mut) else {
            return Ok(());
        };
        let next = match (connection.state, u32::try_from(result)) {
            (state, Err(_)) if passes(result) => Some(state),
            // An end of stream: what came before it has been sent. Or an error: it ends the connection.
            (State::Receiving, Ok(0)) | (_, Err(_)) => None,
            (State::Receiving, Ok(received)) => Some(State::Sending { sent: 0, received }),
            (State::Sending { sent, received }, Ok(more)) if sent + more < received => {
                Some(State::Sending { sent: sent + more, received })
            }
            (State::Sending { .. }, Ok(_)) => Some(State::Receiving),
        };
        let Some(state) = next else {
            self.connections[place] = None;
            self.free.push(place);
            return Ok(());
        };
        connection.state = state;
        self.start(place)
    }

    /// Stages the operation that a connection's state says.
    fn start(&mut self, place: usize) -> Result<(), ModelError> {
        let Some(connection) = &mut self.connections[place] else { return Ok(()) };
        let socket = types::Fd(connection.stream.as_raw_fd());
        let entry = match connection.state {
            State::Receiving => {
                opcode::Recv::new(socket, connection.buffer.as_mut_ptr(), BUFFER_BYTES).build()
            }
            State::Sending { sent, received } => {
                let bytes = &connection.buffer[sent as usize..received as usize];
                opcode::Send::new(socket, bytes.as_ptr(), received - sent).build()
            }
        };
        // SAFETY: the buffer lies in a box of its own, and neither it nor the socket is touched or dropped before this
        // operation has finished: it is the only one, and only `finished` does so.
        unsafe { self.ring.stage(&entry.user_data(place as u64)) }
    }
}

/// The connection that an accept brought; `None` if it has gone already.
pub(super) fn accepted_stream(result: i32) -> Result<Option<TcpStream>, ModelError> {
    if result < 0 {
        let error = std::io::Error::from_raw_os_error(-result);
        let passes = listener::passes(&error);
        return if passes { Ok(None) } else { Err(ModelError::of("accept")(error)) };
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows of it.
    let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(result) });
    // Refused only where the connection is over already, which the next operation on it tells.
    let _ = stream.set_nodelay(true);
    Ok(Some(stream))
}

/// Whether an operation is to be tried again.
fn passes(result: i32) -> bool {
    matches!(-result, libc::EINTR | libc::EAGAIN)
}
