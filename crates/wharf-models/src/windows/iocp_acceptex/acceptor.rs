//! The accepts that are under way, what is done when one is over, and where sockets come from.

use std::net::TcpListener;
use std::os::windows::io::OwnedSocket;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Networking::WinSock::TF_REUSE_SOCKET;

use super::extensions::Extensions;
use super::slot::{Slot, update};
use crate::ModelError;
use crate::windows::iocp::{Extension, Operation, Packet, Service, Session};
use crate::windows::winsock::{raw, started, tcp_socket};

/// How many accepts are under way. More connections than that wait in the listener's queue.
const ACCEPTS: usize = 32;
/// How many sockets are kept for use again.
const SPARE_MAX: usize = 1024;
/// The listener's key. Sessions have their address, which is never this.
const LISTENER_KEY: usize = 0;

/// Sessions whose sockets can be accepted again. Each must stay where its key says.
type Spare = Vec<Box<Session>>;

/// What a server's accepting has.
pub(super) struct Acceptor {
    listener: TcpListener,
    extensions: Extensions,
    slots: Box<[Slot]>,
    /// To the thread that posts accepts, by index; without it whoever deals with one posts the next.
    refiller: Option<Sender<usize>>,
    recycles: bool,
    spare: Mutex<Spare>,
}

impl Acceptor {
    pub(super) fn new(
        listener: TcpListener,
        refiller: Option<Sender<usize>>,
        recycles: bool,
    ) -> Result<Self, ModelError> {
        let extensions = Extensions::of(raw(&listener))?;
        let slots = (0..ACCEPTS).map(Slot::new).collect();
        Ok(Self { listener, extensions, slots, refiller, recycles, spare: Mutex::default() })
    }

    /// Posts the first accepts.
    pub(super) fn start(&self, service: &Service) -> Result<(), ModelError> {
        service.port.associate(raw(&self.listener), LISTENER_KEY)?;
        (0..ACCEPTS).try_for_each(|index| self.post(index))
    }

    /// Posts an accept at a place that has none.
    pub(super) fn post(&self, index: usize) -> Result<(), ModelError> {
        let session = match self.spare().pop() {
            Some(session) => session,
            None => Session::new(self.new_socket()?),
        };
        // SAFETY: the place has none: its last packet has come, or there was none yet. The service, and this
        // with it, lives as long as the process.
        unsafe { self.slots[index].post(self.extensions.accept_ex, raw(&self.listener), session) }
    }

    /// What an accept costs that the accepting thread of other models does not pay on the way of I/O.
    fn new_socket(&self) -> Result<OwnedSocket, ModelError> {
        let is_ipv6 = self.listener.local_addr().is_ok_and(|address| address.is_ipv6());
        tcp_socket(is_ipv6).map_err(ModelError::of("WSASocketW"))
    }

    fn accepted(&self, service: &Service, index: usize, packet: &Packet) -> Result<(), ModelError> {
        let session = self.slots[index].take();
        // An error is about this connection alone: its client has gone while it waited. It has moved no
        // bytes, as none were asked for, so here 0 of them do not mean an end.
        if let (Some(session), Ok(_)) = (session, packet.outcome)
            && update(raw(&session.socket), raw(&self.listener)).is_ok()
        {
            service.open_session(session)?;
        }
        match &self.refiller {
            None => self.post(index),
            // It ends with the process.
            Some(refiller) => refiller.send(index).map_err(|_| ModelError::Ended),
        }
    }

    fn spare(&self) -> MutexGuard<'_, Spare> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a socket one that can be accepted again. It stays with its port and keeps its key, so its session must
    /// stay where it is too.
    fn disconnect(&self, session: Box<Session>) {
        let Some(disconnect_ex) = self.extensions.disconnect_ex else { return };
        let socket = raw(&session.socket);
        let session = Box::into_raw(session);
        // The packet brings but the number of where it lies.
        let _key = session.expose_provenance();
        // SAFETY: the session was leaked just now, and nobody else has it.
        let disconnect = unsafe { &(*session).disconnect };
        // SAFETY: nothing is under way on a session that was released.
        let overlapped = unsafe { disconnect.renewed() };
        // SAFETY: the session stays until the packet has come.
        let answer = unsafe { disconnect_ex(socket, overlapped, TF_REUSE_SOCKET, 0) };
        if started(answer != 0).is_err() {
            // SAFETY: it was leaked above, and the kernel has not taken it.
            drop(unsafe { Box::from_raw(session) });
        }
    }

    fn disconnected(&self, packet: &Packet) {
        let session = std::ptr::with_exposed_provenance_mut(packet.key);
        // SAFETY: the key is where the session lies, which `disconnect` has leaked for this packet.
        let mut session: Box<Session> = unsafe { Box::from_raw(session) };
        let mut spare = self.spare();
        if packet.outcome.is_ok() && spare.len() < SPARE_MAX {
            session.renew();
            spare.push(session);
        }
    }
}

/// The extension is what threads besides the workers hold too.
pub(super) struct Shared(pub(super) Arc<Acceptor>);

impl Extension for Shared {
    fn completed(
        &self,
        service: &Service,
        operation: Operation,
        packet: &Packet,
    ) -> Result<(), ModelError> {
        match operation {
            Operation::Accept { index } => self.0.accepted(service, index, packet),
            _ => {
                self.0.disconnected(packet);
                Ok(())
            }
        }
    }

    fn released(&self, _: &Service, session: Box<Session>) {
        if self.0.recycles {
            self.0.disconnect(session);
        }
    }
}
