//! io_uring, armed once: accept and receive go on by themselves, and take their buffers from a common ring.
//!
//! A receive is staged when a connection comes and brings one completion after another, so that a message costs one
//! operation, its send. The kernel takes a buffer when bytes arrive and not before: ten thousand idle connections share
//! 256 buffers. What is received is sent from where it lies, and the buffer goes back when the send has finished.
//!
//! Buffers are shared, so no peer may keep one: a send is a try, and what the kernel does not take at once is copied
//! and sent from the copy. Whoever does not read long enough is not received from until it does; whoever finds no
//! buffer is armed again when some have come back.

use std::convert::Infallible;
use std::mem::{ManuallyDrop, take};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;

use io_uring::{IoUring, cqueue, opcode, types};

use super::uring::Ring;
use super::uring_buffers::{Buffers, GROUP, Taken};
use super::uring_one_shot::accepted_stream;
use crate::portable::listener;
use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "uring-multishot",
    pattern: Pattern::Proactor,
    system: "Linux",
    summary: "one thread, receives that go on, buffers for those that have bytes",
    limit: Limit::Descriptors,
    calls_per_message: "2 (io_uring_enter) of one connection; of many, 1 per turn",
    serve,
};

/// Bytes that may wait for a peer before it is not received from. What the ring has on its way may be added.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// What an operation is; its connection's place lies above it in the name that travels through the kernel.
const ACCEPT: u64 = 0;
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const CANCEL: u64 = 3;

struct Connection {
    stream: TcpStream,
    /// Whether a receive is armed.
    receives: bool,
    /// Whether it has been asked to end, since too much waits.
    is_cancelled: bool,
    sending: Sending,
    /// What comes behind what is being sent.
    waiting: Vec<u8>,
    /// Whether the peer will send no more.
    has_ended: bool,
    /// Whether it has failed: nothing is sent any more.
    is_broken: bool,
}

/// What is in flight.
#[derive(Default)]
enum Sending {
    #[default]
    Nothing,
    /// A try to send from where bytes were received.
    Buffer(Taken),
    /// What a peer did not take at once, from the copy.
    Copy(Vec<u8>),
}

fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    // One thread, which runs what the kernel has left to do only when it waits: no interrupt of the thread per message.
    let mut builder = IoUring::builder();
    let ring = Ring::new(builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all())?;
    let buffers = Buffers::register(&ring)?;
    let listener = listener::listen(address, observer)?;
    let connections = ManuallyDrop::default();
    let mut server = Server { ring, buffers, listener, connections, free: vec![], starved: vec![] };
    server.arm_accept()?;
    let mut completed = Vec::new();
    loop {
        server.ring.turn(&mut completed)?;
        for completion in &completed {
            server.complete(completion)?;
        }
        // Buffers that were out are on tries, which have finished by now or do so in the next turn.
        for place in take(&mut server.starved) {
            server.go_on(place)?;
        }
    }
}

struct Server {
    ring: Ring,
    buffers: Buffers,
    listener: TcpListener,
    /// By place. Never dropped as a whole: should the loop fail, the kernel would go on reading the copies.
    connections: ManuallyDrop<Vec<Option<Connection>>>,
    /// Places without a connection.
    free: Vec<usize>,
    /// Whose receive found no buffer.
    starved: Vec<usize>,
}

impl Server {
    fn complete(&mut self, completion: &cqueue::Entry) -> Result<(), ModelError> {
        let result = completion.result();
        let place = usize::try_from(completion.user_data() >> 2).unwrap_or(usize::MAX);
        match completion.user_data() & 3 {
            ACCEPT => self.accepted(result, cqueue::more(completion.flags())),
            RECEIVE => self.received(place, completion),
            SEND => self.sent(place, result),
            _ => self.cancelled(place, result),
        }
    }

