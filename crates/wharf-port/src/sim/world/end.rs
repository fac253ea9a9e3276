//! One end of a connection.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::operations::Operation;
use super::{Step, World};
use crate::completion::Direction;
use crate::ids::SocketId;
use crate::sim::Network;
use crate::sim::faults::FaultKind;

/// The name of an end; never used again.
pub(in crate::sim) type EndId = (u32, u32);
/// Which port of the network.
pub(in crate::sim) type PortNumber = usize;

/// Who has an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) enum Holder {
    /// It waits in a listener's queue.
    Queue,
    /// It was accepted and not adopted.
    Fresh,
    Port(PortNumber, SocketId),
    Peer,
}

impl Holder {
    /// Whether it costs the server's process a descriptor.
    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::Fresh | Self::Port(..))
    }
}

/// Why a connection is no more.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::sim) enum Failure {
    Reset,
    TimedOut,
    /// Nothing can be sent: the direction has been ended, or the failure has been told.
    Broken,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::sim) enum Connecting {
    /// Nothing has been started.
    No,
    Started,
    Refused,
    TimedOut,
    Connected,
}

/// The end of a direction of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) enum StreamEnd {
    No,
    /// Behind what is still to be delivered.
    Queued,
    Delivered,
}

/// One end of a connection, and what the kernel keeps for it.
#[derive(Debug)]
pub(in crate::sim) struct End {
    pub(in crate::sim) local: SocketAddr,
    pub(in crate::sim) remote: SocketAddr,
    pub(in crate::sim) holder: Holder,
    pub(in crate::sim) connecting: Connecting,
    pub(in crate::sim) no_delay: bool,
    /// It has connected itself: no other may from its address to the same.
    has_its_name: bool,
    /// The other end, for as long as it exists.
    pub(super) other: Option<EndId>,
    /// Nobody has closed its descriptor.
    pub(super) open: bool,
    /// Received and not read, and how much of that there may be.
    pub(super) received: VecDeque<u8>,
    pub(super) window: usize,
    pub(super) stream_ended: bool,
    pub(super) failure: Option<Failure>,
    /// Whoever holds the end has been told of the failure, and is not told again.
    told: bool,
    /// Sent and not delivered, and how much of that there may be.
    pub(super) unsent: VecDeque<u8>,
    pub(super) room: usize,
    pub(super) ending: StreamEnd,
    /// A delivery is planned.
    pub(super) delivers: bool,
    /// Nothing is delivered any more, and nobody is told.
    pub(in crate::sim) vanished: bool,
    pub(super) receive: Operation,
    pub(super) send: Operation,
}

/// What a listener gives: an end that no port has adopted.
#[derive(Debug)]
pub(crate) struct FreshEnd {
    pub(in crate::sim) network: Network,
    pub(in crate::sim) id: EndId,
}

impl FreshEnd {
    /// Whether it is an end on this network.
    pub(crate) fn is_on(&self, network: &Network) -> bool {
        self.network.is_same(network)
    }

    /// Closes it so that its peer sees a reset.
    pub(crate) fn reset(self) {
        self.network.with(|world| world.close_end(self.id, true));
    }
}

impl Drop for FreshEnd {
    fn drop(&mut self) {
        self.network.with(|world| {
            if world.end(self.id).is_some_and(|end| end.holder == Holder::Fresh) {
                world.close_end(self.id, false);
            }
        });
    }
}

/// Names, numbers and options of a new end.
pub(super) struct NewEnd {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) holder: Holder,
    pub(super) no_delay: bool,
    pub(super) room: Option<u32>,
    pub(super) window: Option<u32>,
}

impl World {
    pub(in crate::sim) fn end(&self, id: EndId) -> Option<&End> {
        self.ends.get(id.0, id.1)
    }

    pub(super) fn end_mut(&mut self, id: EndId) -> Option<&mut End> {
        self.ends.get_mut(id.0, id.1)
    }

