//! Receiving and sending.

use windows_sys::Win32::Foundation::ERROR_NETNAME_DELETED;
use windows_sys::Win32::Networking::WinSock::{
    WSAECONNRESET, WSAENOBUFS, WSAENOTCONN, WSAESHUTDOWN, WSAEWOULDBLOCK,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::kernel::{Kernel, Kind, Pending, Role, narrow, winsock};
use super::link::{End, Side};
use super::memory::{Gather, Room};
use crate::iocp::api::{Slice, Started};
use crate::iocp::{Code, GATHER_MAX};

impl Kernel {
    fn end_of(&self, number: usize) -> Option<&End> {
        match self.sockets.get(&number)?.role {
            Role::Connected(side) => Some(&self.links[side.link].ends[side.end]),
            _ => None,
        }
    }

    /// How many bytes a side may send.
    fn room(&self, side: Side) -> usize {
        let other = &self.links[side.link].ends[1 - side.end];
        self.switches.window.saturating_sub(other.inbox.len())
    }

    fn has_ended(&self, side: Side) -> bool {
        self.links[side.link].ends[1 - side.end].is_ended
    }

    /// The side that a receive is started on: none other may be under way.
    fn receiving(&mut self, number: usize) -> Result<Side, Code> {
        let side = self.side(number).ok_or(winsock(WSAENOTCONN))?;
        let second = self.is_busy(number, |kind| matches!(kind, Kind::Receive(_)));
        self.demand(!second, || format!("a second receive on socket {number}"));
        Ok(side)
    }

    fn sending(&mut self, number: usize, slices: &[Slice]) -> Result<Side, Code> {
        let side = self.side(number).ok_or(winsock(WSAENOTCONN))?;
        let second = self.is_busy(number, |kind| matches!(kind, Kind::Send(_)));
        self.demand(!second, || format!("a second send on socket {number}"));
        self.demand(slices.len() <= GATHER_MAX, || format!("{} slices", slices.len()));
        if self.has_ended(side) {
            return Err(winsock(WSAESHUTDOWN));
        }
        if self.links[side.link].ends[side.end].is_reset {
            return Err(winsock(WSAECONNRESET));
        }
        Ok(side)
    }

    fn is_busy(&mut self, number: usize, which: impl Fn(&Kind) -> bool) -> bool {
        let its = |it: &&Pending| it.socket == number;
        let disconnects = |it: &Pending| matches!(it.kind, Kind::Disconnect);
        let ends = self.pending.iter().filter(its).any(disconnects);
        self.demand(!ends, || format!("socket {number} is used while it is disconnected"));
        self.pending.iter().filter(its).any(|it| which(&it.kind))
    }

    pub(super) fn receive(
        &mut self,
        number: usize,
        buffer: Option<(*mut u8, u32)>,
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        let side = self.receiving(number)?;
        if buffer.is_some() && !self.switches.locks_pages {
            return Err(winsock(WSAENOBUFS));
        }
        if self.links[side.link].ends[side.end].is_reset {
            return Err(winsock(WSAECONNRESET));
        }
        self.counts.empty_receives += usize::from(buffer.is_none());
        self.counts.full_receives += usize::from(buffer.is_some());
        let room = buffer.map(|(start, len)| Room::of_receive(start, len));
        let pending = self.begin(number, operation, Kind::Receive(room));
        if self.can_receive(&pending) && !self.switches.receives_pend {
            let bytes = self.fill(side, room);
            let started = self.end_at_once(&pending, bytes);
            self.settle();
            return Ok(started);
        }
        self.pend(pending);
        self.settle();
        Ok(Started::Pending)
    }

    /// Moves what has come into a receive's room.
    fn fill(&mut self, side: Side, room: Option<Room>) -> usize {
        let Some(room) = room else { return 0 };
        let inbox = &mut self.links[side.link].ends[side.end].inbox;
        let count = room.len.min(inbox.len());
        let bytes: Vec<u8> = inbox.drain(..count).collect();
        // SAFETY: the receive has been started, and its packet is not sent yet.
        unsafe { room.put(0, &bytes) };
        count
    }

    pub(super) fn can_receive(&self, pending: &Pending) -> bool {
        self.end_of(pending.socket).is_some_and(End::is_readable)
    }

    pub(super) fn go_on_receiving(&mut self, at: usize) {
        if self.end_of(self.pending[at].socket).is_some_and(|end| end.is_reset) {
            return self.fail(at, Code(ERROR_NETNAME_DELETED));
        }
        let pending = self.pending.remove(at);
        let (Kind::Receive(room), Some(side)) = (&pending.kind, self.side(pending.socket)) else {
            return;
        };
        let bytes = self.fill(side, *room);
        self.end(&pending, narrow(bytes), None);
    }

    /// What there is to receive, at once.
    pub(super) fn receive_now(&mut self, number: usize, most: usize) -> Result<Vec<u8>, Code> {
        let side = self.receiving(number)?;
        let end = &mut self.links[side.link].ends[side.end];
        if end.is_reset {
            return Err(winsock(WSAECONNRESET));
        }
        if !end.is_readable() {
            return Err(winsock(WSAEWOULDBLOCK));
        }
        let count = most.min(end.inbox.len());
        let bytes = end.inbox.drain(..count).collect();
        self.settle();
        Ok(bytes)
    }

    pub(super) fn send(
        &mut self,
        number: usize,
        slices: &[Slice],
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        let side = self.sending(number, slices)?;
        self.counts.overlapped_sends += 1;
        let mut gather = Gather::new(slices);
        if gather.len() <= self.room(side) {
            let pending = self.begin(number, operation, Kind::Send(Gather::new(&[])));
            self.pass(side, &mut gather);
            let started = self.end_at_once(&pending, gather.read);
            self.settle();
            return Ok(started);
        }
        let pending = self.begin(number, operation, Kind::Send(gather));
        self.pend(pending);
        self.settle();
        Ok(Started::Pending)
    }

    /// Moves what there is room for.
    fn pass(&mut self, side: Side, gather: &mut Gather) {
        let room = self.room(side);
        // SAFETY: the send has been started, or its call has not returned; its packet is not sent yet.
        let bytes = unsafe { gather.take(room) };
        self.links[side.link].ends[1 - side.end].inbox.extend(bytes);
    }

    pub(super) fn can_send(&self, pending: &Pending) -> bool {
        let Some(Role::Connected(side)) = self.sockets.get(&pending.socket).map(|it| &it.role)
        else {
            return false;
        };
        self.links[side.link].ends[side.end].is_reset || self.room(*side) > 0
    }

    pub(super) fn go_on_sending(&mut self, at: usize) {
        if self.end_of(self.pending[at].socket).is_some_and(|end| end.is_reset) {
            return self.fail(at, Code(ERROR_NETNAME_DELETED));
        }
        let mut pending = self.pending.remove(at);
        let Some(side) = self.side(pending.socket) else { return };
        let Kind::Send(gather) = &mut pending.kind else { return };
        self.pass(side, gather);
        if gather.is_over() {
            let bytes = narrow(gather.read);
            self.end(&pending, bytes, None);
        } else {
            self.pending.insert(at, pending);
        }
    }

    pub(super) fn send_now(&mut self, number: usize, slices: &[Slice]) -> Result<usize, Code> {
        let side = self.sending(number, slices)?;
        if self.room(side) == 0 {
            return Err(winsock(WSAEWOULDBLOCK));
        }
        let mut gather = Gather::new(slices);
        self.pass(side, &mut gather);
        self.settle();
        Ok(gather.read)
    }
}