    fn accepted(&mut self, result: i32, goes_on: bool) -> Result<(), ModelError> {
        if let Some(stream) = accepted_stream(result)? {
            let place = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            self.connections[place] = Some(Connection::new(stream));
            self.go_on(place)?;
        }
        if goes_on { Ok(()) } else { self.arm_accept() }
    }

    fn received(&mut self, place: usize, completion: &cqueue::Entry) -> Result<(), ModelError> {
        let Some(connection) = &mut self.connections[place] else { return Ok(()) };
        connection.receives = cqueue::more(completion.flags());
        match (Taken::with(completion), -completion.result()) {
            (Some(taken), _) if connection.can_try() => {
                connection.sending = Sending::Buffer(taken);
                self.start_send(place)?;
            }
            (Some(taken), _) => {
                connection.waiting.extend_from_slice(self.buffers.bytes(&taken));
                self.buffers.give_back(taken);
            }
            (None, 0) => connection.has_ended = true,
            (None, libc::ENOBUFS) => {
                self.starved.push(place);
                return Ok(());
            }
            (None, libc::ECANCELED) => {}
            (None, _) => connection.is_broken = true,
        }
        self.go_on(place)
    }

    fn sent(&mut self, place: usize, result: i32) -> Result<(), ModelError> {
        let Some(connection) = &mut self.connections[place] else { return Ok(()) };
        connection.is_broken |= result < 0 && !matches!(-result, libc::EAGAIN | libc::EINTR);
        let sent = usize::try_from(result).unwrap_or(0);
        let rest = match take(&mut connection.sending) {
            Sending::Nothing => Vec::new(),
            Sending::Buffer(taken) => {
                let rest = self.buffers.bytes(&taken)[sent..].to_vec();
                self.buffers.give_back(taken);
                rest
            }
            Sending::Copy(mut copy) => {
                copy.drain(..sent);
                copy
            }
        };
        connection.put_back(rest);
        self.go_on(place)
    }

    /// A cancel only asks, and the receive tells what became of it. One that has missed is asked again when more comes.
    fn cancelled(&mut self, place: usize, result: i32) -> Result<(), ModelError> {
        if let (Some(connection), ..0) = (&mut self.connections[place], result) {
            connection.is_cancelled = false;
        }
        Ok(())
    }

