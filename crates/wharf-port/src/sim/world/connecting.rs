//! Listeners, and those who knock.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::end::{Connecting, EndId, Holder, NewEnd, PortNumber};
use super::names::is_name;
use super::{Event, Packet, Step, World};
use crate::error::AcceptError;
use crate::sim::faults::FaultKind;
use crate::socket_options::{ListenOptions, SocketOptions};

/// Who finds a full queue knocks again after this long, doubled each time, as TCP does.
const KNOCK_AGAIN: Duration = Duration::from_secs(1);
const KNOCKS_MAX: u8 = 6;
/// Who is answered by nobody gives up after this long.
const UNANSWERED: Duration = Duration::from_secs(3);

/// Ports that are given to who asks for any.
pub(super) const EPHEMERAL_FIRST: u16 = 49_152;
const EPHEMERAL_COUNT: u16 = u16::MAX - EPHEMERAL_FIRST + 1;

/// A listener: who waits in its queue, and who is told.
#[derive(Debug)]
pub(in crate::sim) struct Backlog {
    /// `None` for a listener that is no port's.
    port: Option<PortNumber>,
    queue: VecDeque<EndId>,
    queue_max: usize,
    dual_stack: bool,
    accepted: SocketOptions,
    /// Its port has asked to be told.
    armed: bool,
    /// The port will be told at a time that is planned.
    tells: bool,
}

/// What an accept gives.
#[derive(Debug)]
pub(in crate::sim) enum Accepted {
    Connection(EndId, SocketAddr),
    /// It was gone before it was accepted.
    Gone,
    Nobody,
    Failed(AcceptError),
}

/// Why an address cannot be listened on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) enum Unlistenable {
    InUse,
    NotLocal,
    NoDescriptor,
    /// It is the address of nothing.
    Nowhere,
}

/// What has run out for who wants to connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sim) enum Unopenable {
    Descriptors,
    /// All that there are have a connection to the same address.
    LocalAddresses,
    /// The network has no room for another end.
    Memory,
}

impl World {
    /// Listens; port 0 takes any.
    pub(in crate::sim) fn listen(
        &mut self,
        mut address: SocketAddr,
        options: &ListenOptions,
        port: Option<PortNumber>,
    ) -> Result<SocketAddr, Unlistenable> {
        if is_documentation(address.ip()) {
            return Err(Unlistenable::NotLocal);
        }
        if port.is_some() && !self.has_descriptor() {
            return Err(Unlistenable::NoDescriptor);
        }
        if address.port() == 0 {
            let any = self.ephemeral(address.ip(), options.dual_stack, None);
            address.set_port(any.ok_or(Unlistenable::InUse)?);
        }
        if self.is_listened_on(address, options.dual_stack) {
            return Err(Unlistenable::InUse);
        }
        let backlog = Backlog {
            port,
            queue: VecDeque::new(),
            queue_max: options.backlog.max(1) as usize,
            dual_stack: options.dual_stack,
            accepted: options.accepted.clone(),
            armed: false,
            tells: false,
        };
        self.descriptors += usize::from(port.is_some());
        self.backlogs.insert(address, backlog);
        Ok(address)
    }

    /// Removes a listener; who waits in its queue is reset.
    pub(in crate::sim) fn close_listener(&mut self, address: SocketAddr) {
        let Some(backlog) = self.backlogs.remove(&address) else { return };
        self.descriptors -= usize::from(backlog.port.is_some());
        for id in backlog.queue {
            self.close_end(id, true);
        }
    }

    /// A port that nobody listens on, and from which nobody is connected to `to`.
    fn ephemeral(&mut self, host: IpAddr, dual_stack: bool, to: Option<SocketAddr>) -> Option<u16> {
        (0..EPHEMERAL_COUNT).find_map(|_| {
            let port = self.next_ephemeral;
            self.next_ephemeral = port.checked_add(1).unwrap_or(EPHEMERAL_FIRST);
            let local = SocketAddr::new(host, port);
            let connected = to.is_some_and(|to| self.names_in_use.contains(&(local, to)));
            let free = !connected && !self.is_listened_on(local, dual_stack);
            free.then_some(port)
        })
    }

