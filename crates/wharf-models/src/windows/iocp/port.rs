//! The completion port: one queue of finished operations for all threads.

use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{CloseHandle, GetLastError, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Networking::WinSock::SOCKET;
use windows_sys::Win32::System::IO::{
    CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED, PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;

use crate::ModelError;
use crate::windows::winsock::failed;

/// A completion port. Closing it wakes nobody on every system, so it must be without waiters by then.
#[derive(Debug)]
pub(in crate::windows) struct CompletionPort(HANDLE);

// SAFETY: the kernel serializes what threads do with a port.
unsafe impl Send for CompletionPort {}
// SAFETY: as above.
unsafe impl Sync for CompletionPort {}

/// A finished operation, as a port tells of it.
#[derive(Clone, Copy, Debug)]
pub(in crate::windows) struct Packet {
    /// What the socket was associated with, whatever the operation.
    pub(in crate::windows) key: usize,
    /// What the operation was started with.
    pub(in crate::windows) overlapped: *mut OVERLAPPED,
    /// How many bytes it has moved, or the code of its failure.
    pub(in crate::windows) outcome: Result<u32, u32>,
}

impl CompletionPort {
    /// Opens a port on which as many threads run at the same time as there are processors, or as many as is
    /// said, if that is not 0.
    pub(in crate::windows) fn open(concurrency: u32) -> Result<Self, ModelError> {
        // SAFETY: no handle is associated, so there is nothing that has to live on.
        let port =
            unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, null_mut(), 0, concurrency) };
        if port.is_null() { Err(failed("CreateIoCompletionPort")) } else { Ok(Self(port)) }
    }

    /// Has what finishes on a socket queued here, with this key. It is for the socket's life.
    pub(in crate::windows) fn associate(
        &self,
        socket: SOCKET,
        key: usize,
    ) -> Result<(), ModelError> {
        // SAFETY: both are open, and nothing is pointed at: the key is passed on as it is.
        let port = unsafe { CreateIoCompletionPort(socket as HANDLE, self.0, key, 0) };
        if port.is_null() { Err(failed("CreateIoCompletionPort")) } else { Ok(()) }
    }

    /// Waits for a packet, which no other thread gets.
    pub(in crate::windows) fn take(&self) -> Result<Packet, ModelError> {
        self.take_within(INFINITE)
    }

    /// Waits for a packet for so many milliseconds at most.
    pub(in crate::windows) fn take_within(&self, milliseconds: u32) -> Result<Packet, ModelError> {
        let (mut bytes, mut key, mut overlapped) = (0, 0, null_mut());
        // SAFETY: the port is open, and all is written during the call alone.
        let succeeded = unsafe {
            GetQueuedCompletionStatus(
                self.0,
                &raw mut bytes,
                &raw mut key,
                &raw mut overlapped,
                milliseconds,
            )
        } != 0;
        if succeeded {
            return Ok(Packet { key, overlapped, outcome: Ok(bytes) });
        }
        // False with an `OVERLAPPED` is the packet of an operation that has failed. Who overlooks it loses
        // the operation and all that it holds.
        if overlapped.is_null() {
            return Err(failed("GetQueuedCompletionStatus"));
        }
        // SAFETY: it reads a number of this thread's.
        let code = unsafe { GetLastError() };
        Ok(Packet { key, overlapped, outcome: Err(code) })
    }

    /// Queues a packet that no operation has.
    pub(in crate::windows) fn post(&self, key: usize) -> Result<(), ModelError> {
        // SAFETY: the port is open, and nothing is pointed at.
        let posted = unsafe { PostQueuedCompletionStatus(self.0, 0, key, null_mut()) };
        if posted == 0 { Err(failed("PostQueuedCompletionStatus")) } else { Ok(()) }
    }
}

impl Drop for CompletionPort {
    fn drop(&mut self) {
        // SAFETY: the port is open until now, and nobody else closes it.
        let _ = unsafe { CloseHandle(self.0) };
    }
}
