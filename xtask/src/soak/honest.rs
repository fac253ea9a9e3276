//! An honest client: sends a frame, reads it back byte for byte, and again; now and then it leaves.

use wharf_port::Time;

use crate::client::piece;

/// Bytes of a frame's payload, at least and at most.
const PAYLOAD_MIN: u64 = 16;
const PAYLOAD_MAX: u64 = 1_024;

/// What is open between an honest client and the server.
#[derive(Debug, Default)]
pub(super) struct Honest {
    /// The frame that is on its way, and how much of it has come back.
    frame: Vec<u8>,
    back: usize,
    /// When it was sent.
    sent_at: Time,
    /// It has ended its own stream, and waits for the server's end.
    pub(super) leaves: bool,
}

/// What bytes that came back make of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Echo {
    Part,
    Whole,
    Wrong,
}

impl Honest {
    /// Whether nothing is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        self.back == self.frame.len()
    }

    /// The next frame to send, which differs from those of others and from the one before.
    pub(super) fn next_frame(&mut self, random: u64, now: Time) -> Vec<u8> {
        let payload = PAYLOAD_MIN + random % (PAYLOAD_MAX - PAYLOAD_MIN + 1);
        let [from, len] = [random >> 32, payload].map(|it| usize::try_from(it).unwrap_or(0));
        self.frame.clear();
        self.frame.extend(u32::try_from(len).unwrap_or(0).to_le_bytes());
        self.frame.extend_from_slice(piece(from, len));
        (self.back, self.sent_at) = (0, now);
        self.frame.clone()
    }

    /// It ends its own stream.
    pub(super) const fn leave(&mut self, now: Time) {
        (self.leaves, self.sent_at) = (true, now);
    }

    /// How long the frame, or the end of the stream, has been on its way.
    pub(super) fn waited(&self, now: Time) -> std::time::Duration {
        now.since(self.sent_at)
    }

    /// Compares what has come back.
    pub(super) fn compare(&mut self, bytes: &[u8]) -> Echo {
        if !self.frame[self.back..].starts_with(bytes) {
            return Echo::Wrong;
        }
        self.back += bytes.len();
        if self.is_quiet() { Echo::Whole } else { Echo::Part }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_in_parts_and_nothing_after_it() {
        let mut honest = Honest::default();
        let frame = honest.next_frame(0x1234_5678_9abc_def0, Time::ZERO);
        assert_eq!(honest.compare(&frame[..7]), Echo::Part);
        assert_eq!(honest.compare(&frame[7..]), Echo::Whole);
        assert_eq!(honest.compare(b"more"), Echo::Wrong);
    }

    #[test]
    fn a_byte_that_is_another_is_noticed() {
        let mut honest = Honest::default();
        let mut frame = honest.next_frame(42, Time::ZERO);
        frame[10] ^= 0x40;
        assert_eq!(honest.compare(&frame), Echo::Wrong);
    }
}
