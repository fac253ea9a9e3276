//! Receiving: from a completion to pieces that wait to be sent.

use std::io;
use std::mem;
use std::rc::Rc;

use bench_common::Mode;
use bench_common::frames::{self, FrameTooLong};
use io_uring::{cqueue, opcode, types};

use crate::buffers::{GROUP, Lease};
use crate::connection::InFlight;
use crate::outgoing::Piece;
use crate::ring::Operation;
use crate::server::Server;

impl Server {
    pub(crate) fn arm_receive(&mut self, index: u32) -> io::Result<()> {
        let connection = &mut self.connections[index];
        connection.receiving = true;
        let entry = opcode::RecvMulti::new(types::Fd(connection.descriptor), GROUP)
            .build()
            .flags(self.descriptor_flag)
            .user_data(Operation::Receive(index).to_user_data());
        self.stage(&entry)
    }

    /// Arms as many of the parked receives as there are buffers; each may need one.
    pub(crate) fn arm_parked(&mut self) -> io::Result<()> {
        for _ in 0..self.parked.len().min(usize::from(self.buffers.available())) {
            let Some(index) = self.parked.pop_front() else {
                break;
            };
            self.connections[index].parked = false;
            self.settle(index)?;
        }
        Ok(())
    }

    pub(crate) fn on_receive(&mut self, index: u32, result: i32, flags: u32) -> io::Result<()> {
        if let Some(id) = cqueue::buffer_select(flags) {
            // SAFETY: this completion is the only one that tells of this filling of the buffer, and
            // is seen once. No sign is lost: below zero counts as nothing received.
            let lease = unsafe { self.buffers.lease(id, result.max(0) as u32) };
            self.on_bytes(index, lease)?;
        }
        if cqueue::more(flags) {
            return Ok(());
        }
        let connection = &mut self.connections[index];
        connection.receiving = false;
        connection.cancelling = false;
        match result {
            1.. => {}
            0 => connection.ended = true,
            _ => match -result {
                // `settle` decides whether to read again.
                libc::ECANCELED | libc::EINTR | libc::EAGAIN => {}
                // Armed again at once it would only fail again: other connections hold the buffers.
                libc::ENOBUFS => {
                    connection.parked = true;
                    self.parked.push_back(index);
                }
                _ => self.break_off(index)?,
            },
        }
        self.settle(index)
    }

    fn on_bytes(&mut self, index: u32, lease: Lease) -> io::Result<()> {
        if self.connections[index].broken {
            self.buffers.release(lease);
            return Ok(());
        }
        match self.options.mode {
            Mode::Raw => self.echo(index, Piece::Buffer(lease)),
            Mode::Framed | Mode::Chat => self.on_frame_bytes(index, lease),
        }
    }

    /// Echoes the whole frames from where they lie and keeps a copy of the half one at the end.
    fn on_frame_bytes(&mut self, index: u32, lease: Lease) -> io::Result<()> {
        match self.split(index, &lease) {
            Ok(Split { completed, start, whole }) => {
                if let Some(frame) = completed {
                    self.answer(index, Piece::Heap(frame))?;
                }
                if whole > 0 {
                    return self.answer(index, Piece::Buffer(lease.slice(start, whole)));
                }
                self.buffers.release(lease);
                Ok(())
            }
            Err(FrameTooLong) => {
                self.buffers.release(lease);
                self.break_off(index)
            }
        }
    }

    fn split(&mut self, index: u32, lease: &Lease) -> Result<Split, FrameTooLong> {
        let bytes = self.buffers.bytes(lease);
        let connection = &mut self.connections[index];
        let mut split = Split::default();
        if let Some(cold) = &mut connection.cold
            && !cold.half.is_empty()
        {
            let (taken, done) = frames::complete(&mut cold.half, bytes)?;
            split.start = taken;
            if done {
                split.completed = Some(mem::take(&mut cold.half));
            }
        }
        split.whole = frames::whole_frames(&bytes[split.start..])?;
        let half = &bytes[split.start + split.whole..];
        if !half.is_empty() {
            connection.cold().half.extend_from_slice(half);
        }
        Ok(split)
    }

    /// Echoes a piece of whole frames, or keeps a copy of it for everybody.
    fn answer(&mut self, index: u32, piece: Piece) -> io::Result<()> {
        if self.options.mode != Mode::Chat {
            return self.echo(index, piece);
        }
        self.spoken.extend_from_slice(piece.bytes(&self.buffers));
        piece.release(&mut self.buffers);
        Ok(())
    }

    /// Queues what was spoken in this turn for everybody: one piece, shared by all.
    pub(crate) fn deliver(&mut self) -> io::Result<()> {
        if self.spoken.is_empty() {
            return Ok(());
        }
        let spoken: Rc<[u8]> = self.spoken.as_slice().into();
        self.spoken.clear();
        for index in 0..self.connections.slots() {
            let connection = &self.connections[index];
            if connection.alive && !connection.broken {
                self.echo(index, Piece::Shared(Rc::clone(&spoken)))?;
            }
        }
        Ok(())
    }

    /// Queues a piece for the send at the end of the turn, or behind what waits already.
    fn echo(&mut self, index: u32, piece: Piece) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let waits = connection.in_flight != InFlight::Nothing
            || connection.outgoing.is_full()
            || connection.has_waiting_bytes();
        if !waits {
            connection.outgoing.push(piece, &mut self.spares);
            self.mark_dirty(index);
            return Ok(());
        }
        connection.copy_behind(piece.bytes(&self.buffers));
        piece.release(&mut self.buffers);
        if connection.is_too_slow() && connection.receiving && !connection.cancelling {
            connection.cancelling = true;
            let receive = Operation::Receive(index).to_user_data();
            return self.stage(&opcode::AsyncCancel::new(receive).build());
        }
        Ok(())
    }
}

/// Where the frames in received bytes are.
#[derive(Debug, Default)]
struct Split {
    /// The frame whose beginning had come before.
    completed: Option<Vec<u8>>,
    /// Bytes that went into it.
    start: usize,
    /// Bytes of whole frames after that.
    whole: usize,
}
