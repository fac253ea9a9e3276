//! The loop, and what ends a connection.

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use bench_common::Mode;
use io_uring::squeue::{self, Flags};
use io_uring::{cqueue, opcode, types};

use crate::buffers::Buffers;
use crate::connection::{Connections, InFlight};
use crate::outgoing::Spares;
use crate::ring::{Operation, Ring};

/// What the command line decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) mode: Mode,
    pub(crate) buffers: u16,
    pub(crate) buffer_bytes: u32,
    /// Size of the table of direct descriptors; none: plain descriptors.
    pub(crate) direct_descriptors: Option<u32>,
    pub(crate) skip: bool,
}

/// The server. The methods are spread over `accept`, `receive` and `send`.
pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) ring: Ring,
    pub(crate) buffers: Buffers,
    pub(crate) connections: Connections,
    pub(crate) listener: i32,
    /// The accept found no descriptor; armed again when a connection has closed.
    pub(crate) accept_parked: bool,
    /// Flag of operations on connections: direct descriptor or not.
    pub(crate) descriptor_flag: Flags,
    /// Connections to stage a send for at the end of the turn.
    pub(crate) dirty: Vec<u32>,
    /// Connections whose receive found no buffer, in order.
    pub(crate) parked: VecDeque<u32>,
    /// Connections with a send that gives no completion if it succeeds.
    pub(crate) unconfirmed: Vec<u32>,
    pub(crate) spares: Spares,
    /// Frames of this turn that everybody gets.
    pub(crate) spoken: Vec<u8>,
}

impl Server {
    /// Sets everything up and stages the accept.
    pub(crate) fn new(listener: &TcpListener, options: Options) -> io::Result<Self> {
        let ring = Ring::new()?;
        let mut descriptor_flag = Flags::empty();
        if let Some(count) = options.direct_descriptors {
            ring.register_descriptors(count)?;
            descriptor_flag = Flags::FIXED_FILE;
        }
        let buffers = Buffers::register(&ring, options.buffers, options.buffer_bytes)?;
        let mut server = Self {
            options,
            ring,
            buffers,
            connections: Connections::default(),
            listener: listener.as_raw_fd(),
            accept_parked: false,
            descriptor_flag,
            dirty: Vec::new(),
            parked: VecDeque::new(),
            unconfirmed: Vec::new(),
            spares: Spares::new(),
            spoken: Vec::new(),
        };
        server.arm_accept()?;
        Ok(server)
    }

    /// Serves until the kernel refuses.
    pub(crate) fn run(&mut self) -> io::Result<()> {
        let mut completed = Vec::new();
        loop {
            completed.clear();
            self.ring.enter(&mut completed)?;
            let sends_first = !self.unconfirmed.is_empty();
            if sends_first {
                self.settle_sends(&completed)?;
            }
            for completion in &completed {
                self.complete(completion, sends_first)?;
            }
            self.deliver()?;
            self.stage_sends()?;
            self.buffers.publish();
            self.arm_parked()?;
        }
    }

    fn complete(&mut self, completion: &cqueue::Entry, sends_settled: bool) -> io::Result<()> {
        let (result, flags) = (completion.result(), completion.flags());
        match Operation::from_user_data(completion.user_data()) {
            Operation::Receive(index) => self.on_receive(index, result, flags),
            Operation::Send(_) if sends_settled => Ok(()),
            Operation::Send(index) => self.on_send(index, result),
            Operation::Shutdown(index) => self.on_shutdown(index),
            Operation::Accept => self.on_accept(result, flags),
            Operation::Ignored => Ok(()),
        }
    }

    /// Stages an operation that needs no memory of ours.
    pub(crate) fn stage(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: every caller passes an entry without pointers.
        unsafe { self.ring.stage(entry) }
    }

    /// Gives up a connection: nothing is sent on it any more.
    pub(crate) fn break_off(&mut self, index: u32) -> io::Result<()> {
        let connection = &mut self.connections[index];
        if connection.in_flight == InFlight::Nothing {
            connection.outgoing.release(&mut self.buffers, &mut self.spares);
            connection.cold = None;
        }
        if connection.broken {
            return Ok(());
        }
        connection.broken = true;
        if !connection.receiving && connection.in_flight == InFlight::Nothing {
            return Ok(());
        }
        // Ends both. The kernel does it on a thread of its own and looks the descriptor up only
        // there, so the close has to wait for it, or it would hit whoever has got the number next.
        connection.shutting_down = true;
        let entry = opcode::Shutdown::new(types::Fd(connection.descriptor), libc::SHUT_RDWR)
            .build()
            .flags(self.descriptor_flag)
            .user_data(Operation::Shutdown(index).to_user_data());
        self.stage(&entry)
    }

    fn on_shutdown(&mut self, index: u32) -> io::Result<()> {
        self.connections[index].shutting_down = false;
        self.settle(index)
    }

    /// Decides what comes next for a connection of which an operation has ended: it is read again,
    /// closed, or left to what is still under way.
    pub(crate) fn settle(&mut self, index: u32) -> io::Result<()> {
        let connection = &self.connections[index];
        if connection.receiving || connection.parked {
            return Ok(());
        }
        if !connection.broken && !connection.ended {
            if connection.can_read_again() {
                self.arm_receive(index)?;
            }
            return Ok(());
        }
        let idle = connection.in_flight == InFlight::Nothing && !connection.shutting_down;
        if idle && (connection.broken || !connection.has_unsent()) {
            self.close(index)?;
        }
        Ok(())
    }

    fn close(&mut self, index: u32) -> io::Result<()> {
        let descriptor = self.connections[index].descriptor;
        let entry = match self.options.direct_descriptors {
            // No sign is lost: the kernel gave us this index.
            Some(_) => opcode::Close::new(types::Fixed(descriptor as u32)).build(),
            None => opcode::Close::new(types::Fd(descriptor)).build(),
        };
        self.stage(&entry.flags(Flags::SKIP_SUCCESS))?;
        self.connections.remove(index);
        if self.accept_parked {
            self.arm_accept()?;
        }
        Ok(())
    }
}
