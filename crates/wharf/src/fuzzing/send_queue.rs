//! Send queues against a model: what was taken goes out in order and whole, one send at a time, and no
//! queue grows beyond what its policy allows.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use wharf_port::{Lease, Segment, SharedBytes};

use crate::framing::Framing;
use crate::owned_payload::OwnedPayload;
use crate::send_queue::{Chunks, Room, SendLimits, SendQueue, SlowReader};

/// The longest payload: longer than a chunk.
const PAYLOAD_MAX: usize = 6_000;
/// What goes around it, at most.
const ENVELOPE_MAX: usize = 4;

/// Sends to two sessions of one worker, whose memory for sending is shared, and carries the sends out.
pub fn send_queue(data: &[u8]) {
    // The input is at its end: so is the case.
    let _ = try_one(&mut Unstructured::new(data));
}

fn try_one(input: &mut Unstructured<'_>) -> Result<()> {
    let policies = [
        SlowReader::Pause,
        SlowReader::Disconnect,
        SlowReader::DropNewest,
        SlowReader::DropOldest,
        SlowReader::Coalesce,
        SlowReader::Refuse,
    ];
    let policy = *input.choose(&policies)?;
    let framings = [Framing::U16_LE, Framing::U32_BE, Framing::LINES, Framing::RAW];
    // Frames can be left out only where there are frames.
    let framing = input.choose(if policy.drops() { &framings[..3] } else { &framings })?;
    let (max, frames_max) = (input.int_in_range(1..=8_192)?, input.int_in_range(1..=64)?);
    let terms = Terms { policy, framing: framing.clone(), max, frames_max };
    let mut sessions = [Session::new(terms.clone()), Session::new(terms)];
    let mut chunks = Chunks::default();
    let mut numbers = 0..;
    while !input.is_empty() {
        let session = &mut sessions[usize::from(input.arbitrary::<bool>()?)];
        match input.int_in_range(0..=14)? {
            0..=3 => {
                let payload = payload(input, &mut numbers)?;
                session.send(&payload, None, &mut chunks);
            }
            4..=5 => session.echo(&received(input, framing, &mut numbers)?, &mut chunks),
            6 => session.start(),
            7..=8 => session.carry_on(input.int_in_range(1..=8_192)?, &mut chunks),
            9 => session.end(&mut chunks),
            10..=11 if policy == SlowReader::Coalesce => {
                let key = input.int_in_range(0..=3)?;
                session.send_keyed(key, &payload(input, &mut numbers)?, &mut chunks);
            }
            12..=13 => {
                let payload = payload(input, &mut numbers)?;
                let shared = input.arbitrary::<bool>()?;
                session.send_owned(payload, shared, &mut chunks);
            }
            _ => session.send_shared(&payload(input, &mut numbers)?, &mut chunks),
        }
        session.check();
    }
    for session in &mut sessions {
        session.finish(&mut chunks);
    }
    Ok(())
}

/// A payload that no other one looks like.
fn payload(
    input: &mut Unstructured<'_>,
    numbers: &mut impl Iterator<Item = u32>,
) -> Result<Vec<u8>> {
    let len = *input.choose(&[0, 1, 2, 60, 511, 512, 600, 4_090, 4_096, PAYLOAD_MAX])?;
    let number = numbers.next().unwrap_or_default();
    Ok(number.to_be_bytes().into_iter().cycle().take(len).collect())
}

/// Frames that lie one behind the other in one received buffer, and where their payloads lie.
struct Received {
    bytes: Lease,
    payloads: Vec<Range<usize>>,
}

fn received(
    input: &mut Unstructured<'_>,
    framing: &Framing,
    numbers: &mut impl Iterator<Item = u32>,
) -> Result<Received> {
    let (mut bytes, mut payloads) = (Vec::new(), Vec::new());
    for _ in 0..input.int_in_range(1..=4)? {
        let payload = payload(input, numbers)?;
        let Ok(envelope) = framing.wrap(&[&payload], PAYLOAD_MAX) else { continue };
        bytes.extend_from_slice(envelope.header());
        payloads.push(bytes.len()..bytes.len() + payload.len());
        bytes.extend_from_slice(&payload);
        bytes.extend_from_slice(envelope.trailer());
    }
    Ok(Received { bytes: Lease::from(&bytes[..]), payloads })
}

/// What a session is set up with.
#[derive(Clone)]
struct Terms {
    policy: SlowReader,
    framing: Framing,
    max: usize,
    frames_max: usize,
}

/// A queue, and what must be in it.
struct Session {
    terms: Terms,
    queue: SendQueue,
    waiting: VecDeque<Waiting>,
    in_flight: Option<Flight>,
}

