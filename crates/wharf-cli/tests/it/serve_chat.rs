//! `wharf serve chat`: every frame goes to every session.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::program::Ended;
use crate::serving::{
    Serving, Signal, backends, check_echo, check_receives, is_over, is_silent, read_to_end, serve,
    timed,
};

fn start(arguments: &str) -> Serving {
    Serving::spawn(serve("chat", arguments))
}

/// Sessions that are members: each has heard itself, and so have those before it.
fn members(serving: &Serving, count: usize) -> Vec<TcpStream> {
    let mut members: Vec<TcpStream> = Vec::new();
    for number in 0..count {
        members.push(serving.connect());
        let hello = format!("hello from {number}\n");
        (&members[number]).write_all(hello.as_bytes()).unwrap();
        members.iter().for_each(|member| check_receives(member, hello.as_bytes()));
    }
    members
}

#[test]
fn everybody_hears_everybody_in_the_order_of_each() {
    for backend in backends() {
        let serving = start(&format!("--backend {backend} --workers 2"));
        let members = members(&serving, 6);
        for (number, mut member) in members.iter().enumerate() {
            let lines: String = (0..100).map(|line| format!("{number}: {line}\r\n")).collect();
            member.write_all(lines.as_bytes()).unwrap();
        }
        for member in &members {
            let heard: String = (0..600).map(|_| read_line(member)).collect();
            for number in 0..members.len() {
                let prefix = format!("{number}: ");
                let from_it = heard.lines().filter(|line| line.starts_with(&prefix));
                let wanted: Vec<String> = (0..100).map(|line| format!("{prefix}{line}")).collect();
                assert_eq!(from_it.collect::<Vec<&str>>(), wanted);
            }
        }
        drop(members);
        serving.stop();
    }
}

#[test]
fn frames_are_told_apart_as_asked() {
    let serving = start("--framing u16be --workers 1");
    let one = serving.connect();
    check_echo(&one, b"\0\x03one");
    let two = serving.connect();
    check_echo(&two, b"\0\x03two");
    check_receives(&one, b"\0\x03two");
    drop((one, two));
    serving.stop();
}

#[test]
fn a_member_that_does_not_read_is_closed_and_the_others_go_on() {
    // So little that a kernel's buffers do not hide it for long.
    const LINES: usize = 4096;
    for backend in backends() {
        let serving = start(&format!("--backend {backend} --workers 2 --send-max 64KiB"));
        let members = members(&serving, 4);
        let (stopped, readers) = members.split_first().unwrap();
        let line = [&[b'x'; 8191][..], b"\n"].concat();
        for _ in 0..LINES {
            (&readers[0]).write_all(&line).unwrap();
            readers.iter().for_each(|reader| check_receives(reader, &line));
        }
        let mut rest = vec![0; 1 << 20];
        loop {
            let read = { stopped }.read(&mut rest);
            if !matches!(read, Ok(1..)) {
                assert!(is_over(read));
                break;
            }
        }
        check_reason(serving, "slow_reader 1");
    }
}

