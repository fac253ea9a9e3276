//! Deferred jobs: they hold up nobody, are bounded, and come back to their session or to nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use wharf::{Backend, Context, DeferError, Outcome, ServerError, Session, Time};

use crate::support::gate::{Gate, GatePost};
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, wait_until};

each_backend! {
    a_job_holds_up_neither_its_session_nor_others,
    jobs_begin_in_order_on_as_many_threads_as_there_may_be,
    jobs_beyond_the_maximum_are_refused_and_later_ones_taken,
    a_result_for_a_session_that_is_gone_is_dropped,
    a_job_that_panics_ends_its_session_alone,
    an_error_in_what_follows_a_job_closes_the_session,
    the_end_of_a_server_waits_for_what_runs_and_drops_what_waits,
    a_result_for_another_type_of_session_is_refused,
    a_stepped_server_runs_its_jobs_by_hand,
}

/// Defers what its frames say, and sends what has come of it; sends back everything else.
struct Asker(GatePost);

impl Session for Asker {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let gate = self.0.clone();
        let deferred = match frame {
            [b'j', b'o', b'b', ..] => {
                let answer = [b"done: ", frame].concat();
                let job = move || {
                    gate.wait();
                    answer
                };
                ctx.defer(job, |_: &mut Self, ctx, answer| {
                    ctx.send(&answer);
                    Ok(())
                })
            }
            b"panic" => ctx.defer(|| panic!("as the test wants it"), |_: &mut Self, _, ()| Ok(())),
            b"fail" => ctx.defer(|| (), |_: &mut Self, _, ()| Err("not found".into())),
            _ => {
                ctx.send(frame);
                return Ok(());
            }
        };
        if let Err(refused) = deferred {
            ctx.send(refused.to_string().as_bytes());
        }
        Ok(())
    }
}

fn a_job_holds_up_neither_its_session_nor_others(backend: Backend) {
    let (gate, post) = Gate::new();
    let server = Setup::new(backend).start(move |_| Asker(post.clone()));
    let (mut asker, mut other) = (server.connect(), server.connect());
    asker.send(b"job");
    gate.wait_for_arrival();
    assert_eq!(server.handle.deferred(), 1);
    asker.ping(b"still here");
    other.ping(b"and so am I");
    gate.open();
    asker.expect(b"done: job");
    wait_until("its place is free", || server.handle.deferred() == 0);
}

fn jobs_begin_in_order_on_as_many_threads_as_there_may_be(backend: Backend) {
    const JOBS: usize = 5;
    let (gate, post) = Gate::new();
    let server = Setup::new(backend)
        .start_with(|server| server.deferred_threads(2), move |_| Asker(post.clone()));
    let mut client = server.connect();
    for number in 0..JOBS {
        client.send(format!("job {number}").as_bytes());
    }
    gate.wait_for_arrival();
    gate.wait_for_arrival();
    client.ping(b"all jobs are deferred by now");
    assert!(!gate.somebody_waits(), "more jobs run than there are threads");
    let mut answers = Vec::new();
    for number in 0..JOBS {
        gate.open();
        if number + 2 < JOBS {
            gate.wait_for_arrival();
        }
        answers.push(client.frame());
    }
    // One thread may be faster than the other, by one job.
    assert!(answers[0] == b"done: job 0" || answers[0] == b"done: job 1", "{answers:?}");
    answers.sort();
    let all: Vec<_> = (0..JOBS).map(|number| format!("done: job {number}").into_bytes()).collect();
    assert_eq!(answers, all);
}

fn jobs_beyond_the_maximum_are_refused_and_later_ones_taken(backend: Backend) {
    let (gate, post) = Gate::new();
    let server = Setup::new(backend)
        .limits(|limits| limits.deferred_max = 2)
        .start_with(|server| server.deferred_threads(1), move |_| Asker(post.clone()));
    let mut client = server.connect();
    for number in 0..3 {
        client.send(format!("job {number}").as_bytes());
    }
    client.expect(
        b"2 jobs are deferred already, as many as may be: answer that the server is busy, or raise \
          deferred_max",
    );
    for number in 0..2 {
        gate.wait_for_arrival();
        gate.open();
        client.expect(format!("done: job {number}").as_bytes());
    }
    client.send(b"job 3");
    gate.wait_for_arrival();
    gate.open();
    client.expect(b"done: job 3");
}

/// Defers a job that waits, whose result tells whether it was used: `Ok`, or dropped: the channel ends.
struct Leaver(GatePost, Sender<()>);

impl Session for Leaver {
    fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
        let (gate, used) = (self.0.clone(), self.1.clone());
        let job = move || {
            gate.wait();
            used
        };
        Ok(ctx.defer(job, |_: &mut Self, _, used| Ok(used.send(())?))?)
    }
}

