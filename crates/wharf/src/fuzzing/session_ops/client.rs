//! A client, and what it has sent and received.

use std::net::SocketAddr;

use arbitrary::{Result, Unstructured};

use crate::framing::Framing;
use crate::fuzzing::frame_decode::{Stream, decode, encode};
use crate::limits::Limits;
use crate::sim::Peer;

/// A payload is at least its number, in letters: none of them ends a line.
pub(super) const PAYLOAD_MIN: usize = 8;

/// A client and its connection.
pub(super) struct Client {
    number: usize,
    /// `None` once it is closed.
    peer: Option<Peer>,
    pub(super) local: SocketAddr,
    framing: Framing,
    /// Whole frames that it has sent or is about to send, in order.
    frames: Vec<Vec<u8>>,
    /// What of them has not been written.
    unwritten: Vec<u8>,
    /// Something else than frames was sent behind these.
    garbled: bool,
    ended: bool,
    received: Vec<u8>,
}

impl Client {
    pub(super) fn new(number: usize, peer: Peer, local: SocketAddr, framing: Framing) -> Self {
        Self {
            number,
            peer: Some(peer),
            local,
            framing,
            frames: Vec::new(),
            unwritten: Vec::new(),
            garbled: false,
            ended: false,
            received: Vec::new(),
        }
    }

    /// Does anything that a peer can do.
    pub(super) fn act(&mut self, input: &mut Unstructured<'_>, frame_max: usize) -> Result<()> {
        match input.int_in_range(0..=15)? {
            0..=3 => {
                self.queue_frames(input, frame_max)?;
                self.write(*input.choose(&[0, 3, 100_000])?);
            }
            4..=6 => self.write(*input.choose(&[1, 3, 60, 1_000, 100_000])?),
            7..=10 => self.read(*input.choose(&[1, 60, 1_000, 100_000])?),
            11 => self.garble(input)?,
            12 => self.end(),
            13 => self.peer.iter().for_each(Peer::vanish),
            14 => drop(self.peer.take()),
            _ => {
                if let Some(peer) = self.peer.take() {
                    peer.reset();
                }
            }
        }
        Ok(())
    }

    /// Some more frames, to be written bit by bit.
    fn queue_frames(&mut self, input: &mut Unstructured<'_>, frame_max: usize) -> Result<()> {
        if self.garbled {
            return Ok(());
        }
        let len = (*input.choose(&[PAYLOAD_MIN, 64, 600, 5_000])?).min(frame_max);
        for _ in 0..*input.choose(&[1, 2, 70])? {
            let payload = numbered(&format!("{:02x}{:06x}", self.number, self.frames.len()), len);
            self.unwritten.extend(encode(&self.framing, &[&payload]));
            self.frames.push(payload);
        }
        Ok(())
    }

    fn garble(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        self.garbled = true;
        let len = input.int_in_range(0..=32)?;
        self.unwritten.extend_from_slice(input.bytes(len)?);
        Ok(())
    }

    fn write(&mut self, count: usize) {
        let Some(peer) = &mut self.peer else { return };
        let count = count.min(self.unwritten.len());
        // What cannot be written now may be later; what is lost with the connection is lost.
        if let Ok(written) = peer.try_write(&self.unwritten[..count]) {
            self.unwritten.drain(..written);
        }
    }

    fn read(&mut self, count: usize) {
        let Some(peer) = &mut self.peer else { return };
        let mut bytes = vec![0; count];
        if let Ok(read) = peer.try_read(&mut bytes) {
            self.received.extend_from_slice(&bytes[..read]);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.peer.iter().for_each(Peer::end);
    }

    /// Writes and reads as fast as it can.
    pub(super) fn go_on(&mut self) {
        self.write(usize::MAX);
        self.read_to_end();
    }

    /// Whether what it has to send must arrive, unless its session ends.
    pub(super) fn is_well(&self) -> bool {
        let connected = |peer: &Peer| peer.is_connected() && !peer.has_vanished();
        !self.ended && !self.garbled && self.peer.as_ref().is_some_and(connected)
    }

    /// Whether these are all the frames that it has sent or is about to send.
    pub(super) fn has_sent_all(&self, frames: &[Vec<u8>]) -> bool {
        self.frames == frames
    }

    /// Reads what there is, and ends if the server has.
    pub(super) fn read_to_end(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        let mut bytes = [0; 4_096];
        loop {
            match peer.try_read(&mut bytes) {
                Ok(0) => return self.end(),
                Ok(read) => self.received.extend_from_slice(&bytes[..read]),
                Err(_) => return,
            }
        }
    }

    /// Whether these are the frames that it has sent so far, as far as frames were sent.
    pub(super) fn has_sent(&self, frames: &[Vec<u8>]) -> bool {
        let count = frames.len().min(self.frames.len());
        let Some((last, before)) = frames[..count].split_last() else {
            return frames.is_empty() || self.garbled;
        };
        // A stream that ends within a line ends it.
        let cut = self.framing == Framing::LINES && self.frames[count - 1].starts_with(last);
        (frames.len() == count || self.garbled)
            && self.frames.starts_with(before)
            && (cut || self.frames[count - 1] == *last)
    }

    /// The frames that have been received whole.
    pub(super) fn received_frames(&self) -> Vec<Vec<u8>> {
        let Stream { mut frames, error } =
            decode(&self.framing, Limits::FRAME_BYTES_MAX, &[&self.received]);
        assert_eq!(error, None);
        if self.framing == Framing::LINES
            && !self.received.ends_with(b"\n")
            && !self.received.is_empty()
        {
            frames.pop();
        }
        frames
    }
}

/// A payload that begins with a number.
pub(super) fn numbered(number: &str, len: usize) -> Vec<u8> {
    let mut payload = number.as_bytes().to_vec();
    payload.resize(len.max(PAYLOAD_MIN), b'.');
    payload
}
