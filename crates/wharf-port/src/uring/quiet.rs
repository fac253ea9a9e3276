//! Looking at sockets that have gone quiet, for ends that the kernel has not told.
//!
//! A multishot receive that is woken reads what there is, and waits for the next wake-up. If bytes and a
//! reset are both there by then, one run answers the wake-ups of both: it takes the bytes, finds the
//! stream empty, and nothing wakes it again. A reset is no byte, so the kernel does not count it as
//! something that is left to read, as it does with the end of a stream. Linux loses every reset that
//! comes before the receive has run; since a68ed2df7213 (March 2026, 7.0 and the stable kernels of that
//! time) only one that comes, with the bytes, while the receive is being armed.
//!
//! Whatever is lost is lost at a completion with bytes, and is no secret: `poll(2)` tells it for ever. So
//! who has received and then been quiet for a second is looked at, once. If the connection has ended,
//! its receive is cancelled and armed again, and the first thing that a receive does is to read.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};

use super::Uring;
use super::token::{Kind, Token};
use crate::clock::Time;
use crate::ids::SocketId;

/// How long a socket must have been quiet; it is looked at before twice that has passed.
const QUIET: Duration = Duration::from_secs(1);
/// Sockets that are gone through at a time, in some 0.1 ms.
const BATCH: usize = 512;
/// When the next of them follow, if there are more.
const NEXT_BATCH: Duration = Duration::from_millis(10);
/// Sockets in one `poll`, which refuses more than the process may have descriptors.
const POLLED: usize = 64;

/// Whether a socket is to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Watch {
    /// It has been, since it last received.
    #[default]
    Off,
    /// It has received since the last round.
    Heard,
    /// It has not.
    Quiet,
}

/// The sockets that are watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// All that are not [`Watch::Off`], and some that have been closed since.
    line: VecDeque<SocketId>,
    /// Those at the front that this round has not come to.
    left: usize,
    /// When this round began.
    round: Time,
    /// When to go on; `None` if nobody is watched.
    next: Option<Time>,
}

impl Watched {
    pub(super) const fn next(&self) -> Option<Time> {
        self.next
    }

    /// After a batch: when to go on.
    fn plan(&mut self, now: Time) {
        let more = self.left > 0;
        let soon = now + NEXT_BATCH;
        self.next = match self.line.is_empty() {
            true => None,
            false if more => Some(soon),
            false => Some(soon.max(self.round + QUIET)),
        };
        if self.line.is_empty() {
            self.line.shrink_to(BATCH);
        }
    }
}

impl Uring {
    /// Notes that a socket has received and stays armed. Most have been noted before.
    #[cold]
    pub(super) fn watch(&mut self, id: SocketId, now: Time) {
        let Ok(socket) = self.find(id) else { return };
        if std::mem::replace(&mut socket.receive.watch, Watch::Heard) != Watch::Off {
            return;
        }
        let Self { watched, sockets, .. } = self;
        // Closed sockets stay in the line, but never more of them than there are others.
        if watched.line.len() >= 2 * sockets.len() + BATCH {
            watched.line.retain(|it| sockets.get(it.slot(), it.generation()).is_some());
            watched.left = watched.left.min(watched.line.len());
        }
        watched.line.push_back(id);
        watched.next.get_or_insert(now + QUIET);
    }

    /// Goes through the sockets that are watched, some at a time, each once in a round.
    pub(super) fn look_at_quiet(&mut self, now: Time) {
        if self.watched.next.is_none_or(|next| next > now) {
            return;
        }
        if self.watched.left == 0 {
            self.watched.left = self.watched.line.len();
            self.watched.round = now;
        }
        let batch = self.watched.left.min(BATCH);
        self.watched.left -= batch;
        let mut quiet = Vec::new();
        for _ in 0..batch {
            let Some(id) = self.watched.line.pop_front() else { break };
            let Ok(socket) = self.find(id) else { continue };
            let receive = &mut socket.receive;
            if receive.watch == Watch::Heard {
                receive.watch = Watch::Quiet;
                self.watched.line.push_back(id);
                continue;
            }
            receive.watch = Watch::Off;
            if receive.armed && !receive.paused && !receive.cancelled && socket.closing.is_none() {
                quiet.push(id);
            }
        }
        quiet.chunks(POLLED).for_each(|quiet| self.look_at(quiet));
        self.watched.plan(now);
    }

    /// Arms the receives again of those whose connection has ended.
    fn look_at(&mut self, quiet: &[SocketId]) {
        match self.which_have_ended(quiet) {
            Ok(ended) => ended.into_iter().for_each(|id| {
                self.stats.ends_found += 1;
                // If the kernel was just about to tell it, nothing is lost either.
                self.stage_cancel(Token::new(Kind::Receive, id));
            }),
            // Short of memory, or of descriptors: another time.
            Err(_) => quiet.iter().for_each(|&id| {
                let Ok(socket) = self.find(id) else { return };
                socket.receive.watch = Watch::Quiet;
                self.watched.line.push_back(id);
            }),
        }
    }

