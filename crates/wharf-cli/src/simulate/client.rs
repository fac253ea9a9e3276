//! One client: it writes frames in pieces, reads when it likes, and goes as it likes.

use std::collections::VecDeque;
use std::io::ErrorKind;

use fastrand::Rng;
use wharf::sim::Peer;

use super::extras::Extras;
use super::record::{ClientNumber, Record};
use super::wire::{self, Wire};

/// A client and what it is about to write.
pub(super) struct Client {
    pub(super) number: ClientNumber,
    peer: Peer,
    wire: Wire,
    habits: Habits,
    /// The rest of the frame that is being written.
    out: VecDeque<u8>,
    /// What was received and is no whole frame.
    received: Vec<u8>,
    frames_written: u32,
    /// Frames that it was told to write.
    asked: u64,
    has_ended: bool,
    /// A write of its own has failed.
    has_broken: bool,
}

/// How a client behaves.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    pub(super) frames: u32,
    /// Frames that it writes as one, at most.
    pub(super) batch_max: u32,
    /// Bytes that a frame of it says, at most.
    pub(super) said_max: usize,
    /// Bytes that it writes or reads at a time, at most.
    pub(super) write_max: usize,
    pub(super) read_max: usize,
    /// In how many of 16 steps it reads: a slow reader in few.
    pub(super) reads: u8,
    /// What it asks its session for: see [`Service`](super::service::Service).
    pub(super) kinds: &'static [u8],
    pub(super) farewell: Farewell,
    pub(super) is_garbage: bool,
}

/// How a client goes when it has written everything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Farewell {
    /// It ends its stream and reads until the server ends its own.
    HalfClose,
    /// It closes, whatever is still to come.
    Close,
    Reset,
    /// It dies without a word.
    Vanish,
    /// It stops in the middle of a frame, and then ends its stream.
    Truncate,
    /// It does not go until it has to.
    Stay,
}

/// What drives a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mood {
    /// It writes and reads when it likes.
    AsItLikes,
    /// It does all that it can.
    Eager,
    /// It writes all that it can, ends if it likes, and reads nothing.
    Deaf,
    /// It begins no more frames, and goes.
    Finishing,
}

/// What has come of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    Nothing,
    Something,
    /// It is gone.
    Over(End),
}

/// How a client went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// Both directions were ended in order.
    InOrder,
    /// It went by itself.
    Left,
    /// It was refused, or the connection was lost.
    Lost,
}

impl Habits {
    pub(super) fn draw(dice: &mut Rng, said_max: usize, extras: &Extras) -> Self {
        const KINDS: [&[u8]; 10] = [
            b"e",
            b"eeeo",
            b"eeesbou",
            b"eeoobukclfx",
            b"jgghhe",
            b"jjjgggghhvveobq",
            b"pppe",
            b"eepppoobukclfx",
            b"jjttttye",
            b"jjjtttvgghye",
        ];
        const IN_ROOMS: [&[u8]; 3] = [b"nmmmme", b"nnmmmmmmmmmmmmmbre", b"nnmmmrnmrjgdpokcfx"];
        const WITH_JOBS: [&[u8]; 2] = [b"ddde", b"ddepdobclfx"];
        const FAREWELLS: [Farewell; 9] = [
            Farewell::Stay,
            Farewell::HalfClose,
            Farewell::HalfClose,
            Farewell::HalfClose,
            Farewell::Close,
            Farewell::Close,
            Farewell::Reset,
            Farewell::Vanish,
            Farewell::Truncate,
        ];
        if dice.u8(..5) == 0 {
            return Self::chatty(dice, said_max);
        }
        let kinds = match dice.u8(..4) {
            0 if extras.defers => WITH_JOBS[dice.usize(..WITH_JOBS.len())],
            1..3 if extras.rooms => IN_ROOMS[dice.usize(..IN_ROOMS.len())],
            _ => KINDS[dice.usize(..KINDS.len())],
        };
        Self {
            frames: dice.u32(0..40),
            batch_max: 1,
            said_max,
            write_max: 1 << dice.u32(..=12),
            read_max: 1 << dice.u32(..=12),
            reads: [1, 8, 8, 15][dice.usize(..4)],
            kinds,
            farewell: FAREWELLS[dice.usize(..FAREWELLS.len())],
            is_garbage: dice.u8(..16) == 0,
        }
    }

