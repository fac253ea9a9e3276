//! What other threads have for a worker.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};

use wharf_port::{FreshSocket, Waker};

use crate::admission::Seat;
use crate::client::{Found, NewTarget, TargetId};
use crate::deferred::Finished;
use crate::group::GroupState;
use crate::inspection::Question;
use crate::owned_payload::OwnedPayload;
use crate::room::{Opening, RoomJob, RoomMail, RoomState};
use crate::session_id::SessionId;
use crate::shared_frame::SharedFrame;
use crate::sync::{Mutex, MutexGuard};
use crate::timer::GroupTimer;
use crate::typed::Delivery;
use crate::unwinding::drop_quietly;

/// Bytes that other threads may have wait for one worker, in frames and otherwise.
pub(crate) const BYTES_MAX: usize = 64 << 20;

/// Something for a worker.
#[derive(Debug)]
pub(crate) enum Message {
    /// A connection is this worker's.
    Adopt(FreshSocket, Seat),
    /// A frame for a session.
    Send(SessionId, OwnedPayload),
    /// A frame for a session, which others are sent, too.
    SendFrame(SessionId, SharedFrame),
    /// A message of a type of the user's for a session.
    Post(SessionId, Delivery),
    /// A job that a session had deferred has run.
    Deferred(SessionId, Finished),
    /// A room is to take its place.
    OpenRoom(Opening),
    /// What sessions of another worker have for rooms of this one.
    RoomMail(Box<RoomMail>),
    /// Something for a room to do.
    RoomJob(Arc<RoomState>, RoomJob),
    /// A room is to be closed.
    CloseRoom(Arc<RoomState>),
    /// A session is to be closed.
    Close(SessionId),
    /// A session is to be reset.
    Reset(SessionId),
    /// Write down what a session receives and sends from now on.
    Capture(SessionId),
    /// Nothing more is to be received from a session for now.
    PauseReceiving(SessionId),
    /// A session is to be received from again.
    ResumeReceiving(SessionId),
    /// A frame for all members of a group, except one.
    Broadcast(Arc<GroupState>, SharedFrame, Option<SessionId>),
    /// A session is to join a group, under a name.
    Join(SessionId, Arc<GroupState>, Option<Arc<str>>),
    /// A session is to leave a group.
    Leave(SessionId, Arc<GroupState>),
    /// All members of a group are to be closed.
    CloseGroup(Arc<GroupState>),
    /// A timer of a group has fired: its members are to hear so, with this token.
    GroupTimer(Arc<GroupState>, u64),
    /// A timer of a group is to be stopped.
    CancelGroupTimer(GroupTimer),
    /// A target is to be connected.
    Connect(Box<NewTarget>),
    /// A target is to be connected no more, and its session closed.
    StopTarget(TargetId),
    /// The name of a target has been looked up.
    Resolved(TargetId, Found),
    /// Whether the server accepts has changed, or how near what waits on all workers together is to its
    /// ceiling: the worker is to look.
    Look,
    /// Limits have changed.
    LookAtLimits,
    /// Somebody wants to know how the worker and its sessions are.
    Ask(Box<Question>),
    /// The server drains, and every session is sent this frame last.
    Drain(Option<SharedFrame>),
    /// The server stops at once.
    Stop,
    /// Every listener of the server is closed.
    NothingComes,
}

impl Message {
    /// What it counts towards the bound: nothing if it comes from the server itself, which puts in no
    /// more than there are sessions, workers and deferred jobs.
    pub(crate) fn counted_bytes(&self) -> usize {
        match self {
            Self::Send(_, payload) => size_of::<Self>() + payload.as_slice().len(),
            Self::SendFrame(_, frame) | Self::Broadcast(_, frame, _) => {
                size_of::<Self>() + frame.as_bytes().len()
            }
            Self::Connect(target) => size_of::<Self>() + target.bytes(),
            Self::Post(_, delivery) => size_of::<Self>() + delivery.bytes(),
            Self::Close(_)
            | Self::Ask(_)
            | Self::Reset(_)
            | Self::Capture(_)
            | Self::PauseReceiving(_)
            | Self::ResumeReceiving(_)
            | Self::Join(..)
            | Self::Leave(..)
            | Self::CloseGroup(_)
            | Self::CloseRoom(_)
            | Self::GroupTimer(..)
            | Self::CancelGroupTimer(_)
            | Self::StopTarget(_) => size_of::<Self>(),
            Self::RoomMail(mail) => mail.counted_bytes(),
            Self::RoomJob(_, job) => size_of::<Self>() + size_of_val(&*job.0),
            Self::OpenRoom(_)
            | Self::Adopt(..)
            | Self::Deferred(..)
            | Self::Resolved(..)
            | Self::Look
            | Self::LookAtLimits
            | Self::Drain(_)
            | Self::Stop
            | Self::NothingComes => 0,
        }
    }
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// Too much waits already.
    Full,
    /// The worker has ended.
    Ended,
}

