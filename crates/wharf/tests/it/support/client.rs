//! A client that speaks plain TCP, and waits for nothing for ever.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use super::time::PATIENCE;
use super::wine::resets_can_look_like_ends;
use super::wire::{Wire, assert_same};

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    wire: Wire,
    /// What was read and is behind the last frame that was asked for.
    ahead: Vec<u8>,
}

/// How a connection's stream went on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Bytes(usize),
    End,
    Reset,
}

impl Client {
    #[track_caller]
    pub(crate) fn connect(address: SocketAddr, wire: Wire) -> Self {
        Self::try_connect(address, wire).expect("a connection that is not reset at once")
    }

    /// A connection; `None` if the server has been so quick to reset it that it never was one.
    #[track_caller]
    pub(crate) fn try_connect(address: SocketAddr, wire: Wire) -> Option<Self> {
        let stream = match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
            connected => connected.expect("a connection"),
        };
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Some(Self { stream, wire, ahead: Vec::new() })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    /// The same connection for another thread: one writes, one reads.
    pub(crate) fn writer(&self) -> Self {
        let stream = self.stream.try_clone().unwrap();
        Self { stream, wire: self.wire, ahead: Vec::new() }
    }

    /// Writes bytes as they are.
    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the server takes what is written");
    }

    /// Writes bytes as they are; false if the connection is gone.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends a frame.
    #[track_caller]
    pub(crate) fn send(&mut self, payload: &[u8]) {
        let frame = self.wire.encode(payload);
        self.write(&frame);
    }

    /// Ends the client's own stream.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    #[track_caller]
    fn read(&mut self) -> Next {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Next::End,
                Ok(count) => {
                    self.ahead.extend_from_slice(&buffer[..count]);
                    return Next::Bytes(count);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Next::Reset,
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        panic!("the server sends nothing more (behind {:?})", self.shown())
                    }
                    _ => panic!("{error}"),
                },
            }
        }
    }

    /// What was read and not asked for, as far as it is worth printing.
    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.ahead[..self.ahead.len().min(80)]).into_owned()
    }

    /// The next frame. Raw: what the next read gives.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Vec<u8> {
        loop {
            if let Some((payload, whole)) = self.wire.decode(&self.ahead) {
                let payload = payload.to_vec();
                self.ahead.drain(..whole);
                return payload;
            }
            let next = self.read();
            assert!(matches!(next, Next::Bytes(_)), "{next:?} instead of a frame");
        }
    }

    /// The next `count` bytes, frames or not.
    #[track_caller]
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count {
            let next = self.read();
            let have = self.ahead.len();
            assert!(matches!(next, Next::Bytes(_)), "{next:?} behind {have} of {count} bytes");
        }
        self.ahead.drain(..count).collect()
    }

    /// Checks that the next bytes are these, as they come.
    #[track_caller]
    pub(crate) fn expect_stream(&mut self, mut wanted: &[u8]) {
        while !wanted.is_empty() {
            if self.ahead.is_empty() {
                let next = self.read();
                assert!(matches!(next, Next::Bytes(_)), "{next:?}, {} bytes early", wanted.len());
            }
            let count = self.ahead.len().min(wanted.len());
            assert_same("the next bytes", &self.ahead[..count], &wanted[..count]);
            self.ahead.drain(..count);
            wanted = &wanted[count..];
        }
    }

    /// Checks that the next frame is this one.
    #[track_caller]
    pub(crate) fn expect(&mut self, payload: &[u8]) {
        let got = if self.wire == Wire::Raw { self.bytes(payload.len()) } else { self.frame() };
        assert_same("the next frame", &got, payload);
    }

    /// Sends a frame and checks that it comes back.
    #[track_caller]
    pub(crate) fn ping(&mut self, payload: &[u8]) {
        self.send(payload);
        self.expect(payload);
    }

    /// Sends a frame and checks what comes for it.
    #[track_caller]
    pub(crate) fn ping_for(&mut self, payload: &[u8], answer: &[u8]) {
        self.send(payload);
        self.expect(answer);
    }

    /// Everything up to the end of the server's stream.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        loop {
            match self.read() {
                Next::Bytes(_) => {}
                Next::End => return std::mem::take(&mut self.ahead),
                Next::Reset => panic!("reset behind {} bytes", self.ahead.len()),
            }
        }
    }

    /// All frames up to the end of the server's stream.
    #[track_caller]
    pub(crate) fn rest_frames(&mut self) -> Vec<Vec<u8>> {
        let rest = self.rest();
        self.wire.decode_all(&rest)
    }

    /// Checks that the server's stream ends here.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        let rest = self.rest();
        assert_same("the end of the stream", &rest, b"");
    }

    /// Checks that the connection is reset, now or behind some more bytes; returns those.
    #[track_caller]
    pub(crate) fn expect_reset(&mut self) -> Vec<u8> {
        loop {
            match self.read() {
                Next::Bytes(_) => {}
                Next::End if !resets_can_look_like_ends() => {
                    panic!("an orderly end, where a reset was due");
                }
                Next::End | Next::Reset => return std::mem::take(&mut self.ahead),
            }
        }
    }

    /// Reads until there are so many bytes, or the connection is gone one way or the other.
    #[track_caller]
    pub(crate) fn bytes_until_gone(&mut self, count: usize) -> Vec<u8> {
        while self.ahead.len() < count && matches!(self.read(), Next::Bytes(_)) {}
        std::mem::take(&mut self.ahead)
    }

    /// Checks that the server sends nothing and ends nothing for so long.
    #[track_caller]
    pub(crate) fn expect_silence(&mut self, duration: Duration) {
        assert_same("silence", &self.ahead, b"");
        self.stream.set_read_timeout(Some(duration)).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let kind = peeked.as_ref().map_err(std::io::Error::kind);
        let silent = matches!(kind, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(silent, "{peeked:?} instead of silence");
    }

    /// Resets the connection: that is what closing does while something has come that was not read.
    /// So the server must be sending something.
    #[track_caller]
    pub(crate) fn reset(self) {
        let peeked = self.stream.peek(&mut [0]).expect("something to leave unread");
        assert_ne!(peeked, 0, "the server has ended its stream");
    }
}
