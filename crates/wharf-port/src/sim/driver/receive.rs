//! Receiving: what lies with the kernel is read into the pool's buffers when the kernel says so.

use std::collections::VecDeque;

use super::connection::{InKernel, Incoming};
use super::{Sim, lookup};
use crate::buffer::BufferPool;
use crate::completion::{Completion, Direction, Received};
use crate::error::{ReceiveError, UnknownSocket};
use crate::ids::SocketId;
use crate::sim::faults::FaultKind;
use crate::sim::world::{EndId, Failure, World};

impl From<Failure> for ReceiveError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Reset | Failure::Broken => Self::Reset,
            Failure::TimedOut => Self::TimedOut,
        }
    }
}

impl Received {
    const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}

/// What was read.
enum Read {
    Bytes(usize),
    End,
    Failed(ReceiveError),
    Nothing,
}

impl Sim {
    pub(crate) fn receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        let connection = lookup(&mut self.connections, id)?;
        assert!(!connection.is_closing(), "receive on {id:?}, which is closing");
        assert!(connection.incoming == Incoming::Idle, "{id:?} has a receive in flight");
        connection.incoming = Incoming::Started;
        self.operations += 1;
        self.stage(id)
    }

    pub(crate) fn pause_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        lookup(&mut self.connections, id)?.paused = true;
        self.take_out_what_is_not_taken(id);
        self.stage(id)
    }

    /// What has been made and not been taken when a socket pauses waits as what comes late does.
    fn take_out_what_is_not_taken(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let mut late = VecDeque::new();
        for completion in std::mem::take(&mut self.done) {
            match completion {
                Completion::Received { socket, what: Received::Data(lease) } if socket == id => {
                    late.push_back(lease.copied_out());
                }
                Completion::Received { socket, what } if socket == id && !what.is_cancelled() => {
                    if connection.is_closing() {
                        // Its last completion may lie behind this one, which is final as it is.
                        let what = Received::Cancelled;
                        self.done.push_back(Completion::Received { socket, what });
                    } else {
                        connection.late_end = Some(what);
                        connection.incoming = Incoming::Started;
                    }
                }
                other => self.done.push_back(other),
            }
        }
        late.append(&mut connection.late);
        connection.late = late;
    }

    pub(crate) fn resume_receive(&mut self, id: SocketId) -> Result<(), UnknownSocket> {
        lookup(&mut self.connections, id)?.paused = false;
        self.stage(id)
    }

    /// Brings a receive one step further: delivers what has waited, arms it, takes it back, ends it.
    pub(super) fn tend_receive(&mut self, world: &mut World, id: SocketId) {
        self.deliver_what_waited(id);
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if !connection.is_receiving() {
            return;
        }
        let wanted = connection.wants_to_receive();
        if wanted && !connection.paused {
            if connection.receive.armed.is_none() && !connection.parked {
                connection.receive = InKernel::armed(world.arm(connection.end, Direction::Receive));
            }
            return;
        }
        self.take_receive_back(world, id, wanted);
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if !wanted && connection.receive.armed.is_none() {
            if std::mem::take(&mut connection.parked) {
                self.parked.retain(|other| *other != id);
            }
            connection.incoming = Incoming::Ended;
            self.done.push_back(Completion::Received { socket: id, what: Received::Cancelled });
        }
    }

    fn deliver_what_waited(&mut self, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.paused || !connection.wants_to_receive() {
            return;
        }
        let socket = id;
        while let Some(lease) = connection.late.pop_front() {
            self.done.push_back(Completion::Received { socket, what: Received::Data(lease) });
        }
        if let Some(what) = connection.late_end.take() {
            connection.incoming = Incoming::Ended;
            self.done.push_back(Completion::Received { socket, what });
        }
    }

    /// Has the kernel give up a receive that is paused or not wanted any more.
    fn take_receive_back(&mut self, world: &mut World, id: SocketId, wanted: bool) {
        let habits = self.personality;
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let Some(number) = connection.receive.armed else { return };
        if wanted && !habits.pauses_by_cancel() && !habits.cancels_at_once() {
            // What is armed is left to finish; what it brings is kept.
            return;
        }
        if habits.cancels_at_once() {
            world.disarm(connection.end, Direction::Receive);
            connection.receive.armed = None;
        } else if !connection.receive.cancelling {
            connection.receive.cancelling = true;
            world.cancel(connection.end, Direction::Receive, number);
        }
    }

    /// The kernel has something for a receive.
    pub(super) fn may_receive(
        &mut self,
        world: &mut World,
        id: SocketId,
        number: u32,
        stays_armed: bool,
    ) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.receive.armed != Some(number) {
            return;
        }
        if !stays_armed {
            connection.receive = InKernel::default();
            self.stats.rearmed += u64::from(self.personality.stays_armed());
        }
        self.receive_some(world, id);
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if connection.receive.armed.is_some() && !connection.parked {
            world.stay_armed(connection.end, Direction::Receive);
        }
    }

    /// Reads once, into a buffer of the pool; without one the receive waits.
    fn receive_some(&mut self, world: &mut World, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        if !connection.is_receiving() || connection.parked {
            return;
        }
        let short = world.chance(FaultKind::BufferShortage);
        let Some(buffer) = self.pool.lend() else { return self.park(world, id) };
        if short {
            self.pool.take_back(buffer);
            return self.park(world, id);
        }
        match read(world, connection.end, &self.pool, buffer) {
            Read::Bytes(count) => {
                let lease = self.pool.lease(buffer, count);
                if connection.has_to_wait() {
                    connection.late.push_back(lease.copied_out());
                } else {
                    let what = Received::Data(lease);
                    self.done.push_back(Completion::Received { socket: id, what });
                }
            }
            Read::End => {
                self.pool.take_back(buffer);
                self.receive_is_over(world, id);
            }
            Read::Failed(failure) => {
                self.pool.take_back(buffer);
                connection.failure = Some(failure);
                self.receive_is_over(world, id);
            }
            Read::Nothing => self.pool.take_back(buffer),
        }
    }

    fn receive_is_over(&mut self, world: &mut World, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        let what = connection.failure.map_or(Received::End, Received::Failed);
        world.disarm(connection.end, Direction::Receive);
        connection.receive = InKernel::default();
        if !connection.has_to_wait() {
            connection.incoming = Incoming::Ended;
            self.done.push_back(Completion::Received { socket: id, what });
        } else if connection.wants_to_receive() {
            connection.late_end = Some(what);
        }
        // Otherwise it ends as cancelled, and the next receive meets the same again, behind the bytes.
    }

    /// The kernel has found no buffer: that ends what was armed.
    fn park(&mut self, world: &mut World, id: SocketId) {
        let Ok(connection) = lookup(&mut self.connections, id) else { return };
        world.disarm(connection.end, Direction::Receive);
        connection.receive = InKernel::default();
        connection.parked = true;
        self.parked.push_back(id);
        self.stats.buffer_shortages += 1;
    }

    /// Arms those again that found no buffer, as many as there are buffers now.
    pub(super) fn serve_parked(&mut self, world: &mut World) {
        for _ in 0..self.parked.len().min(self.pool.free()) {
            let Some(id) = self.parked.pop_front() else { return };
            let Ok(connection) = lookup(&mut self.connections, id) else { continue };
            connection.parked = false;
            self.tend(world, id);
        }
    }
}

fn read(world: &mut World, end: EndId, pool: &BufferPool, buffer: u16) -> Read {
    let start = pool.start_of(buffer).as_ptr();
    // SAFETY: `buffer_bytes` initialised bytes lie there, and they are ours alone for as long as the
    // slice lives: the buffer is lent, so no lease of it exists, and the pool stays borrowed.
    let bytes = unsafe { std::slice::from_raw_parts_mut(start, pool.buffer_bytes()) };
    match world.read(end, bytes) {
        Some(Ok(0)) => Read::End,
        Some(Ok(count)) => Read::Bytes(count),
        Some(Err(failure)) => Read::Failed(failure.into()),
        None => Read::Nothing,
    }
}
