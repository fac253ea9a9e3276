//! Accepting: armed once, rested when something is short, swept when it stops.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use io_uring::types::Fd;
use io_uring::{opcode, squeue};
use rustix::io::Errno;

use super::Uring;
use super::ring::Outcome;
use super::token::{Kind, Token};
use crate::backoff::Backoff;
use crate::clock::Time;
use crate::completion::Completion;
use crate::error::AcceptError;
use crate::ids::ListenerId;
use crate::port::Stats;
use crate::socket::FreshSocket;
use crate::sys;

#[derive(Debug)]
pub(super) struct Listener {
    socket: sys::ListeningSocket,
    armed: bool,
    stopping: bool,
    paused: bool,
    backoff: Backoff,
}

impl Uring {
    pub(crate) fn listen(&mut self, socket: sys::ListeningSocket) -> Result<ListenerId, Errno> {
        // One that was handed over may not block, and not every kernel waits for somebody then.
        sys::adapt(&socket.socket, false)?;
        let number = u32::try_from(self.listeners.len()).map_err(|_| Errno::NOBUFS)?;
        let listener = Listener {
            socket,
            armed: false,
            stopping: false,
            paused: false,
            backoff: Backoff::default(),
        };
        self.listeners.push(Some(listener));
        self.operations += 1;
        self.arm_accept(number);
        Ok(ListenerId(number))
    }

    pub(crate) fn listener(&self, id: ListenerId) -> Option<&sys::ListeningSocket> {
        self.listeners.get(id.0 as usize)?.as_ref().map(|listener| &listener.socket)
    }

    fn listener_mut(&mut self, number: u32) -> Option<&mut Listener> {
        self.listeners.get_mut(number as usize)?.as_mut()
    }

    fn arm_accept(&mut self, number: u32) {
        let multishot = self.features.multishot_accept;
        let Some(listener) = self.listener_mut(number) else { return };
        listener.armed = true;
        let fd = Fd(listener.socket.socket.as_raw_fd());
        let entry: squeue::Entry = if multishot {
            opcode::AcceptMulti::new(fd).flags(libc::SOCK_CLOEXEC).build()
        } else {
            let nowhere = std::ptr::null_mut();
            opcode::Accept::new(fd, nowhere, nowhere.cast()).flags(libc::SOCK_CLOEXEC).build()
        };
        self.stage(entry, Token::numbered(Kind::Accept, number));
    }

    /// What the kernel says of an accept. A connection is taken over whatever else is going on.
    pub(super) fn accepted(&mut self, outcome: Outcome, now: Time) -> Option<Completion> {
        let number = outcome.token.number();
        let socket = outcome.checked().ok().map(|fd| {
            let fd = RawFd::try_from(fd).unwrap_or(-1);
            // SAFETY: a successful accept gives a new descriptor to this completion alone.
            unsafe { OwnedFd::from_raw_fd(fd) }
        });
        let listener = self.listener_mut(number)?;
        listener.armed = outcome.more();
        let stopping = listener.stopping;
        if socket.is_some() {
            listener.backoff.success();
        }
        let fresh = socket.map(|socket| listener.socket.fresh(socket, false));
        let fresh = fresh.and_then(|fresh| count_gone(fresh, &mut self.stats));
        if outcome.more() {
            return fresh
                .map(|socket| Completion::Accepted { listener: ListenerId(number), socket });
        }
        self.ready.extend(
            fresh.map(|socket| Completion::Accepted { listener: ListenerId(number), socket }),
        );
        if stopping {
            self.sweep(number);
        } else {
            self.accept_stopped(number, outcome, now);
        }
        None
    }