    /// One that sends more at a time than a session may have of a turn: many frames, or many bytes.
    fn chatty(dice: &mut Rng, said_max: usize) -> Self {
        const KINDS: [&[u8]; 5] = [b"s", b"e", b"eeeo", b"eeeeeeeeeeeeekclfx", b"jgge"];
        let longest = if dice.u8(..4) == 0 { 1024 } else { 3 };
        Self {
            frames: dice.u32(100..600),
            batch_max: 300,
            write_max: 256 << 10,
            read_max: 16 << 10,
            kinds: KINDS[dice.usize(..KINDS.len())],
            farewell: [Farewell::HalfClose, Farewell::Reset, Farewell::Stay][dice.usize(..3)],
            ..Self::honest(said_max.min(longest))
        }
    }

    /// One that has much sent to it, and reads nothing.
    pub(super) const fn deaf(said_max: usize) -> Self {
        let frames = 3;
        let farewell = Farewell::Stay;
        Self { frames, reads: 0, kinds: b"b", farewell, ..Self::honest(said_max) }
    }

    /// One that has much sent to it, ends its stream, and reads nothing: its session closes for long.
    pub(super) const fn sulky(said_max: usize) -> Self {
        Self { farewell: Farewell::HalfClose, ..Self::deaf(said_max) }
    }

    /// One that sends, at once, more than a session may have of a turn or may queue: so many bytes at
    /// most.
    pub(super) fn hoarder(dice: &mut Rng, said_max: usize, overhead: usize, bytes: usize) -> Self {
        let said_max = said_max.min([3, 60, 500, 2_048][dice.usize(..4)]);
        // A frame is half as long as it may be, and has an envelope.
        let frames = bytes / (said_max / 2 + overhead.max(4));
        let frames = u32::try_from(frames).unwrap_or(u32::MAX).clamp(1, 3_000);
        Self {
            frames: dice.u32(frames / 3..=frames),
            batch_max: 3_000,
            write_max: 256 << 10,
            kinds: [b"e", b"s"][dice.usize(..2)],
            farewell: [Farewell::HalfClose, Farewell::Stay][dice.usize(..2)],
            ..Self::honest(said_max)
        }
    }

    /// One that sends small frames without end.
    pub(super) const fn flood(said_max: usize) -> Self {
        let said_max = if said_max < 64 { said_max } else { 64 };
        let (frames, kinds) = (u32::MAX, b"s");
        Self { frames, reads: 1, kinds, ..Self::honest(said_max) }
    }

    /// One that sends a byte now and then.
    pub(super) const fn drip(said_max: usize) -> Self {
        let (frames, kinds) = (u32::MAX, b"s");
        Self { frames, write_max: 1, reads: 14, kinds, ..Self::honest(said_max) }
    }

    /// One that says nothing by itself, and reads nothing.
    pub(super) const fn silent() -> Self {
        Self { frames: 0, reads: 0, farewell: Farewell::Stay, ..Self::honest(8) }
    }

    /// A client that only wants its echo.
    pub(super) const fn honest(said_max: usize) -> Self {
        Self {
            frames: 5,
            batch_max: 1,
            said_max,
            write_max: 4096,
            read_max: 4096,
            reads: 8,
            kinds: b"e",
            farewell: Farewell::HalfClose,
            is_garbage: false,
        }
    }
}

impl Client {
    pub(super) fn new(number: ClientNumber, peer: Peer, wire: Wire, habits: Habits) -> Self {
        let (out, received) = (VecDeque::new(), Vec::new());
        Self {
            number,
            peer,
            wire,
            habits,
            out,
            received,
            frames_written: 0,
            asked: 0,
            has_ended: false,
            has_broken: false,
        }
    }

    /// Is to write one frame that asks for this.
    pub(super) fn ask(&mut self, record: &Record, kind: char) {
        self.asked += 1;
        let payload = wire::payload(kind, self.asked, self.number, 8);
        record.with(|book| book.written(self.number, &payload));
        self.out.extend(self.wire.encode(&payload));
    }

