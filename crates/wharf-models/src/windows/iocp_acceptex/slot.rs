//! A place for one accept that is under way.
//!
//! `AcceptEx` wants a socket made in advance, and its packet has the listener's key. So the session that the
//! next connection will be waits here, and the index behind the `OVERLAPPED` says where.

use std::cell::UnsafeCell;
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Networking::WinSock::{
    LPFN_ACCEPTEX, SO_UPDATE_ACCEPT_CONTEXT, SOCKET, SOL_SOCKET, setsockopt,
};

use crate::ModelError;
use crate::windows::iocp::{Operation, OverlappedEx, Session};
use crate::windows::winsock::{failed, length, raw, started};

/// What an address takes: that of IPv6, and 16 bytes that the call wants for itself.
const ADDRESS_BYTES: usize = 44;

/// One accept.
pub(super) struct Slot {
    overlapped: OverlappedEx,
    /// Both addresses, which nobody here looks at (`GetAcceptExSockaddrs` takes them out). No bytes are asked
    /// for: a client that connects and says nothing would hold the place.
    output: UnsafeCell<[u8; 2 * ADDRESS_BYTES]>,
    session: Mutex<Option<Box<Session>>>,
}

// SAFETY: the output is the kernel's alone, and `OverlappedEx` has its own reason.
unsafe impl Sync for Slot {}

impl Slot {
    pub(super) fn new(index: usize) -> Self {
        Self {
            overlapped: OverlappedEx::new(Operation::Accept { index }),
            output: UnsafeCell::new([0; 2 * ADDRESS_BYTES]),
            session: Mutex::new(None),
        }
    }

    /// Starts an accept for a session.
    ///
    /// # Safety
    /// The slot has none under way, and lives as long as the port of the listener.
    pub(super) unsafe fn post(
        &self,
        accept_ex: LPFN_ACCEPTEX,
        listener: SOCKET,
        session: Box<Session>,
    ) -> Result<(), ModelError> {
        let Some(accept_ex) = accept_ex else { return Err(failed("WSAIoctl")) };
        // The session is in its place before the call, after which its packet may be taken at any moment;
        // whoever takes it waits for this lock.
        let mut place = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = raw(&place.insert(session).socket);
        // SAFETY: the caller says that no accept is under way.
        let overlapped = unsafe { self.overlapped.renewed() };
        let (output, address, mut bytes) = (self.output.get(), length(ADDRESS_BYTES), 0);
        // SAFETY: output and operation live until the packet has come, as the caller says; both sockets are
        // open, one by the session in its place.
        let answer = unsafe {
            accept_ex(
                listener,
                socket,
                output.cast(),
                0,
                address,
                address,
                &raw mut bytes,
                overlapped,
            )
        };
        if let Err(error) = started(answer != 0) {
            *place = None;
            return Err(ModelError::Call { call: "AcceptEx", error });
        }
        Ok(())
    }

    /// The session of an accept that is over.
    pub(super) fn take(&self) -> Option<Box<Session>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes an accepted socket a whole one, with the options of its listener: until then it has no peer's address and
/// cannot be shut down.
pub(super) fn update(socket: SOCKET, listener: SOCKET) -> Result<(), ModelError> {
    let value = (&raw const listener).cast();
    let len = i32::try_from(size_of::<SOCKET>()).unwrap_or(i32::MAX);
    // SAFETY: the number is read during the call alone.
    let answer = unsafe { setsockopt(socket, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, value, len) };
    if answer == 0 { Ok(()) } else { Err(failed("setsockopt")) }
}