#[test]
fn what_a_member_that_does_not_read_misses_is_whole_lines() {
    const LINES: usize = 4096;
    let line = |number: usize| format!("{number:08}{}\n", ".".repeat(8000));
    for backend in backends() {
        let flags = "--workers 2 --send-max 64KiB --slow drop-newest";
        let serving = start(&format!("--backend {backend} {flags}"));
        let members = members(&serving, 2);
        let (stopped, reader) = (&members[0], &members[1]);
        for number in 0..LINES {
            { reader }.write_all(line(number).as_bytes()).unwrap();
            check_receives(reader, line(number).as_bytes());
        }
        let mut heard = Vec::new();
        while !is_silent(stopped) {
            heard.push(read(stopped, line(0).len()));
        }
        // There is room again.
        { reader }.write_all(line(LINES).as_bytes()).unwrap();
        check_receives(stopped, line(LINES).as_bytes());
        let numbers: Vec<usize> = heard.iter().map(|line| line[..8].parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
        assert!(numbers.len() < LINES, "nothing was dropped");
        assert!(numbers.iter().zip(&heard).all(|(number, heard)| line(*number) == *heard));
        check_reason(serving, "drain 2");
    }
}

fn read(mut member: &TcpStream, len: usize) -> String {
    let mut bytes = vec![0; len];
    member.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn read_line(mut member: &TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        member.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// Ends a chat that had sessions which ended for such a reason.
#[track_caller]
fn check_reason(serving: Serving, reason: &str) {
    check_said(&serving.stop(), reason);
}

#[track_caller]
fn check_said(ended: &Ended, reason: &str) {
    let reasons = ended.reasons();
    assert!(reasons.is_some_and(|them| them.split(", ").any(|it| it == reason)), "{ended:?}");
}

/// Ends a member's stream, and waits until the server has ended it as well.
#[track_caller]
fn leave(member: TcpStream) {
    member.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&member), b"");
}

#[test]
fn a_member_hears_what_is_said_while_it_is_there() {
    for backend in backends() {
        let serving = start(&format!("--backend {backend} --workers 2"));
        let mut members = members(&serving, 3);
        leave(members.remove(0));
        // The others have not heard of it.
        for (number, member) in members.iter().enumerate() {
            let line = format!("{number} is still here\n");
            { member }.write_all(line.as_bytes()).unwrap();
            members.iter().for_each(|other| check_receives(other, line.as_bytes()));
        }
        members.into_iter().for_each(leave);
        check_reason(serving, "peer_closed 3");
    }
}

#[test]
fn a_line_that_is_too_long_ends_who_says_it_and_nobody_hears_it() {
    for backend in backends() {
        let serving = start(&format!("--backend {backend} --workers 2 --frame-max 100"));
        let mut members = members(&serving, 3);
        let longest = [&[b'x'; 100][..], b"\n"].concat();
        (&members[0]).write_all(&longest).unwrap();
        members.iter().for_each(|member| check_receives(member, &longest));
        let mut loud = members.remove(0);
        loud.write_all(&[&[b'y'; 101][..], b"\n"].concat()).unwrap();
        assert!(is_over(loud.read(&mut [0])));
        (&members[0]).write_all(b"who was that?\n").unwrap();
        members.iter().for_each(|member| check_receives(member, b"who was that?\n"));
        check_reason(serving, "bad_frame 1");
    }
}

#[test]
fn who_says_too_much_is_closed_or_held_back() {
    const LINES: usize = 40;
    let said: String = (0..LINES).map(|line| format!("line {line:02}\n")).collect();
    for backend in backends() {
        let flags = "--workers 2 --frame-rate 20:10";
        let serving = start(&format!("--backend {backend} {flags} --over-rate disconnect"));
        let mut talkers = members(&serving, 2);
        let (mut talker, listener) = (talkers.remove(0), talkers.remove(0));
        talker.write_all(said.as_bytes()).unwrap();
        let mut heard = Vec::new();
        let read = talker.read_to_end(&mut heard);
        assert!(is_over(read.map(|_| 0)));
        // Some of it was heard, in order, and the others go on.
        (&listener).write_all(b"go on\n").unwrap();
        let mut others = String::new();
        while !others.ends_with("go on\n") {
            others += &read_line(&listener);
        }
        let others = others.trim_end_matches("go on\n");
        assert!(said.starts_with(others) && others.len() < said.len(), "{others}");
        check_reason(serving, "rate_limited 1");

        let serving = start(&format!("--backend {backend} {flags} --over-rate throttle"));
        let talkers = members(&serving, 2);
        let (elapsed, ()) = timed(|| {
            (&talkers[0]).write_all(said.as_bytes()).unwrap();
            talkers.iter().for_each(|member| check_receives(member, said.as_bytes()));
        });
        // 40 lines, ten of them at once, 20 a second: and a little of it had come back before.
        assert!(elapsed > Duration::from_millis(1000), "{elapsed:?}");
        check_reason(serving, "drain 2");
    }
}

#[test]
fn every_member_hears_the_farewell_last() {
    for backend in backends() {
        let mut serving = start(&format!("--backend {backend} --workers 2 --farewell farewell"));
        let members = members(&serving, 3);
        serving.signal(Signal::TERM);
        members.iter().for_each(|member| assert_eq!(read_to_end(member), b"farewell\n"));
        drop(members);
        check_said(&serving.end(), "drain 3");
    }
}

#[test]
fn a_drain_loses_nothing_that_was_said() {
    for backend in backends() {
        let mut serving = start(&format!("--backend {backend} --workers 2"));
        let members = members(&serving, 5);
        let said = "the last words\n".repeat(1000);
        (&members[0]).write_all(said.as_bytes()).unwrap();
        // All of it has been read once it has come back.
        check_receives(&members[0], said.as_bytes());
        serving.signal(Signal::TERM);
        for member in &members[1..] {
            assert!(read_to_end(member) == said.as_bytes(), "words were lost");
        }
        drop(members);
        assert_eq!(serving.end().code, Some(0));
    }
}
