//! Send queues against a model: what was taken goes out in order and whole, one send at a time, and no
//! queue grows beyond what its policy allows.

use std::collections::VecDeque;
use std::ops::Range;

use arbitrary::{Result, Unstructured};
use wharf_port::{Lease, Segment};

use crate::framing::Framing;
use crate::send_queue::{Chunks, Room, SendQueue, SlowReader};

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
    let policies =
        [SlowReader::Pause, SlowReader::Disconnect, SlowReader::DropNewest, SlowReader::DropOldest];
    let policy = *input.choose(&policies)?;
    let framings = [Framing::U16_LE, Framing::U32_BE, Framing::LINES, Framing::RAW];
    // Frames can be left out only where there are frames.
    let framing = *input.choose(if policy.drops() { &framings[..3] } else { &framings })?;
    let terms = Terms { policy, framing, max: input.int_in_range(1..=8_192)? };
    let mut sessions = [Session::new(terms), Session::new(terms)];
    let mut chunks = Chunks::default();
    let mut numbers = 0..;
    while !input.is_empty() {
        let session = &mut sessions[usize::from(input.arbitrary::<bool>()?)];
        match input.int_in_range(0..=9)? {
            0..=3 => {
                let payload = payload(input, &mut numbers)?;
                session.send(&payload, None, &mut chunks);
            }
            4..=5 => session.echo(&received(input, framing, &mut numbers)?, &mut chunks),
            6 => session.start(),
            7..=8 => session.carry_on(input.int_in_range(1..=8_192)?, &mut chunks),
            _ => session.end(&mut chunks),
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
    framing: Framing,
    numbers: &mut impl Iterator<Item = u32>,
) -> Result<Received> {
    let (mut bytes, mut payloads) = (Vec::new(), Vec::new());
    for _ in 0..input.int_in_range(1..=4)? {
        let payload = payload(input, numbers)?;
        let Some(envelope) = framing.envelope(payload.len()) else { continue };
        bytes.extend_from_slice(envelope.header());
        payloads.push(bytes.len()..bytes.len() + payload.len());
        bytes.extend_from_slice(&payload);
        bytes.extend_from_slice(envelope.trailer());
    }
    Ok(Received { bytes: Lease::from(&bytes[..]), payloads })
}

/// What a session is set up with.
#[derive(Clone, Copy)]
struct Terms {
    policy: SlowReader,
    framing: Framing,
    max: usize,
}

/// A queue, and what must be in it.
struct Session {
    terms: Terms,
    queue: SendQueue,
    waiting: VecDeque<Vec<u8>>,
    in_flight: Option<Flight>,
}

/// A send that the port has.
struct Flight {
    segments: Vec<Segment>,
    /// What they must be.
    bytes: Vec<u8>,
    gone: usize,
}

impl Session {
    fn new(terms: Terms) -> Self {
        let queue = SendQueue::new(terms.policy);
        Self { terms, queue, waiting: VecDeque::new(), in_flight: None }
    }

    /// Queues a frame as a worker does: from where it lies, if it was received, or by a copy.
    fn send(&mut self, payload: &[u8], lies: Option<(&Lease, Range<usize>)>, chunks: &mut Chunks) {
        let Terms { policy, framing, max } = self.terms;
        if self.queue.bytes() >= max {
            let expected = self.expected_room(payload.len());
            let room = policy.make_room(&mut self.queue, payload.len(), max, chunks);
            assert_eq!(room, expected, "{policy:?}");
            match room {
                Room::Made { dropped } => drop(self.waiting.drain(..dropped)),
                Room::None => return,
                Room::Disconnect => return self.end(chunks),
            }
        }
        let Some(envelope) = framing.envelope(payload.len()) else { return };
        if payload.is_empty() && envelope.is_empty() {
            return;
        }
        let in_place = lies.and_then(|(bytes, at)| Some((bytes, envelope.find_around(bytes, at)?)));
        if !in_place.is_some_and(|(bytes, at)| self.queue.push_received(bytes, at, chunks)) {
            self.queue.push(&envelope, payload, chunks);
        }
        self.waiting.push_back([envelope.header(), payload, envelope.trailer()].concat());
    }

    /// What the policy's documentation says of one more frame for this queue, which is full.
    fn expected_room(&self, wanted: usize) -> Room {
        let Terms { policy, max, .. } = self.terms;
        match policy {
            SlowReader::Pause if self.bytes() < 2 * max => Room::Made { dropped: 0 },
            SlowReader::Pause | SlowReader::Disconnect => Room::Disconnect,
            SlowReader::DropNewest => Room::None,
            SlowReader::DropOldest => {
                let mut bytes = self.bytes();
                let goes = |frame: &&Vec<u8>| {
                    let goes = bytes + wanted > max;
                    bytes -= frame.len();
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
            let bytes = self.waiting.drain(..).collect::<Vec<_>>().concat();
            self.in_flight = Some(Flight { segments, bytes, gone: 0 });
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
        *self = Self::new(self.terms);
    }

    /// Everything that waits goes out.
    fn finish(&mut self, chunks: &mut Chunks) {
        while !self.queue.is_empty() {
            self.start();
            self.carry_on(usize::MAX, chunks);
            self.check();
        }
        assert!(self.waiting.is_empty(), "the queue has forgotten a frame");
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(Vec::len).sum()
    }

    fn in_flight_bytes(&self) -> usize {
        self.in_flight.as_ref().map_or(0, |flight| flight.bytes.len())
    }

    fn bytes(&self) -> usize {
        self.waiting_bytes() + self.in_flight_bytes()
    }

    fn check(&self) {
        assert_eq!(self.queue.bytes(), self.bytes());
        assert_eq!(self.queue.is_empty(), self.bytes() == 0);
        let Terms { policy, max, .. } = self.terms;
        let frame = PAYLOAD_MAX + ENVELOPE_MAX;
        let allowed = match policy {
            SlowReader::Pause => 2 * max + frame,
            SlowReader::Disconnect | SlowReader::DropNewest => max + frame,
            // One frame more than is with the port, if that alone is too much.
            SlowReader::DropOldest => max.max(self.in_flight_bytes()) + frame,
        };
        assert!(self.bytes() <= allowed, "{} bytes, {policy:?} of {max}", self.bytes());
    }
}
