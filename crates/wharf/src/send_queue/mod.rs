//! What waits to be sent to one session.

mod capacity;
mod chunks;
mod owned;
mod policy;

use std::collections::VecDeque;
use std::ops::Range;

use wharf_port::{Lease, Segment, SharedBytes};

pub(crate) use self::capacity::Capacity;
pub use self::capacity::{SendLimits, SendLimitsError};
pub(crate) use self::chunks::Chunks;
pub(crate) use self::owned::OWNED_BYTES_MIN;
pub(crate) use self::policy::Room;
pub use self::policy::SlowReader;

use crate::framing::{Envelope, FrameError};

/// A received payload of fewer bytes than this is copied rather than sent from where it lies, unless
/// it continues what is queued already: a slice of its own costs the kernel more than the copy.
const SLICE_BYTES_MIN: usize = 512;

/// Beyond so many segments a short shared piece is copied as well: whoever has so many is slow, and a
/// segment of its own would take as much memory as the copy.
const SHARED_SEGMENTS_MAX: usize = 16;

/// What has become of a frame that was to be sent. It may be ignored: none of the outcomes leaves a
/// stream with a hole in it unless the policy says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SendStatus {
    /// It goes out at the end of the turn, in one send with whatever else is queued.
    Queued,
    /// It is queued, and older frames were dropped for it ([`SlowReader::DropOldest`]).
    DroppedOldest,
    /// It is queued in place of an older one with the same key ([`SlowReader::Coalesce`]).
    Replaced,
    /// It was not taken: the queue is full ([`SlowReader::Refuse`]).
    /// [`on_writable`](crate::Session::on_writable) says when it no longer is.
    Full,
    /// It was dropped: the queue is full ([`SlowReader::DropNewest`]).
    Dropped,
    /// It was not taken: the session is closing, or there is none of that id. A queue that is full
    /// closes its session ([`SlowReader::Disconnect`]), and so does a frame that is too long.
    Closed,
    /// It was not taken: it is longer than the framing or
    /// [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max) allows.
    TooLong,
    /// It was not taken: the framing has no frame for it, since it is shorter than every frame, has another
    /// length than all, or is nothing that a [`Codec`](crate::Codec) takes.
    BadFrame,
    /// It was not taken: the inbox of the session's worker is full, since other threads send faster
    /// than it works.
    Overloaded,
}

impl From<FrameError> for SendStatus {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLong { .. } => Self::TooLong,
            _ => Self::BadFrame,
        }
    }
}

/// What waits to be sent to one session, in order; and how much is with the port.
///
/// One gathered send is in flight at a time. What is queued meanwhile goes with the next one.
#[derive(Debug)]
pub(crate) struct SendQueue {
    segments: Vec<Segment>,
    /// The first of them that may lie in received bytes.
    attached_from: u32,
    queued_bytes: usize,
    in_flight_bytes: usize,
    capacity: Capacity,
    policy: SlowReader,
    queued_frames: u32,
    in_flight_frames: u32,
    in_flight: bool,
    /// The queued frames, where a policy may have to leave some out.
    #[expect(clippy::box_collection, reason = "sessions are many, and few have it")]
    frames: Option<Box<VecDeque<Frame>>>,
}

/// A queued frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    len: u32,
    key: Option<u64>,
}

impl SendQueue {
    pub(crate) fn new(limits: &SendLimits) -> Self {
        let mut queue = Self {
            segments: Vec::new(),
            attached_from: 0,
            queued_bytes: 0,
            in_flight_bytes: 0,
            capacity: limits.capacity(),
            policy: limits.slow_reader,
            queued_frames: 0,
            in_flight_frames: 0,
            in_flight: false,
            frames: None,
        };
        queue.set_limits(limits);
        queue
    }

    /// Gives the queue other limits. What waits already is to a policy that drops as if it were one frame.
    pub(crate) fn set_limits(&mut self, limits: &SendLimits) {
        self.capacity = limits.capacity();
        self.policy = limits.slow_reader;
        if !self.policy.needs_frames() {
            self.frames = None;
        } else if self.frames.is_none() {
            let len = u32::try_from(self.queued_bytes).unwrap_or(u32::MAX);
            let waiting = (len > 0).then_some(Frame { len, key: None });
            self.queued_frames = u32::from(len > 0);
            self.frames = Some(Box::new(waiting.into_iter().collect()));
        }
    }

    pub(crate) const fn policy(&self) -> SlowReader {
        self.policy
    }

    pub(crate) const fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// Whether it holds all that it may, and its policy has to be asked.
    #[inline]
    pub(crate) const fn is_full(&self) -> bool {
        self.has_reached(self.capacity)
    }

    /// Whether so many more bytes and frames fit.
    #[inline]
    pub(crate) const fn fits(&self, bytes: usize, frames: usize) -> bool {
        self.bytes() + bytes <= self.capacity.bytes as usize
            && self.frames() as usize + frames <= self.capacity.frames as usize
    }