    /// Whether a listener keeps another from the same address.
    fn is_listened_on(&self, address: SocketAddr, dual_stack: bool) -> bool {
        let excluded_by = |(&other, backlog): (&SocketAddr, &Backlog)| {
            excludes((other, backlog.dual_stack), (address, dual_stack))
        };
        if is_name(address) {
            return self.backlogs.contains_key(&address);
        }
        if address.ip().is_unspecified() {
            return self.backlogs.iter().any(excluded_by);
        }
        let all = [IpAddr::from([0, 0, 0, 0]), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
        let all = all.map(|host| SocketAddr::new(host, address.port()));
        let others = [address, all[0], all[1]];
        others.iter().filter_map(|other| self.backlogs.get_key_value(other)).any(excluded_by)
    }

    /// A new end that is about to connect.
    pub(in crate::sim) fn open_end(
        &mut self,
        to: SocketAddr,
        options: &SocketOptions,
        holder: Holder,
    ) -> Result<EndId, Unopenable> {
        let bind = options.bind.filter(|_| !is_name(to));
        let mut local = bind.unwrap_or_else(|| SocketAddr::new(to.ip(), 0));
        if local.ip().is_unspecified() {
            local.set_ip(to.ip());
        }
        if holder.counts() && !self.has_descriptor() {
            return Err(Unopenable::Descriptors);
        }
        if local.port() == 0 {
            let any = self.ephemeral(local.ip(), false, Some(to));
            local.set_port(any.ok_or(Unopenable::LocalAddresses)?);
        }
        if self.names_in_use.contains(&(local, to)) {
            return Err(Unopenable::LocalAddresses);
        }
        let end = self.insert_end(NewEnd {
            local,
            remote: to,
            holder,
            no_delay: options.no_delay,
            room: options.send_buffer_bytes,
            window: options.receive_buffer_bytes,
        });
        end.ok_or(Unopenable::Memory)
    }

    pub(in crate::sim) fn start_connect(&mut self, id: EndId) {
        let Some(end) = self.end_mut(id) else { return };
        end.connecting = Connecting::Started;
        let to = end.remote;
        let time = self.link_time();
        self.plan(time, Event::Knock(id, to, 0));
    }

    pub(super) fn knock(&mut self, id: EndId, to: SocketAddr, tries: u8) {
        let Some(end) = self.end(id).filter(|end| end.connecting == Connecting::Started) else {
            return;
        };
        let (from, vanished) = (end.local, end.vanished);
        if vanished || self.chance(FaultKind::ConnectTimeout) || tries >= KNOCKS_MAX {
            return self.plan(UNANSWERED, Event::ConnectEnds(id, Connecting::TimedOut));
        }
        let parted = self.parted_until(from.ip(), to.ip()).is_some();
        let listener = self.listener_for(to);
        let refused = listener.is_none() || self.chance(FaultKind::ConnectRefused);
        let full = listener.is_some_and(|address| self.queue_is_full(address));
        if parted || (full && !refused) {
            let wait = KNOCK_AGAIN * (1 << tries);
            return self.plan(wait, Event::Knock(id, to, tries + 1));
        }
        let time = self.link_time();
        let accepted = if refused { None } else { listener };
        let Some(accepted) = accepted.and_then(|address| self.enqueue(id, address)) else {
            return self.plan(time, Event::ConnectEnds(id, Connecting::Refused));
        };
        self.tell(accepted);
        self.plan(time, Event::ConnectEnds(id, Connecting::Connected));
    }

    fn listener_for(&self, to: SocketAddr) -> Option<SocketAddr> {
        let wildcard: IpAddr = match to.ip() {
            IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        if is_name(to) {
            return self.backlogs.contains_key(&to).then_some(to);
        }
        let exact = [to, SocketAddr::new(wildcard, to.port())];
        let found = exact.into_iter().find(|address| self.backlogs.contains_key(address));
        let both = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), to.port());
        let dual = self.backlogs.get(&both).is_some_and(|backlog| backlog.dual_stack);
        found.or_else(|| (to.is_ipv4() && dual).then_some(both))
    }

    fn queue_is_full(&self, address: SocketAddr) -> bool {
        self.backlogs.get(&address).is_some_and(|it| it.queue.len() >= it.queue_max)
    }

    /// Makes the other end of a connection and puts it into a listener's queue.
    fn enqueue(&mut self, client: EndId, address: SocketAddr) -> Option<SocketAddr> {
        let end = self.end(client)?;
        let (remote, local) = (end.local, end.remote);
        let options = self.backlogs.get(&address)?.accepted.clone();
        let mapped = address.is_ipv6();
        let id = self.insert_end(NewEnd {
            local: if mapped { map(local) } else { local },
            remote: if mapped { map(remote) } else { remote },
            holder: Holder::Queue,
            no_delay: options.no_delay,
            room: options.send_buffer_bytes,
            window: options.receive_buffer_bytes,
        })?;
        let end = self.end_mut(id)?;
        end.connecting = Connecting::Connected;
        end.other = Some(client);
        self.end_mut(client)?.other = Some(id);
        self.backlogs.get_mut(&address)?.queue.push_back(id);
        self.step(Step::Knocked(id));
        Some(address)
    }

