//! One session: how far its stream has been due, sent and answered.

use std::collections::VecDeque;

use wharf_port::{SocketId, Time};

use super::tally::Loss;

/// Where a session stands in its life. It moves down this list, and to `Failed` from anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// More messages may become due.
    Sending,
    /// All that will ever be due is known; some of it is not sent or not answered.
    Finishing,
    /// All is answered, and the sending direction ended: the server's end of stream is awaited.
    HalfClosed,
    /// The server has ended its stream where it should.
    Ended,
    /// It was lost, and is closed.
    Failed,
}

/// One session. Positions count the bytes of its stream, the same in both directions.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) socket: SocketId,
    /// Its number, from 0, in the order of connecting.
    pub(super) number: usize,
    /// Where its stream begins in the pattern.
    pub(super) lane: usize,
    pub(super) state: State,
    /// Whether a send is in flight.
    pub(super) sending: bool,
    /// Whether it waits for the end of the turn to send.
    pub(super) queued: bool,
    /// Messages that have been due.
    pub(super) due: u64,
    /// Messages that may still become due.
    left: u64,
    /// Bytes that have been given to the port.
    pub(super) staged: u64,
    /// Bytes that have come back.
    pub(super) received: u64,
    /// Whole messages that have come back.
    pub(super) answered: u64,
    /// Messages below this one have been looked at when wrong ones were counted.
    pub(super) judged: u64,
    /// When the messages that are not answered were due, in a closed loop. At most `depth` entries,
    /// and one for all messages that were due together.
    batches: VecDeque<Batch>,
}

/// Messages that were due at the same time.
#[derive(Clone, Copy, Debug)]
struct Batch {
    due: Time,
    messages: u64,
}

impl Session {
    /// A session that is to send `messages`.
    pub(super) const fn new(socket: SocketId, number: usize, lane: usize, messages: u64) -> Self {
        Self {
            socket,
            number,
            lane,
            state: State::Sending,
            sending: false,
            queued: false,
            due: 0,
            left: messages,
            staged: 0,
            received: 0,
            answered: 0,
            judged: 0,
            batches: VecDeque::new(),
        }
    }

    /// Makes messages due, as far as there are any left; returns how many.
    #[inline]
    pub(super) fn make_due(&mut self, messages: u64) -> u64 {
        if self.state != State::Sending {
            return 0;
        }
        let messages = messages.min(self.left);
        self.due += messages;
        self.left -= messages;
        if self.left == 0 {
            self.state = State::Finishing;
        }
        messages
    }

    /// Makes messages due, and remembers when they were.
    #[inline]
    pub(super) fn make_due_at(&mut self, now: Time, messages: u64) {
        let messages = self.make_due(messages);
        if messages > 0 {
            self.batches.push_back(Batch { due: now, messages });
        }
    }

    /// Forgets what is due and not begun; returns how much that was.
    pub(super) const fn stop(&mut self, message: u64) -> u64 {
        let unsent = self.due - self.sent(message);
        self.due -= unsent;
        self.state = State::Finishing;
        unsent
    }

    /// How many bytes are to be sent: what is due, while no more than `depth` messages are in flight.
    #[inline]
    pub(super) fn unsent_bytes(&self, message: u64, depth: u64) -> u64 {
        let messages = self.due.min(self.answered.saturating_add(depth));
        messages.saturating_mul(message) - self.staged
    }

    /// Takes the due times of the first `messages` that were not answered before.
    #[inline]
    pub(super) fn take_due_times(&mut self, mut messages: u64, mut each: impl FnMut(Time, u64)) {
        while messages > 0
            && let Some(batch) = self.batches.front_mut()
        {
            let taken = messages.min(batch.messages);
            each(batch.due, taken);
            messages -= taken;
            batch.messages -= taken;
            if batch.messages == 0 {
                self.batches.pop_front();
            }
        }
    }

    /// What it is that bytes came which were not to come.
    pub(super) const fn loss_by_extra(&self) -> Loss {
        if self.staged == 0 { Loss::Greeted } else { Loss::Extra }
    }

    /// Messages of which at least a part has been sent.
    pub(super) const fn sent(&self, message: u64) -> u64 {
        self.staged.div_ceil(message)
    }

    /// Whether all that was due has been sent and answered.
    #[inline]
    pub(super) const fn is_quiet(&self, message: u64) -> bool {
        !self.sending && self.received == self.due * message
    }

    /// Whether it is still at work: neither half-closed nor gone.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, State::Sending | State::Finishing)
    }
}

/// All sessions, by the slot of their socket.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    by_slot: Vec<Option<Session>>,
    /// Slots in the order of the sessions' numbers.
    slots: Vec<usize>,
}

impl Sessions {
    pub(super) fn push(&mut self, session: Session) {
        let slot = session.socket.slot() as usize;
        if self.by_slot.len() <= slot {
            self.by_slot.resize_with(slot + 1, || None);
        }
        self.slots.push(slot);
        self.by_slot[slot] = Some(session);
    }

    pub(super) const fn len(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, socket: SocketId) -> Option<&mut Session> {
        let session = self.by_slot.get_mut(socket.slot() as usize)?.as_mut()?;
        (session.socket == socket).then_some(session)
    }

    /// A session by its number.
    #[inline]
    pub(super) fn by_number_mut(&mut self, number: usize) -> Option<&mut Session> {
        let slot = *self.slots.get(number)?;
        self.by_slot.get_mut(slot)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_slot.iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.by_slot.iter_mut().flatten()
    }
}