    /// The kernel has ended an accept unasked: it is armed again, at once or after a rest.
    fn accept_stopped(&mut self, number: u32, outcome: Outcome, now: Time) {
        let multishot = self.features.multishot_accept;
        let Some(listener) = self.listener_mut(number) else { return };
        let paused = listener.paused;
        let rest = match outcome.checked() {
            Ok(_) => {
                self.stats.rearmed += u64::from(multishot);
                None
            }
            Err(Errno::CANCELED) => None,
            Err(Errno::INVAL) if multishot => {
                // A kernel that has the operation but not this way of it.
                self.features.multishot_accept = false;
                None
            }
            Err(errno) => {
                let cause = AcceptError::from(errno);
                listener.backoff.failure(cause, now).map(|rest| (cause, rest))
            }
        };
        let Some((cause, retry_after)) = rest else {
            if !paused {
                self.arm_accept(number);
            }
            return;
        };
        self.stats.accept_delays += 1;
        let listener = ListenerId(number);
        self.ready.push_back(Completion::AcceptDelayed { listener, cause, retry_after });
    }

    /// Arms the accepts of listeners whose rest is over.
    pub(super) fn end_rests(&mut self, now: Time) {
        for index in 0..self.listeners.len() {
            let due = self.listeners[index]
                .as_mut()
                .is_some_and(|it| it.backoff.take_due(now) && !it.paused);
            if let (true, Ok(number)) = (due, u32::try_from(index)) {
                self.arm_accept(number);
            }
        }
    }

    /// When the first rest of a listener is over.
    pub(super) fn rests_until(&self) -> Option<Time> {
        self.listeners.iter().flatten().filter_map(|listener| listener.backoff.resume_at()).min()
    }

    pub(crate) fn stop_listening(&mut self, id: ListenerId) {
        let Some(listener) = self.listener_mut(id.0) else { return };
        if std::mem::replace(&mut listener.stopping, true) {
            return;
        }
        if listener.armed {
            self.stage_cancel(Token::numbered(Kind::Accept, id.0));
        } else {
            self.sweep(id.0);
        }
    }

    /// A pause is a cancel; the accept is not armed again.
    pub(crate) fn pause_accept(&mut self, id: ListenerId) {
        let Some(listener) = self.listener_mut(id.0).filter(|it| !it.stopping) else { return };
        let paused = std::mem::replace(&mut listener.paused, true);
        if !paused && listener.armed {
            self.stage_cancel(Token::numbered(Kind::Accept, id.0));
        }
    }

    /// If the cancel is on its way still, the accept is armed again when it has ended.
    pub(crate) fn resume_accept(&mut self, id: ListenerId) {
        let Some(listener) = self.listener_mut(id.0) else { return };
        let paused = std::mem::replace(&mut listener.paused, false);
        let rests = listener.backoff.resume_at().is_some();
        if paused && !listener.armed && !rests && !listener.stopping {
            self.arm_accept(id.0);
        }
    }

    /// Whether the accept of a listener is in the kernel and not wanted there.
    pub(super) fn is_unwanted_accept(&mut self, number: u32) -> bool {
        let unwanted = |it: &mut Listener| it.armed && (it.stopping || it.paused);
        self.listener_mut(number).is_some_and(unwanted)
    }

    /// Takes what waits in the queue of a listener that has stopped, and closes it. A connection that
    /// was queued is a client that believes it is connected.
    fn sweep(&mut self, number: u32) {
        let Some(mut listener) = self.listeners.get_mut(number as usize).and_then(Option::take)
        else {
            return;
        };
        let id = ListenerId(number);
        listener.socket.remove_file();
        if sys::adapt(&listener.socket.socket, true).is_ok() {
            loop {
                match listener.socket.accept_now(false) {
                    Ok(socket) => {
                        let fresh = listener.socket.fresh(socket, false);
                        let fresh = count_gone(fresh, &mut self.stats);
                        let accepted = |socket| Completion::Accepted { listener: id, socket };
                        self.ready.extend(fresh.map(accepted));
                    }
                    Err(errno) if AcceptError::from(errno) == AcceptError::Aborted => {}
                    // The queue is empty, or nothing more can be opened.
                    Err(_) => break,
                }
            }
        }
        self.operations -= 1;
        self.ready.push_back(Completion::ListenerClosed { listener: id });
    }
}

/// Counts a connection whose peer is there no more.
fn count_gone(fresh: Option<FreshSocket>, stats: &mut Stats) -> Option<FreshSocket> {
    stats.accepts_gone += u64::from(fresh.is_none());
    fresh
}