    pub(super) fn connect_ends(&mut self, id: EndId, how: Connecting) {
        let Some(end) = self.end_mut(id).filter(|end| end.connecting == Connecting::Started) else {
            return;
        };
        if end.vanished && how != Connecting::TimedOut {
            // The answer does not arrive.
            return self.plan(UNANSWERED, Event::ConnectEnds(id, Connecting::TimedOut));
        }
        end.connecting = how;
        let holder = end.holder;
        self.step(Step::ConnectEnded(id, how));
        if let Holder::Port(port, socket) = holder {
            self.post(port, Packet::Connected { socket, how });
        }
    }

    /// Asks to be told of connections that wait.
    pub(in crate::sim) fn arm_accept(&mut self, address: SocketAddr) {
        if let Some(backlog) = self.backlogs.get_mut(&address) {
            backlog.armed = true;
            self.tell(address);
        }
    }

    fn tell(&mut self, address: SocketAddr) {
        let Some(backlog) = self.backlogs.get_mut(&address) else { return };
        if backlog.armed && !backlog.tells && !backlog.queue.is_empty() {
            backlog.tells = true;
            let time = self.operation_time();
            self.plan(time, Event::AcceptReady(address));
        }
    }

    pub(super) fn accept_ready(&mut self, address: SocketAddr) {
        let ended = self.chance(FaultKind::MultishotEnded);
        let stays_armed = self.personality.stays_armed() && !ended;
        let Some(backlog) = self.backlogs.get_mut(&address) else { return };
        backlog.tells = false;
        backlog.armed = false;
        if let Some(port) = backlog.port {
            self.post(port, Packet::Waiting { address, stays_armed });
        }
    }

    /// How many wait in a listener's queue.
    pub(in crate::sim) fn waiting(&self, address: SocketAddr) -> usize {
        self.backlogs.get(&address).map_or(0, |backlog| backlog.queue.len())
    }

    /// Takes one who waits.
    pub(in crate::sim) fn accept(&mut self, address: SocketAddr, holder: Holder) -> Accepted {
        if self.waiting(address) == 0 {
            return Accepted::Nobody;
        }
        if let Some(error) = self.accept_error(holder) {
            return Accepted::Failed(error);
        }
        let queue = self.backlogs.get_mut(&address).map(|backlog| &mut backlog.queue);
        let Some(id) = queue.and_then(VecDeque::pop_front) else { return Accepted::Nobody };
        if self.chance(FaultKind::AcceptAborted) {
            self.close_end(id, true);
            return Accepted::Failed(AcceptError::Aborted);
        }
        let Some(end) = self.end(id) else { return Accepted::Gone };
        let (remote, gone) = (end.remote, end.failure.is_some());
        if gone {
            self.close_end(id, true);
            return Accepted::Gone;
        }
        self.hold(id, holder);
        self.step(Step::Accepted(id));
        Accepted::Connection(id, remote)
    }

    fn accept_error(&mut self, holder: Holder) -> Option<AcceptError> {
        if !holder.counts() {
            return None;
        }
        if !self.has_descriptor() || self.chance(FaultKind::AcceptDescriptors) {
            return Some(AcceptError::ProcessDescriptors);
        }
        if self.chance(FaultKind::AcceptSystem) {
            return Some(AcceptError::SystemDescriptors);
        }
        self.chance(FaultKind::AcceptMemory).then_some(AcceptError::Memory)
    }
}

/// Whether two listeners, each for both families or not, cannot be there at once.
fn excludes((a, a_is_dual): (SocketAddr, bool), (b, b_is_dual): (SocketAddr, bool)) -> bool {
    let is_all = |address: SocketAddr| address.ip().is_unspecified();
    let clashes = match (a.is_ipv4(), b.is_ipv4()) {
        (true, false) => b_is_dual && is_all(b),
        (false, true) => a_is_dual && is_all(a),
        _ => a.ip() == b.ip() || is_all(a) || is_all(b),
    };
    a.port() == b.port() && clashes
}

/// Addresses that are for documentation (RFC 5737, RFC 3849) and nobody's: no simulated host has one.
fn is_documentation(host: IpAddr) -> bool {
    match host {
        IpAddr::V4(host) => host.is_documentation(),
        IpAddr::V6(host) => host.segments()[..2] == [0x2001, 0xdb8],
    }
}

/// An IPv4 address as a listener on IPv6 sees it.
fn map(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(host) => SocketAddr::new(host.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