/// A frame that waits, and its key.
struct Waiting {
    bytes: Vec<u8>,
    key: Option<u64>,
}

/// A send that the port has.
struct Flight {
    segments: Vec<Segment>,
    /// What they must be.
    bytes: Vec<u8>,
    frames: usize,
    gone: usize,
}

impl Session {
    fn new(terms: Terms) -> Self {
        let queue = SendQueue::new(&SendLimits {
            bytes_max: terms.max,
            frames_max: terms.frames_max,
            slow_reader: terms.policy,
        });
        Self { terms, queue, waiting: VecDeque::new(), in_flight: None }
    }

    /// Queues a frame as a worker does: from where it lies, if it was received, or by a copy.
    fn send(&mut self, payload: &[u8], lies: Option<(&Lease, Range<usize>)>, chunks: &mut Chunks) {
        if !self.is_taken(payload.len(), chunks) {
            return;
        }
        let Ok(envelope) = self.terms.framing.wrap(&[payload], PAYLOAD_MAX) else { return };
        if payload.is_empty() && envelope.is_empty() {
            return;
        }
        let in_place = lies.and_then(|(bytes, at)| Some((bytes, envelope.find_around(bytes, at)?)));
        if !in_place.is_some_and(|(bytes, at)| self.queue.push_received(bytes, at, chunks)) {
            self.queue.push(&envelope, payload, chunks);
        }
        let bytes = [envelope.header(), payload, envelope.trailer()].concat();
        self.waiting.push_back(Waiting { bytes, key: None });
    }

    /// Queues a frame that others are sent, too.
    fn send_shared(&mut self, payload: &[u8], chunks: &mut Chunks) {
        let Ok(envelope) = self.terms.framing.wrap(&[payload], PAYLOAD_MAX) else { return };
        let bytes = [envelope.header(), payload, envelope.trailer()].concat();
        if bytes.is_empty() || !self.is_taken(bytes.len(), chunks) {
            return;
        }
        let shared = SharedBytes::from(Arc::<[u8]>::from(bytes.as_slice()));
        self.queue.push_shared(shared, std::iter::once(bytes.len()), chunks);
        self.waiting.push_back(Waiting { bytes, key: None });
    }

    /// Queues a frame of a payload that is given away, of which others have a part or not.
    fn send_owned(&mut self, payload: Vec<u8>, shared: bool, chunks: &mut Chunks) {
        let Ok(envelope) = self.terms.framing.wrap(&[&payload], PAYLOAD_MAX) else { return };
        if payload.is_empty() || !self.is_taken(payload.len(), chunks) {
            return;
        }
        let bytes = [envelope.header(), &payload, envelope.trailer()].concat();
        let owned = if shared {
            OwnedPayload::from(Arc::<[u8]>::from(payload))
        } else {
            OwnedPayload::from(payload)
        };
        self.queue.push_owned(&envelope, owned.into_segment(), chunks);
        self.waiting.push_back(Waiting { bytes, key: None });
    }

    /// Queues a frame in place of the one with the same key.
    fn send_keyed(&mut self, key: u64, payload: &[u8], chunks: &mut Chunks) {
        let Ok(envelope) = self.terms.framing.wrap(&[payload], PAYLOAD_MAX) else { return };
        let older = self.waiting.iter().position(|frame| frame.key == Some(key));
        assert_eq!(self.queue.leave_out_key(key, chunks), older.is_some());
        if let Some(older) = older {
            self.waiting.remove(older);
        }
        if self.is_taken(payload.len(), chunks) {
            self.queue.push(&envelope, payload, chunks);
            self.queue.set_key_of_last(key);
            let bytes = [envelope.header(), payload, envelope.trailer()].concat();
            self.waiting.push_back(Waiting { bytes, key: Some(key) });
        }
    }

    /// Whether the queue takes one more frame, once its policy has made room for it.
    fn is_taken(&mut self, wanted: usize, chunks: &mut Chunks) -> bool {
        assert_eq!(self.queue.is_full(), self.is_full());
        if !self.is_full() {
            return true;
        }
        let expected = self.expected_room(wanted);
        let room = self.queue.make_room(wanted, chunks);
        assert_eq!(room, expected, "{:?}", self.terms.policy);
        match room {
            Room::Made { dropped } => {
                self.waiting.drain(..dropped);
                true
            }
            Room::None | Room::Refused => false,
            Room::Disconnect => {
                self.end(chunks);
                false
            }
        }
    }

    fn is_full(&self) -> bool {
        self.bytes() >= self.terms.max || self.frames() >= self.terms.frames_max
    }

