//! The other end of a connection, and what it expects.

use crate::iocp::mock::client::Client;

/// A peer. What goes each way is counted through, so that a byte is known by its place.
pub(super) struct Peer {
    pub(super) client: Client,
    /// Bytes that it has sent, and received.
    sent: usize,
    received: usize,
    pub(super) has_ended: bool,
    pub(super) has_reset: bool,
}

/// The byte at a place of a stream.
pub(super) fn byte_at(place: usize) -> u8 {
    u8::try_from(place * 7 % 251).unwrap()
}

pub(super) fn bytes_from(place: usize, count: usize) -> Vec<u8> {
    (place..place + count).map(byte_at).collect()
}

impl Peer {
    pub(super) fn new(client: Client) -> Self {
        Self { client, sent: 0, received: 0, has_ended: false, has_reset: false }
    }

    pub(super) fn is_over(&self) -> bool {
        self.has_ended || self.has_reset
    }

    pub(super) fn send(&mut self, count: usize) {
        if !self.is_over() {
            self.client.send(&bytes_from(self.sent, count));
            self.sent += count;
        }
    }

    pub(super) fn finish(&mut self) {
        if !self.is_over() {
            self.has_ended = true;
            self.client.finish();
        }
    }

    pub(super) fn reset(&mut self) {
        if !self.has_reset {
            self.has_reset = true;
            self.client.reset();
        }
    }

    /// Receives at most so much, which must be what comes next.
    pub(super) fn take(&mut self, most: usize) {
        let bytes = self.client.take(most);
        assert_eq!(bytes, bytes_from(self.received, bytes.len()), "sent");
        self.received += bytes.len();
    }

    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    pub(super) const fn received(&self) -> usize {
        self.received
    }
}
