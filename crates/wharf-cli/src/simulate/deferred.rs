//! Work that sessions defer: who gets what has come of it, how often, and how much of it there is.
//!
//! A message that is posted behind each result shows whether its session had to get it: who is open for the
//! one was open for the other.

use wharf::{Context, DeferError, OnMessage, Outcome, SessionId};

use super::panics;
use super::record::{Book, ClientNumber, Record};
use super::run::{Checked, Simulation, TURNS_TO_HEAR, violated};
use super::service::Service;

/// A job, by its number.
type JobNumber = usize;

/// All jobs of a run.
#[derive(Default)]
pub(super) struct Deferred {
    jobs: Vec<Job>,
    /// Jobs that wait, or whose results have not come.
    on_the_way: usize,
    /// The turns of workers after which these have heard of jobs that panicked.
    panics_told: Vec<(usize, u64)>,
    /// The last that has run.
    last: Option<JobNumber>,
    works: usize,
}

struct Job {
    session: SessionId,
    client: ClientNumber,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Waits,
    Ran,
    Panicked,
    Delivered,
    /// Its session had ended, or its server.
    Dropped,
}

/// What a job is made of, and its result as well. The record notes when it is dropped.
struct Work {
    job: JobNumber,
    record: Record,
}

/// Comes behind the result of a job.
pub(super) struct Behind(JobNumber);

impl Deferred {
    /// How many works hold the record.
    pub(super) const fn works(&self) -> usize {
        self.works
    }

    fn change(&mut self, job: JobNumber, to: State) {
        let state = &mut self.jobs[job].state;
        let is_on_the_way = |state| matches!(state, State::Waits | State::Ran);
        let (before, after) = (is_on_the_way(*state), is_on_the_way(to));
        *state = to;
        self.on_the_way = self.on_the_way + usize::from(after) - usize::from(before);
    }

    /// Forgets the panics that workers have heard of by now.
    fn settle(&mut self, turns: &[u64]) {
        self.panics_told.retain(|(worker, at)| turns[*worker] < *at);
    }
}

impl Book {
    fn job_is_deferred(&mut self, client: ClientNumber, session: SessionId) -> JobNumber {
        self.deferred.jobs.push(Job { session, client, state: State::Waits });
        self.deferred.on_the_way += 1;
        self.deferred.works += 1;
        self.deferred.jobs.len() - 1
    }

    /// A job was taken, or not.
    fn job_was_put(&mut self, put: &Result<(), DeferError>) {
        let Deferred { on_the_way, panics_told, .. } = &self.deferred;
        let (least, most) = (*on_the_way, on_the_way + panics_told.len());
        match put {
            Ok(()) => self.marks.count("job deferred"),
            Err(DeferError::Full { jobs_max }) if most >= *jobs_max => {
                self.marks.count("job refused: full");
            }
            Err(error) => {
                self.violate("I14", || format!("a job is refused, and {least} there are: {error}"));
            }
        }
    }

    /// A job runs; whether it is to panic.
    fn job_runs(&mut self, job: JobNumber) -> bool {
        let Job { client, state, .. } = self.deferred.jobs[job];
        if state != State::Waits {
            self.violate("I14", || format!("job {job} runs, and was {state:?}"));
        }
        self.deferred.last = Some(job);
        let panics = self.calm.is_none() && job % 8 == 5;
        self.deferred.change(job, if panics { State::Panicked } else { State::Ran });
        if panics {
            self.marks.count("job panicked");
            self.is_doomed(client);
        }
        panics
    }

    fn work_is_dropped(&mut self, job: JobNumber) {
        self.deferred.works -= 1;
        let state = self.deferred.jobs[job].state;
        if state == State::Ran {
            self.marks.count("result dropped");
        }
        if matches!(state, State::Waits | State::Ran) {
            self.deferred.change(job, State::Dropped);
        }
    }

    fn result_arrives(&mut self, client: ClientNumber, id: SessionId, job: JobNumber) {
        self.marks.count("result delivered");
        let Job { session, client: meant, state } = self.deferred.jobs[job];
        if (session, meant) != (id, client) {
            return self.violate("I14", || {
                format!("client {client}: {id} gets the result of job {job} of {session}")
            });
        }
        if state != State::Ran {
            self.violate("I14", || format!("client {client}: job {job} was {state:?}"));
        }
        self.must_be_connected(client, "the result of a job");
        self.deferred.change(job, State::Delivered);
    }

