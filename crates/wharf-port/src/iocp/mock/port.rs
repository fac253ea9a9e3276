//! Completion ports, and how the time passes.

use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_ABANDONED_WAIT_0;
use windows_sys::Win32::System::IO::OVERLAPPED_ENTRY;

use super::World;
use super::kernel::{Event, Kernel, Packet, Queue};
use super::memory::Operation;
use crate::clock::monotonic_now;
use crate::iocp::Code;

/// How long a test's own thread waits for other threads, of the time that there is.
const GRACE: Duration = Duration::from_millis(20);

impl World {
    /// On the thread of the test, time passes at once: up to what happens next, or to the end of the
    /// wait. On others, and where others run, it is real.
    pub(super) fn dequeue(
        &self,
        port: usize,
        entries: &mut [OVERLAPPED_ENTRY],
        timeout: Option<Duration>,
    ) -> Result<usize, Code> {
        let mut kernel = self.lock();
        assert!(!kernel.switches.panics, "a bug");
        let is_home = self.is_home();
        let until = timeout.map(|timeout| kernel.clock + kernel.rounded(timeout));
        let mut has_waited = false;
        loop {
            kernel.happen();
            let count = kernel.dequeue(port, entries)?;
            if count > 0 {
                drop(kernel);
                self.changed.notify_all();
                return Ok(count);
            }
            if !is_home {
                let most = timeout.unwrap_or(Duration::MAX);
                let (after, passed) = self.pause(kernel, most);
                kernel = after;
                if passed {
                    return Err(Code::TIMED_OUT);
                }
            } else if kernel.switches.threads && !has_waited && timeout != Some(Duration::ZERO) {
                let begun = monotonic_now();
                let (after, passed) = self.pause(kernel, GRACE);
                kernel = after;
                kernel.clock += monotonic_now() - begun;
                has_waited = passed;
            } else {
                let Some(until) = until else { kernel.offence("a wait without an end".to_owned()) };
                let next = kernel.next_event().filter(|at| *at <= until);
                kernel.clock = kernel.clock.max(next.unwrap_or(until));
                if next.is_none() {
                    return Err(Code::TIMED_OUT);
                }
            }
        }
    }
}

impl Kernel {
    pub(super) fn open_port(&mut self) -> usize {
        let number = self.ports.last_key_value().map_or(1, |(last, _)| last + 1);
        self.ports.insert(number, Queue::default());
        number
    }

    pub(super) fn close_port(&mut self, number: usize) {
        if let Some(queue) = self.ports.remove(&number) {
            for packet in queue.packets {
                self.on_their_way.remove(&packet.operation.0.addr());
            }
        }
    }

    pub(super) fn post(&mut self, port: usize, key: usize, bytes: u32, operation: Operation) {
        self.queue(port, Packet { key, operation, bytes, status: 0 });
    }

    fn rounded(&self, timeout: Duration) -> Duration {
        let tick = self.switches.tick;
        let ticks = timeout.as_nanos().div_ceil(tick.as_nanos());
        tick * u32::try_from(ticks).unwrap_or(u32::MAX)
    }

    fn dequeue(&mut self, port: usize, entries: &mut [OVERLAPPED_ENTRY]) -> Result<usize, Code> {
        let Some(queue) = self.ports.get_mut(&port).filter(|queue| !queue.is_abandoned) else {
            return Err(Code(ERROR_ABANDONED_WAIT_0));
        };
        let mut count = 0;
        for entry in entries {
            let Some(packet) = queue.packets.pop_front() else { break };
            self.on_their_way.remove(&packet.operation.0.addr());
            *entry = OVERLAPPED_ENTRY {
                lpCompletionKey: packet.key,
                lpOverlapped: packet.operation.0,
                Internal: packet.status,
                dwNumberOfBytesTransferred: packet.bytes,
            };
            count += 1;
        }
        self.counts.dequeues += usize::from(count > 0);
        Ok(count)
    }

    /// A packet of a timer's takes the place of the one before.
    pub(super) fn set_timer(&mut self, port: usize, after: Duration, key: usize) {
        self.counts.timers_set += 1;
        self.forget_packets(port, key);
        let operation = Operation(std::ptr::null_mut());
        let packet = Packet { key, operation, bytes: 0, status: 0 };
        self.after(after, Event::Packet { port, packet });
    }
}
