//! The loop: wait, accept, give each ready connection its turn.

use std::io::{self, ErrorKind};
use std::mem;
use std::net;
use std::time::Duration;

use bench_common::{ACCEPT_BACKOFF, BUFFER_BYTES, Mode};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use crate::connection::{Connection, Turn};

/// Stands for the listener; the others are places in the table of connections.
const LISTENER: Token = Token(usize::MAX);

/// The server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) poll: Poll,
    listener: TcpListener,
    mode: Mode,
    pub(crate) connections: Slab<Connection>,
    buffer: Box<[u8]>,
    /// Connections that had more to read than one turn takes. A place may have been given to another
    /// connection since; that one is then read for nothing.
    unfinished: Vec<usize>,
    /// An accept has failed, and connections may be left in the queue.
    accept_failed: bool,
    /// Frames of this turn that everybody gets.
    pub(crate) spoken: Vec<u8>,
    /// Members of a chat that finished sending in this turn.
    pub(crate) ended: Vec<usize>,
}

impl Server {
    pub(crate) fn new(listener: &net::TcpListener, mode: Mode) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let poll = Poll::new()?;
        let mut listener = TcpListener::from_std(listener.try_clone()?);
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            mode,
            connections: Slab::new(),
            buffer: vec![0; BUFFER_BYTES].into(),
            unfinished: Vec::new(),
            accept_failed: false,
            spoken: Vec::new(),
            ended: Vec::new(),
        })
    }

    pub(crate) fn run(&mut self, events_max: usize) -> io::Result<()> {
        let mut events = Events::with_capacity(events_max);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => result?,
            }
            let unfinished = mem::take(&mut self.unfinished);
            if mem::take(&mut self.accept_failed) {
                self.accept();
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    Token(index) => {
                        // The end of the stream may be here already, and is not told again.
                        let to_the_end = event.is_read_closed() || event.is_error();
                        self.give_turn(index, to_the_end);
                    }
                }
            }
            // The event that told of these is gone, and may have told of an end.
            unfinished.into_iter().for_each(|index| self.give_turn(index, true));
            self.deliver();
        }
    }

    /// How long to wait for events.
    fn patience(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            Some(Duration::ZERO)
        } else {
            self.accept_failed.then_some(ACCEPT_BACKOFF)
        }
    }

    /// Accepts whoever waits.
    fn accept(&mut self) {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // It was gone before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    self.accept_failed = true;
                    return;
                }
            };
            let place = self.connections.vacant_entry();
            let mut connection = Connection::new(stream);
            if connection.register(self.poll.registry(), Token(place.key())).is_ok() {
                place.insert(connection);
            }
        }
    }

    /// Lets a connection go on as far as it can.
    fn give_turn(&mut self, index: usize, to_the_end: bool) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let buffer = &mut self.buffer;
        let turn = connection.take_turn(buffer, self.mode, &mut self.spoken, to_the_end);
        let watched = connection.watch_room(self.poll.registry(), Token(index));
        match turn.and_then(|turn| watched.map(|()| turn)) {
            Ok(Turn::Done) if connection.ended && connection.output.is_empty() => {}
            Ok(Turn::Done) => return,
            Ok(Turn::More) => return self.unfinished.push(index),
            Ok(Turn::Ended) if self.mode == Mode::Chat => return self.ended.push(index),
            // Lost, or finished with every answer sent: an echo is not read before.
            Ok(Turn::Ended) | Err(_) => {}
        }
        self.connections.remove(index);
    }
}
