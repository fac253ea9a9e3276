//! The io_uring: staging of operations, the one kernel entry of a turn, and what came back.

use std::io;

use io_uring::{IoUring, cqueue, squeue};

/// Operations that can be staged before the kernel has to be entered early.
const SUBMISSIONS: u32 = 1024;

/// Completions that fit before the kernel has to keep them for us.
const COMPLETIONS: u32 = 8192;

/// Whose completion it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    /// Nobody waits for it: close, cancel.
    Ignored,
    /// The multishot accept.
    Accept,
    /// The multishot receive of a connection.
    Receive(u32),
    /// The send of a connection.
    Send(u32),
    /// The shutdown of a connection.
    Shutdown(u32),
}

impl Operation {
    /// As the number that travels through the kernel.
    pub(crate) fn to_user_data(self) -> u64 {
        let (kind, index) = match self {
            Self::Ignored => (0, 0),
            Self::Accept => (1, 0),
            Self::Receive(index) => (2, index),
            Self::Send(index) => (3, index),
            Self::Shutdown(index) => (4, index),
        };
        kind << 32 | u64::from(index)
    }

    /// Back from the number.
    pub(crate) fn from_user_data(user_data: u64) -> Self {
        // Truncation takes the index out of the lower half.
        let index = user_data as u32;
        match user_data >> 32 {
            1 => Self::Accept,
            2 => Self::Receive(index),
            3 => Self::Send(index),
            4 => Self::Shutdown(index),
            _ => Self::Ignored,
        }
    }
}

/// The io_uring of this thread.
pub(crate) struct Ring {
    uring: IoUring,
}

impl Ring {
    pub(crate) fn new() -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(SUBMISSIONS)?;
        Ok(Self { uring })
    }

    /// Makes room for `count` direct descriptors.
    pub(crate) fn register_descriptors(&self, count: u32) -> io::Result<()> {
        self.uring.submitter().register_files_sparse(count)
    }

    /// Registers a ring of provided buffers.
    ///
    /// # Safety
    /// `entries` is the page-aligned address of `count` entries that live as long as the process.
    pub(crate) unsafe fn register_buffers(
        &self,
        entries: u64,
        count: u16,
        group: u16,
    ) -> io::Result<()> {
        // SAFETY: the caller keeps it.
        unsafe { self.uring.submitter().register_buf_ring_with_flags(entries, count, group, 0) }
    }

    /// Stages an operation; the next [`Ring::enter`] submits it.
    ///
    /// # Safety
    /// The memory that the entry points to stays valid and is not written to until its last
    /// completion, or, with `SKIP_SUCCESS`, until [`Ring::enter`] has returned without one.
    pub(crate) unsafe fn stage(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        while self.uring.submission().is_full() {
            retry_later(self.uring.submit())?;
        }
        // SAFETY: the caller keeps it.
        let staged = unsafe { self.uring.submission().push(entry) };
        staged.map_err(io::Error::other)
    }

    /// Submits everything staged, waits for a completion and moves all there are to `completed`.
    ///
    /// When it returns, the kernel has seen every staged operation, and each one that has finished
    /// at once has its completion in `completed` unless it asked for none.
    pub(crate) fn enter(&mut self, completed: &mut Vec<cqueue::Entry>) -> io::Result<()> {
        loop {
            let wait_for = usize::from(completed.is_empty());
            retry_later(self.uring.submit_and_wait(wait_for))?;
            completed.extend(self.uring.completion());
            // More than fits: the kernel hands out the rest when asked again. And should it lack
            // the memory for all of the operations, it has left some.
            let submissions = self.uring.submission();
            if submissions.is_empty() && !submissions.cq_overflow() {
                return Ok(());
            }
        }
    }
}

/// A signal, or a shortage that passes: the caller goes round again.
fn retry_later(entered: io::Result<usize>) -> io::Result<()> {
    match entered {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
            _ => Err(error),
        },
    }
}
