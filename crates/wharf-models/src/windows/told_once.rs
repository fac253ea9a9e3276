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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{Shutdown, TcpListener, TcpStream};

    use windows_sys::Win32::Networking::WinSock::FD_READ;

    use super::*;
    use crate::portable::reactive::BUFFER_BYTES;

    fn connected() -> (TcpStream, ToldOnce) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let connection = Connection::new(listener.accept().unwrap().0).unwrap();
        (peer, ToldOnce::new(connection))
    }

    /// Windows may tell of bytes and of the end behind them at once, and then of nothing more. Wine never does.
    #[test]
    fn an_end_that_is_told_before_its_bytes_are_read_is_found() {
        let is_over_at_once = || {
            let (mut peer, mut connection) = connected();
            peer.write_all(&[1; 2 * BUFFER_BYTES]).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            connection.act(FD_READ | FD_CLOSE, &mut [0; BUFFER_BYTES]) == Waits::Over
        };
        // More than once, since the end may still be on its way.
        assert!((0..100).any(|_| is_over_at_once()));
    }

    #[test]
    fn an_end_that_was_another_connections_is_none() {
        let (_peer, mut connection) = connected();
        assert_eq!(connection.act(FD_CLOSE, &mut [0; BUFFER_BYTES]), Waits::ToReceive);
    }
}
