//! The completion port itself.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, OwnedSocket};
use std::ptr::null_mut;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    GetLastError, HANDLE, INVALID_HANDLE_VALUE, NTSTATUS, RtlNtStatusToDosError,
};
use windows_sys::Win32::Storage::FileSystem::SetFileCompletionNotificationModes;
use windows_sys::Win32::System::IO::{
    CancelIoEx, CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED, OVERLAPPED_ENTRY,
    PostQueuedCompletionStatus,
};
use windows_sys::Win32::System::Threading::INFINITE;
use windows_sys::Win32::System::WindowsProgramming::FILE_SKIP_COMPLETION_PORT_ON_SUCCESS;

use super::raw;
use crate::iocp::code::Code;

/// A completion port, closed when dropped. Closing it wakes nobody on every system, so those who wait
/// on it are sent a packet and joined first.
#[derive(Debug)]
pub(crate) struct Port(OwnedHandle);

fn last_error() -> Code {
    // SAFETY: it reads a number of this thread's.
    Code(unsafe { GetLastError() })
}

fn succeeded(answer: i32) -> Result<(), Code> {
    if answer != 0 { Ok(()) } else { Err(last_error()) }
}

fn as_handle(socket: &OwnedSocket) -> HANDLE {
    // Winsock documents that a SOCKET is used as a file handle here.
    raw(socket) as HANDLE
}

impl Port {
    pub(super) fn open() -> Result<Self, Code> {
        // SAFETY: no handle is associated, so there is nothing that has to live on.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, null_mut(), 0, 1) };
        if port.is_null() {
            return Err(last_error());
        }
        // SAFETY: the handle is valid, was made just now, and is nobody else's.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(port) }))
    }

    pub(super) fn handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    pub(super) fn associate(&self, socket: &OwnedSocket) -> Result<(), Code> {
        // SAFETY: both handles are open for as long as they are borrowed here.
        let port = unsafe { CreateIoCompletionPort(as_handle(socket), self.handle(), 0, 0) };
        succeeded(i32::from(!port.is_null()))
    }

    pub(super) fn post(
        &self,
        key: usize,
        bytes: u32,
        operation: *mut OVERLAPPED,
    ) -> Result<(), Code> {
        // SAFETY: the port is open, and the pointer is passed on without being looked at.
        succeeded(unsafe { PostQueuedCompletionStatus(self.handle(), bytes, key, operation) })
    }

    pub(super) fn dequeue(
        &self,
        entries: &mut [OVERLAPPED_ENTRY],
        timeout: Option<Duration>,
    ) -> Result<usize, Code> {
        let room = u32::try_from(entries.len()).unwrap_or(u32::MAX);
        let mut filled = 0;
        // SAFETY: the port is open, and `entries` has room for as many as are asked for.
        let answer = unsafe {
            GetQueuedCompletionStatusEx(
                self.handle(),
                entries.as_mut_ptr(),
                room,
                &raw mut filled,
                milliseconds(timeout),
                0,
            )
        };
        // The count means nothing when the call has failed: Wine sets it to 1 at a timeout.
        succeeded(answer).map(|()| filled as usize)
    }
}

/// Rounded up: a wait that ends before its timer is due would only be repeated.
fn milliseconds(timeout: Option<Duration>) -> u32 {
    let Some(timeout) = timeout else { return INFINITE };
    u32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(INFINITE).min(INFINITE - 1)
}

/// Has what is done at once come without a packet; whether the system does so.
pub(super) fn skip_on_success(socket: &OwnedSocket) -> bool {
    let Ok(modes) = u8::try_from(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) else { return false };
    // SAFETY: the socket is open for as long as it is borrowed here.
    unsafe { SetFileCompletionNotificationModes(as_handle(socket), modes) != 0 }
}

pub(super) fn cancel(socket: &OwnedSocket, operation: Option<*mut OVERLAPPED>) -> Result<(), Code> {
    let operation = operation.unwrap_or_default();
    // SAFETY: the socket is open; the pointer is compared with those of pending operations and not
    // looked at.
    succeeded(unsafe { CancelIoEx(as_handle(socket), operation) })
}

/// What the status of a packet means.
#[expect(clippy::cast_possible_truncation, reason = "an NTSTATUS has 32 bits, in a wider field")]
pub(super) fn failure_of(status: usize) -> Option<Code> {
    let status = status as u32;
    // Warnings and errors are negative; all others mean success.
    if status.cast_signed() >= 0 {
        return None;
    }
    // SAFETY: it looks a number up in a table.
    Some(Code(unsafe { RtlNtStatusToDosError(status.cast_signed() as NTSTATUS) }))
}
