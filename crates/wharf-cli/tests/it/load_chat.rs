//! `wharf load chat`: against a chat that is right, and some that are not.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

use crate::program::{count, load, run, run_json};
use crate::server;

/// A member as the server sees it.
struct Member {
    number: usize,
    stream: TcpStream,
    /// Bytes that it was sent.
    position: usize,
}

/// Sends everything to everybody; `spoil` may change what a member is sent. It gets the member's number
/// and the position of the bytes in its stream.
pub(crate) fn chat_spoiled<F>(spoil: F) -> SocketAddr
where
    F: Fn(usize, usize, &mut Vec<u8>) + Clone + Send + 'static,
{
    chat_ending(usize::MAX, spoil)
}

/// The same, and ends a connection once it has sent so many bytes.
fn chat_ending<F>(bytes_max: usize, spoil: F) -> SocketAddr
where
    F: Fn(usize, usize, &mut Vec<u8>) + Clone + Send + 'static,
{
    let members: Arc<Mutex<Vec<Member>>> = Arc::default();
    server::serve(move |number, mut stream| {
        let own = Member { number, stream: stream.try_clone().unwrap(), position: 0 };
        members.lock().unwrap().push(own);
        let (mut buffer, mut sent) = ([0; 4096], 0);
        while sent < bytes_max
            && let Ok(count @ 1..) = stream.read(&mut buffer)
        {
            sent += count;
            for member in members.lock().unwrap().iter_mut() {
                let mut bytes = buffer[..count].to_vec();
                spoil(member.number, member.position, &mut bytes);
                member.position += count;
                // One that is gone is noticed by its own thread.
                let _ = member.stream.write_all(&bytes);
            }
        }
        members.lock().unwrap().retain(|member| member.number != number);
        let _ = stream.shutdown(Shutdown::Write);
    })
}

fn load_chat(server: SocketAddr, arguments: &str) -> Command {
    load("chat", server, arguments)
}

#[test]
fn every_delivery_is_verified_in_every_framing() {
    let server = chat_spoiled(|_, _, _| {});
    for framing in ["raw", "lines", "u16le", "u32be"] {
        for (size, depth) in [("5", 1), ("64", 16), ("2044", 2), ("50000", 3)] {
            let flags = format!(
                "--sessions 7 --messages 20 --size {size} --depth {depth} --framing {framing}"
            );
            let (ended, json) = run_json(load_chat(server, &flags));
            assert_eq!(ended.code, Some(0), "{flags}: {ended:?}");
            assert_eq!((count(&json, "sent"), count(&json, "received")), (140, 140), "{json}");
            assert_eq!((count(&json, "wrong"), count(&json, "missing")), (0, 0), "{json}");
        }
    }
}

#[test]
fn a_rate_is_kept_and_latency_counts_deliveries() {
    let server = chat_spoiled(|_, _, _| {});
    let flags = "--sessions 5 --rate 200 --duration 1 --warmup off";
    let (ended, json) = run_json(load_chat(server, flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let received = count(&json, "received");
    assert!(received.is_multiple_of(5) && (900..=1005).contains(&received), "{json}");
    assert!(json["latency_us"]["p50"].as_f64().is_some_and(|p50| p50 > 0.0), "{json}");
}

#[test]
fn one_wrong_byte_at_one_member_is_one_wrong_message() {
    // Far behind the messages that the meeting repeats.
    let at = 65 * 500;
    let server = chat_spoiled(move |member, position, bytes| {
        if member == 2 && (position..position + bytes.len()).contains(&at) {
            bytes[at - position] ^= 1;
        }
    });
    let (ended, json) = run_json(load_chat(server, "--sessions 4 --messages 1000"));
    let line = ended.failure(1);
    assert_eq!((count(&json, "wrong"), count(&json, "missing")), (1, 0), "{line}");
    assert!(line.contains("1 message came back wrong (the first in session 2"), "{line}");
}

#[test]
fn what_one_member_lacks_is_missing() {
    let at = 65 * 500;
    let server = chat_spoiled(move |member, position, bytes| {
        if member == 1 && position + bytes.len() > at {
            bytes.clear();
        }
    });
    let (ended, json) = run_json(load_chat(server, "--sessions 4 --messages 1000 --depth 1000"));
    let line = ended.failure(1);
    assert!(count(&json, "missing") >= 490 && count(&json, "wrong") == 0, "{json}");
    assert!(line.contains("1 session not answered"), "{line}");
}

#[test]
fn a_server_may_leave_out_the_sender() {
    let leaves_out = || {
        chat_spoiled(|member, _, bytes| {
            if member == 0 {
                bytes.clear();
            }
        })
    };
    let flags = "--sessions 4 --messages 50 --depth 3 --echo-to-sender off";
    let (ended, json) = run_json(load_chat(leaves_out(), flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!((count(&json, "sent"), count(&json, "received")), (150, 150), "{json}");

    // One that does not, and one of which that is not known.
    let ended = run(load_chat(chat_spoiled(|_, _, _| {}), flags));
    let line = ended.failure(1);
    assert!(line.contains("1 session got more bytes than it sent"), "{line}");
    let ended = run(load_chat(leaves_out(), "--sessions 4 --messages 50"));
    let line = ended.failure(1);
    assert!(line.contains("1 of 4 sessions") && line.contains("--echo-to-sender off"), "{line}");
}

#[test]
fn a_chat_without_its_sender_is_over() {
    // In the meeting, and long after it.
    for bytes in [1, 65 * 500] {
        let server = chat_ending(bytes, |_, _, _| {});
        let flags = "--sessions 3 --duration 600 --patience 1";
        let (ended, json) = run_json(load_chat(server, flags));
        let line = ended.failure(1);
        assert!(line.contains("the session that sends was lost"), "{line}");
        assert_eq!(count(&json, "wrong"), 0, "{json}");
    }
}

#[test]
fn a_server_that_is_no_chat_is_named() {
    let ended = run(load_chat(server::echo(), "--sessions 3 --duration 1"));
    // Where io_uring is denied, another line says so.
    let line = ended.failure(1);
    assert!(line.contains("2 of 3 sessions have got nothing"), "{line}");
    assert!(line.contains("is it a chat server"), "{line}");
}
