//! What a send queue may hold, who is told, and for how long it may be full.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use wharf::{
    Backend, Context, Outcome, SendLimits, SendLimitsError, SendStatus, Session, SlowReader,
};

use crate::support::client::Client;
use crate::support::record::{on_frame, recording};
use crate::support::server::{Setup, TestServer};
use crate::support::time::{PATIENCE, wait_until};
use crate::support::wire::{Wire, pattern};

each_backend! {
    refuse_tells_the_sender_and_calls_it_when_there_is_room,
    a_member_that_refuses_gets_no_broadcast,
    coalesce_sends_the_newest_of_each_key_and_everything_else,
    coalesce_replaces_frames_of_any_length,
    keys_mean_nothing_to_other_policies,
    frames_are_limited_as_well_as_bytes,
    a_session_can_have_limits_of_its_own,
    limits_that_make_no_sense_are_refused,
    a_burst_is_no_slow_reader,
    a_burst_that_lasts_is_one,
    a_peer_that_takes_nothing_is_cut_off_at_the_send_deadline,
    a_peer_that_reads_slowly_meets_no_deadline,
}

const SEND_MAX: usize = 64 << 10;
const FRAME: usize = 1000;

fn limited(backend: Backend, policy: SlowReader) -> Setup {
    Setup::new(backend).kernel_buffers(16 << 10, 16 << 10).limits(|limits| {
        limits.slow_reader = policy;
        limits.send_bytes_max = SEND_MAX;
    })
}

/// Sends so many frames in one callback as it is asked for, and tells the test what became of each.
struct Sending {
    statuses: Sender<SendStatus>,
    writable: bool,
}

impl Session for Sending {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let count: u64 = std::str::from_utf8(frame)?.parse()?;
        for number in 0..count {
            self.statuses.send(ctx.send(&pattern(number, FRAME)))?;
        }
        Ok(())
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if self.writable {
            ctx.send(b"room");
        }
        Ok(())
    }
}

fn sending(setup: &Setup) -> (TestServer, Receiver<SendStatus>) {
    let (statuses, results) = channel();
    let server = setup.start(move |_| Sending { statuses: statuses.clone(), writable: true });
    (server, results)
}

/// How many of the next results are this one.
fn take(results: &Receiver<SendStatus>, count: usize, wanted: SendStatus) -> usize {
    let statuses = (0..count).map(|_| results.recv_timeout(PATIENCE).unwrap());
    statuses.filter(|status| *status == wanted).count()
}

fn refuse_tells_the_sender_and_calls_it_when_there_is_room(backend: Backend) {
    let (server, results) = sending(&limited(backend, SlowReader::Refuse));
    let mut client = server.connect();
    client.send(b"100");
    let queued = take(&results, 100, SendStatus::Queued);
    assert_eq!(queued, SEND_MAX.div_ceil(FRAME + 4));
    for number in 0..queued as u64 {
        client.expect(&pattern(number, FRAME));
    }
    client.expect(b"room");
    client.send(b"1");
    assert_eq!(take(&results, 1, SendStatus::Queued), 1);
    client.expect(&pattern(0, FRAME));
    assert_eq!(server.stats().frames_dropped, 0, "who is told drops nothing");
}

fn a_member_that_refuses_gets_no_broadcast(backend: Backend) {
    let server = limited(backend, SlowReader::Refuse).start(|arrival| {
        let room = arrival.group("room");
        on_frame(move |ctx, frame| {
            if frame == b"join" {
                ctx.join(&room)?;
                ctx.send(b"joined");
            } else {
                for number in 0..100 {
                    ctx.broadcast(&room, &pattern(number, FRAME));
                }
            }
            Ok(())
        })
    });
    let mut client = server.connect();
    client.ping_for(b"join", b"joined");
    client.send(b"go");
    let queued = SEND_MAX.div_ceil(FRAME + 4);
    for number in 0..queued as u64 {
        client.expect(&pattern(number, FRAME));
    }
    client.ping_for(b"join", b"joined");
    assert_eq!(server.stats().frames_dropped, 100 - queued as u64);
}

