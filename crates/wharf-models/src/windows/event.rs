//! Events, and waiting for up to 64 of them: what `WSAEventSelect` and overlapped operations with events
//! have in common.

use windows_sys::Win32::Foundation::{WAIT_FAILED, WAIT_IO_COMPLETION};
use windows_sys::Win32::Networking::WinSock::{
    WSA_MAXIMUM_WAIT_EVENTS, WSACloseEvent, WSACreateEvent, WSAEVENT, WSAWaitForMultipleEvents,
};
use windows_sys::Win32::System::Threading::INFINITE;

use super::winsock::{failed, length};
use crate::ModelError;

/// How many events one call can wait for.
pub(super) const EVENTS_MAX: usize = WSA_MAXIMUM_WAIT_EVENTS as usize;

/// An event that stays set until it is reset.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct Event(WSAEVENT);

impl Event {
    pub(super) fn new() -> Result<Self, ModelError> {
        // SAFETY: nothing is handed over.
        let event = unsafe { WSACreateEvent() };
        if event == 0 { Err(failed("WSACreateEvent")) } else { Ok(Self(event)) }
    }

    pub(super) const fn handle(&self) -> WSAEVENT {
        self.0
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is open until now, and nobody else closes it.
        let _ = unsafe { WSACloseEvent(self.0) };
    }
}

/// Waits until one of at most [`EVENTS_MAX`] events is set: the place of the first that is.
pub(super) fn first_set(events: &[Event]) -> Result<usize, ModelError> {
    let (count, handles) = (length(events.len()), events.as_ptr().cast());
    // SAFETY: an `Event` is its handle and nothing else, and all of them are open.
    let answer = unsafe { WSAWaitForMultipleEvents(count, handles, 0, INFINITE, 0) };
    if answer == WAIT_FAILED {
        return Err(failed("WSAWaitForMultipleEvents"));
    }
    Ok(answer as usize)
}

/// Waits until an event is set, and meanwhile lets completion routines run: whether the event is set.
pub(super) fn is_set_or_routines_ran(event: &Event) -> Result<bool, ModelError> {
    // SAFETY: as above; the routines that run during the call are those of operations of this thread.
    let answer = unsafe { WSAWaitForMultipleEvents(1, (&raw const *event).cast(), 0, INFINITE, 1) };
    if answer == WAIT_FAILED {
        return Err(failed("WSAWaitForMultipleEvents"));
    }
    Ok(answer != WAIT_IO_COMPLETION)
}
