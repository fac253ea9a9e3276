//! How `wharf proxy` starts, is asked for, and ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::program::{run, wharf};
use crate::proxying::{
    Between, check_both_ways, connect_unless_reset, is_reset, is_turned_away, proxy,
};
use crate::serve_terminal::{Terminal, serve_on};
use crate::server;
use crate::serving::{Serving, Signal, backends, check_echo, numbers, write_until_stuck};

/// Every flag with values that are out of its range, and what is said of them.
const WRONG: [(&str, &[&str], &str); 20] = [
    ("listen", &["7778", "1.2.3:80"], "IP:PORT"),
    ("connect", &["7777", "127.0.0.1"], "IP:PORT"),
    ("send-max", &["4095", "0"], "4KiB or more"),
    ("backend", &["kqueue"], "auto, uring, readiness or iocp"),
    ("seed", &["0", "x", "-1"], "whole number, 1 or more"),
    ("direction", &["left"], "up, down, both"),
    ("share", &["0", "1.1", "5%"], "above 0 and up to 1"),
    ("drop", &["0", "2", "-0.5"], "above 0 and up to 1"),
    ("delay", &["0", "86401", "100ms"], "seconds from 0.001 to 86400"),
    ("jitter", &["0", "nan"], "seconds from 0.001 to 86400"),
    ("chop", &["0", "17MiB"], "1 B to 16MiB"),
    ("chop-gap", &["0"], "seconds from 0.001 to 86400"),
    ("rate", &["0", "fast"], "1 B or more"),
    ("corrupt", &["0", "1.5"], "above 0 and up to 1"),
    ("stall", &["0"], "above 0 and up to 1"),
    ("stall-after", &["0", "-5"], "1 B or more"),
    ("stall-for", &["0", "never"], "or off"),
    ("half-close-after", &["0"], "1 B or more"),
    ("reset", &["0"], "above 0 and up to 1"),
    ("reset-after", &["0"], "1 B or more"),
];

#[test]
fn a_value_out_of_its_range_is_named_wherever_it_comes_from() {
    for (flag, values, says) in WRONG {
        for value in values {
            let ended = run(wharf(["proxy", &format!("--{flag}={value}")]));
            let line = ended.failure_alone(2);
            assert!(line.contains(value) && line.contains(says), "--{flag} {value}: {line}");

            let variable = format!("WHARF_{}", flag.replace('-', "_").to_uppercase());
            let mut command = wharf(["proxy"]);
            command.env(&variable, value);
            let ended = run(command);
            let line = ended.failure_alone(2);
            assert!(line.contains(says) && line.contains(&variable), "{variable}: {line}");
        }
    }
}

#[test]
fn help_names_every_flag_and_what_a_seed_repeats() {
    let ended = run(wharf(["proxy", "--help"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    for (flag, _, _) in WRONG {
        assert!(ended.stdout.contains(&format!("--{flag} <")), "--{flag} in {}", ended.stdout);
    }
    assert!(ended.stdout.contains("With the same --seed"), "{}", ended.stdout);
}

#[test]
fn a_flag_that_would_have_no_effect_is_refused() {
    for (arguments, says) in [
        ("--stall-for 1", "--stall or --stall-after"),
        ("--chop-gap 1", "give --chop"),
        ("--stray", "--stray"),
        ("echo", "echo"),
    ] {
        let ended = run(proxy(arguments));
        let line = ended.failure_alone(2);
        assert!(line.contains(says), "{arguments}: {line}");
    }
}

#[test]
fn a_proxy_to_itself_is_refused() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        // A port that was free may be another test's meanwhile.
        let says_so = (0..10).any(|_| {
            let address = server::nobody();
            let listen = format!("{host}:{}", address.port());
            let ended =
                run(wharf(["proxy", "--listen", &listen, "--connect", &address.to_string()]));
            let refused = ended.code == Some(2);
            refused && ended.failure_alone(2).contains("the proxy itself listens")
        });
        assert!(says_so, "{host}");
    }
}

#[test]
fn a_failed_start_is_one_line_and_exit_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    for (arguments, says) in [
        (format!("--listen {}", taken.1), "in use"),
        ("--listen 192.0.2.1:1".to_owned(), "not an address of this machine"),
        ("--listen no-such-host.invalid:1".to_owned(), "cannot resolve 'no-such-host.invalid:1'"),
        ("--connect no-such-host.invalid:1".to_owned(), "cannot resolve 'no-such-host.invalid:1'"),
        ("--backend iocp".to_owned(), "iocp"),
    ] {
        let mut command = wharf(["proxy"]);
        command.args(arguments.split(' '));
        let ended = run(command);
        assert!(ended.failure_alone(1).contains(says), "{arguments}: {ended:?}");
    }
}