    fn which_have_ended(&self, quiet: &[SocketId]) -> Result<Vec<SocketId>, Errno> {
        let socket = |&id| self.socket(id).map(|socket| (id, socket));
        let (ids, mut polled): (Vec<_>, Vec<_>) = quiet
            .iter()
            .filter_map(socket)
            .map(|(id, socket)| (id, PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::RDHUP)))
            .unzip();
        retry_on_intr(|| poll(&mut polled, Some(&Timespec::default())))?;
        let ended = ids.into_iter().zip(polled).filter(|(_, it)| !it.revents().is_empty());
        Ok(ended.map(|(id, _)| id).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;

    use io_uring::types::Fd;
    use io_uring::{opcode, squeue};
    use rustix::net::sockopt::set_socket_linger;

    use super::*;
    use crate::clock::monotonic_now;
    use crate::completion::{Completion, Received};
    use crate::error::ReceiveError;
    use crate::options::PortOptions;
    use crate::socket::FreshSocket;
    use crate::sys::Notifier;
    use crate::uring::probe::probe;
    use crate::uring::provided::GROUP;

    /// `IORING_RECVSEND_POLL_FIRST` and `IORING_RECV_MULTISHOT`.
    const POLL_FIRST_MULTISHOT: u16 = 1 | 2;

    /// A driver, unless `io_uring` or its multishot receive is not to be had.
    fn open(notifier: &Notifier) -> Option<Uring> {
        let features = probe().unwrap().ok().filter(|features| features.multishot_receive)?;
        Some(Uring::open(&PortOptions::default(), features, notifier).unwrap())
    }

    fn pair(uring: &mut Uring) -> (SocketId, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ours = FreshSocket::try_from(listener.accept().unwrap().0).unwrap();
        (uring.adopt(ours).unwrap(), peer)
    }

    fn reset(peer: TcpStream) {
        set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
    }

    /// What comes, until `is_last`, within so long.
    fn take_until(
        uring: &mut Uring,
        limit: Duration,
        is_last: impl Fn(&Completion) -> bool,
    ) -> Vec<Completion> {
        let mut taken = Vec::new();
        let end = monotonic_now() + limit;
        loop {
            let now = monotonic_now();
            uring.tick(now);
            let until = uring.next_deadline().map_or(end, |next| next.min(end));
            uring.wait(Some(until.since(now)), now).unwrap();
            while let Some(completion) = uring.take(now) {
                let last = is_last(&completion);
                taken.push(completion);
                if last {
                    return taken;
                }
            }
            assert!(now < end, "only {taken:?} came within {limit:?}");
        }
    }

    fn is_reset(completion: &Completion) -> bool {
        let Completion::Received { what, .. } = completion else { return false };
        matches!(what, Received::Failed(ReceiveError::Reset))
    }

    /// Arms a receive in the moment in which the kernel still loses a reset today: it finds both only
    /// when it begins to wait, since it was told not to try before.
    fn arm_too_late(uring: &mut Uring, id: SocketId) {
        let socket = uring.find(id).unwrap();
        (socket.receive.started, socket.receive.armed) = (true, true);
        let fd = Fd(socket.socket.as_raw_fd());
        let entry = opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(GROUP);
        let entry = entry.ioprio(POLL_FIRST_MULTISHOT).build().flags(squeue::Flags::BUFFER_SELECT);
        uring.operations += 1;
        uring.stage(entry, Token::new(Kind::Receive, id));
    }

    #[test]
    fn a_reset_that_the_kernel_does_not_tell_is_found() {
        let notifier = Notifier::new().unwrap();
        let Some(mut uring) = open(&notifier) else { return };
        let (id, mut peer) = pair(&mut uring);
        peer.write_all(b"half a frame").unwrap();
        reset(peer);
        arm_too_late(&mut uring, id);
        let taken = take_until(&mut uring, 4 * QUIET, is_reset);
        assert_eq!(taken.len(), 2, "bytes and a reset, but {taken:?}");
        drop(taken);
        uring.shut_down(QUIET).unwrap();
    }

    fn is_data(completion: &Completion) -> bool {
        matches!(completion, Completion::Received { what: Received::Data(_), .. })
    }

    #[test]
    fn who_stays_quiet_is_looked_at_once_and_receives_on() {
        let notifier = Notifier::new().unwrap();
        let Some(mut uring) = open(&notifier) else { return };
        let (id, mut peer) = pair(&mut uring);
        uring.receive(id).unwrap();
        for _ in 0..2 {
            peer.write_all(b"hello").unwrap();
            let taken = take_until(&mut uring, QUIET, is_data);
            assert_eq!(taken.len(), 1, "{taken:?}");
            let mut looks = 0;
            while let Some(next) = uring.next_deadline() {
                uring.tick(next);
                looks += 1;
                assert!(looks <= 2, "it was heard of once, and is looked at again and again");
            }
            assert_eq!(looks, 2, "it is looked at when it has been quiet, and not before");
        }
        assert_eq!(uring.stats().ends_found, 0);
        uring.shut_down(QUIET).unwrap();
    }

    #[test]
    fn closed_sockets_do_not_pile_up() {
        let notifier = Notifier::new().unwrap();
        let Some(mut uring) = open(&notifier) else { return };
        for _ in 0..3 * BATCH {
            let (id, mut peer) = pair(&mut uring);
            uring.receive(id).unwrap();
            peer.write_all(b"hello").unwrap();
            // No tick, so no look: as many come and go within a second.
            while !uring.has_ready() {
                uring.wait(Some(QUIET), Time::ZERO).unwrap();
            }
            let taken = uring.take(Time::ZERO);
            assert!(taken.as_ref().is_some_and(is_data), "{taken:?}");
            drop(taken);
            uring.close(id, true).unwrap();
            while uring.sockets() > 0 {
                uring.wait(Some(QUIET), Time::ZERO).unwrap();
                while uring.take(Time::ZERO).is_some() {}
            }
        }
        let line = uring.watched.line.len();
        assert!(line <= BATCH + 2, "{line} sockets are in the line, and none is open");
        uring.shut_down(QUIET).unwrap();
    }
}