    /// What the policy's documentation says of one more frame for this queue, which is full.
    fn expected_room(&self, wanted: usize) -> Room {
        let Terms { policy, max, frames_max, .. } = self.terms;
        let twice = self.bytes() >= 2 * max || self.frames() >= 2 * frames_max;
        match policy {
            SlowReader::Pause if !twice => Room::Made { dropped: 0 },
            SlowReader::Pause | SlowReader::Disconnect => Room::Disconnect,
            SlowReader::DropNewest => Room::None,
            SlowReader::Refuse => Room::Refused,
            SlowReader::DropOldest | SlowReader::Coalesce => {
                let (mut bytes, mut frames) = (self.bytes(), self.frames());
                let goes = |frame: &&Waiting| {
                    let goes = bytes + wanted > max || frames >= frames_max;
                    bytes -= frame.bytes.len();
                    frames -= 1;
                    goes
                };
                Room::Made { dropped: self.waiting.iter().take_while(goes).count() }
            }
        }
    }

    /// Sends received frames back, within the turn in which they were received.
    fn echo(&mut self, received: &Received, chunks: &mut Chunks) {
        for payload in &received.payloads {
            let bytes = received.bytes[payload.clone()].to_vec();
            self.send(&bytes, Some((&received.bytes, payload.clone())), chunks);
        }
    }

    /// The end of a turn: everything that waits goes to the port, if it has nothing yet.
    fn start(&mut self) {
        let idle = self.in_flight.is_none() && !self.waiting.is_empty();
        let started = self.queue.start_send();
        assert_eq!(started.is_some(), idle, "one send at a time, and no empty one");
        if let Some(segments) = started {
            let frames = self.waiting.len();
            let bytes = self.waiting.drain(..).flat_map(|frame| frame.bytes).collect();
            self.in_flight = Some(Flight { segments, bytes, frames, gone: 0 });
        }
    }

    /// The port gets rid of some bytes, and is done when all have gone.
    fn carry_on(&mut self, mut count: usize, chunks: &mut Chunks) {
        let Some(flight) = &mut self.in_flight else { return };
        for segment in &mut flight.segments {
            let step = count.min(segment.len());
            let due = &flight.bytes[flight.gone..flight.gone + step];
            assert_eq!(&segment.as_slice()[..step], due, "other bytes than were queued");
            segment.advance(step);
            flight.gone += step;
            count -= step;
        }
        if flight.gone == flight.bytes.len() {
            self.come_back(chunks);
        }
    }

    /// The send comes back from the port, with what of it could not be sent.
    fn come_back(&mut self, chunks: &mut Chunks) {
        let Some(flight) = self.in_flight.take() else { return };
        let unsent: usize = flight.segments.iter().map(Segment::len).sum();
        assert_eq!(flight.gone + unsent, flight.bytes.len());
        chunks.give_back(flight.segments);
        assert_eq!(self.queue.end_send(unsent), flight.gone);
    }

    /// The session ends: what waits is thrown away, and the next one takes its place.
    fn end(&mut self, chunks: &mut Chunks) {
        let waiting = self.waiting_bytes();
        assert_eq!(self.queue.clear(chunks), waiting);
        self.come_back(chunks);
        assert!(self.queue.is_empty());
        *self = Self::new(self.terms.clone());
    }

    /// Everything that waits goes out.
    fn finish(&mut self, chunks: &mut Chunks) {
        while !self.queue.is_empty() {
            self.start();
            self.carry_on(usize::MAX, chunks);
            assert!(self.in_flight.is_none(), "fewer bytes than were queued");
            self.check();
        }
        assert!(self.waiting.is_empty(), "the queue has forgotten a frame");
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(|frame| frame.bytes.len()).sum()
    }

    fn in_flight_bytes(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |flight| flight.bytes.len())
    }

    fn frames(&self) -> usize {
        self.waiting.len() + self.in_flight.as_ref().map_or(0, |flight| flight.frames)
    }

    fn bytes(&self) -> usize {
        self.waiting_bytes() + self.in_flight_bytes()
    }

    fn check(&self) {
        assert_eq!(self.queue.bytes(), self.bytes());
        assert_eq!(self.queue.frames() as usize, self.frames());
        assert_eq!(self.queue.is_empty(), self.bytes() == 0);
        let Terms { policy, max, .. } = self.terms;
        let frame = PAYLOAD_MAX + ENVELOPE_MAX;
        let allowed = match policy {
            SlowReader::Pause => 2 * max + frame,
            SlowReader::Disconnect | SlowReader::DropNewest | SlowReader::Refuse => max + frame,
            // One frame more than is with the port, if that alone is too much.
            SlowReader::DropOldest | SlowReader::Coalesce => {
                max.max(self.in_flight_bytes()) + frame
            }
        };
        assert!(self.bytes() <= allowed, "{} bytes, {policy:?} of {max}", self.bytes());
    }
}