fn coalesce_sends_the_newest_of_each_key_and_everything_else(backend: Backend) {
    let (log, events) = recording();
    let (statuses, results) = channel();
    let server = limited(backend, SlowReader::Coalesce).start(move |_| {
        let statuses = statuses.clone();
        log.of(on_frame(move |ctx, _| {
            for round in 0..100 {
                for key in 0..3 {
                    let frame = format!("state {key} is {round}");
                    statuses.send(ctx.send_keyed(key, frame.as_bytes()))?;
                }
                if round % 50 == 0 {
                    ctx.send(format!("event {round}").as_bytes());
                }
            }
            Ok(())
        }))
    });
    let mut client = server.connect();
    client.send(b"go");
    assert_eq!(take(&results, 3, SendStatus::Queued), 3);
    assert_eq!(take(&results, 297, SendStatus::Replaced), 297);
    for wanted in ["event 0", "event 50", "state 0 is 99", "state 1 is 99", "state 2 is 99"] {
        client.expect(wanted.as_bytes());
    }
    // What has gone is not replaced.
    client.send(b"go");
    client.expect(b"event 0");
    assert_eq!(server.stats().frames_coalesced, 2 * 297);
    drop((client, events));
}

fn coalesce_replaces_frames_of_any_length(backend: Backend) {
    // Longer than a chunk, and so many that they fill several.
    const SIZES: [usize; 6] = [1, 3_000, 6_000, 20, 4_096, 500];
    let server = limited(backend, SlowReader::Coalesce).start(|_| {
        on_frame(|ctx, _| {
            for (number, size) in (0..).zip(SIZES.into_iter().cycle().take(200)) {
                ctx.send_keyed(number % 7, &pattern(number, size));
                if number % 40 == 0 {
                    ctx.send(b"between");
                }
            }
            Ok(())
        })
    });
    let mut client = server.connect();
    client.send(b"go");
    let mut newest: Vec<(u64, usize)> = (0..).zip(SIZES.into_iter().cycle().take(200)).collect();
    for _ in 0..5 {
        client.expect(b"between");
    }
    for (number, size) in newest.split_off(193) {
        client.expect(&pattern(number, size));
    }
}

fn keys_mean_nothing_to_other_policies(backend: Backend) {
    let server = limited(backend, SlowReader::Disconnect).start(|_| {
        on_frame(|ctx, _| {
            for round in 0..10_u8 {
                assert_eq!(ctx.send_keyed(1, &[round; 10]), SendStatus::Queued);
            }
            Ok(())
        })
    });
    let mut client = server.connect();
    client.send(b"go");
    for round in 0..10_u8 {
        client.expect(&[round; 10]);
    }
}

fn frames_are_limited_as_well_as_bytes(backend: Backend) {
    let setup = limited(backend, SlowReader::DropNewest).limits(|it| it.send_frames_max = 10);
    let (server, results) = sending(&setup);
    let mut client = server.connect();
    client.send(b"30");
    assert_eq!(take(&results, 10, SendStatus::Queued), 10);
    assert_eq!(take(&results, 20, SendStatus::Dropped), 20);
    for number in 0..10 {
        client.expect(&pattern(number, FRAME));
    }
    client.expect(b"room");

    let setup = limited(backend, SlowReader::DropOldest).limits(|it| it.send_frames_max = 10);
    let (server, results) = sending(&setup);
    let mut client = server.connect();
    client.send(b"30");
    assert_eq!(take(&results, 30, SendStatus::DroppedOldest), 20);
    for number in 20..30 {
        client.expect(&pattern(number, FRAME));
    }
    assert_eq!(server.stats().frames_dropped, 20);
}

fn a_session_can_have_limits_of_its_own(backend: Backend) {
    let server = limited(backend, SlowReader::Disconnect).start(|_| {
        on_frame(|ctx, frame| {
            if frame == b"mine" {
                let (bytes_max, frames_max) = (8 << 10, 5);
                let slow_reader = SlowReader::DropOldest;
                ctx.set_send_limits(SendLimits { bytes_max, frames_max, slow_reader })?;
            }
            for number in 0..20 {
                ctx.send(&pattern(number, FRAME));
            }
            Ok(())
        })
    });
    let [mut own, mut other]: [Client; 2] = std::array::from_fn(|_| server.connect());
    own.send(b"mine");
    other.send(b"the server's");
    for number in 15..20 {
        own.expect(&pattern(number, FRAME));
    }
    for number in 0..20 {
        other.expect(&pattern(number, FRAME));
    }
}