#[test]
fn each_signal_ends_it_and_resets_what_is_open() {
    for backend in backends() {
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            let mut between = Between::start(&format!("--backend {backend}"));
            let pairs: Vec<_> = (0..10).map(|_| between.connect()).collect();
            for (client, server) in &pairs {
                check_both_ways(client, server);
            }
            // One that holds what its reader does not take.
            let (sender, _reader) = between.connect();
            write_until_stuck(&sender, 96 << 20);

            let address = between.proxy.address();
            between.proxy.signal(signal);
            let ended = between.proxy.end();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            for (client, server) in pairs {
                assert!(is_reset(&client) && is_reset(&server));
            }
            let [passed, injected] = ended.stderr.lines().collect::<Vec<_>>()[..] else {
                panic!("{ended:?}")
            };
            assert!(passed.starts_with("wharf: 11 connections, 0 affected, 0 refused"), "{passed}");
            assert!(injected.starts_with("wharf: injected: 0 drops"), "{injected}");
            TcpListener::bind(address).unwrap();
        }
    }
}

#[test]
fn connections_beyond_the_descriptors_are_reset_and_the_others_go_on() {
    for backend in backends() {
        let mut command = Command::new("/bin/sh");
        let server = server::echo();
        let program = env!("CARGO_BIN_EXE_wharf");
        command.env_clear().arg("-c").arg(format!(
            "ulimit -n 52; exec '{program}' proxy --listen 127.0.0.1:0 --connect {server} \
             --backend {backend}"
        ));
        let proxy = Serving::spawn(command);
        // Twenty descriptors: ten connections.
        let open: Vec<_> = (0..10).map(|_| proxy.connect()).collect();
        for client in &open {
            check_echo(client, b"let in");
        }
        assert!((0..20).all(|_| is_turned_away(proxy.address())));
        for client in &open {
            check_echo(client, b"still there");
        }
        // Room is made by one that ends.
        let mut open = open;
        drop(open.pop());
        let is_let_in = |client: TcpStream| {
            (&client).write_all(b"x").is_ok() && matches!((&client).read(&mut [0]), Ok(1))
        };
        let let_in =
            (0..10_000).any(|_| connect_unless_reset(proxy.address()).is_some_and(is_let_in));
        assert!(let_in, "a place that is free again is not given");
        proxy.stop();
    }
}

#[test]
fn a_terminal_gets_a_live_line() {
    let server = server::echo();
    let (mut terminal, user) = Terminal::open(100);
    let mut command = proxy("--chop 1 --direction up");
    command.args(["--connect", &server.to_string()]);
    let (mut process, client) = serve_on(user, command);
    check_echo(&client, &numbers(0, 101));
    terminal.wait_until(|line| line.starts_with("1 connection  up 0 B/s  down 0 B/s  100 faults"));
    process.signal(Signal::TERM);
    terminal.show_all();
    assert_eq!(process.exit_code(), Some(0));
    assert_eq!(terminal.current, "", "the live line is gone");
    let last = terminal.lines.last().unwrap();
    assert!(last.starts_with("wharf: injected: 0 drops, 0 delays, 100 cuts"), "{last}");
}
