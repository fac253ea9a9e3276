//! A connection whose events are told once, as `WSAAsyncSelect` and `WSAEventSelect` tell them.
//!
//! `FD_READ` is told again only after a `recv`, `FD_WRITE` only after a `send` that had no room, `FD_CLOSE` never
//! again, and possibly before all bytes have been read. So who does not act on an event has to remember it.

use std::io::ErrorKind;

use windows_sys::Win32::Networking::WinSock::FD_CLOSE;

use crate::portable::reactive::{Connection, Waits};

/// A connection, and the one event of its that must be remembered.
#[derive(Debug)]
pub(super) struct ToldOnce {
    connection: Connection,
    has_closed: bool,
}

impl ToldOnce {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection, has_closed: false }
    }

    /// Does what these events ask for, as far as it does not have to wait.
    pub(super) fn act(&mut self, events: u32, buffer: &mut [u8]) -> Waits {
        self.has_closed |= events & FD_CLOSE != 0;
        loop {
            let had_to_send = self.connection.waits() == Waits::ToSend;
            let waits = self.connection.turn(buffer).waits;
            // What came while there was something to send was told then and is told no more, until it is
            // received; what comes after the end is never told.
            let is_untold = had_to_send || self.has_closed && self.has_bytes_or_end();
            if waits != Waits::ToReceive || !is_untold {
                return waits;
            }
        }
    }

    /// False after an `FD_CLOSE` that was meant for an earlier socket with the same number.
    fn has_bytes_or_end(&self) -> bool {
        let peeked = self.connection.stream().peek(&mut [0]);
        !peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}