    /// `None` if the network has no room for another.
    pub(super) fn insert_end(&mut self, new: NewEnd) -> Option<EndId> {
        let mut window = new.window.map_or(self.window_bytes, |bytes| bytes as usize);
        let mut room = new.room.map_or(self.window_bytes, |bytes| bytes as usize);
        if self.chance(FaultKind::SmallWindow) {
            window = self.up_to(512);
            room = self.up_to(512);
        }
        let end = End {
            local: new.local,
            remote: new.remote,
            holder: new.holder,
            connecting: Connecting::No,
            no_delay: new.no_delay,
            has_its_name: new.holder != Holder::Queue,
            other: None,
            open: true,
            received: VecDeque::new(),
            window: window.max(1),
            stream_ended: false,
            failure: None,
            told: false,
            unsent: VecDeque::new(),
            room: room.max(1),
            ending: StreamEnd::No,
            delivers: false,
            vanished: false,
            receive: Operation::default(),
            send: Operation::default(),
        };
        let id = self.ends.insert(end).ok()?;
        self.descriptors += usize::from(new.holder.counts());
        if new.holder != Holder::Queue {
            self.names_in_use.insert((new.local, new.remote));
        }
        Some(id)
    }

    /// Gives an end to somebody else.
    pub(in crate::sim) fn hold(&mut self, id: EndId, holder: Holder) {
        let Some(end) = self.end_mut(id) else { return };
        let before = std::mem::replace(&mut end.holder, holder);
        self.descriptors -= usize::from(before.counts());
        self.descriptors += usize::from(holder.counts());
    }

    /// Closes an end's descriptor. What was sent is still delivered, unless it is reset, or something
    /// was received and not read: then the other end sees a reset, as on every kernel.
    pub(in crate::sim) fn close_end(&mut self, id: EndId, reset: bool) {
        let Some(end) = self.end_mut(id) else { return };
        if !std::mem::replace(&mut end.open, false) {
            return;
        }
        let unread = !end.received.is_empty();
        let counted = end.holder.counts();
        let connected = end.connecting == Connecting::Connected;
        let has_said_all = end.failure.is_some() || end.ending == StreamEnd::Delivered;
        if end.ending == StreamEnd::No {
            end.ending = StreamEnd::Queued;
        }
        self.descriptors -= usize::from(counted);
        self.step(Step::Closed(id, reset));
        if !connected || reset || unread {
            self.reset_other(id);
            self.forget(id);
        } else if has_said_all {
            self.forget(id);
        } else {
            self.deliver_soon(id);
        }
    }

    /// Removes an end that is closed and has nothing left to deliver.
    pub(super) fn forget(&mut self, id: EndId) {
        let Some(end) = self.ends.remove(id.0, id.1) else { return };
        if end.has_its_name {
            self.names_in_use.remove(&(end.local, end.remote));
        }
        if let Some(other) = end.other.and_then(|other| self.end_mut(other)) {
            other.other = None;
        }
    }

    /// Reads what has been received: `Ok(0)` is the end of the stream, `None` that there is nothing.
    pub(in crate::sim) fn read(
        &mut self,
        id: EndId,
        into: &mut [u8],
    ) -> Option<Result<usize, Failure>> {
        let there = self.end(id)?.received.len().min(into.len());
        if there == 0 {
            return self.tell_how_it_ended(id);
        }
        let count = if self.chance(FaultKind::PartialReceive) { self.up_to(there) } else { there };
        let end = self.end_mut(id)?;
        into[..count].copy_from_slice(&take_front(&mut end.received, count));
        let other = end.other;
        self.step(Step::Read(id, count));
        if let Some(other) = other {
            self.deliver_soon(other);
        }
        Some(Ok(count))
    }

