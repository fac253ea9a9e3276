//! What a chat has to do right.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{
    TestServer, echoes_frames_cut_anywhere, expect, message, ping,
    refuses_a_frame_that_is_too_long, round_trip,
};
use crate::{FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX, Mode};

/// Runs the checks of a chat in which nobody is yet.
pub(super) fn all(server: &TestServer) {
    everybody_hears_everybody(server);
    hears_bursts_whole(server);
    survives_members_that_reset(server);
    hears_who_has_finished(server);
    echoes_frames_cut_anywhere(server);
    refuses_a_frame_that_is_too_long(server);
}

/// What one says all hear, in its order, whoever of them is gone or reads nothing.
fn everybody_hears_everybody(server: &TestServer) {
    let mut members: Vec<TcpStream> = Vec::new();
    for seed in 0..6 {
        members.push(server.connect());
        let hello = message(Mode::Chat, 50, seed);
        members[seed].write_all(&hello).expect("the message is sent");
        members.iter_mut().for_each(|member| expect(member, &hello));
    }
    drop(members.remove(2));
    let deaf = members.remove(2);
    for seed in 0..200 {
        let said = message(Mode::Chat, [0, 5, 1000, FRAME_PAYLOAD_BYTES_MAX][seed % 4], seed);
        let (first, second) = said.split_at(said.len() / 2);
        let speaker = seed % members.len();
        members[speaker].write_all(first).expect("the message is sent");
        members[speaker].write_all(second).expect("the message is sent");
        members.iter_mut().for_each(|member| expect(member, &said));
    }
    drop(deaf);
}

/// Several speakers, each with many frames at once: all hear all of them, whole, and each speaker's in order.
fn hears_bursts_whole(server: &TestServer) {
    const FRAMES: usize = 200;
    let mut members = joined(server, 4);
    let said = |speaker: usize, number: usize| {
        message(Mode::Chat, 8 + number * 7 % 500, speaker * FRAMES + number)
    };
    for (speaker, member) in members.iter_mut().enumerate().take(3) {
        let burst: Vec<u8> = (0..FRAMES).flat_map(|number| said(speaker, number)).collect();
        member.write_all(&burst).expect("the burst is sent");
    }
    for member in &mut members {
        let mut next = [0; 3];
        for _ in 0..3 * FRAMES {
            let frame = hear(member);
            let speaker = (0..3)
                .find(|&speaker| next[speaker] < FRAMES && frame == said(speaker, next[speaker]));
            next[speaker.expect("a frame that is somebody's next one")] += 1;
        }
    }
}

/// Members that go away with much unread, which resets the connection, harm nobody else.
fn survives_members_that_reset(server: &TestServer) {
    let mut members = joined(server, 3);
    for seed in 0..20 {
        let mut leaver = server.connect();
        let hello = message(Mode::Chat, 3000, seed);
        leaver.write_all(&hello).expect("the message is sent");
        members.iter_mut().for_each(|member| expect(member, &hello));
        drop(leaver);
        let said = message(Mode::Chat, 100, seed);
        members[seed % 3].write_all(&said).expect("the message is sent");
        members.iter_mut().for_each(|member| expect(member, &said));
    }
}

/// What a member said last is heard by the others though it has finished, whole frames only.
fn hears_who_has_finished(server: &TestServer) {
    let mut members = joined(server, 2);
    let last: Vec<u8> = (0..30).flat_map(|seed| message(Mode::Chat, 3000, seed)).collect();
    let mut leaver = members.remove(0);
    leaver.write_all(&last).expect("the messages are sent");
    leaver.write_all(&message(Mode::Chat, 50, 1)[..20]).expect("half a message is sent");
    leaver.shutdown(Shutdown::Write).expect("the sending side can be closed");
    expect(&mut members[0], &last);
    ping(&mut members[0], Mode::Chat);
}

/// So many new members of whom each hears the others, and nobody hears who was there before.
fn joined(server: &TestServer, count: usize) -> Vec<TcpStream> {
    (0..count).fold(Vec::new(), |mut members, seed| {
        members.push(server.connect());
        let hello = message(Mode::Chat, 50, seed);
        members[seed].write_all(&hello).expect("the message is sent");
        members.iter_mut().for_each(|member| expect(member, &hello));
        members
    })
}

/// One frame, whatever it is.
fn hear(member: &mut TcpStream) -> Vec<u8> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    member.read_exact(&mut frame).expect("a frame comes");
    let header = frame.first_chunk().expect("the header is there");
    let payload_bytes = u32::from_le_bytes(*header) as usize;
    frame.resize(FRAME_HEADER_BYTES + payload_bytes, 0);
    member.read_exact(&mut frame[FRAME_HEADER_BYTES..]).expect("the rest of the frame comes");
    frame
}

/// In a chat who reads late gets everything in order, and who never reads is closed before the server holds
/// all that was said: for servers that keep frames for slow members, and have a limit to it.
///
/// # Panics
/// If it is otherwise.
pub fn lagging_members(server: &TestServer) {
    /// Far more than the kernel's buffers of both ends hold, and less than a member may lag behind.
    const LATE_FRAMES: usize = 300;
    /// More than a member may lag behind and the kernel's buffers hold.
    const SAID_FRAMES: usize = 1400;
    let said = |seed| message(Mode::Chat, FRAME_PAYLOAD_BYTES_MAX, seed);
    let mut speaker = server.connect();
    ping(&mut speaker, Mode::Chat);
    let mut late = server.connect();
    ping(&mut late, Mode::Chat);
    expect(&mut speaker, &message(Mode::Chat, 64, 7));
    let mut deaf = server.connect();
    ping(&mut deaf, Mode::Chat);
    expect(&mut speaker, &message(Mode::Chat, 64, 7));
    expect(&mut late, &message(Mode::Chat, 64, 7));

    (0..LATE_FRAMES).for_each(|seed| round_trip(&mut speaker, &said(seed)));
    (0..LATE_FRAMES).for_each(|seed| expect(&mut late, &said(seed)));
    for seed in LATE_FRAMES..SAID_FRAMES {
        round_trip(&mut speaker, &said(seed));
        expect(&mut late, &said(seed));
    }
    let heard = bytes_until_closed(&mut deaf);
    assert!(heard < SAID_FRAMES * said(0).len(), "everything was kept for who does not read");
}

/// Reads until the server has closed the connection.
fn bytes_until_closed(stream: &mut TcpStream) -> usize {
    let mut buffer = vec![0; 64 * 1024];
    let mut heard = 0;
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return heard,
            Ok(count) => heard += count,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return heard,
            Err(error) => panic!("the server does not close the connection: {error}"),
        }
    }
}
