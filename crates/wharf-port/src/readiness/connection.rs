//! What is kept for a socket.

use std::collections::VecDeque;

use rustix::io::Errno;

use super::poller::UNTIL_BLOCKED;
use super::send::Sending;
use crate::address::Address;
use crate::completion::Completion;
use crate::full_queues::FullQueues;
use crate::ids::SocketId;
use crate::port::Stats;
use crate::sys::Socket;

/// A socket, its two operations, and what its edges have told. Idle ones are many, so it is small and
/// owns no buffer.
#[derive(Debug)]
pub(super) struct Connection {
    /// `None` when it is closed and only the name is left, until `Closed` is taken.
    pub(super) socket: Option<Socket>,
    /// It was asked to close, and the next wait closes it.
    pub(super) closing: bool,
    /// Closing it resets the connection.
    pub(super) reset: bool,
    pub(super) incoming: Incoming,
    /// Nothing is delivered, whether or not a receive is started.
    pub(super) paused: bool,
    pub(super) outgoing: Outgoing,
    pub(super) cancel_outgoing: bool,
    /// An edge has told of something to receive, and no receive has found the end of it.
    pub(super) readable: bool,
    /// While this is not 0, a receive that does not fill its buffer is not the end of it: see
    /// [`Event::unread`](super::poller::Event::unread).
    pub(super) unread: u32,
    pub(super) in_line: bool,
    pub(super) staged: bool,
    /// A failure that a send or a connect has met. The kernel reports each failure once, and would
    /// call it the end of the stream when the receive comes to it.
    pub(super) failure: Option<Errno>,
}

/// The receive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Incoming {
    Idle,
    Started,
    /// To be ended by the next wait.
    Cancelled,
    /// The final completion is made and not taken.
    Ended,
}

/// The send or the connect.
#[derive(Debug)]
pub(super) enum Outgoing {
    Idle,
    /// To be started by the next wait. Boxed, to keep the many small that never connect.
    Connect(Box<Address>),
    Connecting,
    Sending(Sending),
    /// The final completion is made and not taken.
    Ended,
}

impl Connection {
    pub(super) const fn new(socket: Socket, outgoing: Outgoing) -> Self {
        Self {
            socket: Some(socket),
            closing: false,
            reset: false,
            incoming: Incoming::Idle,
            paused: false,
            outgoing,
            cancel_outgoing: false,
            readable: false,
            unread: 0,
            in_line: false,
            staged: false,
            failure: None,
        }
    }

    /// Has the next wait look at this connection.
    pub(super) fn stage(&mut self, id: SocketId, staged: &mut Vec<SocketId>) {
        if !self.staged {
            self.staged = true;
            staged.push(id);
        }
    }

    /// Whether somebody wants what there is to receive.
    pub(super) fn is_wanted(&self) -> bool {
        self.incoming == Incoming::Started && !self.paused
    }

    /// Puts this connection at the end of the line, if it has something to receive and somebody wants
    /// it.
    pub(super) fn line_up(&mut self, id: SocketId, line: &mut VecDeque<SocketId>) {
        if self.readable && !self.in_line && self.is_wanted() {
            self.in_line = true;
            line.push_back(id);
        }
    }

    /// Puts this connection at the front of the line on the same terms; whether it is there.
    pub(super) fn stay_in_front(&mut self, id: SocketId, line: &mut VecDeque<SocketId>) -> bool {
        let stays = self.readable && !self.in_line && self.is_wanted();
        if stays {
            self.in_line = true;
            line.push_front(id);
        }
        stays
    }

    /// Starts what was staged; its final completion, if it ends at once. What connects and finds the
    /// listener's queue full is put there.
    pub(super) fn start(
        &mut self,
        id: SocketId,
        stats: &mut Stats,
        full_queues: &mut FullQueues,
    ) -> Option<Completion> {
        match &self.outgoing {
            Outgoing::Connect(_) => {
                let connected = self.start_connect(id);
                if matches!(self.outgoing, Outgoing::Connect(_)) {
                    full_queues.add(id);
                }
                connected
            }
            Outgoing::Sending(_) => {
                let sent = self.go_on_sending(id);
                if let Outgoing::Sending(left) = &mut self.outgoing {
                    stats.short_sends += u64::from(left.detach());
                }
                sent
            }
            Outgoing::Idle | Outgoing::Connecting | Outgoing::Ended => None,
        }
    }

    /// Goes on with what waited for the socket to become writable.
    pub(super) fn go_on(&mut self, id: SocketId) -> Option<Completion> {
        match self.outgoing {
            Outgoing::Connecting => self.finish_connect(id),
            Outgoing::Sending(_) => self.go_on_sending(id),
            Outgoing::Idle | Outgoing::Connect(_) | Outgoing::Ended => None,
        }
    }

    /// A receive has found nothing more: the next edge will tell.
    pub(super) const fn drained(&mut self) {
        self.readable = false;
        self.unread = 0;
    }

    /// A receive into so much room has found so many bytes.
    pub(super) fn received(&mut self, bytes: usize, room: usize) {
        if self.unread != UNTIL_BLOCKED {
            self.unread = self.unread.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
        }
        if bytes < room && self.unread == 0 {
            self.readable = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        let bytes = size_of::<Connection>();
        assert!(bytes <= 96, "{bytes} bytes");
    }

    /// Receives so much in turn, into room for 100 bytes: whether more is expected after each.
    fn after(unread: u32, receives: &[usize]) -> Vec<bool> {
        let socket = Socket::from(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
        let mut connection = Connection::new(socket, Outgoing::Idle);
        connection.readable = true;
        connection.unread = unread;
        let expects_more = |&bytes| {
            connection.received(bytes, 100);
            connection.readable
        };
        receives.iter().map(expects_more).collect()
    }

    #[test]
    fn a_receive_that_does_not_fill_its_buffer_is_the_end_of_what_is_there() {
        assert_eq!(after(0, &[99]), [false]);
        assert_eq!(after(0, &[100, 1]), [true, false]);
    }

    #[test]
    fn a_receive_that_was_cut_short_is_not_the_end() {
        assert_eq!(after(30, &[10, 20]), [true, false]);
        assert_eq!(after(250, &[100, 100, 50]), [true, true, false]);
    }

    #[test]
    fn what_came_since_they_were_counted_is_no_reason_to_go_on() {
        assert_eq!(after(30, &[40]), [false]);
    }

    #[test]
    fn before_an_end_every_receive_is_followed_by_another() {
        assert_eq!(after(UNTIL_BLOCKED, &[100, 1, 1]), [true, true, true]);
    }
}
