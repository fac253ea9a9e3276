//! The threads that run deferred jobs. There is none until there is a job; each lives until the server ends.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, JoinHandle};

use super::DeferError;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::unwinding::drop_quietly;

/// A job with everything that it needs. It does not panic.
type Job = Box<dyn FnOnce() + Send>;

pub(crate) struct Pool {
    jobs: Mutex<Jobs>,
    more: Condvar,
    /// None where the jobs are run by hand.
    threads_max: usize,
    jobs_max: usize,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    /// Jobs that wait or run, or whose results wait for their workers.
    outstanding: usize,
    /// Threads that wait for a job.
    idle: usize,
    threads: Vec<JoinHandle<()>>,
    ended: bool,
}

/// One of the jobs that there may be.
#[derive(Debug)]
pub(crate) struct Place(Arc<Pool>);

impl Pool {
    /// With no threads, the jobs wait until they are [run by hand](Self::run).
    pub(crate) fn new(threads_max: usize, jobs_max: usize) -> Self {
        Self { jobs: Mutex::default(), more: Condvar::new(), threads_max, jobs_max }
    }

    /// Takes a job in, unless there are too many.
    pub(crate) fn put(self: &Arc<Self>, make: impl FnOnce(Place) -> Job) -> Result<(), DeferError> {
        {
            let mut jobs = self.jobs();
            if jobs.ended {
                return Err(DeferError::Ended);
            }
            if jobs.outstanding >= self.jobs_max {
                return Err(DeferError::Full { jobs_max: self.jobs_max });
            }
            self.have_a_thread(&mut jobs)?;
            jobs.outstanding += 1;
            jobs.waiting.push_back(make(Place(Arc::clone(self))));
        }
        self.more.notify_one();
        Ok(())
    }

    /// Starts one more thread if none is free and there may be more.
    fn have_a_thread(self: &Arc<Self>, jobs: &mut Jobs) -> Result<(), DeferError> {
        if jobs.idle > jobs.waiting.len() || jobs.threads.len() >= self.threads_max {
            return Ok(());
        }
        let pool = Arc::clone(self);
        let name = format!("wharf-deferred-{}", jobs.threads.len());
        match Builder::new().name(name).spawn(move || pool.work()) {
            Ok(thread) => jobs.threads.push(thread),
            Err(error) if jobs.threads.is_empty() => return Err(DeferError::Thread(error)),
            // Those that there are get to it.
            Err(_) => {}
        }
        Ok(())
    }

    /// The life of a thread.
    fn work(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs();
        loop {
            if jobs.ended {
                return None;
            }
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            jobs.idle += 1;
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
            jobs.idle -= 1;
        }
    }

    /// Runs one of the jobs that wait, on this thread; false if there is none at this place.
    pub(crate) fn run(&self, index: usize) -> bool {
        let job = self.jobs().waiting.remove(index);
        job.map(|job| job()).is_some()
    }

    /// Jobs that no thread has begun with.
    pub(crate) fn waiting(&self) -> usize {
        self.jobs().waiting.len()
    }

    /// Jobs that wait or run, or whose results wait for their workers.
    pub(crate) fn outstanding(&self) -> usize {
        self.jobs().outstanding
    }

    /// Drops the jobs that wait, and returns when those that run have ended and every thread has.
    pub(crate) fn end(&self) {
        let (waiting, threads) = {
            let mut jobs = self.jobs();
            jobs.ended = true;
            (std::mem::take(&mut jobs.waiting), std::mem::take(&mut jobs.threads))
        };
        self.more.notify_all();
        // They are users' code, which may panic or defer more.
        waiting.into_iter().for_each(|job| {
            drop_quietly(job);
        });
        for thread in threads {
            // None panics: a job's panic ends within the job.
            let _ = thread.join();
        }
    }

    /// No panic happens under this lock.
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.jobs().outstanding -= 1;
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.jobs();
        f.debug_struct("Pool")
            .field("waiting", &jobs.waiting.len())
            .field("outstanding", &jobs.outstanding)
            .field("threads", &jobs.threads.len())
            .finish_non_exhaustive()
    }
}
