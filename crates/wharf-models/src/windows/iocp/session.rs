//! A session, and the count of its I/O, which decides when it is over.
//!
//! Packets name a session by where it lies (the key), so it must lie there until the last of them has come.
//! Each operation is counted before it is started, and its count is given up only when its packet has been
//! dealt with, the start of the next operation included. So the count is 0 only if nothing is under way
//! and nothing can be started any more: then the session goes, and nobody has to be asked. To look at the
//! count at any other place, say when an error is seen, is to free what the kernel still writes to.

use std::ops::Deref;
use std::os::windows::io::OwnedSocket;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::IO::CancelIoEx;

use super::overlapped_ex::{Operation, OverlappedEx};
use super::receive_ring::ReceiveRing;
use super::send_queue::SendQueue;
use super::service::Service;
use super::session_table::SessionId;
use crate::windows::winsock::raw;

/// A connection and all that belongs to it.
pub(in crate::windows) struct Session {
    pub(in crate::windows) socket: OwnedSocket,
    /// Whether the socket is with the port, under this session's key. It is for the socket's life.
    pub(in crate::windows) is_associated: bool,
    id: AtomicU64,
    io_count: AtomicU32,
    has_failed: AtomicBool,
    receiving: Mutex<Receiving>,
    sending: Mutex<SendQueue>,
    pub(super) receive: OverlappedEx,
    pub(super) send: OverlappedEx,
    pub(in crate::windows) disconnect: OverlappedEx,
}

pub(super) struct Receiving {
    pub(super) ring: ReceiveRing,
    pub(super) is_pending: bool,
    /// The peer has ended, or the connection has failed: nothing comes any more.
    pub(super) has_ended: bool,
}

impl Session {
    pub(in crate::windows) fn new(socket: OwnedSocket) -> Box<Self> {
        Box::new(Self {
            socket,
            is_associated: false,
            id: AtomicU64::new(0),
            io_count: AtomicU32::new(0),
            has_failed: AtomicBool::new(false),
            receiving: Mutex::new(Receiving::new()),
            sending: Mutex::new(SendQueue::default()),
            receive: OverlappedEx::new(Operation::Receive),
            send: OverlappedEx::new(Operation::Send),
            disconnect: OverlappedEx::new(Operation::Disconnect),
        })
    }

    /// Made new for the next connection of the same socket.
    pub(in crate::windows) fn renew(&mut self) {
        self.has_failed = AtomicBool::new(false);
        self.receiving = Mutex::new(Receiving::new());
        self.sending = Mutex::new(SendQueue::default());
    }

    pub(super) fn id(&self) -> SessionId {
        SessionId(self.id.load(Ordering::Relaxed))
    }

    /// By which packets name this session.
    pub(super) fn key_of(session: NonNull<Self>) -> usize {
        session.as_ptr().expose_provenance()
    }

    pub(super) fn receiving(&self) -> MutexGuard<'_, Receiving> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sending(&self) -> MutexGuard<'_, SendQueue> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing is to be started any more.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::SeqCst)
    }

    /// Has all come back that is under way. The socket is not closed: another thread may be just about to
    /// use it, and its number might be somebody else's by then.
    pub(super) fn fail(&self) {
        self.has_failed.store(true, Ordering::SeqCst);
        // SAFETY: the socket is open as long as the session lives.
        let _ = unsafe { CancelIoEx(raw(&self.socket) as HANDLE, std::ptr::null()) };
    }

    /// Counts one more, unless the last has gone.
    fn count(&self) -> bool {
        let one_more = |count| if count == 0 { None } else { Some(count + 1) };
        self.io_count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }
}

impl Receiving {
    fn new() -> Self {
        Self { ring: ReceiveRing::new(), is_pending: false, has_ended: false }
    }
}

/// A session with one of its counts, so that it lives as long as this.
pub(in crate::windows) struct Counted<'a> {
    pub(super) service: &'a Service,
    session: NonNull<Session>,
}

impl<'a> Counted<'a> {
    /// Puts a session into the table, with the count of whoever does so.
    pub(super) fn first(service: &'a Service, session: Box<Session>) -> Self {
        session.io_count.store(1, Ordering::Relaxed);
        let session = NonNull::from(Box::leak(session));
        let counted = Self { service, session };
        // A session that is used again has its socket's key already; the number must mean this one.
        let _key = counted.key();
        // Nobody can find it before it has its id: who asks by id must have been told by it.
        counted.id.store(service.table.add(session).0, Ordering::Relaxed);
        counted
    }

    /// Finds a session, if it still lives.
    pub(super) fn find(service: &'a Service, id: SessionId) -> Option<Self> {
        let found = service.table.with(id, |session| {
            // SAFETY: whoever frees it must remove it first, which waits for this.
            let lives = unsafe { session.as_ref() }.count();
            lives.then_some(session)
        });
        Some(Self { service, session: found?? })
    }

    /// Takes over the count of an operation whose packet has come.
    ///
    /// # Safety
    /// The packet is that of an operation that [`keep_for_kernel`](Self::keep_for_kernel) was called for, and this is
    /// called once for it.
    pub(super) unsafe fn of_packet(service: &'a Service, key: usize) -> Option<Self> {
        let session = NonNull::new(std::ptr::with_exposed_provenance_mut(key))?;
        Some(Self { service, session })
    }

    /// One more count.
    pub(super) fn another(&self) -> Self {
        self.io_count.fetch_add(1, Ordering::Relaxed);
        Self { service: self.service, session: self.session }
    }

    /// Leaves this count to an operation that was started, until its packet comes.
    pub(super) fn keep_for_kernel(self) {
        std::mem::forget(self);
    }

    pub(super) fn key(&self) -> usize {
        Session::key_of(self.session)
    }
}

impl Deref for Counted<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        // SAFETY: the session lives as long as it has a count, and one of them is this.
        unsafe { self.session.as_ref() }
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let (id, service, session) = (self.id(), self.service, self.session);
        if self.io_count.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // A count of 0 stays: `find` counts no more, and nothing is under way that could.
        service.table.remove(id);
        // SAFETY: it was leaked by `first`, it is in the table no more, and there is no other count.
        service.released(unsafe { Box::from_raw(session.as_ptr()) });
    }
}
