//! One `io_uring`: staging, entering the kernel, and taking what it has finished.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, squeue};
use rustix::io::Errno;

use super::token::Token;
use crate::options::UringFeatures;

/// Submissions that go to the kernel with one entry; more are kept and follow at once.
const SUBMISSION_QUEUE: u32 = 256;
/// `IORING_ENTER_GETEVENTS` of `io_uring_enter(2)`: run task work, deliver completions.
const ENTER_GETEVENTS: u32 = 1;
/// `IORING_ENTER_EXT_ARG`: the argument is an `io_uring_getevents_arg`.
const ENTER_EXT_ARG: u32 = 8;
/// How long a port rests when the kernel takes no submissions.
const REST: Duration = Duration::from_millis(1);
/// Entries that flush completions which did not fit, in one wait.
const OVERFLOW_ROUNDS: u32 = 64;

/// A result from the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) token: Token,
    pub(super) result: i32,
    pub(super) flags: u32,
}

impl Outcome {
    /// Whether its operation goes on.
    pub(super) fn more(&self) -> bool {
        io_uring::cqueue::more(self.flags)
    }

    /// The provided buffer that it used.
    pub(super) fn buffer(&self) -> Option<u16> {
        io_uring::cqueue::buffer_select(self.flags)
    }

    pub(super) fn checked(&self) -> Result<usize, Errno> {
        usize::try_from(self.result).map_err(|_| Errno::from_raw_os_error(-self.result))
    }
}

/// What one entry into the kernel met.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Entered {
    /// The kernel refused submissions for the moment.
    pub(super) refused: bool,
    /// Completions had not fitted into the queue.
    pub(super) overflowed: bool,
}

pub(super) struct Ring {
    ring: IoUring,
    /// What did not fit into the submission queue, in order.
    backlog: VecDeque<squeue::Entry>,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("backlog", &self.backlog.len()).finish_non_exhaustive()
    }
}

