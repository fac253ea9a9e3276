//! `wharf proxy` without faults: nobody sees that it is there.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use crate::program::load_echo;
use crate::proxying::{Between, Report, check_both_ways, is_reset, is_turned_away, proxy};
use crate::serving::{
    PATIENCE, Serving, backends, check_last, check_receives, numbers, read_to_end,
    write_until_stuck,
};
use crate::{program, server};

/// More than the kernel's buffers of both connections hold.
const FLOOD: usize = 96 << 20;

#[track_caller]
fn check_nothing_injected(report: &Report) {
    let nothing = "wharf: injected: 0 drops, 0 delays, 0 cuts, 0 rate waits, 0 flipped bits, \
                   0 stalls, 0 half-closes, 0 resets";
    assert_eq!(report.0.lines().last(), Some(nothing), "{report:?}");
    assert_eq!(report.count("affected"), 0, "{report:?}");
}

#[test]
fn a_mebibyte_goes_each_way_at_the_same_time_unchanged() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend}"));
        let (client, server) = between.connect();
        // The ways differ, so that none is taken for the other.
        let (up, down) = (numbers(0, 1 << 20), numbers(4 << 20, 1 << 20));
        std::thread::scope(|scope| {
            scope.spawn(|| check_last(&client, &up, &down));
            scope.spawn(|| check_last(&server, &down, &up));
        });
        let report = between.stop();
        check_nothing_injected(&report);
        assert_eq!(report.count("connection"), 1, "{report:?}");
        assert_eq!(report.count("bytes up"), 1 << 20, "{report:?}");
        assert_eq!(report.count("down"), 1 << 20, "{report:?}");
        assert_eq!(report.count("discarded"), 0, "{report:?}");
    }
}

#[test]
fn many_connections_do_not_mix() {
    for backend in backends() {
        let mut command = proxy(&format!("--backend {backend}"));
        command.args(["--connect", &server::echo().to_string()]);
        let proxy = Serving::spawn(command);
        for flags in
            ["--sessions 300 --messages 10 --depth 4", "--sessions 3 --messages 5 --size 1MiB"]
        {
            let ended = program::run(load_echo(proxy.address(), flags));
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        let report = Report(proxy.stop().stderr);
        check_nothing_injected(&report);
        assert_eq!(report.count("connection"), 303, "{report:?}");
    }
}

#[test]
fn one_direction_ends_and_the_other_goes_on() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend}"));
        for upwards in [true, false] {
            let (client, server) = between.connect();
            let (first, mut second) = if upwards { (client, server) } else { (server, client) };
            check_half_closed(&first, &mut second);
        }
        check_nothing_injected(&between.stop());
    }
}

#[track_caller]
fn check_half_closed(first: &TcpStream, second: &mut TcpStream) {
    (&mut &*first).write_all(b"question").unwrap();
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(second), b"question");
    for part in [b"an ", b"ans", b"wer"] {
        second.write_all(part).unwrap();
        check_receives(first, part);
    }
    second.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(first), b"");
}

#[test]
fn a_reset_goes_on_to_the_other_end_behind_what_came_before_it() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend}"));
        for upwards in [true, false] {
            let (client, server) = between.connect();
            let (mut from, mut to) = if upwards { (client, server) } else { (server, client) };
            from.write_all(b"last words").unwrap();
            check_receives(&to, b"last words");
            // To close while something has not been read resets.
            to.write_all(b"unread").unwrap();
            assert_ne!(from.peek(&mut [0]).unwrap(), 0);
            drop(from);
            assert!(is_reset(&to), "upwards: {upwards}");
        }
        check_nothing_injected(&between.stop());
    }
}

#[test]
fn an_end_that_is_there_before_the_server_is_connected_is_no_end_of_the_connection() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend}"));
        for _ in 0..20 {
            let mut client = between.proxy.connect();
            client.write_all(b"all at once").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let server = between.accept();
            check_last(&server, b"an answer", b"all at once");
            assert_eq!(read_to_end(&client), b"an answer");
        }
        check_nothing_injected(&between.stop());
    }
}

#[test]
fn a_reader_that_is_slow_slows_down_who_sends() {
    for backend in backends() {
        let between = Between::start(&format!("--backend {backend}"));
        for upwards in [true, false] {
            let (client, server) = between.connect();
            let (mut from, to) = if upwards { (client, server) } else { (server, client) };
            let written = write_until_stuck(&from, FLOOD);
            assert!(written < FLOOD, "the proxy holds {written} bytes");
            // Another connection is none the worse.
            let (other, peer) = between.connect();
            check_both_ways(&other, &peer);

            let rest = numbers(written, 1 << 20);
            let received = std::thread::scope(|scope| {
                scope.spawn(|| {
                    from.set_write_timeout(Some(PATIENCE)).unwrap();
                    from.write_all(&rest).unwrap();
                    from.shutdown(Shutdown::Write).unwrap();
                });
                read_to_end(&to)
            });
            assert_eq!(received.len(), written + rest.len());
            assert!(received == numbers(0, received.len()), "the stream is another");
        }
        check_nothing_injected(&between.stop());
    }
}

#[test]
fn who_cannot_be_connected_through_is_reset_and_it_is_said_once() {
    for backend in backends() {
        let mut command = proxy(&format!("--backend {backend}"));
        let nobody = server::nobody();
        command.args(["--connect", &nobody.to_string()]);
        let mut proxy = Serving::spawn(command);
        for _ in 0..3 {
            assert!(is_turned_away(proxy.address()));
        }
        proxy.wait_for(&format!("cannot connect to {nobody}: connection refused"));
        let report = Report(proxy.stop().stderr);
        assert_eq!(report.count("not connected"), 3, "{report:?}");
        assert_eq!(report.0.matches("cannot connect").count(), 1, "{report:?}");
    }
}
