//! Listening, and `AcceptEx`.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use windows_sys::Win32::Networking::WinSock::{
    WSAECONNRESET, WSAEINVAL, WSAENOBUFS, WSAEWOULDBLOCK,
};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::kernel::{Kernel, Kind, Pending, Role, narrow, winsock};
use super::link::Side;
use super::memory::Room;
use super::switches::Gone;
use crate::iocp::Code;
use crate::iocp::api::{ADDRESS_BYTES, Started};

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) address: SocketAddr,
    /// Connections that nobody has accepted.
    pub(super) backlog: VecDeque<usize>,
    pub(super) most: usize,
}

impl Kernel {
    /// The socket that listens on an address.
    pub(super) fn listener_on(&mut self, address: SocketAddr) -> Option<&mut Listening> {
        self.sockets.values_mut().find_map(|socket| match &mut socket.role {
            Role::Listening(listening) if listening.address == address => Some(listening),
            _ => None,
        })
    }

    fn listening(&self, number: usize) -> Option<&Listening> {
        match &self.sockets.get(&number)?.role {
            Role::Listening(listening) => Some(listening),
            _ => None,
        }
    }

    /// The connection that has waited longest.
    pub(super) fn first_in_backlog(&self, listener: usize) -> Option<usize> {
        self.listening(listener)?.backlog.front().copied()
    }

    pub(super) fn take_from_backlog(&mut self, listener: usize) -> Option<usize> {
        match &mut self.sockets.get_mut(&listener)?.role {
            Role::Listening(listening) => listening.backlog.pop_front(),
            _ => None,
        }
    }

    pub(super) fn accept_ex(
        &mut self,
        listener: usize,
        with: usize,
        (output, first): (*mut u8, u32),
        operation: *mut OVERLAPPED,
    ) -> Result<Started, Code> {
        if !self.switches.locks_pages {
            self.counts.failed_accepts += 1;
            return Err(winsock(WSAENOBUFS));
        }
        let socket = self.socket(with);
        // A socket that ConnectEx has used stays bound, also when it is used again.
        let fresh = matches!(socket.role, Role::Fresh) && !socket.is_bound;
        let is_ipv6 = socket.is_ipv6;
        let waits = self.pending.iter().any(|it| it.is_accept_with(with));
        self.demand(fresh && !waits, || format!("socket {with} cannot be accepted with"));
        if self.listening(listener).is_none() {
            return Err(winsock(WSAEINVAL));
        }
        let family = self.listening(listener).is_some_and(|it| it.address.is_ipv6() == is_ipv6);
        self.demand(family, || format!("socket {with} is of another family than its listener"));
        self.counts.sockets_reused += usize::from(self.socket(with).was_used);
        let room = Room::of_accept(output, first);
        let kind = Kind::Accept { with, output: room, first: first as usize, link: None };
        let pending = self.begin(listener, operation, kind);
        if let Some(answer) = self.accept_at_once(&pending, with, room, first as usize) {
            return answer;
        }
        self.pend(pending);
        self.settle();
        Ok(Started::Pending)
    }

    /// What an accept comes to before its call has returned, if it comes to anything.
    fn accept_at_once(
        &mut self,
        pending: &Pending,
        with: usize,
        output: Room,
        first: usize,
    ) -> Option<Result<Started, Code>> {
        let link = self.first_in_backlog(pending.socket)?;
        let end = &self.links[link].ends[1];
        if let (true, Gone::Call(code)) = (end.is_reset, self.switches.gone) {
            self.take_from_backlog(pending.socket);
            self.counts.failed_accepts += 1;
            return Some(Err(Code(code)));
        }
        let ready = !end.is_reset && (first == 0 || end.is_readable());
        if !self.switches.accepts_at_once || !ready {
            return None;
        }
        self.take_from_backlog(pending.socket);
        let bytes = self.make_connected(with, output, first, link);
        Some(Ok(self.end_at_once(pending, bytes)))
    }

    pub(super) fn can_accept(&self, pending: &Pending) -> bool {
        match pending.kind {
            Kind::Accept { link: Some(link), first, .. } => {
                first == 0 || self.links[link].ends[1].is_readable()
            }
            _ => self.first_in_backlog(pending.socket).is_some(),
        }
    }

