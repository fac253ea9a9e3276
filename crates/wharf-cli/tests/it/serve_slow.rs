//! What `wharf serve echo` does with a session that does not read.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::serving::{
    PATIENCE, Serving, backends, check_echo, is_over, is_silent, numbers, write_until_stuck,
};

/// More than the kernel's buffers of both sides hold, where a server reads and a client does not.
const FLOOD: usize = 96 << 20;
/// The payload of a numbered frame.
const FRAME: usize = 32 << 10;
/// So many of them are more than the buffers hold on the way back.
const FRAMES: u32 = 1024;

#[test]
fn pause_stops_the_session_and_loses_nothing() {
    for backend in backends() {
        for (framing, send_max) in [("raw", "256KiB"), ("raw", "4KiB"), ("lines", "4KiB")] {
            let serving = Serving::start(&format!(
                "--backend {backend} --workers 1 --framing {framing} --send-max {send_max}"
            ));
            let slow = serving.connect();
            let neighbour = serving.connect();
            let written = if framing == "raw" {
                write_until_stuck(&slow, FLOOD)
            } else {
                write_lines_until_stuck(&slow)
            };
            assert!(written < FLOOD, "the server takes what it cannot send: {written} bytes");
            check_echo(&neighbour, b"a neighbour is not held up\n");

            let mut received = vec![0; written];
            (&slow).read_exact(&mut received).unwrap();
            let expected = if framing == "raw" { numbers(0, written) } else { lines(written) };
            assert!(received == expected, "{framing} {send_max}: the stream is another");
            slow.set_write_timeout(Some(PATIENCE)).unwrap();
            if framing == "raw" {
                check_echo(&slow, b"and goes on");
            }
            drop((slow, neighbour));
            serving.stop();
        }
    }
}

/// A stream of short lines.
fn lines(len: usize) -> Vec<u8> {
    let line = b"a line of some length\n";
    let mut lines = line.repeat(len.div_ceil(line.len()));
    lines.truncate(len);
    lines
}

/// Like [`write_until_stuck`], and whole lines: what has come back ends with one.
fn write_lines_until_stuck(mut stream: &TcpStream) -> usize {
    let line = lines(22);
    let many = line.repeat(1000);
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let mut written = 0;
    while written < FLOOD {
        match stream.write(&many[written % line.len()..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("after {written} bytes: {error}"),
        }
    }
    written - written % line.len()
}

#[test]
fn disconnect_ends_the_session_and_no_other() {
    for backend in backends() {
        for framing in ["raw", "lines"] {
            let serving = Serving::start(&format!(
                "--backend {backend} --workers 1 --framing {framing} --slow disconnect"
            ));
            let slow = serving.connect();
            let neighbour = serving.connect();
            let line = lines(22 * 1000);
            let refused = (0..FLOOD / line.len()).any(|_| (&slow).write_all(&line).is_err());
            assert!(refused, "the server takes what it cannot send");
            let mut rest = vec![0; 1 << 20];
            loop {
                let read = (&slow).read(&mut rest);
                if !matches!(read, Ok(1..)) {
                    assert!(is_over(read));
                    break;
                }
            }
            check_echo(&neighbour, b"a neighbour\n");
            drop(neighbour);
            serving.stop();
        }
    }
}

/// A frame with a number, `u32be`.
fn numbered(number: u32) -> Vec<u8> {
    let mut frame = u32::try_from(FRAME).unwrap().to_be_bytes().to_vec();
    frame.extend(number.to_be_bytes());
    frame.resize(4 + FRAME, b'.');
    frame
}

/// The number of the next frame, which must be whole.
#[track_caller]
fn read_number(mut stream: &TcpStream) -> u32 {
    let mut frame = vec![0; 4 + FRAME];
    stream.read_exact(&mut frame).unwrap();
    let number = u32::from_be_bytes(*frame[4..].first_chunk().unwrap());
    assert!(frame == numbered(number), "frame {number} is damaged");
    number
}

/// Sends numbered frames and reads none of them; then the numbers that were kept for it.
fn numbers_kept(serving: &Serving, count: u32) -> Vec<u32> {
    let slow = serving.connect();
    let neighbour = serving.connect();
    for number in 0..count {
        (&slow).write_all(&numbered(number)).unwrap();
    }
    // What the server had not read yet, it reads in turns of two frames. It has one worker, so each of
    // a neighbour's frames takes a turn.
    for _ in 0..count {
        check_echo(&neighbour, &[0, 0, 0, 1, b'x']);
    }
    let mut numbers = Vec::new();
    while !is_silent(&slow) {
        numbers.push(read_number(&slow));
    }
    assert!(numbers.is_sorted_by(|one, other| one < other), "out of order, or twice: {numbers:?}");
    assert!(numbers.len() < count as usize, "nothing was dropped");
    // There is room again.
    check_echo(&slow, &numbered(count));
    numbers
}

#[test]
fn drop_newest_keeps_the_oldest_frames_whole_and_in_order() {
    for backend in backends() {
        let serving = Serving::start(&format!(
            "--backend {backend} --workers 1 --framing u32be --slow drop-newest"
        ));
        let numbers = numbers_kept(&serving, FRAMES);
        let oldest = numbers.iter().zip(0..FRAMES).take_while(|(one, other)| **one == *other);
        assert!(oldest.count() > 8, "the oldest frames were dropped: {numbers:?}");
        assert!(!numbers.contains(&(FRAMES - 1)), "the newest frame was kept: {numbers:?}");
        serving.stop();
    }
}

#[test]
fn drop_oldest_keeps_the_newest_frames_whole_and_in_order() {
    for backend in backends() {
        let serving = Serving::start(&format!(
            "--backend {backend} --workers 1 --framing u32be --slow drop-oldest"
        ));
        let numbers = numbers_kept(&serving, FRAMES);
        assert_eq!(
            numbers.last(),
            Some(&(FRAMES - 1)),
            "the newest frame was dropped: {numbers:?}"
        );
        serving.stop();
    }
}
