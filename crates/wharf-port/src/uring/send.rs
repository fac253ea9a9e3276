//! Sending: tried on the way into the kernel, and handed to it to wait with only if the peer has no
//! room.

use std::os::fd::AsRawFd;

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::io::Errno;

use super::Uring;
use super::ring::Outcome;
use super::socket::{Send, Socket};
use super::token::{Kind, Token};
use crate::buffer::{Segment, advance_all};
use crate::completion::Completion;
use crate::error::{SendError, UnknownSocket};
use crate::ids::SocketId;

/// Segments that one operation gathers; the rest follows with the next.
const SLICES_MAX: usize = 256;
/// Headers that are kept for use again.
const FREE_MAX: usize = 1024;
/// Bytes that one operation sends at most: the kernel counts them in 31 bits.
const BYTES_MAX: usize = 1 << 30;

/// Headers of gathered sends. The kernel reads them when it takes the entry, so they lie boxed until
/// then, and are used again.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the kernel is given where they lie")]
pub(super) struct Headers {
    in_use: Vec<Box<Header>>,
    free: Vec<Box<Header>>,
}

struct Header {
    message: libc::msghdr,
    slices: Vec<libc::iovec>,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Header({} slices)", self.slices.len())
    }
}

impl Headers {
    /// The kernel has taken every entry: the headers are free.
    pub(super) fn recycle(&mut self) {
        self.free.append(&mut self.in_use);
        self.free.truncate(FREE_MAX);
    }

    /// A header over the front of `segments`, and how many bytes it covers.
    fn fill(&mut self, segments: &[Segment]) -> (*const libc::msghdr, usize) {
        let mut header = self.free.pop().unwrap_or_else(|| {
            // SAFETY: all zeros is a message header without address, slices and control data.
            let message = unsafe { std::mem::zeroed() };
            Box::new(Header { message, slices: Vec::new() })
        });
        let mut total = 0;
        header.slices.clear();
        for segment in segments.iter().take(SLICES_MAX) {
            let bytes = segment.as_slice();
            let len = bytes.len().min(BYTES_MAX - total);
            if len == 0 && !bytes.is_empty() {
                break;
            }
            total += len;
            let base = bytes.as_ptr().cast_mut().cast();
            header.slices.push(libc::iovec { iov_base: base, iov_len: len });
        }
        header.message.msg_iov = header.slices.as_mut_ptr();
        header.message.msg_iovlen = header.slices.len() as _;
        self.in_use.push(header);
        let message = self.in_use.last().map_or(std::ptr::null(), |kept| &raw const kept.message);
        (message, total)
    }
}

impl Uring {
    pub(crate) fn send(&mut self, id: SocketId, what: Vec<Segment>) -> Result<(), UnknownSocket> {
        let socket = self.find(id)?;
        assert!(socket.send == Send::Idle, "a send is in flight on {id:?}");
        assert!(socket.closing.is_none(), "{id:?} is closing");
        socket.segments = what;
        socket.first = 0;
        self.operations += 1;
        self.send_rest(id, Send::Tried);
        Ok(())
    }

    /// Sends what has not gone; ends the send if all has.
    fn send_rest(&mut self, id: SocketId, how: Send) {
        let Ok(socket) = self.find(id) else { return };
        while socket.unsent().first().is_some_and(Segment::is_empty) {
            socket.first += 1;
        }
        if socket.unsent().is_empty() {
            self.end_send(id, Ok(()));
            return;
        }
        self.stage_send(id, how);
    }

    fn stage_send(&mut self, id: SocketId, how: Send) {
        let tries = how == Send::Tried;
        let Some(socket) = self.sockets.get_mut(id.slot(), id.generation()) else { return };
        socket.send = how;
        let fd = Fd(socket.socket.as_raw_fd());
        // A try that goes out in part must fail, to be told. One that waits must not wait for all: after
        // many wake-ups the kernel would give it a thread of its own.
        let how = if tries { libc::MSG_DONTWAIT | libc::MSG_WAITALL } else { 0 };
        let flags = libc::MSG_NOSIGNAL | how;
        let (entry, bytes) = match socket.unsent() {
            [one] if one.len() <= BYTES_MAX => {
                let bytes = one.as_slice();
                let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                (opcode::Send::new(fd, bytes.as_ptr(), len).flags(flags).build(), bytes.len())
            }
            several => {
                let (header, bytes) = self.headers.fill(several);
                (opcode::SendMsg::new(fd, header).flags(flags.cast_unsigned()).build(), bytes)
            }
        };
        socket.staged_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        if tries {
            socket.try_number = socket.try_number.wrapping_add(1);
            self.tried.push((id, socket.try_number));
            self.stage(entry.flags(squeue::Flags::SKIP_SUCCESS), Token::new(Kind::TrySend, id));
        } else {
            self.stage(entry, Token::new(Kind::Send, id));
        }
    }