    pub(super) fn go_on_accepting(&mut self, at: usize) {
        let listener = self.pending[at].socket;
        let Kind::Accept { with, output, first, link: Some(link) } = self.pending[at].kind else {
            let taken = self.take_from_backlog(listener);
            if let Kind::Accept { link, .. } = &mut self.pending[at].kind {
                *link = taken;
            }
            return;
        };
        if self.links[link].ends[1].is_reset {
            let (Gone::Packet(code) | Gone::Call(code)) = self.switches.gone;
            self.counts.failed_accepts += 1;
            return self.fail(at, Code(code));
        }
        let pending = self.pending.remove(at);
        let bytes = self.make_connected(with, output, first, link);
        self.end(&pending, narrow(bytes), None);
    }

    /// Makes a socket one end of a connection; the bytes that come with the accept.
    fn make_connected(&mut self, with: usize, output: Room, first: usize, link: usize) -> usize {
        let [peer, end] = &mut self.links[link].ends;
        let count = first.min(end.inbox.len());
        let bytes: Vec<u8> = end.inbox.drain(..count).collect();
        let addresses = [end.address, peer.address].map(encode).concat();
        end.socket = Some(with);
        // SAFETY: the accept has been started, and its packet is not sent yet.
        unsafe { output.put(0, &bytes) };
        // SAFETY: as above.
        unsafe { output.put(first, &addresses) };
        let socket = self.socket(with);
        socket.role = Role::Connected(Side { link, end: 1 });
        socket.owed = Some("SO_UPDATE_ACCEPT_CONTEXT");
        count
    }

    /// `SO_CONNECT_TIME`: in whole seconds.
    pub(super) fn connected_for(&self, number: usize) -> Option<Duration> {
        let waits = self.pending.iter().find_map(|it| match it.kind {
            Kind::Accept { with, link, .. } if with == number => link,
            _ => None,
        });
        let link = match self.sockets.get(&number)?.role {
            Role::Connected(side) => side.link,
            _ => waits?,
        };
        Some(Duration::from_secs((self.clock - self.links[link].since).as_secs()))
    }

    /// Plain `accept`: a new socket, which is good for use.
    pub(super) fn accept_now(&mut self, listener: usize) -> Result<(usize, SocketAddr), Code> {
        self.counts.plain_accepts += 1;
        if let Some(code) = self.switches.plain_accepts_fail {
            return Err(Code(code));
        }
        let link = self.first_in_backlog(listener).ok_or(winsock(WSAEWOULDBLOCK))?;
        if self.links[link].ends[1].is_reset {
            self.take_from_backlog(listener);
            return Err(winsock(WSAECONNRESET));
        }
        let is_ipv6 = self.links[link].ends[1].address.is_ipv6();
        let number = self.open_socket(is_ipv6)?;
        self.take_from_backlog(listener);
        self.socket(number).role = Role::Connected(Side { link, end: 1 });
        let [peer, end] = &mut self.links[link].ends;
        end.socket = Some(number);
        Ok((number, peer.address))
    }
}

impl Pending {
    pub(super) const fn is_accept_with(&self, number: usize) -> bool {
        matches!(self.kind, Kind::Accept { with, .. } if with == number)
    }
}

/// An address as `AcceptEx` writes it: opaque to all but `GetAcceptExSockaddrs`.
fn encode(address: SocketAddr) -> [u8; ADDRESS_BYTES] {
    let mut bytes = [0; ADDRESS_BYTES];
    let SocketAddr::V4(address) = address else { return bytes };
    bytes[..4].copy_from_slice(&address.ip().octets());
    bytes[4..6].copy_from_slice(&address.port().to_be_bytes());
    bytes[6] = 4;
    bytes
}

/// `GetAcceptExSockaddrs`.
pub(super) fn decode(output: &[u8], first: u32) -> Option<(SocketAddr, SocketAddr)> {
    let (addresses, _) = output.get(first as usize..)?.as_chunks::<ADDRESS_BYTES>();
    let [local, peer] = addresses else { return None };
    Some((decode_one(local)?, decode_one(peer)?))
}

fn decode_one(bytes: &[u8; ADDRESS_BYTES]) -> Option<SocketAddr> {
    let [a, b, c, d, high, low, 4, ..] = *bytes else { return None };
    Some((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])).into())
}
