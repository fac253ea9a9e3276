//! Peers that read more slowly than they are sent to: each policy, and that frames stay whole.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{Backend, Context, Outcome, SendStatus, Session, SessionId, SlowReader};

use crate::support::record::{Echo, What, on_frame, recording, whats};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, wait_until_stable};
use crate::support::wire::{Wire, assert_same, pattern};

each_backend! {
    pause_bounds_the_memory_and_delivers_everything_in_the_end,
    pause_disconnects_who_is_sent_to_beyond_twice_the_limit,
    disconnect_cuts_off_who_does_not_read_and_no_other,
    disconnect_counts_what_is_lost,
    drop_newest_keeps_the_oldest,
    drop_oldest_keeps_the_newest,
    drop_oldest_drops_as_many_as_it_takes,
    drop_oldest_keeps_the_newest_behind_a_send_that_is_stuck,
    drop_newest_leaves_whole_frames_in_order_to_a_peer_that_reads_late,
    drop_oldest_leaves_whole_frames_in_order_to_a_peer_that_reads_late,
    drop_oldest_leaves_whole_frames_where_they_were_received,
    on_writable_comes_when_a_full_queue_has_drained,
    on_writable_does_not_come_for_a_queue_that_was_never_full,
    a_frame_longer_than_the_limit_is_sent_all_the_same,
}

/// The limit of the tests below, unless they say otherwise.
const SEND_MAX: usize = 64 << 10;

/// Little of what is sent can hide in the kernel.
fn slow(backend: Backend, policy: SlowReader) -> Setup {
    Setup::new(backend).kernel_buffers(32 << 10, 32 << 10).limits(|limits| {
        limits.slow_reader = policy;
        limits.send_bytes_max = SEND_MAX;
    })
}

fn pause_bounds_the_memory_and_delivers_everything_in_the_end(backend: Backend) {
    const FRAME: usize = 16 << 10;
    const FRAMES: u64 = 400;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let (log, events) = recording();
    let server = slow(backend, SlowReader::Pause).start(move |_| {
        let most = Arc::clone(&seen);
        log.of(on_frame(move |ctx, frame| {
            ctx.send(frame);
            most.fetch_max(ctx.queued_bytes(), Ordering::Relaxed);
            Ok(())
        }))
    });
    let mut slow = server.connect();
    let id = events.connected().id;
    let mut neighbour = server.connect();
    let mut writer = slow.writer();
    let writing = std::thread::spawn(move || {
        for number in 0..FRAMES {
            writer.send(&pattern(number, FRAME));
        }
        writer.finish();
    });
    let quiet = Duration::from_millis(100);
    let received = wait_until_stable("the server", quiet, || server.stats().bytes_in);
    assert!(received < FRAMES * FRAME as u64, "nothing held the server up");
    let most = most.load(Ordering::Relaxed);
    assert!(most >= SEND_MAX, "the queue was full: {most}");
    assert!(most <= 2 * SEND_MAX + FRAME + 4, "{most} bytes were queued");
    for number in 0..50_u8 {
        neighbour.ping(&[number; 1000]);
    }
    for number in 0..FRAMES {
        slow.expect(&pattern(number, FRAME));
    }
    slow.expect_end();
    writing.join().unwrap();
    drop(slow);
    assert_eq!(events.disconnected_of(id).reason(), "peer_closed");
    let stats = server.stats();
    assert_eq!((stats.frames_dropped, stats.bytes_lost), (0, 0));
}

/// Floods the session that came first, within one callback, and says what became of each frame.
struct Flooder {
    target: Arc<Mutex<Option<SessionId>>>,
    statuses: Sender<SendStatus>,
}

impl Session for Flooder {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.target.lock().unwrap().get_or_insert(ctx.id());
        ctx.send(b"hello");
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if frame == b"ping" {
            ctx.send(frame);
            return Ok(());
        }
        let target = self.target.lock().unwrap().expect("a session");
        for _ in 0..1000 {
            self.statuses.send(ctx.send_to(target, &[1; 1000]))?;
        }
        ctx.send(b"flooded");
        Ok(())
    }
}

