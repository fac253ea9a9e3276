//! What `wharf serve` sets on its sockets, seen from outside.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::serving::{Serving, backends, check_echo, connect, is_over};

/// In how many hundredths of a second the system asks whether the peer is still there, if it will at
/// all; as Linux tells it of the server's end (proc_net_tcp.txt).
fn asks_in(peer: SocketAddr) -> Option<u64> {
    let port = format!(":{:04X}", peer.port());
    for _ in 0..100_000 {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let ends = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut ends = ends.filter(|fields| fields.len() > 5 && fields[2].ends_with(&port));
        let end = ends.next().unwrap();
        match end[5].split_once(':').unwrap() {
            ("00", _) => return None,
            ("02", left) => return Some(u64::from_str_radix(left, 16).unwrap()),
            // What was sent waits for its acknowledgement, and has a timer that goes first.
            _ => {}
        }
    }
    panic!("what was sent is never acknowledged");
}

/// What is left of the time is read when the echo is there, which on a machine with much else to do took most of
/// a minute once.
#[test]
fn keepalive_is_off_until_asked_for_and_asks_when_it_is_told() {
    for backend in backends() {
        for (flag, asks) in [("", None), ("--keepalive 500", Some(20_000..=50_000))] {
            let serving = Serving::start(&format!("--backend {backend} {flag}"));
            let client = serving.connect();
            check_echo(&client, b"hello");
            let left = asks_in(client.local_addr().unwrap());
            let right = match &asks {
                None => left.is_none(),
                Some(asks) => left.is_some_and(|left| asks.contains(&left)),
            };
            assert!(right, "{backend} {flag}: {left:?}");
            drop(client);
            serving.stop();
        }
    }
}

#[test]
fn who_may_not_connect_is_reset_and_the_others_are_served() {
    for (arguments, served) in [
        ("--allow 127.0.0.0/8", true),
        ("--allow 10.0.0.0/8,::1", false),
        ("--deny 127.0.0.1", false),
        ("--deny 10.0.0.0/8", true),
        ("--allow 127.0.0.1 --deny 127.0.0.0/16", false),
    ] {
        let mut serving = Serving::start(arguments);
        if served {
            check_echo(&serving.connect(), b"hello");
        } else {
            // The reset may come before or after the connect has returned.
            let refused = connect(serving.address()).and_then(|mut stream| stream.read(&mut [0]));
            assert!(is_over(refused), "{arguments}");
            serving.wait_for("the accept filter denies it");
        }
        serving.stop();
    }
}

#[test]
fn what_a_proxy_says_counts_and_what_others_say_is_data() {
    let header = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n";
    let mut serving = Serving::start("--proxy-from 127.0.0.0/8 --deny 192.0.2.8");
    let client = serving.connect();
    (&client).write_all(header).unwrap();
    check_echo(&client, b"hello");
    let denied = serving.connect();
    (&denied).write_all(b"PROXY TCP4 192.0.2.8 10.0.0.1 56324 443\r\n").unwrap();
    assert!(is_over((&denied).read(&mut [0])));
    serving.wait_for("the accept filter denies it");
    let bare = serving.connect();
    (&bare).write_all(b"hello").unwrap();
    assert!(is_over((&bare).read(&mut [0])));
    serving.wait_for("a proxy does not say whose connection it forwards");
    drop((client, denied, bare));
    assert!(serving.stop().stderr.contains("bad_proxy_header 1"));
    let serving = Serving::start("--proxy-from 10.0.0.0/8");
    check_echo(&serving.connect(), header);
    serving.stop();
}

#[test]
fn an_ipv6_address_takes_ipv4_only_when_asked() {
    // A machine without IPv6 has nothing to show.
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    for backend in backends() {
        for dual_stack in ["", "--dual-stack off", "--dual-stack on"] {
            let arguments = format!("--backend {backend} --listen [::]:0 {dual_stack}");
            let takes_ipv4 = || {
                let serving = Serving::start(&arguments);
                let port = serving.address().port();
                check_echo(&connect((Ipv6Addr::LOCALHOST, port).into()).unwrap(), b"six");
                let four = connect((Ipv4Addr::LOCALHOST, port).into());
                let takes = four.is_ok();
                if let (Ok(four), "--dual-stack on") = (&four, dual_stack) {
                    check_echo(four, b"four");
                }
                drop(four);
                serving.stop();
                takes
            };
            // Another test may have the same port of IPv4, but not time and again.
            let taken = (0..5).all(|_| takes_ipv4());
            assert_eq!(taken, dual_stack == "--dual-stack on", "{backend} {dual_stack}");
        }
    }
}