    /// Starts what a connection has to do next, or drops it.
    fn go_on(&mut self, place: usize) -> Result<(), ModelError> {
        let Some(connection) = &mut self.connections[place] else { return Ok(()) };
        if connection.is_broken {
            connection.waiting.clear();
            // Ends a receive that is armed, and a send that waits for room.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        let is_idle = matches!(connection.sending, Sending::Nothing);
        if is_idle && !connection.waiting.is_empty() {
            connection.sending = Sending::Copy(take(&mut connection.waiting));
            return self.start_send(place);
        }
        if connection.receives && connection.has_too_much() && !connection.is_cancelled {
            connection.is_cancelled = true;
            let entry = opcode::AsyncCancel::new(name(place, RECEIVE)).build();
            // SAFETY: it names no memory and no descriptor.
            return unsafe { self.ring.stage(&entry.user_data(name(place, CANCEL))) };
        }
        if connection.receives || connection.has_too_much() {
            return Ok(());
        }
        if !connection.has_ended && !connection.is_broken {
            return self.arm_receive(place);
        }
        if is_idle {
            self.connections[place] = None;
            self.free.push(place);
        }
        Ok(())
    }

    fn arm_accept(&mut self) -> Result<(), ModelError> {
        let entry = opcode::AcceptMulti::new(types::Fd(self.listener.as_raw_fd()));
        // SAFETY: it names no memory, and the listener stays as long as the ring.
        unsafe { self.ring.stage(&entry.flags(libc::SOCK_CLOEXEC).build().user_data(ACCEPT)) }
    }

    fn arm_receive(&mut self, place: usize) -> Result<(), ModelError> {
        let Some(connection) = &mut self.connections[place] else { return Ok(()) };
        (connection.receives, connection.is_cancelled) = (true, false);
        let entry = opcode::RecvMulti::new(types::Fd(connection.stream.as_raw_fd()), GROUP).build();
        // SAFETY: its memory is that of the buffers, which is never freed; the socket is closed only when the receive
        // has ended (`go_on`).
        unsafe { self.ring.stage(&entry.user_data(name(place, RECEIVE))) }
    }

    /// Stages the send of what `sending` says.
    fn start_send(&mut self, place: usize) -> Result<(), ModelError> {
        let Some(connection) = &self.connections[place] else { return Ok(()) };
        let (bytes, flags) = match &connection.sending {
            Sending::Nothing => return Ok(()),
            Sending::Buffer(taken) => (self.buffers.bytes(taken), libc::MSG_DONTWAIT),
            Sending::Copy(copy) => (&copy[..], 0),
        };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let socket = types::Fd(connection.stream.as_raw_fd());
        let entry = opcode::Send::new(socket, bytes.as_ptr(), length)
            .flags(flags | libc::MSG_NOSIGNAL)
            .build();
        // SAFETY: the bytes stay where they are until the send has finished: `sent` alone gives a buffer back or
        // changes a copy. The connection, and with it the socket, is dropped only with nothing in flight (`go_on`).
        unsafe { self.ring.stage(&entry.user_data(name(place, SEND))) }
    }
}

impl Connection {
    const fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            receives: false,
            is_cancelled: false,
            sending: Sending::Nothing,
            waiting: Vec::new(),
            has_ended: false,
            is_broken: false,
        }
    }

    /// Has what was not sent go before what waits.
    fn put_back(&mut self, mut rest: Vec<u8>) {
        rest.append(&mut self.waiting);
        self.waiting = rest;
    }

    /// Whether what has just come may be sent from where it lies.
    const fn can_try(&self) -> bool {
        matches!(self.sending, Sending::Nothing) && self.waiting.is_empty() && !self.is_broken
    }

    /// Whether so much waits that it is not to be received from.
    fn has_too_much(&self) -> bool {
        let in_flight = if let Sending::Copy(copy) = &self.sending { copy.len() } else { 0 };
        in_flight + self.waiting.len() > WAITING_BYTES_MAX
    }
}

/// What the kernel calls an operation.
const fn name(place: usize, operation: u64) -> u64 {
    (place as u64) << 2 | operation
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::mpsc::{Sender, channel};
    use std::time::Duration;

    use super::*;
    use crate::Refusal;

    struct Ears(Sender<SocketAddr>);

    impl Observer for Ears {
        fn listening(&self, address: SocketAddr) {
            let _ = self.0.send(address);
        }

        fn refused(&self, _refusal: &Refusal) {}
    }

    #[test]
    fn what_was_not_sent_goes_before_what_waits() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut connection = Connection::new(stream);
        connection.waiting = vec![3, 4];
        connection.put_back(vec![1, 2]);
        assert_eq!(connection.waiting, [1, 2, 3, 4]);
    }

    /// With two buffers, most receives find none.
    #[test]
    fn who_finds_no_buffer_is_served_when_some_are_back() {
        const PATIENCE: Duration = Duration::from_secs(30);
        let (said, address) = channel();
        std::thread::spawn(move || serve(([127, 0, 0, 1], 0).into(), &Ears(said)));
        // Where io_uring is denied nothing is said, and there is nothing to test.
        let Ok(address) = address.recv_timeout(PATIENCE) else { return };
        let connect = |_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        };
        let mut streams: Vec<TcpStream> = (0..20).map(connect).collect();
        let said: Vec<u8> = (0..100_000u32).map(|at| u8::try_from(at % 251).unwrap()).collect();
        for stream in &mut streams {
            stream.write_all(&said).unwrap();
        }
        for (number, stream) in streams.iter_mut().enumerate() {
            let mut echoed = vec![0; said.len()];
            stream.read_exact(&mut echoed).unwrap();
            assert!(echoed == said, "the answer of connection {number} differs");
        }
    }
}