impl Ring {
    /// Sets a ring up for the calling thread.
    pub(super) fn open(completion_queue: u32, features: UringFeatures) -> io::Result<Self> {
        let submission_queue = SUBMISSION_QUEUE.min(completion_queue);
        let mut builder = IoUring::builder();
        builder.setup_cqsize(completion_queue).setup_submit_all().dontfork();
        if features.defer_taskrun {
            builder.setup_single_issuer().setup_defer_taskrun();
            return Ok(Self::with(builder.build(submission_queue)?));
        }
        let plain = builder.clone();
        match builder.setup_coop_taskrun().build(submission_queue) {
            Ok(ring) => Ok(Self::with(ring)),
            // COOP_TASKRUN is younger (5.19) than what we need.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                Ok(Self::with(plain.build(submission_queue)?))
            }
            Err(error) => Err(error),
        }
    }

    const fn with(ring: IoUring) -> Self {
        Self { ring, backlog: VecDeque::new() }
    }

    pub(super) const fn inner(&self) -> &IoUring {
        &self.ring
    }

    /// Stages an operation for the next entry.
    ///
    /// # Safety
    /// What the entry points at (addresses, headers, bytes) must stay valid and in place until the
    /// kernel is done with it: headers and addresses until [`is_flushed`](Self::is_flushed) after an
    /// entry (the kernel copies them when it takes the entry), bytes until the final completion.
    pub(super) unsafe fn stage(&mut self, entry: squeue::Entry) {
        if self.backlog.is_empty() {
            // SAFETY: the caller keeps what the entry points at, by this function's own contract.
            let pushed = unsafe { self.ring.submission().push(&entry) };
            if pushed.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    /// Whether the kernel has taken every staged entry.
    pub(super) fn is_flushed(&mut self) -> bool {
        self.backlog.is_empty() && self.ring.submission().is_empty()
    }

    /// Hands every staged entry over and waits for a completion; `None` waits for as long as it
    /// takes, zero not at all. What is finished on the way is taken, so that it does not pile up in
    /// the kernel.
    pub(super) fn enter(
        &mut self,
        timeout: Option<Duration>,
        outcomes: &mut VecDeque<Outcome>,
    ) -> io::Result<Entered> {
        let mut entered = Entered::default();
        while !self.backlog.is_empty() {
            self.note(self.enter_once(Some(Duration::ZERO)), &mut entered)?;
            self.take(outcomes);
            if entered.refused || !self.refill() {
                return Ok(entered);
            }
        }
        let timeout = if outcomes.is_empty() { timeout } else { Some(Duration::ZERO) };
        self.note(self.enter_once(timeout), &mut entered)?;
        Ok(entered)
    }

    /// Rests for a moment, or until something completes: the kernel takes no submissions now.
    pub(super) fn rest(&self) -> io::Result<()> {
        let timespec = Timespec::from(REST);
        let arguments = SubmitArgs::new().timespec(&timespec);
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG;
        // SAFETY: the arguments and the time they point at outlive the call, which submits nothing.
        let waited = unsafe { self.ring.submitter().enter(0, 1, flags, Some(&arguments)) };
        match waited.map_err(|error| (error.raw_os_error().map(Errno::from_raw_os_error), error)) {
            Err((Some(Errno::TIME | Errno::INTR | Errno::AGAIN | Errno::BUSY), _)) | Ok(_) => {
                Ok(())
            }
            Err((_, error)) => Err(error),
        }
    }

    fn take(&mut self, outcomes: &mut VecDeque<Outcome>) {
        outcomes.extend(self.ring.completion().map(|entry| Outcome {
            token: Token(entry.user_data()),
            result: entry.result(),
            flags: entry.flags(),
        }));
    }

    /// Moves kept entries into the submission queue; false if there was no room for any.
    fn refill(&mut self) -> bool {
        let mut queue = self.ring.submission();
        let before = self.backlog.len();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: `stage` was promised that what the entry points at stays, and the entry has not
            // been handed over since.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
        self.backlog.len() < before
    }

    fn enter_once(&self, timeout: Option<Duration>) -> io::Result<usize> {
        let submitter = self.ring.submitter();
        match timeout {
            None => submitter.submit_and_wait(1),
            Some(Duration::ZERO) => {
                // SAFETY: a shared view is enough here: only the tail and the head are read, and this
                // thread is the ring's only user.
                let staged = unsafe { self.ring.submission_shared() }.len();
                let staged = u32::try_from(staged).unwrap_or(u32::MAX);
                // SAFETY: no argument is passed, and `staged` entries lie in the queue.
                unsafe { submitter.enter::<libc::sigset_t>(staged, 0, ENTER_GETEVENTS, None) }
            }
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
            }
        }
    }

    fn note(&mut self, result: io::Result<usize>, entered: &mut Entered) -> io::Result<()> {
        entered.overflowed |= self.ring.submission().cq_overflow();
        let Err(error) = result else { return Ok(()) };
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            // A time that has passed and a signal are no errors.
            Some(Errno::TIME | Errno::INTR) => Ok(()),
            // The kernel is short of memory for requests, or wants completions to be taken first.
            Some(Errno::AGAIN | Errno::BUSY) => {
                entered.refused = true;
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Takes everything that the kernel has finished, also what had not fitted into the queue. False
    /// if there is still more of that.
    pub(super) fn reap(&mut self, outcomes: &mut VecDeque<Outcome>) -> io::Result<bool> {
        for _ in 0..OVERFLOW_ROUNDS {
            self.take(outcomes);
            if !self.ring.submission().cq_overflow() {
                return Ok(true);
            }
            let mut entered = Entered::default();
            // SAFETY: no argument is passed, and nothing is submitted.
            let flushed = unsafe {
                self.ring.submitter().enter::<libc::sigset_t>(0, 0, ENTER_GETEVENTS, None)
            };
            self.note(flushed, &mut entered)?;
        }
        Ok(false)
    }
}