    /// Does one thing.
    pub(super) fn step(&mut self, dice: &mut Rng, record: &Record, mood: Mood) -> Progress {
        if self.peer.is_connecting() {
            return Progress::Nothing;
        }
        if mood == Mood::Finishing {
            if self.peer.has_vanished() {
                return Progress::Over(End::Left);
            }
            self.habits.frames = self.frames_written;
            if self.has_ended {
                record.with(|book| book.has_ended(self.number));
            }
            if self.habits.farewell == Farewell::Stay {
                self.habits.farewell = Farewell::HalfClose;
            }
        }
        // Who never reads does not begin to when it has ended.
        let waits_for_end = self.has_ended && self.habits.reads > 0;
        let reads = dice.u8(..16) < self.habits.reads || waits_for_end;
        match (mood, reads) {
            (Mood::AsItLikes, true) => self.read(dice, record),
            (Mood::AsItLikes, false) | (Mood::Deaf, _) => self.write(dice, record),
            _ => match self.write(dice, record) {
                Progress::Nothing => self.read(dice, record),
                written => written,
            },
        }
    }

    fn write(&mut self, dice: &mut Rng, record: &Record) -> Progress {
        if self.has_ended {
            return Progress::Nothing;
        }
        if self.out.is_empty() {
            if self.frames_written == self.habits.frames {
                return self.say_farewell();
            }
            let left = self.habits.frames - self.frames_written;
            for _ in 0..dice.u32(1..=self.habits.batch_max).min(left) {
                self.begin_frame(dice, record);
            }
        }
        let (bytes, _) = self.out.as_slices();
        let count = dice.usize(1..=self.habits.write_max).min(bytes.len());
        match self.peer.try_write(&bytes[..count]) {
            Ok(written) => {
                self.out.drain(..written);
                Progress::Something
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Nothing,
            // What came before it broke is still there to be read.
            Err(_) => {
                self.has_ended = true;
                self.has_broken = true;
                Progress::Something
            }
        }
    }

    fn begin_frame(&mut self, dice: &mut Rng, record: &Record) {
        self.frames_written += 1;
        if self.habits.is_garbage {
            self.out.extend(std::iter::repeat_with(|| dice.u8(..)).take(16));
            return;
        }
        let kind = char::from(self.habits.kinds[dice.usize(..self.habits.kinds.len())]);
        let len = dice.usize(..=self.habits.said_max);
        let payload = wire::payload(kind, self.frames_written.into(), self.number, len);
        let is_last = self.frames_written == self.habits.frames;
        let mut frame = self.wire.encode(&payload);
        if is_last && self.habits.farewell == Farewell::Truncate {
            frame.truncate(frame.len() / 2);
        }
        if !frame.is_empty() {
            let arrives = self.wire.arrives(&payload, &frame);
            record.with(|book| book.written(self.number, arrives));
        }
        self.out.extend(frame);
    }

    fn say_farewell(&mut self) -> Progress {
        match self.habits.farewell {
            Farewell::Stay => Progress::Nothing,
            Farewell::HalfClose | Farewell::Truncate => {
                self.peer.end();
                self.has_ended = true;
                Progress::Something
            }
            Farewell::Close | Farewell::Reset => Progress::Over(End::Left),
            Farewell::Vanish => {
                self.peer.vanish();
                Progress::Over(End::Left)
            }
        }
    }

    fn read(&mut self, dice: &mut Rng, record: &Record) -> Progress {
        let mut bytes = vec![0; dice.usize(1..=self.habits.read_max)];
        match self.peer.try_read(&mut bytes) {
            // A failure that was told to the write is told once: behind it, this is no end.
            Ok(0) if self.has_broken => Progress::Over(End::Lost),
            Ok(0) => {
                record.with(|book| book.got_end(self.number, self.received.len()));
                Progress::Over(if self.has_ended { End::InOrder } else { End::Lost })
            }
            Ok(count) => {
                record.with(|book| book.took_bytes(self.number));
                self.received.extend_from_slice(&bytes[..count]);
                while let Some(frame) = self.wire.decode(&mut self.received) {
                    record.with(|book| book.got(self.number, &frame));
                }
                Progress::Something
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Nothing,
            Err(_) => Progress::Over(End::Lost),
        }
    }

    /// Goes, in its own way.
    pub(super) fn go(self) {
        if self.habits.farewell == Farewell::Reset {
            self.peer.reset();
        }
    }

    /// Whether nobody will ever tell it that its connection is dead.
    pub(super) fn has_vanished(&self) -> bool {
        self.peer.has_vanished()
    }
}
