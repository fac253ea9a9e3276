//! `wharf serve chat`: every frame goes to every session.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::serving::{
    Serving, Signal, backends, check_echo, check_receives, is_over, read_to_end, serve,
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

fn read_line(mut member: &TcpStream) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') {
        member.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
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
        drop(members);
        serving.stop();
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