    /// Takes what there is room for of what is to be sent: `None` is no room.
    pub(in crate::sim) fn write(
        &mut self,
        id: EndId,
        bytes: &[u8],
    ) -> Option<Result<usize, Failure>> {
        if let Some(failure) = self.tell_trouble(id) {
            return Some(Err(failure));
        }
        let end = self.end_mut(id)?;
        if end.ending != StreamEnd::No {
            return Some(Err(Failure::Broken));
        }
        let takes = end.room.saturating_sub(end.unsent.len()).min(bytes.len());
        if takes == 0 {
            return if bytes.is_empty() { Some(Ok(0)) } else { None };
        }
        let count = if self.chance(FaultKind::PartialSend) { self.up_to(takes) } else { takes };
        let end = self.end_mut(id)?;
        end.unsent.extend(&bytes[..count]);
        self.step(Step::Written(id, count));
        self.deliver_soon(id);
        Some(Ok(count))
    }

    fn tell_how_it_ended(&mut self, id: EndId) -> Option<Result<usize, Failure>> {
        match self.tell_trouble(id) {
            Some(Failure::Broken) => Some(Ok(0)),
            Some(failure) => Some(Err(failure)),
            None => self.end(id)?.stream_ended.then_some(Ok(0)),
        }
    }

    /// Why nothing can be sent or received, if so; only that it cannot, where that has been told.
    fn tell_trouble(&mut self, id: EndId) -> Option<Failure> {
        let once = self.personality.tells_failures_once();
        let end = self.end_mut(id)?;
        let trouble = end.trouble()?;
        let tells_now = once && end.failure.is_some();
        let told = std::mem::replace(&mut end.told, tells_now);
        Some(if told { Failure::Broken } else { trouble })
    }

    /// How much an end may hold that was received and not read.
    pub(in crate::sim) fn set_window(&mut self, id: EndId, bytes: usize) {
        let Some(end) = self.end_mut(id) else { return };
        end.window = bytes.max(1);
        if let Some(other) = end.other {
            self.deliver_soon(other);
        }
    }

    /// Ends the sending direction behind what was sent.
    pub(in crate::sim) fn end_stream(&mut self, id: EndId) {
        let Some(end) = self.end_mut(id) else { return };
        if end.ending == StreamEnd::No && end.connecting == Connecting::Connected {
            end.ending = StreamEnd::Queued;
            self.deliver_soon(id);
        }
    }
}

/// Takes the first bytes of a queue, not one by one: they are many.
pub(super) fn take_front(queue: &mut VecDeque<u8>, count: usize) -> Vec<u8> {
    let (front, back) = queue.as_slices();
    let of_front = front.len().min(count);
    let taken = [&front[..of_front], &back[..count - of_front]].concat();
    queue.drain(..count);
    taken
}

impl End {
    /// `None` if the connection is gone, as kernels have it.
    pub(in crate::sim) fn peer_address(&self) -> Option<SocketAddr> {
        let connected = self.connecting == Connecting::Connected && self.failure.is_none();
        connected.then_some(self.remote)
    }

    pub(in crate::sim) fn readable_bytes(&self) -> usize {
        self.received.len()
    }

    pub(in crate::sim) fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.stream_ended || self.trouble().is_some()
    }

    /// Whether a send would do something.
    pub(super) fn is_writable(&self) -> bool {
        let over = self.trouble().is_some() || self.ending != StreamEnd::No;
        over || self.unsent.len() < self.room
    }

    pub(super) fn has_something_to_deliver(&self) -> bool {
        !self.unsent.is_empty() || self.ending == StreamEnd::Queued
    }

    /// Why nothing can be sent or received, if so: what was never connected has no stream.
    pub(super) const fn trouble(&self) -> Option<Failure> {
        match self.connecting {
            Connecting::Connected => self.failure,
            Connecting::Started => None,
            Connecting::No | Connecting::Refused | Connecting::TimedOut => Some(Failure::Reset),
        }
    }

    pub(super) fn operation(&mut self, direction: Direction) -> &mut Operation {
        match direction {
            Direction::Receive => &mut self.receive,
            Direction::Send => &mut self.send,
        }
    }
}
