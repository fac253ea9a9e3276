//! A thread per connection, and calls that block.
//!
//! The oldest model and the shortest: the state of a connection is where its thread stands in the code and what lies
//! on its stack. What it costs is threads. Each has a stack, a place in the scheduler, and is switched to and from for
//! every message: the thread sleeps in `recv`, bytes wake it, it sends, it sleeps again.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use super::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "thread-per-connection",
    pattern: Pattern::Blocking,
    system: "any",
    summary: "a thread for each connection, calls that block",
    limit: Limit::Threads,
    calls_per_message: "2: recv, send",
    serve,
};

/// Bytes of a thread's stack: the buffer and some frames. A stack takes memory as far as it is touched, and address
/// space in full.
const STACK_BYTES: usize = 64 * 1024;
/// Bytes taken with one call; they lie on the stack.
const BUFFER_BYTES: usize = 16 * 1024;

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let listener = listener::listen(address, observer)?;
    loop {
        let Some(stream) = listener::accept(&listener)? else { continue };
        let thread = thread::Builder::new().stack_size(STACK_BYTES);
        // No one waits for the thread: it ends with its connection.
        thread.spawn(move || echo(stream)).map_err(ModelError::of("creating a thread"))?;
    }
}

/// All there is to a connection. An error ends it: there is nobody to tell.
fn echo(mut stream: TcpStream) {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(received) => {
                if stream.write_all(&buffer[..received]).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
