//! Many sessions and many bytes, each of them verified.

use std::sync::atomic::{AtomicUsize, Ordering};

use wharf::{Backend, SlowReader};

use crate::support::client::Client;
use crate::support::record::Echo;
use crate::support::server::{Setup, TestServer};
use crate::support::wire::{Wire, pattern};

each_backend! {
    two_thousand_sessions_of_64_kib,
    two_hundred_streams_of_1_mib_that_are_written_before_they_are_read,
    long_streams_through_small_buffers,
}

fn two_thousand_sessions_of_64_kib(backend: Backend) {
    const THREADS: usize = 4;
    const SESSIONS: usize = 2000;
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let server = &server;
            scope.spawn(move || {
                let seeds = (thread..SESSIONS).step_by(THREADS).map(|seed| seed as u64);
                let mut clients: Vec<(u64, Client)> =
                    seeds.map(|seed| (seed, server.connect())).collect();
                for (seed, client) in &mut clients {
                    client.write(&stream(*seed, 64 << 10));
                }
                for (seed, client) in &mut clients {
                    client.expect_stream(&stream(*seed, 64 << 10));
                }
                // All are still there.
                for (_, client) in &mut clients {
                    client.ping(b"still here");
                }
            });
        }
    });
    assert_eq!(server.stats().accepted, SESSIONS as u64);
}

/// `len` bytes of frames, of which some are short and some are long.
fn stream(seed: u64, len: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(len);
    for number in 0.. {
        let left = len - stream.len();
        if left == 0 {
            break;
        }
        let payload = usize::try_from((seed * 31 + number * 997) % 9000).unwrap();
        // The last one fills up what is left, if there is room for its header.
        let payload = if left < payload + 4 + 4 { left - 4 } else { payload };
        stream.extend(Wire::U32Le.encode(&pattern(seed << 32 | number, payload)));
    }
    stream
}

/// Runs clients on some threads, each with a number of its own.
fn run_clients(server: &TestServer, count: usize, client: impl Fn(u64, Client) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    client(number as u64, server.connect());
                }
            });
        }
    });
}

fn two_hundred_streams_of_1_mib_that_are_written_before_they_are_read(backend: Backend) {
    let setup = Setup::new(backend).workers(2).limits(|limits| {
        // Room for all of it: a peer that writes and does not read blocks itself otherwise.
        limits.send_bytes_max = 2 << 20;
        limits.slow_reader = SlowReader::Pause;
    });
    let server = setup.start(|_| Echo);
    run_clients(&server, 200, |seed, mut client| {
        let stream = stream(seed, 1 << 20);
        client.write(&stream);
        client.expect_stream(&stream);
        client.finish();
        client.expect_end();
    });
    let stats = server.stats();
    assert_eq!((stats.bytes_in, stats.bytes_lost), (200 << 20, 0));
}

fn long_streams_through_small_buffers(backend: Backend) {
    // Every send is short, every pause is needed, and the pool is empty most of the time.
    let setup = Setup::new(backend)
        .workers(2)
        .kernel_buffers(8 << 10, 8 << 10)
        .port(|port| {
            port.buffers = 4;
            port.buffer_bytes = 1 << 10;
        })
        .limits(|limits| {
            limits.send_bytes_max = 16 << 10;
            limits.slow_reader = SlowReader::Pause;
        });
    let server = setup.start(|_| Echo);
    run_clients(&server, 16, |seed, mut client| {
        let stream = stream(seed, 256 << 10);
        let mut writer = client.writer();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write(&stream);
                writer.finish();
            });
            client.expect_stream(&stream);
            client.expect_end();
        });
    });
}