fn a_result_for_a_session_that_is_gone_is_dropped(backend: Backend) {
    let (gate, post) = Gate::new();
    let (used, uses) = channel();
    let used = std::sync::Mutex::new(vec![used]);
    let server = Setup::new(backend).start(move |_| {
        Leaver(post.clone(), used.lock().unwrap().pop().unwrap_or_else(|| channel().0))
    });
    let mut client = server.connect();
    client.send(b"go");
    gate.wait_for_arrival();
    drop(client);
    server.wait_for_sessions(0);
    // The next one may have its slot.
    let _next = server.connect();
    server.wait_for_sessions(1);
    gate.open();
    assert_eq!(uses.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    wait_until("its place is free", || server.handle.deferred() == 0);
}

fn a_job_that_panics_ends_its_session_alone(backend: Backend) {
    let (_gate, post) = Gate::new();
    let server = Setup::new(backend).start(move |_| Asker(post.clone()));
    let (mut first, mut second) = (server.connect(), server.connect());
    first.send(b"panic");
    first.expect_reset();
    second.ping(b"still here");
    wait_until("it is counted", || server.handle.close_counts().get("panicked") == 1);
    wait_until("its place is free", || server.handle.deferred() == 0);
    second.send(b"panic");
    second.expect_reset();
}

fn an_error_in_what_follows_a_job_closes_the_session(backend: Backend) {
    let (_gate, post) = Gate::new();
    let server = Setup::new(backend).start(move |_| Asker(post.clone()));
    let mut client = server.connect();
    client.send(b"fail");
    client.expect_end();
    drop(client);
    wait_until("it is counted", || server.handle.close_counts().get("failed") == 1);
}

/// Counts those that are there.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Defers jobs that own something, and wait.
struct Owner(GatePost, Arc<AtomicUsize>, Sender<()>);

impl Session for Owner {
    fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
        let (gate, owned, ran) = (self.0.clone(), Counted::new(&self.1), self.2.clone());
        let job = move || {
            gate.wait();
            let _ = ran.send(());
            owned
        };
        Ok(ctx.defer(job, |_: &mut Self, _, _| Ok(()))?)
    }
}

fn the_end_of_a_server_waits_for_what_runs_and_drops_what_waits(backend: Backend) {
    let (gate, post) = Gate::new();
    let (ran, runs): (_, Receiver<()>) = channel();
    let owned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&owned);
    let server = Setup::new(backend).start_with(
        |server| server.deferred_threads(1),
        move |_| Owner(post.clone(), Arc::clone(&counted), ran.clone()),
    );
    let mut client = server.connect();
    for _ in 0..3 {
        client.send(b"go");
    }
    gate.wait_for_arrival();
    wait_until("three are deferred", || server.handle.deferred() == 3);
    let handle = server.handle.clone();
    let stopping = std::thread::spawn(move || server.stop());
    wait_until("those that wait are dropped", || owned.load(Ordering::SeqCst) == 1);
    assert!(!stopping.is_finished(), "a job still runs");
    gate.open();
    stopping.join().unwrap();
    assert_eq!(runs.try_iter().count(), 1, "the jobs that had not begun must not");
    assert_eq!(owned.load(Ordering::SeqCst), 0);
    assert_eq!(handle.deferred(), 0);
}

fn a_result_for_another_type_of_session_is_refused(backend: Backend) {
    struct Confused;
    impl Session for Confused {
        fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
            let refused = ctx.defer(|| (), |_: &mut Echo, _, ()| Ok(()));
            assert!(matches!(&refused, Err(DeferError::WrongSession(_))), "{refused:?}");
            ctx.send(b"refused");
            Ok(())
        }
    }
    let server = Setup::new(backend).start(|_| Confused);
    let mut client = server.connect();
    client.send(b"go");
    client.expect(b"refused");
    let none = Setup::new(backend).server().deferred_threads(0);
    let error = none.start(|_| Confused).unwrap_err();
    assert!(matches!(&error, ServerError::Options(_)), "{error}");
}

fn a_stepped_server_runs_its_jobs_by_hand(backend: Backend) {
    let (gate, post) = Gate::new();
    let setup = Setup::new(backend);
    let mut server = setup.server().start_stepped(move |_| Asker(post.clone())).unwrap();
    let mut client = crate::support::client::Client::connect(
        server.handle().addresses()[0].tcp().unwrap(),
        crate::support::wire::Wire::U32Le,
    );
    for number in 0..3 {
        client.send(format!("job {number}").as_bytes());
    }
    wait_until("they are deferred", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        server.deferred() == 3
    });
    assert!(!server.run_deferred(3), "there is no fourth");
    for index in [2, 0, 0] {
        gate.open();
        assert!(server.run_deferred(index));
    }
    wait_until("the results are worked on", || {
        server.turn(0, Some(Time::ZERO)).unwrap();
        server.handle().deferred() == 0
    });
    // What has been queued goes with the next entry into the kernel.
    server.turn(0, Some(Time::ZERO)).unwrap();
    for number in [2, 0, 1] {
        client.expect(format!("done: job {number}").as_bytes());
    }
}