    /// A message has come that was posted behind the result of a job.
    fn behind_result(&mut self, client: ClientNumber, job: JobNumber) {
        let state = self.deferred.jobs[job].state;
        if state == State::Delivered {
            self.marks.count("result was due to");
        } else {
            self.violate("I14", || {
                format!(
                    "client {client} is open behind the result of job {job}, which is {state:?}"
                )
            });
        }
    }
}

impl Work {
    fn run(self) -> Self {
        if self.record.with(|book| book.job_runs(self.job)) {
            panics::expected();
        }
        self
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.record.with(|book| book.work_is_dropped(self.job));
    }
}

impl Service {
    pub(super) fn defer(&self, ctx: &Context<'_>) {
        let job = self.record.with(|book| book.job_is_deferred(self.client, ctx.id()));
        let work = Work { job, record: self.record.clone() };
        let put =
            ctx.defer(|| work.run(), |service: &mut Self, ctx, work| service.hear(ctx, &work));
        self.record.with(|book| book.job_was_put(&put));
    }

    fn hear(&mut self, ctx: &mut Context<'_>, work: &Work) -> Outcome {
        self.record.with(|book| book.result_arrives(self.client, ctx.id(), work.job));
        if !self.is_due("the result of a job") {
            return Ok(());
        }
        match work.job % 8 {
            0..3 => self.send_own(ctx, 'J', 20),
            3 => self.defer(ctx),
            4 if self.record.with(|book| book.calm.is_none()) => {
                self.is_closing = true;
                return Err("the result of a job has asked it to fail".into());
            }
            _ => {}
        }
        Ok(())
    }
}

impl OnMessage<Behind> for Service {
    fn on_message(&mut self, _: &mut Context<'_>, behind: Behind) -> Outcome {
        if self.is_due("a message behind a result") {
            self.record.with(|book| book.behind_result(self.client, behind.0));
        }
        Ok(())
    }
}

impl Simulation {
    /// Runs one of the jobs that wait, if one does.
    pub(super) fn run_job(&mut self) -> Checked {
        let waiting = self.server.deferred();
        let index = self.dice.usize(..=waiting);
        self.record.with(|book| book.deferred.last = None);
        if self.server.run_deferred(index) != (index < waiting) {
            return violated("I14", format!("job {index} of {waiting} runs not, or one too many"));
        }
        let Some(job) = self.record.with(|book| book.deferred.last) else { return Ok(()) };
        let session = self.record.with(|book| {
            let Job { session, state, .. } = book.deferred.jobs[job];
            if state == State::Panicked {
                let told = self.turns[session.worker()] + TURNS_TO_HEAR;
                book.deferred.panics_told.push((session.worker(), told));
            }
            session
        });
        if let Ok(session) = self.server.handle().session(session).typed::<Service>() {
            session.post(Behind(job));
        }
        Ok(())
    }

    /// Runs what is left of the jobs of a server that has ended.
    pub(super) fn run_last_jobs(&mut self) -> Checked {
        while self.server.deferred() > 0 {
            self.mark("job outlived its server");
            self.run_job()?;
        }
        let (works, jobs) = (self.record.with(|book| book.deferred.works), self.server.handle());
        if works > 0 || jobs.deferred() > 0 {
            let jobs = jobs.deferred();
            return violated("I14", format!("{works} works, {jobs} jobs are left at the end"));
        }
        Ok(())
    }

    /// Looks after a turn how many jobs there are.
    pub(super) fn check_jobs(&self) -> Checked {
        let (least, most) = self.record.with(|book| {
            book.deferred.settle(&self.turns);
            let least = book.deferred.on_the_way;
            (least, least + book.deferred.panics_told.len())
        });
        let (jobs, max) = (self.server.handle().deferred(), self.plan.limits.deferred_max);
        if jobs < least || jobs > most.min(max) {
            return violated(
                "I14",
                format!("{jobs} jobs are on their way: {least} to {most}, and {max} at most"),
            );
        }
        Ok(())
    }
}
