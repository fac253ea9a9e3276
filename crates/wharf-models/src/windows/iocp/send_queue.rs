//! The send queue: what is to be sent waits here while one send is in flight, and goes out with the next, all
//! together.
//!
//! Two sends in flight would be in order for the kernel and might finish on two threads in any order; one
//! keeps order by itself. It also makes one system call of many messages: to copy some bytes costs less than
//! to lock a page and to queue an operation.

use std::collections::VecDeque;

use windows_sys::Win32::Networking::WinSock::WSABUF;

use crate::windows::winsock::length;

/// How many bytes wait at most, those in flight included.
const QUEUE_BYTES: usize = 64 * 1024;
/// How many packets one send gathers.
pub(super) const GATHER_MAX: usize = 64;

/// What is to be sent.
#[derive(Default)]
pub(super) struct SendQueue {
    waiting: VecDeque<Box<[u8]>>,
    /// What the kernel has. It stays where it is until the send is done.
    in_flight: Vec<Box<[u8]>>,
    bytes: usize,
}

impl SendQueue {
    /// Copies as much as there is room for: how many bytes that is.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(QUEUE_BYTES - self.bytes);
        if taken > 0 {
            self.waiting.push_back(bytes[..taken].into());
            self.bytes += taken;
        }
        taken
    }

    pub(super) const fn is_sending(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// What goes with the next send: how many buffers, none if nothing waits. They are the kernel's until
    /// [`finish`](Self::finish).
    pub(super) fn start(&mut self, buffers: &mut [WSABUF; GATHER_MAX]) -> usize {
        assert!(!self.is_sending(), "a second send");
        let count = self.waiting.len().min(GATHER_MAX);
        self.in_flight.extend(self.waiting.drain(..count));
        for (buffer, packet) in buffers.iter_mut().zip(&self.in_flight) {
            *buffer = WSABUF { len: length(packet.len()), buf: packet.as_ptr().cast_mut() };
        }
        count
    }

    /// The send is over: how many bytes it had.
    pub(super) fn finish(&mut self) -> usize {
        let sent = self.in_flight.drain(..).map(|packet| packet.len()).sum();
        self.bytes -= sent;
        sent
    }
}
