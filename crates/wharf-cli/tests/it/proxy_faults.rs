//! The faults that `wharf proxy` injects, one by one, seen from both ends of a connection.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::proxying::{Between, check_both_ways, is_reset, is_silent, read_to_reset};
use crate::serving::{backends, check_receives, numbers, read_to_end, timed, write_until_stuck};

#[test]
fn a_delay_is_at_least_what_was_asked_for_in_each_direction() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend} --delay 0.2"));
        let (client, server) = between.connect();
        for _ in 0..3 {
            let (took, ()) = timed(|| check_both_ways(&client, &server));
            assert!(took >= Duration::from_millis(400), "{took:?}");
        }
        // The end of a stream is held back like its bytes.
        let (took, _) = timed(|| {
            client.shutdown(Shutdown::Write).unwrap();
            read_to_end(&server)
        });
        assert!(took >= Duration::from_millis(200), "{took:?}");
        assert_eq!(between.stop().count("delay"), 7);
    }
}

#[test]
fn one_direction_can_be_delayed_alone() {
    for backend in backends() {
        for (direction, slow_way) in [("up", 0), ("down", 1)] {
            let flags = format!("--backend {backend} --delay 1 --direction {direction}");
            let between = Between::start(&flags);
            let (client, server) = between.connect();
            let ways = [(&client, &server), (&server, &client)];
            for (way, (mut from, to)) in ways.into_iter().enumerate() {
                from.write_all(b"x").unwrap();
                assert_eq!(is_silent(to), way == slow_way, "{direction}");
            }
        }
    }
}

#[test]
fn jitter_lets_nothing_overtake() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend} --jitter 0.03"));
        let (mut client, server) = between.connect();
        let sent = numbers(0, 4_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for part in sent.chunks(20) {
                    client.write_all(part).unwrap();
                }
                client.shutdown(Shutdown::Write).unwrap();
            });
            assert!(read_to_end(&server) == sent, "the stream is another");
        });
        assert!(between.stop().count("delay") > 1);
    }
}

/// The sizes of the reads up to the end of a stream, and its bytes.
fn reads(mut stream: &TcpStream) -> (Vec<usize>, Vec<u8>) {
    let (mut sizes, mut bytes) = (Vec::new(), Vec::new());
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return (sizes, bytes),
            count => {
                sizes.push(count);
                bytes.extend_from_slice(&buffer[..count]);
            }
        }
    }
}

#[test]
fn a_chopped_stream_comes_in_pieces_and_is_the_same() {
    for backend in backends() {
        let flags = "--direction up --chop 3 --chop-gap 0.05";
        let between = Between::start(&format!("--backend {backend} {flags}"));
        let (mut client, server) = between.connect();
        let sent = numbers(0, 29);
        let (took, (sizes, received)) = timed(|| {
            client.write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            reads(&server)
        });
        assert!(received == sent);
        assert!(took >= Duration::from_millis(9 * 50), "ten pieces in {took:?}");
        // A reader that was kept from running finds several pieces at once, but never a part of one.
        let whole = sizes[..sizes.len() - 1].iter().all(|size| size.is_multiple_of(3));
        assert!(whole && sizes.len() >= 5, "{sizes:?}");
        assert_eq!(between.stop().count("cut"), 9);
    }
}

#[test]
fn a_large_stream_survives_a_chop_without_a_gap() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend} --chop 7"));
        let (mut client, server) = between.connect();
        let sent = numbers(0, 200_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            assert!(read_to_end(&server) == sent, "the stream is another");
        });
        // Pieces of seven, and fewer at the end of what came together.
        let cuts = between.stop().count("cut");
        assert!((20_000..200_000 / 7 + 1).contains(&cuts), "{cuts}");
    }
}

#[test]
fn a_rate_is_kept() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend} --rate 200KiB"));
        let (mut client, server) = between.connect();
        let sent = numbers(0, 100 << 10);
        let (took, received) = timed(|| {
            client.write_all(&sent).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            read_to_end(&server)
        });
        assert!(received == sent, "the stream is another");
        // Half a second, of which two sends of 20 ms each may be ahead.
        assert!((Duration::from_millis(460)..Duration::from_secs(5)).contains(&took), "{took:?}");
        // One for each send of 20 ms, but for those that a busy machine is late with anyway.
        assert!((1..=25).contains(&between.stop().count("rate wait")));
    }
}