    /// Whether it has fallen to the low mark.
    pub(crate) const fn is_low(&self) -> bool {
        let low = self.capacity.half();
        self.bytes() <= low.bytes as usize && self.frames() <= low.frames
    }

    /// Whether it holds all that it may.
    #[inline]
    pub(crate) const fn has_reached(&self, max: Capacity) -> bool {
        self.bytes() >= max.bytes as usize || self.frames() >= max.frames
    }

    /// Frames that have not gone to the kernel, as far as is known.
    #[inline]
    pub(crate) const fn frames(&self) -> u32 {
        self.queued_frames.saturating_add(self.in_flight_frames)
    }

    /// Bytes that have not gone to the kernel, as far as is known.
    #[inline]
    pub(crate) const fn bytes(&self) -> usize {
        self.queued_bytes + self.in_flight_bytes
    }

    /// Bytes that are with the port; `None` if no send is in flight.
    pub(crate) fn in_flight_bytes(&self) -> Option<usize> {
        self.in_flight.then_some(self.in_flight_bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        !self.in_flight && self.queued_bytes == 0
    }

    /// Appends a frame by copying it: `payload` is what the header does not stand in for.
    pub(crate) fn push(&mut self, envelope: &Envelope, payload: &[u8], chunks: &mut Chunks) {
        let (header, trailer) = (envelope.header(), envelope.trailer());
        let len = header.len() + payload.len() + trailer.len();
        let owned = self.room_for(len, chunks);
        for part in [header, payload, trailer] {
            let fitted = owned.try_extend(part);
            debug_assert!(fitted, "room was made for all parts");
        }
        self.count(len);
    }

    /// The same of a payload in parts, the first bytes of which the header may stand in for.
    pub(crate) fn push_parts(&mut self, envelope: &Envelope, parts: &[&[u8]], chunks: &mut Chunks) {
        let (header, trailer) = (envelope.header(), envelope.trailer());
        let payload: usize = parts.iter().map(|part| part.len()).sum();
        let mut replaced = envelope.replaced();
        let len = header.len() + payload - replaced + trailer.len();
        let owned = self.room_for(len, chunks);
        let mut fitted = owned.try_extend(header);
        for part in parts {
            let skipped = replaced.min(part.len());
            replaced -= skipped;
            fitted &= owned.try_extend(&part[skipped..]);
        }
        fitted &= owned.try_extend(trailer);
        debug_assert!(fitted, "room was made for all parts");
        self.count(len);
    }

    /// Memory at the end of the queue with room for `len` more bytes.
    fn room_for(&mut self, len: usize, chunks: &mut Chunks) -> &mut wharf_port::OwnedBytes {
        let fits = matches!(self.segments.last(), Some(Segment::Owned(last)) if last.room() >= len);
        if !fits {
            let chunk = chunks.take(len);
            self.push_segment(Segment::Owned(chunk), chunks);
        }
        match self.segments.last_mut() {
            Some(Segment::Owned(last)) => last,
            _ => unreachable!("a chunk was pushed if there was none"),
        }
    }

    /// Appends a whole frame, envelope included, that lies in received bytes; false, and nothing done,
    /// if it is better copied.
    #[inline]
    pub(crate) fn push_received(
        &mut self,
        received: &Lease,
        frame: Range<usize>,
        chunks: &mut Chunks,
    ) -> bool {
        let len = frame.len();
        let joined = match self.segments.last_mut() {
            Some(Segment::Received(last)) => last.extend(received, frame.clone()),
            _ => false,
        };
        if !joined {
            if !self.segments.is_empty() && len < SLICE_BYTES_MIN {
                return false;
            }
            self.push_segment(Segment::Received(received.slice(frame)), chunks);
        }
        self.count(len);
        true
    }

    /// Appends whole frames, of the lengths given, that others are sent as well.
    pub(crate) fn push_shared(
        &mut self,
        bytes: SharedBytes,
        lengths: impl Iterator<Item = usize>,
        chunks: &mut Chunks,
    ) {
        let len = bytes.as_slice().len();
        if self.segments.len() >= SHARED_SEGMENTS_MAX && len < SLICE_BYTES_MIN {
            let fitted = self.room_for(len, chunks).try_extend(bytes.as_slice());
            debug_assert!(fitted, "room was made");
        } else {
            self.push_segment(Segment::Shared(bytes), chunks);
        }
        lengths.for_each(|len| self.count(len));
    }

    #[inline]
    fn push_segment(&mut self, segment: Segment, chunks: &mut Chunks) {
        if self.segments.capacity() == 0 {
            self.segments = chunks.take_list();
        }
        self.segments.push(segment);
    }

    #[inline]
    fn count(&mut self, len: usize) {
        self.queued_bytes += len;
        self.queued_frames = self.queued_frames.saturating_add(1);
        if let Some(frames) = &mut self.frames {
            frames.push_back(Frame { len: u32::try_from(len).unwrap_or(u32::MAX), key: None });
        }
    }

    /// Gives the frame that was appended last, by copying it, a key.
    pub(crate) fn set_key_of_last(&mut self, key: u64) {
        if let Some(last) = self.frames.as_mut().and_then(|frames| frames.back_mut()) {
            last.key = Some(key);
        }
    }

    /// Leaves out the queued frame with this key; false if there is none.
    pub(crate) fn leave_out_key(&mut self, key: u64, chunks: &mut Chunks) -> bool {
        let Some(frames) = &mut self.frames else { return false };
        let Some(at) = frames.iter().rposition(|frame| frame.key == Some(key)) else {
            return false;
        };
        let start: usize = frames.iter().take(at).map(|frame| frame.len as usize).sum();
        let Some(frame) = frames.remove(at) else { return false };
        let len = frame.len as usize;
        self.queued_bytes -= len;
        self.queued_frames = self.queued_frames.saturating_sub(1);
        self.remove(start..start + len, chunks);
        true
    }

    /// Takes bytes out from among the queued ones; they were copied in as one.
    fn remove(&mut self, range: Range<usize>, chunks: &mut Chunks) {
        let mut start = range.start;
        for (at, segment) in self.segments.iter_mut().enumerate() {
            if start >= segment.len() {
                start -= segment.len();
                continue;
            }
            if let Segment::Owned(owned) = segment {
                owned.remove(start..start + range.len());
                if segment.is_empty() {
                    if at < self.attached_from as usize {
                        self.attached_from -= 1;
                    }
                    chunks.give_back_one(self.segments.remove(at));
                }
            } else {
                debug_assert!(false, "frames with keys are copied");
            }
            return;
        }
    }

    /// Drops the oldest queued frames until a frame of `wanted` bytes fits; returns how many. What
    /// is with the port cannot be taken back.
    pub(crate) fn drop_oldest(&mut self, wanted: usize, chunks: &mut Chunks) -> usize {
        let Capacity { bytes: bytes_max, frames: frames_max } = self.capacity;
        let (mut dropped, mut bytes) = (0, 0);
        while self.bytes() - bytes + wanted > bytes_max as usize || self.frames() >= frames_max {
            let Some(oldest) = self.frames.as_mut().and_then(|frames| frames.pop_front()) else {
                break;
            };
            bytes += oldest.len as usize;
            self.queued_frames = self.queued_frames.saturating_sub(1);
            dropped += 1;
        }
        self.queued_bytes -= bytes;
        self.leave_out(bytes, chunks);
        dropped
    }

    /// Leaves the first `bytes` out of the queue.
    fn leave_out(&mut self, mut bytes: usize, chunks: &mut Chunks) {
        let mut whole = 0;
        for segment in &mut self.segments {
            if segment.len() > bytes {
                segment.advance(bytes);
                break;
            }
            bytes -= segment.len();
            whole += 1;
        }
        let mut gone = chunks.take_list();
        gone.extend(self.segments.drain(..whole));
        let whole = u32::try_from(whole).unwrap_or(u32::MAX);
        self.attached_from = self.attached_from.saturating_sub(whole);
        chunks.give_back(gone);
    }

    /// What is to be sent now: everything, if nothing is in flight. Otherwise received bytes are copied
    /// out, since it may be long until they go.
    pub(crate) fn start_send(&mut self) -> Option<Vec<Segment>> {
        if self.in_flight {
            // Each once: this is asked in every turn, and a slow reader may have many.
            self.segments[self.attached_from as usize..].iter_mut().for_each(Segment::detach);
            self.attached_from = u32::try_from(self.segments.len()).unwrap_or(u32::MAX);
            return None;
        }
        if self.queued_bytes == 0 {
            return None;
        }
        self.in_flight = true;
        self.in_flight_bytes = std::mem::take(&mut self.queued_bytes);
        self.in_flight_frames = std::mem::take(&mut self.queued_frames);
        if let Some(frames) = &mut self.frames {
            frames.clear();
        }
        self.attached_from = 0;
        Some(std::mem::take(&mut self.segments))
    }

    /// The send in flight has ended; returns how many of its bytes have gone.
    pub(crate) fn end_send(&mut self, unsent: usize) -> usize {
        debug_assert!(self.in_flight);
        self.in_flight = false;
        self.in_flight_frames = 0;
        std::mem::take(&mut self.in_flight_bytes).saturating_sub(unsent)
    }

    /// Drops everything that is not with the port; returns how many bytes that was.
    pub(crate) fn clear(&mut self, chunks: &mut Chunks) -> usize {
        chunks.give_back(std::mem::take(&mut self.segments));
        if let Some(frames) = &mut self.frames {
            frames.clear();
        }
        self.queued_frames = 0;
        self.attached_from = 0;
        std::mem::take(&mut self.queued_bytes)
    }
}
