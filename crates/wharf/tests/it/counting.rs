//! What a server counts is what happened.

use std::time::Duration;

use wharf::{Backend, SlowReader};

use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::time::{wait_until, wait_until_stable};
use crate::support::wire::{Wire, pattern};

each_backend! {
    traffic_is_counted_to_the_byte,
    sessions_that_come_and_go_are_counted,
    every_end_is_counted_once_by_its_reason,
    queued_bytes_are_what_is_queued,
    a_server_at_rest_does_nothing,
}

fn traffic_is_counted_to_the_byte(backend: Backend) {
    for wire in Wire::FRAMED {
        let server = Setup::new(backend).wire(wire).workers(2).start(|_| Echo);
        let sent: Vec<Vec<u8>> = (0..300).map(|seed| pattern(seed, 70)).collect();
        let stream = wire.encode_all(&sent);
        let mut clients = [server.connect(), server.connect(), server.connect()];
        for client in &mut clients {
            client.write(&stream);
            client.expect_stream(&stream);
        }
        // What has arrived was counted by the turn behind it at the latest.
        wait_until("all was counted", || server.stats().bytes_out == 3 * stream.len() as u64);
        let stats = server.stats();
        assert_eq!((stats.frames_in, stats.bytes_in), (900, 3 * stream.len() as u64));
        assert_eq!((stats.bytes_lost, stats.frames_dropped, stats.panics), (0, 0, 0));
        let by_worker = server.handle.worker_stats();
        assert_eq!(by_worker.iter().map(|it| it.frames_in).sum::<u64>(), 900);
        assert!(by_worker.iter().all(|it| it.frames_in >= 300), "{by_worker:?}");
    }
}

fn sessions_that_come_and_go_are_counted(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    for round in 1..=20 {
        let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.ping(b"hello");
        }
        assert_eq!(server.handle.sessions(), 5);
        wait_until("they are counted", || server.stats().sessions == 5);
        assert_eq!(server.stats().accepted, 5 * round);
        drop(clients);
        server.wait_for_sessions(0);
        wait_until("they are counted out", || server.stats().sessions == 0);
    }
}

fn every_end_is_counted_once_by_its_reason(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| {
        on_frame(|ctx, frame| match frame {
            b"close" => {
                ctx.close();
                Ok(())
            }
            b"panic" => panic!("as the test wants it"),
            _ => Err("no such frame".into()),
        })
    });
    let (mut ended, mut stays) = (0, server.connect());
    for (frame, reason) in
        [(&b"close"[..], "closed"), (b"panic", "panicked"), (b"?", "failed"), (b"", "peer_closed")]
    {
        for count in 1..=3 {
            let mut client = server.connect();
            if !frame.is_empty() {
                client.send(frame);
                client.bytes_until_gone(1);
            }
            drop(client);
            ended += 1;
            let what = format!("{reason} is counted {count} times");
            wait_until(&what, || server.handle.close_counts().get(reason) == count);
            assert_eq!(server.handle.close_counts().total(), ended);
        }
    }
    let handle = server.handle.clone();
    handle.drain();
    stays.expect_end();
    drop(stays);
    server.end();
    let all = "peer_closed 3, closed 3, drain 1, failed 3, panicked 3";
    assert_eq!(handle.close_counts().to_string(), all);
}

fn queued_bytes_are_what_is_queued(backend: Backend) {
    for wire in Wire::ALL {
        let setup = Setup::new(backend).wire(wire).limits(|limits| {
            limits.slow_reader = SlowReader::Pause;
            limits.send_bytes_max = 1 << 20;
        });
        let server = setup.start(move |_| {
            on_frame(move |ctx, frame| {
                let mut wanted = ctx.queued_bytes();
                for len in [0, 1, 100, 5000] {
                    let own = vec![b'x'; len];
                    ctx.send(&own);
                    ctx.send(frame);
                    ctx.send(&frame[frame.len() / 2..]);
                    wanted += wire.frame_len(len) + wire.frame_len(frame.len());
                    wanted += wire.frame_len(frame.len().div_ceil(2));
                    if ctx.queued_bytes() != wanted {
                        let queued = ctx.queued_bytes();
                        return Err(format!("{queued} queued instead of {wanted}").into());
                    }
                }
                Ok(())
            })
        });
        let mut client = server.connect();
        for len in [2, 600, 3000] {
            client.send(&pattern(1, len));
            let parts = 4 * (wire.frame_len(len) + wire.frame_len(len / 2));
            let own = [0, 1, 100, 5000].into_iter().map(|len| wire.frame_len(len));
            client.bytes(parts + own.sum::<usize>());
        }
    }
}

fn a_server_at_rest_does_nothing(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping(b"hello");
    }
    let quiet = Duration::from_millis(200);
    let turns = || server.stats().turns;
    wait_until_stable("the server", quiet, turns);
}