/// The messages of one worker: bounded in bytes, and in connections by the sessions that the server
/// allows.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Queue {
    messages: Vec<Message>,
    bytes: usize,
    /// Bytes of messages that are about to be put in.
    reserved: usize,
    /// Whether a [`Message::Look`] waits. It tells of all changes until it is taken, so one is enough.
    look_waits: bool,
    /// The same of a [`Message::LookAtLimits`].
    limits_wait: bool,
    ended: bool,
}

impl Queue {
    const fn has_room(&self, bytes: usize) -> bool {
        self.reserved + self.bytes + bytes <= BYTES_MAX
    }

    /// Takes a message that counts so many bytes.
    fn push(&mut self, message: Message, bytes: usize) {
        let waits = match message {
            Message::Look => Some(&mut self.look_waits),
            Message::LookAtLimits => Some(&mut self.limits_wait),
            _ => None,
        };
        if waits.is_some_and(|waits| std::mem::replace(waits, true)) {
            return;
        }
        self.bytes += bytes;
        self.messages.push(message);
    }
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self { queue: Mutex::default(), waker }
    }

    /// Puts a message in and wakes the worker. A message that is refused is dropped: a connection is
    /// closed with it.
    pub(crate) fn put(&self, message: Message) -> Result<(), Refused> {
        let bytes = message.counted_bytes();
        {
            let mut queue = self.queue();
            if queue.ended {
                return Err(Refused::Ended);
            }
            if bytes > 0 && !queue.has_room(bytes) {
                return Err(Refused::Full);
            }
            queue.push(message, bytes);
        }
        self.waker.wake();
        Ok(())
    }

    /// Makes room for a message of so many bytes that is put in next; false if there is none. A worker
    /// that has ended has room for everything, and one that has nothing to do for a message of any size.
    pub(crate) fn reserve(&self, bytes: usize) -> bool {
        let mut queue = self.queue();
        let idle = queue.messages.is_empty() && queue.reserved == 0;
        let fits = queue.ended || idle || queue.has_room(bytes);
        if fits {
            queue.reserved += bytes;
        }
        fits
    }

    /// Wakes the worker for a turn. False if it has not made the one for which this was last called, or is
    /// about to.
    pub(crate) fn poke(&self) -> bool {
        let has_turned = {
            let mut queue = self.queue();
            if queue.ended {
                return true;
            }
            let has_turned = !queue.look_waits;
            queue.push(Message::Look, 0);
            has_turned
        };
        self.waker.wake();
        has_turned
    }

    /// Gives room back that was reserved.
    pub(crate) fn release(&self, bytes: usize) {
        let mut queue = self.queue();
        queue.reserved -= bytes;
    }

    /// Puts a message in for which room was reserved, and wakes the worker. If it has ended, the message
    /// is dropped.
    pub(crate) fn put_reserved(&self, message: Message) {
        let bytes = message.counted_bytes();
        {
            let mut queue = self.queue();
            queue.reserved -= bytes;
            if queue.ended {
                return;
            }
            queue.push(message, bytes);
        }
        self.waker.wake();
    }

    /// Bytes that wait, as far as they count.
    pub(crate) fn bytes(&self) -> usize {
        self.queue().bytes
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> VecDeque<Message> {
        let mut queue = self.queue();
        queue.bytes = 0;
        queue.look_waits = false;
        queue.limits_wait = false;
        VecDeque::from(std::mem::take(&mut queue.messages))
    }

    /// Ends the inbox if nothing is in it: from here on nothing can be put in. False if something is.
    pub(crate) fn end_if_empty(&self) -> bool {
        let mut queue = self.queue();
        queue.ended |= queue.messages.is_empty();
        queue.ended
    }

    /// Whether nothing can be put in any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.queue().ended
    }

    /// Ends the inbox, and drops what is in it.
    pub(crate) fn end(&self) {
        let messages = {
            let mut queue = self.queue();
            queue.ended = true;
            std::mem::take(&mut queue.messages)
        };
        // What users posted is dropped by code of theirs, which may use this inbox, or panic.
        for message in messages {
            drop_quietly(message);
        }
    }

    /// No panic happens under this lock that would leave it half done.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use wharf_port::sim::{Network, NetworkOptions};
    use wharf_port::{Backend, CompletionPort, PortOptions};

    use super::*;

    #[test]
    fn what_tells_a_worker_to_look_waits_once_however_often_it_is_put_in() {
        let simulated = Some(Network::new(NetworkOptions::default()));
        let options = PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
        let inbox = Inbox::new(CompletionPort::open(&options).unwrap().waker());
        for _ in 0..2 {
            for _ in 0..100 {
                inbox.put(Message::LookAtLimits).unwrap();
                inbox.put(Message::Look).unwrap();
            }
            let taken = inbox.take();
            let limits = taken.iter().filter(|it| matches!(it, Message::LookAtLimits)).count();
            assert_eq!((taken.len(), limits), (2, 1), "and again after it was taken");
        }
    }
}
