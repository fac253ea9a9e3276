//! What a server measures of itself: how long its turns take, how late its timers are.

use std::time::Duration;

use wharf::{Backend, Context, Histogram, Outcome, Session};

use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::time::{let_pass, wait_until};

each_backend! {
    turns_that_take_long_are_found_by_timing_some,
    turns_that_wait_are_not_taken_for_long,
    timers_of_a_worker_that_is_held_up_are_late,
    sizes_of_groups_are_told,
}

/// Durations that were counted as longer than this.
fn longer_than(histogram: &Histogram, least: Duration) -> u64 {
    let mut below = Duration::ZERO;
    let mut count = 0;
    for (bound, counted) in histogram.buckets() {
        count += if below >= least { counted } else { 0 };
        below = bound.unwrap_or(Duration::MAX);
    }
    count
}

fn turns_that_take_long_are_found_by_timing_some(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| {
        on_frame(|ctx, frame| {
            let_pass(Duration::from_millis(5));
            ctx.send(frame);
            Ok(())
        })
    });
    // It lives on one worker, and the other has nothing to be slow at.
    let mut client = server.connect();
    let long = Duration::from_micros(4096);
    wait_until("three long turns were timed", || {
        client.ping(b"slow");
        let timings = server.handle.worker_timings();
        timings.iter().any(|it| longer_than(&it.turn, long) >= 3)
    });
    let timings = server.handle.worker_timings();
    let slow = timings.iter().find(|it| longer_than(&it.turn, long) > 0).unwrap();
    assert!(slow.turn.sum() >= 3 * Duration::from_millis(5), "{slow:?}");
    wait_until("one of seventeen turns was timed", || {
        let (timings, stats) = (server.handle.worker_timings(), server.handle.worker_stats());
        timings.iter().zip(stats).all(|(timed, stats)| timed.turn.count() == stats.turns / 17)
    });
}

fn turns_that_wait_are_not_taken_for_long(backend: Backend) {
    let server = Setup::new(backend).start(|_| Echo);
    let mut client = server.connect();
    for _ in 0..20 {
        client.ping(b"quick");
        let_pass(Duration::from_millis(20));
    }
    let timings = server.handle.worker_timings();
    let timed = timings[0].turn.count();
    assert!(timed > 0, "no turn was timed");
    // A busy machine may stop the thread within a turn, but not in all of them.
    assert!(longer_than(&timings[0].turn, Duration::from_millis(9)) < timed, "{timings:?}");
}

/// Starts a timer for at once, and does not return for a while.
struct Late;

impl Session for Late {
    fn on_frame(&mut self, ctx: &mut Context<'_>, _frame: &[u8]) -> Outcome {
        ctx.start_timer(Duration::from_millis(1), 0).ok_or("no timer")?;
        let_pass(Duration::from_millis(30));
        Ok(())
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, _token: u64) -> Outcome {
        ctx.send(b"late");
        Ok(())
    }
}

fn timers_of_a_worker_that_is_held_up_are_late(backend: Backend) {
    let server = Setup::new(backend).start(|_| Late);
    let mut client = server.connect();
    for count in 1..=3 {
        client.ping_for(b"go", b"late");
        let lag = server.handle.worker_timings()[0].timer_lag;
        // 29 ms at least: in the bucket up to 32.8 ms, or beyond it.
        assert!(longer_than(&lag, Duration::from_millis(16)) >= count, "{lag:?}");
        assert!(lag.sum() >= Duration::from_millis(29) * u32::try_from(count).unwrap());
    }
}

fn sizes_of_groups_are_told(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| {
        on_frame(|ctx, frame| {
            let group = ctx.group(std::str::from_utf8(frame)?);
            ctx.join(&group)?;
            ctx.send(frame);
            Ok(())
        })
    });
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ping(b"all"));
    clients[0].ping(b"one");
    let sizes = server.handle.group_sizes();
    assert_eq!((sizes.groups, sizes.members, sizes.members_max), (2, 6, 5));
    clients.truncate(2);
    wait_until("who is gone is in no group", || {
        let sizes = server.handle.group_sizes();
        (sizes.groups, sizes.members, sizes.members_max) == (2, 3, 2)
    });
}