/// How many frames of 1,000 bytes the first session takes of one callback of the second before it is
/// cut off, how it ends, and how many bytes it loses.
fn flooded(backend: Backend, policy: SlowReader) -> (usize, &'static str, u64) {
    let (log, events) = recording();
    let target = Arc::default();
    let (statuses, results) = channel();
    let server = slow(backend, policy).start(move |_| {
        log.of(Flooder { target: Arc::clone(&target), statuses: statuses.clone() })
    });
    let mut victim = server.connect();
    victim.expect(b"hello");
    let id = events.connected().id;
    let mut neighbour = server.connect();
    neighbour.expect(b"hello");
    neighbour.ping_for(b"flood", b"flooded");
    // Nothing is sent before the end of the turn, and by then the session is at its end.
    assert_eq!(victim.expect_reset(), b"");
    let reason = events.disconnected_of(id).reason();
    neighbour.ping(b"ping");
    let lost = server.stats().bytes_lost;
    drop(victim);
    server.wait_for_sessions(1);
    let statuses: Vec<SendStatus> = results.try_iter().collect();
    let taken = statuses.iter().take_while(|&&status| status == SendStatus::Queued).count();
    assert!(statuses[taken..].iter().all(|&status| status == SendStatus::Closed));
    (taken, reason, lost)
}

fn pause_disconnects_who_is_sent_to_beyond_twice_the_limit(backend: Backend) {
    let taken = (2 * SEND_MAX).div_ceil(1004);
    let lost = taken as u64 * 1004;
    assert_eq!(flooded(backend, SlowReader::Pause), (taken, "slow_reader", lost));
}

fn disconnect_counts_what_is_lost(backend: Backend) {
    let taken = SEND_MAX.div_ceil(1004);
    let lost = taken as u64 * 1004;
    assert_eq!(flooded(backend, SlowReader::Disconnect), (taken, "slow_reader", lost));
}

fn disconnect_cuts_off_who_does_not_read_and_no_other(backend: Backend) {
    let (log, events) = recording();
    let server = slow(backend, SlowReader::Disconnect).start(move |_| log.of(Echo));
    let mut neighbour = server.connect();
    neighbour.ping(b"hello");
    events.connected();
    let mut deaf = server.connect();
    let id = events.connected().id;
    let frame = Wire::U32Le.encode(&pattern(1, 10_000));
    let sent = (0..10_000).take_while(|_| deaf.try_write(&frame)).count();
    assert!(sent < 10_000, "who never reads is cut off");
    drop(deaf);
    let end = events.disconnected();
    assert_eq!((end.id, end.reason()), (id, "slow_reader"));
    neighbour.ping(b"still here");
}

/// A frame that says its number.
fn numbered(number: u64, len: usize) -> Vec<u8> {
    let mut frame = number.to_le_bytes().to_vec();
    frame.extend(pattern(number, len));
    frame
}

fn number_of(frame: &[u8]) -> u64 {
    u64::from_le_bytes(*frame.first_chunk().unwrap())
}

/// Sends frames of these lengths, all told, within one callback to a session that may queue 4 KiB: what
/// becomes of each, and the numbers of those that the peer gets.
fn overfilled(
    backend: Backend,
    policy: SlowReader,
    lens: &'static [usize],
) -> (Vec<SendStatus>, Vec<u64>) {
    let frame_of = |number: u64| numbered(number, lens[usize::try_from(number).unwrap()] - 4 - 8);
    let (statuses, results) = channel();
    let setup = slow(backend, policy).limits(|limits| limits.send_bytes_max = 4096);
    let server = setup.start(move |_| {
        let statuses = statuses.clone();
        on_frame(move |ctx, frame| {
            if frame == b"fill" {
                let send = |number| ctx.send(&frame_of(number));
                statuses.send((0..lens.len() as u64).map(send).collect::<Vec<_>>())?;
            } else {
                ctx.send(frame);
            }
            Ok(())
        })
    });
    let (mut client, mut neighbour) = (server.connect(), server.connect());
    client.send(b"fill");
    let statuses = results.recv_timeout(PATIENCE).unwrap();
    // The turn is over when the next one has answered.
    neighbour.ping(b"hello");
    let dropped = usize::try_from(server.stats().frames_dropped).unwrap();
    let mut got = Vec::new();
    for _ in 0..lens.len() - dropped {
        let frame = client.frame();
        got.push(number_of(&frame));
        assert_same("a frame that was kept", &frame, &frame_of(number_of(&frame)));
    }
    client.ping(b"and now there is room again");
    (statuses, got)
}

/// How many frames of 100 bytes fit into 4 KiB: up to the limit and one frame more.
const FIT: usize = 41;

fn drop_newest_keeps_the_oldest(backend: Backend) {
    let (statuses, got) = overfilled(backend, SlowReader::DropNewest, &[100; 200]);
    assert!(got.iter().copied().eq(0..41), "{got:?}");
    let (first, rest) = statuses.split_at(FIT);
    assert!(first.iter().all(|&status| status == SendStatus::Queued), "{first:?}");
    assert!(rest.iter().all(|&status| status == SendStatus::Dropped), "{rest:?}");
}

