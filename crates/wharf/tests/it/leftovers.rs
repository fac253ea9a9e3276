//! When a server has ended, nothing of it is left: no descriptor, no thread, no memory to speak of.

use wharf::{Backend, Limits, SlowReader};

use crate::support::child::{Holdings, in_a_child, resident_bytes};
use crate::support::client::Client;
use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::wire::{Wire, pattern};

each_backend! {
    nothing_is_left_of_a_server_that_was_drained,
    nothing_is_left_of_a_server_that_was_stopped,
    nothing_is_left_of_sessions_that_ended_in_every_way,
    memory_goes_back_after_2000_sessions,
}

fn nothing_is_left_of_a_server_that_was_drained(backend: Backend) {
    in_a_child("leftovers", "nothing_is_left_of_a_server_that_was_drained", backend, || {
        let before = Holdings::now();
        for _ in 0..3 {
            let server = Setup::new(backend).workers(3).listeners(2).start(|_| Echo);
            let running = Holdings::now();
            // The workers and the watchdog.
            assert_eq!(running.threads.len(), before.threads.len() + 3 + 1, "{running:?}");
            let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.ping(b"hello");
            }
            server.handle.drain();
            for client in &mut clients {
                client.expect_end();
            }
            drop(clients);
            server.end();
            before.assert_now("drained");
        }
    });
}

fn nothing_is_left_of_a_server_that_was_stopped(backend: Backend) {
    in_a_child("leftovers", "nothing_is_left_of_a_server_that_was_stopped", backend, || {
        let before = Holdings::now();
        let setup = Setup::new(backend).workers(2).kernel_buffers(32 << 10, 32 << 10);
        let setup = setup.limits(|limits| limits.slow_reader = SlowReader::Pause);
        for _ in 0..3 {
            let server = setup.start(|_| Echo);
            // Idle ones, ones with half a frame, and ones that are stuck.
            let idle: Vec<Client> = (0..30).map(|_| server.connect()).collect();
            let mut half: Vec<Client> = (0..30).map(|_| server.connect()).collect();
            for client in &mut half {
                client.write(&Wire::U32Le.encode(&pattern(1, 1000))[..500]);
            }
            let stuck: Vec<Client> = (0..10).map(|_| server.connect()).collect();
            let mut writers: Vec<Client> = stuck.iter().map(Client::writer).collect();
            let writing = std::thread::spawn(move || {
                let stream = Wire::U32Le.encode(&pattern(2, 50_000));
                for _ in 0..4 {
                    for writer in &mut writers {
                        writer.try_write(&stream);
                    }
                }
            });
            server.wait_for_bytes_in(500_000);
            server.stop();
            writing.join().unwrap();
            drop((idle, half, stuck));
            before.assert_now("stopped");
        }
    });
}

fn nothing_is_left_of_sessions_that_ended_in_every_way(backend: Backend) {
    let test = "nothing_is_left_of_sessions_that_ended_in_every_way";
    in_a_child("leftovers", test, backend, || {
        let limits = |limits: &mut Limits| limits.frame_bytes_max = 1000;
        let server = Setup::new(backend).workers(2).limits(limits).start(|_| {
            on_frame(|ctx, frame| {
                ctx.send(frame);
                match frame {
                    b"close" => ctx.close(),
                    b"error" => return Err("as it was told".into()),
                    b"panic" => crate::support::backend::panic_on_purpose(),
                    _ => {}
                }
                Ok(())
            })
        });
        server.connect().ping(b"hello");
        server.wait_for_sessions(0);
        let before = Holdings::now();
        for round in 0..200 {
            let mut client = server.connect();
            match round % 8 {
                0 => {}
                1 => client.ping(b"hello"),
                2 => client.send(b"close"),
                3 => client.send(b"error"),
                4 => client.send(b"panic"),
                5 => client.write(&[0xFF; 4]),
                6 => client.write(&[1, 0]),
                _ => {
                    client.send(b"to be left unread");
                    client.reset();
                }
            }
        }
        server.wait_for_sessions(0);
        before.assert_now("no session is left");
    });
}

fn memory_goes_back_after_2000_sessions(backend: Backend) {
    in_a_child("leftovers", "memory_goes_back_after_2000_sessions", backend, || {
        const SESSIONS: usize = 2000;
        let round = || {
            let setup = Setup::new(backend).workers(2);
            let server = setup.limits(|limits| limits.send_bytes_max = 1 << 20).start(|_| Echo);
            let mut clients: Vec<Client> = (0..SESSIONS).map(|_| server.connect()).collect();
            let frame = pattern(1, 20_000);
            for client in &mut clients {
                client.send(&frame);
            }
            for client in &mut clients {
                client.expect(&frame);
            }
            server.handle.drain();
            for client in &mut clients {
                client.expect_end();
            }
            drop(clients);
            assert_eq!(server.end().drained, SESSIONS as u64);
        };
        // The allocator keeps what it once gave to threads that are gone, as much as the first rounds take;
        // what adds up shows in those that follow: a round is 40 MB.
        for _ in 0..3 {
            round();
        }
        let start = resident_bytes();
        for _ in 0..4 {
            round();
        }
        let end = resident_bytes();
        assert!(end < start + (24 << 20), "{start} bytes after three rounds, {end} at last");
    });
}