fn limits_that_make_no_sense_are_refused(backend: Backend) {
    let (errors, results) = channel();
    let server = limited(backend, SlowReader::Pause).wire(Wire::Raw).start(move |_| {
        let errors = errors.clone();
        on_frame(move |ctx, frame| {
            let limits = |bytes_max, frames_max, slow_reader| SendLimits {
                bytes_max,
                frames_max,
                slow_reader,
            };
            for limits in [
                limits(1000, 1, SlowReader::Refuse),
                limits(4096, 0, SlowReader::Refuse),
                limits(4096, 1, SlowReader::Coalesce),
            ] {
                errors.send(ctx.set_send_limits(limits).unwrap_err())?;
            }
            ctx.send(frame);
            Ok(())
        })
    });
    let mut client = server.connect();
    client.ping(b"try");
    let errors: Vec<SendLimitsError> = results.try_iter().collect();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("4 KiB and up") && said[1].contains("1 and up"), "{said:?}");
    assert_eq!(errors[2], SendLimitsError::NeedsFrames(SlowReader::Coalesce));
}

fn a_burst_is_no_slow_reader(backend: Backend) {
    let setup = limited(backend, SlowReader::Disconnect).limits(|limits| {
        limits.send_burst_bytes = SEND_MAX;
        limits.send_burst_time = Duration::from_secs(3600);
    });
    let (server, results) = sending(&setup);
    let mut client = server.connect();
    let most = (2 * SEND_MAX).div_ceil(FRAME + 4);
    client.send(most.to_string().as_bytes());
    assert_eq!(take(&results, most, SendStatus::Queued), most);
    for number in 0..most as u64 {
        client.expect(&pattern(number, FRAME));
    }
    client.expect(b"room");
    // One more than that is too much.
    client.send((most + 1).to_string().as_bytes());
    assert_eq!(take(&results, most, SendStatus::Queued), most);
    assert_eq!(results.recv_timeout(PATIENCE), Ok(SendStatus::Closed));
    client.expect_reset();
}

fn a_burst_that_lasts_is_one(backend: Backend) {
    const BURST: Duration = Duration::from_millis(100);
    let setup = limited(backend, SlowReader::Disconnect).limits(|limits| {
        limits.send_burst_bytes = 1 << 20;
        limits.send_burst_time = BURST;
    });
    let (server, results) = sending(&setup);
    let mut stopped = server.connect();
    let mut neighbour = server.connect();
    // More than its kernel takes, and less than with the burst.
    stopped.send(b"400");
    assert_eq!(take(&results, 400, SendStatus::Queued), 400);
    neighbour.expect_silence(2 * BURST);
    stopped.send(b"1");
    assert_eq!(results.recv_timeout(PATIENCE), Ok(SendStatus::Closed));
    neighbour.send(b"1");
    neighbour.expect(&pattern(0, FRAME));
    drop(stopped);
}

/// Sends much for little, several times what the kernel's buffers take.
fn filling(setup: &Setup) -> TestServer {
    setup.start(|_| {
        on_frame(|ctx, _| {
            for number in 0..60 {
                ctx.send(&pattern(number, FRAME));
            }
            Ok(())
        })
    })
}

fn a_peer_that_takes_nothing_is_cut_off_at_the_send_deadline(backend: Backend) {
    let setup = limited(backend, SlowReader::Pause).kernel_buffers(4 << 10, 4 << 10);
    let setup = setup.limits(|it| it.send_deadline = Some(Duration::from_millis(100)));
    let server = filling(&setup);
    let mut stopped = server.connect();
    (0..8).for_each(|_| stopped.send(b"go"));
    // Its queue may be full, and the policy has it wait.
    wait_until("it is cut off", || server.stats().bytes_lost > 0);
    stopped.expect_reset();
}

fn a_peer_that_reads_slowly_meets_no_deadline(backend: Backend) {
    let setup = limited(backend, SlowReader::Pause).kernel_buffers(4 << 10, 4 << 10);
    let setup = setup.limits(|limits| {
        limits.send_deadline = Some(Duration::from_secs(1));
        limits.send_bytes_max = 1 << 20;
    });
    let server = filling(&setup);
    let mut slow = server.connect();
    let mut neighbour = server.connect();
    for _ in 0..4 {
        (0..4).for_each(|_| slow.send(b"go"));
        neighbour.expect_silence(Duration::from_millis(400));
        for number in (0..4).flat_map(|_| 0..60) {
            slow.expect(&pattern(number, FRAME));
        }
    }
}