#[test]
fn corruption_flips_exactly_the_bits_that_are_counted_and_nothing_else() {
    for backend in backends() {
        let flags = format!("--backend {backend} --corrupt 0.01 --direction up --seed 5");
        let between = Between::start(&flags);
        let (mut client, mut server) = between.connect();
        let sent = numbers(0, 1 << 20);
        let received = std::thread::scope(|scope| {
            scope.spawn(|| {
                client.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            read_to_end(&server)
        });
        assert_eq!(received.len(), sent.len());
        let bits = |(a, b): (&u8, &u8)| usize::try_from((a ^ b).count_ones()).unwrap();
        let changed: Vec<usize> =
            sent.iter().zip(&received).map(bits).filter(|&bits| bits > 0).collect();
        assert!(changed.iter().all(|&bits| bits == 1), "one bit of a byte");
        assert!((10_000..11_000).contains(&changed.len()), "{}", changed.len());

        server.write_all(&sent).unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        assert!(read_to_end(&client) == sent, "the other direction is left alone");
        assert_eq!(between.stop().count("flipped bit"), changed.len());
    }
}

#[test]
fn a_stall_stops_one_direction_for_its_time() {
    for backend in backends() {
        let flags = "--stall-after 10 --stall-for 1 --direction down";
        let between = Between::start(&format!("--backend {backend} {flags}"));
        let (client, mut server) = between.connect();
        let (took, ()) = timed(|| {
            server.write_all(b"0123456789behind").unwrap();
            check_receives(&client, b"0123456789");
            assert!(is_silent(&client));
            // The other direction goes on.
            (&client).write_all(b"hello").unwrap();
            check_receives(&server, b"hello");
            check_receives(&client, b"behind");
        });
        assert!(took >= Duration::from_secs(1), "{took:?}");
        // It happens once.
        check_both_ways(&client, &server);
        assert_eq!(between.stop().count("stall"), 1);
    }
}

#[test]
fn a_stall_for_good_ends_with_both_ends_only() {
    for backend in backends() {
        let flags = "--stall-after 10 --stall-for off --direction up";
        let between = Between::start(&format!("--backend {backend} {flags}"));
        let (mut client, mut server) = between.connect();
        client.write_all(b"0123456789never").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        check_receives(&server, b"0123456789");
        assert!(is_silent(&server), "neither bytes nor the end");
        server.write_all(b"hello").unwrap();
        check_receives(&client, b"hello");
        // Now both have ended their streams, and nobody waits for what is held.
        server.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_reset(&server), (Vec::new(), Some(ErrorKind::ConnectionReset)));
        let report = between.stop();
        assert_eq!(report.count("stall"), 1, "{report:?}");
        assert_eq!(report.count("bytes up"), 10, "{report:?}");
    }
}

#[test]
fn who_sends_more_into_a_stall_than_is_held_is_heard_of_again_when_the_other_end_is_gone() {
    for backend in backends() {
        // A reset that waits behind the stall changes nothing.
        for more in ["", "--reset-after 8000"] {
            let flags = "--stall-after 10 --stall-for off --direction up --send-max 4KiB";
            let between = Between::start(&format!("--backend {backend} {flags} {more}"));
            let (client, server) = between.connect();
            let written = write_until_stuck(&client, 96 << 20);
            assert!(written < 96 << 20);
            server.shutdown(Shutdown::Write).unwrap();
            assert_eq!(read_to_end(&client), b"");
            // Its bytes go nowhere, but its end is seen.
            client.shutdown(Shutdown::Write).unwrap();
            let (received, end) = read_to_reset(&server);
            assert_eq!((received.len(), end), (10, Some(ErrorKind::ConnectionReset)));
            assert_eq!(between.stop().count("discarded"), written - 10);
        }
    }
}

#[test]
fn a_reset_is_seen_by_both_ends_behind_the_bytes_before_it() {
    for backend in backends() {
        let flags = format!("--backend {backend} --reset-after 1000 --direction up");
        let between = Between::start(&flags);
        let (mut client, mut server) = between.connect();
        server.write_all(&[0; 5_000]).unwrap();
        check_receives(&client, &[0; 5_000]);
        let sent = numbers(0, 3_000);
        client.write_all(&sent).unwrap();
        let (received, end) = read_to_reset(&server);
        assert!(received == sent[..1_000], "{} bytes came", received.len());
        assert_eq!(end, Some(ErrorKind::ConnectionReset));
        assert!(is_reset(&client));
        let report = between.stop();
        assert_eq!(report.count("reset"), 1, "{report:?}");
        assert_eq!(report.count("discarded"), 2_000, "{report:?}");
    }
}

#[test]
fn a_stream_is_ended_early_and_the_other_direction_goes_on() {
    for backend in backends() {
        let flags = format!("--backend {backend} --half-close-after 100 --direction down");
        let between = Between::start(&flags);
        let (mut client, mut server) = between.connect();
        let sent = numbers(0, 250);
        server.write_all(&sent).unwrap();
        assert!(read_to_end(&client) == sent[..100]);
        client.write_all(b"still here").unwrap();
        check_receives(&server, b"still here");
        // What the server still sends is taken from it, however much it is.
        server.write_all(&vec![0; 1 << 20]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&server), b"");
        drop(server);
        let report = between.stop();
        assert_eq!(report.count("half-close"), 1, "{report:?}");
        assert_eq!(report.count("down"), 100, "{report:?}");
    }
}

#[test]
fn new_connections_are_dropped_before_the_server_sees_them() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend} --drop 0.5 --seed 11"));
        let mut dropped = 0;
        for _ in 0..40 {
            match between.connect_unless_dropped() {
                Some((client, server)) => check_both_ways(&client, &server),
                None => dropped += 1,
            }
        }
        assert!((10..=30).contains(&dropped), "{dropped}");
        let report = between.stop();
        assert_eq!(report.count("drop"), dropped, "{report:?}");
        assert_eq!(report.count("connection"), 40, "{report:?}");
    }
}

#[test]
fn what_was_sent_before_the_connection_broke_still_arrives() {
    for backend in backends() {
        let flags = format!("--backend {backend} --delay 0.5 --direction down");
        let between = Between::start(&flags);
        let (mut client, mut server) = between.connect();
        client.write_all(b"request").unwrap();
        check_receives(&server, b"request");
        let answer = numbers(0, 10_000);
        server.write_all(&answer).unwrap();
        drop(server);
        // Nobody takes these any more, while the answer is still on its way.
        let broken = (0..1_000_000).any(|_| client.write_all(b"more").is_err());
        assert!(broken);
        check_receives(&client, &answer);
        between.stop();
    }
}