fn drop_oldest_keeps_the_newest(backend: Backend) {
    let (statuses, got) = overfilled(backend, SlowReader::DropOldest, &[100; 200]);
    assert!(got.iter().copied().eq(159..200), "{got:?}");
    let (first, rest) = statuses.split_at(FIT);
    assert!(first.iter().all(|&status| status == SendStatus::Queued), "{first:?}");
    assert!(rest.iter().all(|&status| status == SendStatus::DroppedOldest), "{rest:?}");
}

fn drop_oldest_drops_as_many_as_it_takes(backend: Backend) {
    // Of 42 frames the last is as long as twenty of the others.
    const LENS: [usize; 42] = {
        let mut lens = [100; 42];
        lens[41] = 2000;
        lens
    };
    let (statuses, got) = overfilled(backend, SlowReader::DropOldest, &LENS);
    assert!(got.iter().copied().eq(20..42), "{got:?}");
    assert_eq!(statuses[40..], [SendStatus::Queued, SendStatus::DroppedOldest]);
    // And one that is longer than the limit takes the place of all.
    const LONG: [usize; 42] = {
        let mut lens = [100; 42];
        lens[41] = 10_000;
        lens
    };
    let (statuses, got) = overfilled(backend, SlowReader::DropOldest, &LONG);
    assert_eq!(got, [41]);
    assert_eq!(statuses[40..], [SendStatus::Queued, SendStatus::DroppedOldest]);
}

fn drop_oldest_keeps_the_newest_behind_a_send_that_is_stuck(backend: Backend) {
    let flood = pattern(1, 4 << 20);
    let (arrived, arrivals) = channel();
    let setup = slow(backend, SlowReader::DropOldest)
        .kernel_buffers(256 << 10, 32 << 10)
        .limits(|limits| limits.frame_bytes_max = 4 << 20);
    let server = setup.start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        Echo
    });
    let mut client = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    let mut neighbour = server.connect();
    let barrier = arrivals.recv_timeout(PATIENCE).unwrap();
    // What is with the kernel is more than the limit, and cannot be dropped any more.
    for frame in [&flood[..], b"one", b"two", b"three"] {
        session.send(frame);
        barrier.send(b"sent");
        neighbour.expect(b"sent");
    }
    client.expect(&flood);
    client.expect(b"three");
    client.ping(b"and now there is room again");
    assert_eq!(server.stats().frames_dropped, 2);
}

/// Sends frames to a session whose peer reads none of them before all were sent: those that arrive,
/// checked to be whole and in order.
fn read_late(backend: Backend, policy: SlowReader, frames: u64) -> Vec<u64> {
    let len = |number: u64| usize::try_from(number * 37 % 3000).unwrap();
    let (arrived, arrivals) = channel();
    let server = slow(backend, policy).start(move |arrival| {
        arrived.send(arrival.session_ref()).unwrap();
        Echo
    });
    let mut late = server.connect();
    let session = arrivals.recv_timeout(PATIENCE).unwrap();
    let mut neighbour = server.connect();
    let barrier = arrivals.recv_timeout(PATIENCE).unwrap();
    for number in 0..frames {
        session.send(&numbered(number, len(number)));
    }
    // A worker takes what other threads send in order: this is behind all of that.
    barrier.send(b"that was all");
    neighbour.expect(b"that was all");
    let quiet = Duration::from_millis(50);
    let dropped = wait_until_stable("the server", quiet, || server.stats().frames_dropped);
    assert!(dropped > 0, "everything fitted");
    let mut got = Vec::new();
    for _ in 0..frames - dropped {
        let frame = late.frame();
        let number = number_of(&frame);
        assert_same("a frame that was kept", &frame, &numbered(number, len(number)));
        assert!(got.last().is_none_or(|&last| last < number), "{number} behind {got:?}");
        got.push(number);
    }
    late.ping(b"and now there is room again");
    assert_eq!(server.stats().frames_dropped, dropped);
    got
}

fn drop_newest_leaves_whole_frames_in_order_to_a_peer_that_reads_late(backend: Backend) {
    let got = read_late(backend, SlowReader::DropNewest, 2000);
    // What had been queued when the queue was full first.
    let queued = SEND_MAX / 3000;
    assert!(got.iter().take(queued).copied().eq(0..queued as u64), "{got:?}");
}

fn drop_oldest_leaves_whole_frames_in_order_to_a_peer_that_reads_late(backend: Backend) {
    let got = read_late(backend, SlowReader::DropOldest, 2000);
    // What is with the kernel cannot be dropped, and may be old; but the newest is always there.
    assert_eq!(got.last(), Some(&1999));
}

