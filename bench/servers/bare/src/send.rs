//! Sending: one send per connection and turn, and what its completion means.

use std::io;
use std::mem;

use io_uring::squeue::Flags;
use io_uring::{cqueue, opcode, types};

use crate::connection::InFlight;
use crate::outgoing::Message;
use crate::ring::Operation;
use crate::server::Server;

impl Server {
    pub(crate) fn mark_dirty(&mut self, index: u32) {
        let connection = &mut self.connections[index];
        if !connection.dirty {
            connection.dirty = true;
            self.dirty.push(index);
        }
    }

    /// Stages the sends of the turn.
    pub(crate) fn stage_sends(&mut self) -> io::Result<()> {
        let mut dirty = mem::take(&mut self.dirty);
        for index in dirty.drain(..) {
            self.stage_send(index)?;
        }
        self.dirty = dirty;
        Ok(())
    }

    fn stage_send(&mut self, index: u32) -> io::Result<()> {
        let connection = &mut self.connections[index];
        connection.dirty = false;
        if connection.broken || connection.in_flight != InFlight::Nothing {
            return Ok(());
        }
        let descriptor = types::Fd(connection.descriptor);
        // The kernel sends all, waiting for room if it must: a short result means trouble.
        let mut message_flags = libc::MSG_WAITALL;
        let mut entry_flags = self.descriptor_flag;
        let entry = match connection.outgoing.message(&self.buffers) {
            Some(message) => {
                connection.in_flight = InFlight::Pieces;
                // A completion is needed where something waits for it: a buffer, or the close.
                if self.options.skip && self.parked.is_empty() && !connection.ended {
                    connection.in_flight = InFlight::PiecesUnconfirmed;
                    self.unconfirmed.push(index);
                    entry_flags |= Flags::SKIP_SUCCESS;
                    message_flags |= libc::MSG_DONTWAIT;
                } else if !self.buffers.half_free() {
                    // Slow readers must not hold more than half of the buffers.
                    message_flags |= libc::MSG_DONTWAIT;
                }
                match message {
                    Message::One { bytes, len } => {
                        opcode::Send::new(descriptor, bytes, len).flags(message_flags).build()
                    }
                    Message::Several(header) => {
                        opcode::SendMsg::new(descriptor, header).flags(message_flags as u32).build()
                    }
                }
            }
            None => {
                let Some(bytes) = connection.next_flight() else {
                    return Ok(());
                };
                let (bytes, len) = (bytes.as_ptr(), bytes.len() as u32);
                connection.in_flight = InFlight::Copy;
                opcode::Send::new(descriptor, bytes, len).flags(message_flags).build()
            }
        };
        let user_data = Operation::Send(index).to_user_data();
        let entry = entry.flags(entry_flags).user_data(user_data);
        // SAFETY: the entry points into `outgoing` or `flight` of this connection. Both stay as
        // they are while `in_flight` is set, which only the completion of this send resets
        // (`on_send`) or, if it asked for none on success, `settle_sends` after the next entry into
        // the kernel. The connection is not removed before.
        unsafe { self.ring.stage(&entry) }
    }

    /// Settles all sends, before anything else is looked at: those that have a completion, and then
    /// those that give none if they succeed. The kernel has seen all of these, and the ones that
    /// failed are in `completed` and settled by now, so the others are done.
    pub(crate) fn settle_sends(&mut self, completed: &[cqueue::Entry]) -> io::Result<()> {
        for completion in completed {
            if let Operation::Send(index) = Operation::from_user_data(completion.user_data()) {
                self.on_send(index, completion.result())?;
            }
        }
        let mut unconfirmed = mem::take(&mut self.unconfirmed);
        for index in unconfirmed.drain(..) {
            let connection = &mut self.connections[index];
            if connection.in_flight == InFlight::PiecesUnconfirmed {
                connection.in_flight = InFlight::Nothing;
                connection.outgoing.release(&mut self.buffers, &mut self.spares);
                self.after_send(index)?;
            }
        }
        self.unconfirmed = unconfirmed;
        Ok(())
    }

    pub(crate) fn on_send(&mut self, index: u32, result: i32) -> io::Result<()> {
        let connection = &mut self.connections[index];
        let in_flight = mem::take(&mut connection.in_flight);
        let sent = match -result {
            // No sign is lost.
            ..=0 => result as usize,
            libc::EAGAIN | libc::EINTR => 0,
            _ => {
                self.break_off(index)?;
                return self.settle(index);
            }
        };
        match in_flight {
            InFlight::Pieces | InFlight::PiecesUnconfirmed => {
                let unsent = connection.outgoing.unsent(sent, &self.buffers);
                connection.outgoing.release(&mut self.buffers, &mut self.spares);
                if !unsent.is_empty() {
                    connection.put_before(unsent);
                }
            }
            InFlight::Copy => connection.flight_sent(sent),
            InFlight::Nothing => panic!("a send completed that was not in flight"),
        }
        self.after_send(index)
    }

    /// Goes on after a send has taken what it could.
    fn after_send(&mut self, index: u32) -> io::Result<()> {
        let connection = &self.connections[index];
        if connection.broken {
            self.break_off(index)?;
        } else if connection.has_waiting_bytes() {
            self.mark_dirty(index);
        }
        self.settle(index)
    }
}
