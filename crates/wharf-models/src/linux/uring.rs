//! What both uses of io_uring share: staging, the one call of a turn, and what came back.

use std::io;

use io_uring::{IoUring, cqueue, squeue};

use crate::ModelError;

/// Operations that can be staged before the kernel has to be entered early.
pub(super) const SUBMISSIONS: u32 = 1024;
/// Completions that fit; those beyond wait in the kernel.
pub(super) const COMPLETIONS: u32 = 8192;

/// The two queues that are shared with the kernel.
pub(super) struct Ring(IoUring);

impl Ring {
    pub(super) fn new(builder: &mut io_uring::Builder) -> Result<Self, ModelError> {
        let ring = builder.setup_cqsize(COMPLETIONS).build(SUBMISSIONS);
        ring.map(Self).map_err(ModelError::of("io_uring_setup"))
    }

    pub(super) fn submitter(&self) -> io_uring::Submitter<'_> {
        self.0.submitter()
    }

    /// Stages an operation; the next turn submits it.
    ///
    /// # Safety
    /// The memory and the descriptor that it names stay as they are until its last completion.
    pub(super) unsafe fn stage(&mut self, entry: &squeue::Entry) -> Result<(), ModelError> {
        while self.0.submission().is_full() {
            retry_later(self.0.submit())?;
        }
        // SAFETY: the caller keeps it.
        let staged = unsafe { self.0.submission().push(entry) };
        staged.map_err(|error| ModelError::of("io_uring_enter")(io::Error::other(error)))
    }

    /// Submits what is staged, waits until something has finished, and puts all that has into `completed`.
    pub(super) fn turn(&mut self, completed: &mut Vec<cqueue::Entry>) -> Result<(), ModelError> {
        completed.clear();
        while completed.is_empty() {
            retry_later(self.0.submit_and_wait(1))?;
            completed.extend(self.0.completion());
        }
        Ok(())
    }
}

/// A signal, or a shortage that passes: the caller goes round again.
fn retry_later(entered: io::Result<usize>) -> Result<(), ModelError> {
    match entered {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR | libc::EAGAIN | libc::EBUSY) => Ok(()),
            _ => Err(ModelError::of("io_uring_enter")(error)),
        },
    }
}
