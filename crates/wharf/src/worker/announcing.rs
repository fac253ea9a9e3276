//! Connections of which a proxy has still to say whose they are. There is no session before that, and no
//! callback hears of one that never becomes a session.

use std::net::SocketAddr;
use std::sync::Arc;

use wharf_port::{Address, FreshSocket, Lease, SocketId};

use super::connection::State;
use super::{Core, Worker};
use crate::admission::{Refusal, Seat};
use crate::arrival::Arrival;
use crate::close_reason::CloseReason;
use crate::proxy_header::{ProxyHeader, ProxyHeaderError, read};
use crate::session::Session;

/// What a proxy has said.
struct Announced {
    /// Whose connection it is; `None` is the proxy's own.
    peer: Option<SocketAddr>,
    /// What came behind the header.
    rest: Lease,
}

impl<H: Session, F: Fn(&Arrival) -> H> Worker<H, F> {
    /// Bytes of a connection that is no open session: the header of a proxy, or what nobody wants.
    #[cold]
    pub(super) fn received_unopened(&mut self, socket: SocketId, lease: Lease) {
        let core = &mut self.core;
        let Some(connection) = core.connection(socket) else { return };
        if connection.state != State::Announcing {
            return;
        }
        let Some(announced) = core.take_announcement(socket, lease) else { return };
        let peer = match core.let_announced_in(socket, announced.peer) {
            Ok(peer) => peer,
            Err((peer, refusal)) => {
                core.count_refusal(&peer, refusal);
                return core.terminate(socket, CloseReason::Closed, true);
            }
        };
        core.stats.seldom().accepted += 1;
        core.begin_capture(socket, &peer);
        let arrival = Arrival::new(core.session_id(socket), peer, Arc::clone(core.shared()));
        self.make_session(socket, &arrival);
        if !announced.rest.is_empty() && self.core.is_open(socket) {
            self.read(socket, announced.rest);
        }
    }
}

impl Core {
    /// Takes a connection of a proxy's in, and waits for what it says.
    pub(super) fn await_announcement(&mut self, fresh: FreshSocket, seat: Seat) {
        let Ok(socket) = self.open(fresh, seat, State::Announcing) else { return };
        self.start_receiving(socket);
        if self.drain_until.is_some() {
            self.begin_close(socket, CloseReason::Drain);
        }
    }

    /// Reads on in the header; `None` until it is whole. One that is none ends its connection.
    fn take_announcement(&mut self, socket: SocketId, lease: Lease) -> Option<Announced> {
        let connection = self.connection(socket)?;
        let before = connection.held_bytes();
        let found = match &connection.held {
            None => read(&lease),
            Some(held) => {
                let pieces: Vec<&[u8]> =
                    held.iter().chain([&lease]).map(|piece| &**piece).collect();
                read(&pieces.concat())
            }
        };
        match found {
            Ok(ProxyHeader::Partial) => {
                // It may take its time, and the others need the buffers.
                connection.held.get_or_insert_default().push_back(lease.copied_out());
                None
            }
            Ok(ProxyHeader::Whole { bytes, peer }) => {
                connection.held = None;
                let rest = lease.slice(bytes.saturating_sub(before)..lease.len());
                Some(Announced { peer, rest })
            }
            Err(error) => {
                self.bad_announcement(socket, error);
                None
            }
        }
    }

    fn bad_announcement(&mut self, socket: SocketId, error: ProxyHeaderError) {
        if self.shared().is_new_cause("proxy_header") {
            let proxy = self.port.peer_address(socket);
            tracing::warn!(
                ?proxy,
                "a proxy does not say whose connection it forwards: {error}; said once, counted on"
            );
        }
        self.terminate(socket, CloseReason::BadProxyHeader, true);
    }

    /// Asks of the real peer what is asked of others when they are accepted, and makes it a session's
    /// connection. Gives its address.
    fn let_announced_in(
        &mut self,
        socket: SocketId,
        announced: Option<SocketAddr>,
    ) -> Result<Address, (Address, Refusal)> {
        let unknown = || SocketAddr::from(([0, 0, 0, 0], 0)).into();
        let own = announced.map(Address::Tcp).or_else(|| self.port.peer_address(socket));
        let peer = own.unwrap_or_else(unknown);
        let listener = self.listener_of(socket).unwrap_or_else(unknown);
        if let Err(refusal) = self.let_in(&peer, Some(listener), None) {
            return Err((peer, refusal));
        }
        let now = self.now;
        let Some(connection) = self.connection(socket) else { return Ok(peer) };
        if let Some(address) = announced
            && let Err(refusal) = connection.seat.count_address(address.ip())
        {
            return Err((peer, refusal));
        }
        connection.state = State::Open;
        connection.since = now;
        self.arm_next_timer(socket);
        Ok(peer)
    }

    /// The listener that a connection came to, by the address that it has at this end.
    fn listener_of(&self, socket: SocketId) -> Option<Address> {
        let local = self.port.local_address(socket)?;
        came_to(self.shared().addresses.get()?, &local).cloned()
    }

    /// The stream has ended before the header did.
    pub(super) fn announcement_ended(&mut self, socket: SocketId) {
        let Some(connection) = self.connection(socket) else { return };
        let reason =
            if connection.holds() { CloseReason::Truncated } else { CloseReason::PeerClosed };
        self.terminate(socket, reason, false);
    }
}

/// Which of the listeners a connection with this local address came to. One on the very address is nearer
/// than one on all of its family; and one on all of the other comes last: it is nearest only to IPv4 on a
/// dual-stack listener.
fn came_to<'list>(listeners: &'list [Address], local: &Address) -> Option<&'list Address> {
    let Some(local) = local.tcp() else { return listeners.iter().find(|it| *it == local) };
    let distance = |listener: &Address| {
        let tcp = listener.tcp()?;
        let any = tcp.ip().is_unspecified();
        let fits = tcp.port() == local.port() && (any || tcp.ip() == local.ip());
        fits.then(|| (tcp.is_ipv4() != local.is_ipv4(), tcp.ip() != local.ip()))
    };
    let near = listeners.iter().filter_map(|listener| Some((distance(listener)?, listener)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, listener)| listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_came_to_the_nearest_listener() {
        let [v4, v6, one, other, unix] =
            ["0.0.0.0:7777", "[::]:7777", "127.0.0.1:7777", "[::]:8888", "unix:/a"];
        let came_to = |listeners: &[&str], local: &str| {
            let listeners = listeners.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>();
            came_to(&listeners, &local.parse().unwrap()).map(Address::to_string)
        };
        let is = |listener: &str| Some(listener.to_owned());
        for both in [[v4, v6], [v6, v4]] {
            assert_eq!(came_to(&both, "[::1]:7777"), is(v6));
            assert_eq!(came_to(&both, "127.0.0.1:7777"), is(v4));
        }
        assert_eq!(came_to(&[other, v6], "127.0.0.1:7777"), is(v6), "dual stack");
        assert_eq!(came_to(&[v4, one], "127.0.0.1:7777"), is(one));
        assert_eq!(came_to(&[v4, one], "127.0.0.2:7777"), is(v4));
        assert_eq!(came_to(&[one, v6], "127.0.0.2:9999"), None);
        assert_eq!(came_to(&[v4, "unix:/b", unix], "unix:/a"), is(unix));
        assert_eq!(came_to(&[v4, unix], "unix:/c"), None);
    }
}