    /// Looks at the tries that failed, among the completions from `first` on, which are new.
    pub(super) fn fail_tries(&mut self, first: usize) {
        if self.tried.is_empty() {
            return;
        }
        for index in first..self.outcomes.len() {
            let outcome = self.outcomes[index];
            if outcome.token.kind() == Kind::TrySend {
                self.try_failed(outcome.token.socket(), outcome);
            }
        }
    }

    /// After an entry that took every try, and of which every completion is at hand: the tries of which
    /// there was none have succeeded.
    pub(super) fn settle_tries(&mut self) {
        let Self { tried, succeeded, sockets, .. } = self;
        let still_tried = |(id, number): (SocketId, u32)| {
            let socket = sockets.get(id.slot(), id.generation())?;
            (socket.send == Send::Tried && socket.try_number == number).then_some(id)
        };
        succeeded.extend(tried.drain(..).filter_map(still_tried));
    }

    /// A try sent a part, or nothing, or met an error.
    fn try_failed(&mut self, id: SocketId, outcome: Outcome) {
        self.stats.short_sends += 1;
        let Ok(socket) = self.find(id) else { return };
        let gone = match outcome.checked() {
            Ok(gone) => gone,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(errno) => return self.send_failed(id, errno),
        };
        socket.advance(gone);
        if socket.closing.is_some() || socket.send_cancelled {
            return self.end_send(id, Err(SendError::Cancelled));
        }
        // It may wait for long: received bytes are copied out, their buffers are needed. Those that have
        // gone, too.
        socket.segments.iter_mut().for_each(Segment::detach);
        self.send_rest(id, Send::Waiting);
    }

    /// A try went through as a whole.
    #[inline]
    pub(super) fn send_succeeded(&mut self, id: SocketId) -> Option<Completion> {
        let socket = self.find(id).ok()?;
        debug_assert_eq!(socket.send, Send::Tried);
        socket.advance(socket.staged_bytes as usize);
        if socket.unsent().iter().any(|segment| !segment.is_empty()) {
            self.continue_send(id, Send::Tried);
            return None;
        }
        if socket.closing.is_some() || socket.send_cancelled {
            self.end_send(id, Ok(()));
            return None;
        }
        socket.send = Send::Idle;
        let segments = std::mem::take(&mut socket.segments);
        self.operations -= 1;
        Some(Completion::Sent { socket: id, segments, result: Ok(()) })
    }

    /// What the kernel says of a send that had to wait.
    pub(super) fn sent(&mut self, id: SocketId, outcome: Outcome) -> Option<Completion> {
        let socket = self.find(id).ok()?;
        match outcome.checked() {
            Ok(gone) => {
                socket.advance(gone);
                self.continue_send(id, Send::Waiting);
            }
            Err(Errno::INTR | Errno::AGAIN) => self.continue_send(id, Send::Waiting),
            Err(errno) => self.send_failed(id, errno),
        }
        None
    }

    /// Goes on with a send, unless it is done or its end was asked for.
    fn continue_send(&mut self, id: SocketId, how: Send) {
        let Ok(socket) = self.find(id) else { return };
        let unsent = socket.unsent().iter().any(|segment| !segment.is_empty());
        if unsent && (socket.closing.is_some() || socket.send_cancelled) {
            self.end_send(id, Err(SendError::Cancelled));
        } else {
            self.send_rest(id, how);
        }
    }

    /// Asks for the end of a send that waits. One that is tried is finished at the next entry.
    pub(super) fn cancel_send(&mut self, id: SocketId) {
        let Ok(socket) = self.find(id) else { return };
        match socket.send {
            Send::Idle => {}
            Send::Tried => socket.send_cancelled = true,
            Send::Waiting => {
                socket.send_cancelled = true;
                self.stage_cancel(Token::new(Kind::Send, id));
            }
            Send::Connecting => {
                socket.send_cancelled = true;
                self.stage_cancel(Token::new(Kind::Connect, id));
            }
            Send::Unstarted => self.cancel_unstarted(id),
        }
    }

    fn send_failed(&mut self, id: SocketId, errno: Errno) {
        let Ok(socket) = self.find(id) else { return };
        let failure = match errno {
            // That a direction had been ended before is nothing that the receive has to report, and
            // that the send was cancelled is none of the connection's doing.
            Errno::PIPE | Errno::CANCELED => None,
            _ => Some(errno),
        };
        socket.failure = socket.failure.or(failure);
        self.end_send(id, Err(SendError::from(errno)));
    }

    /// The final completion of a send.
    fn end_send(&mut self, id: SocketId, result: Result<(), SendError>) {
        let Ok(socket) = self.find(id) else { return };
        socket.send = Send::Idle;
        socket.send_cancelled = false;
        let segments = std::mem::take(&mut socket.segments);
        self.operations -= 1;
        self.ready.push_back(Completion::Sent { socket: id, segments, result });
        self.finish_close(id);
    }
}

impl Socket {
    fn advance(&mut self, gone: usize) {
        let first = advance_all(&mut self.segments, self.first as usize, gone);
        self.first = u32::try_from(first).unwrap_or(u32::MAX);
    }
}