fn drop_oldest_leaves_whole_frames_where_they_were_received(backend: Backend) {
    let setup = slow(backend, SlowReader::DropOldest).limits(|limits| limits.send_bytes_max = 4096);
    let server = setup.start(|_| Echo);
    let mut client = server.connect();
    let mut next = 0;
    let mut got = 0;
    for len in (0..1500).step_by(30) {
        let burst: Vec<Vec<u8>> = (next..next + 60).map(|number| numbered(number, len)).collect();
        next += 60;
        client.write(&Wire::U32Le.encode_all(&burst));
        let mut expected = next - 60..next;
        while !expected.is_empty() {
            let frame = client.frame();
            let number = number_of(&frame);
            assert_same("a frame that was kept", &frame, &numbered(number, len));
            assert!(expected.contains(&number), "{number} where {expected:?} is due");
            expected.start = number + 1;
            got += 1;
        }
    }
    client.ping(b"that was all");
    let dropped = server.stats().frames_dropped;
    assert!(dropped > 0, "everything fitted");
    assert_eq!(got + dropped, next, "each frame arrives or is dropped");
}

/// Keeps its queue full until it has sent so many bytes, and says how much was queued whenever it
/// hears that it can send again.
struct Producer {
    left: usize,
    at_writable: Sender<usize>,
}

impl Producer {
    fn fill(&mut self, ctx: &mut Context<'_>) -> Outcome {
        while self.left > 0 && ctx.queued_bytes() < SEND_MAX {
            let status = ctx.send(&pattern(self.left as u64, 1000));
            if status != SendStatus::Queued {
                return Err(format!("{status:?} below the limit").into());
            }
            self.left -= 1;
        }
        Ok(())
    }
}

impl Session for Producer {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if frame == b"produce" {
            return self.fill(ctx);
        }
        ctx.send(frame);
        Ok(())
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.at_writable.send(ctx.queued_bytes())?;
        self.fill(ctx)
    }
}

fn on_writable_comes_when_a_full_queue_has_drained(backend: Backend) {
    const FRAMES: usize = 800;
    for policy in
        [SlowReader::Pause, SlowReader::Disconnect, SlowReader::DropNewest, SlowReader::DropOldest]
    {
        let (at_writable, queued) = channel();
        let server = slow(backend, policy)
            .start(move |_| Producer { left: FRAMES, at_writable: at_writable.clone() });
        let mut client = server.connect();
        client.send(b"produce");
        for left in (1..=FRAMES).rev() {
            client.expect(&pattern(left as u64, 1000));
        }
        client.ping(b"that was all");
        let queued: Vec<usize> = queued.try_iter().collect();
        assert!(queued.iter().all(|&queued| queued <= SEND_MAX / 2), "{policy:?}: {queued:?}");
        // Each time at least half of the queue was free.
        let fills = FRAMES * 1004 / (SEND_MAX + 1004)..=FRAMES * 1004 / (SEND_MAX / 2) + 1;
        assert!(fills.contains(&queued.len()), "{policy:?}: {} times", queued.len());
    }
}

fn on_writable_does_not_come_for_a_queue_that_was_never_full(backend: Backend) {
    let (log, events) = recording();
    let server = slow(backend, SlowReader::Disconnect).start(move |_| {
        log.of(on_frame(|ctx, frame| {
            let number = std::str::from_utf8(frame)?.parse()?;
            ctx.send(&pattern(1, number));
            Ok(())
        }))
    });
    let mut client = server.connect();
    events.connected();
    // With the header one byte less than the limit, and then exactly the limit.
    for (len, is_full) in [(SEND_MAX - 5, false), (SEND_MAX - 4, true), (SEND_MAX - 5, false)] {
        for _ in 0..3 {
            events.so_far();
            client.ping_for(len.to_string().as_bytes(), &pattern(1, len));
            client.ping_for(b"1", &pattern(1, 1));
            let events = whats(&events.so_far());
            assert_eq!(events.contains(&What::Writable), is_full, "{len} bytes");
            assert_eq!(events.len(), 2 + usize::from(is_full));
        }
    }
}

fn a_frame_longer_than_the_limit_is_sent_all_the_same(backend: Backend) {
    const LEN: usize = 1 << 20;
    for policy in
        [SlowReader::Pause, SlowReader::Disconnect, SlowReader::DropNewest, SlowReader::DropOldest]
    {
        let setup = Setup::new(backend).limits(|limits| {
            limits.slow_reader = policy;
            limits.send_bytes_max = 4096;
            limits.frame_bytes_max = LEN;
        });
        let server = setup.start(|_| Echo);
        let mut client = server.connect();
        for seed in 0..3 {
            client.ping(&pattern(seed, LEN));
        }
    }
}
