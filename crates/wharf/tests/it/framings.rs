//! Framings that are set up: over real connections, frames are what they say, and a codec that breaks
//! its contract ends the one session.

use wharf::{
    Backend, Codec, Decoded, Envelope, FrameError, Framing, GamePacket, LengthField, Limits,
    RunningServer, SendStatus, Server, Session,
};

use crate::support::client::Client;
use crate::support::record::{Echo, What, on_frame, recording};
use crate::support::wire::{Wire, assert_same, pattern};

each_backend! {
    frames_of_a_codec_come_back_however_they_are_split,
    what_a_codec_calls_wrong_closes_its_session_with_its_words,
    a_codec_that_lies_or_panics_ends_its_session_and_no_other,
    a_codec_that_panics_for_another_thread_ends_the_session_that_was_sent_to,
    packets_of_games_are_answered_in_parts,
    a_length_within_a_message_is_filled_in,
    what_has_no_frame_ends_its_session_with_the_reason,
    what_has_no_frame_is_sent_to_nobody_else,
    half_a_frame_at_the_end_is_no_frame,
    a_frame_of_a_fixed_length_may_be_longer_than_what_is_usual,
}

/// Seven bits of the length in each byte, the low ones first, the payload, and its CRC.
struct Checked;

/// CRC-32 as Ethernet has it, bit by bit.
fn crc<'bytes>(bytes: impl IntoIterator<Item = &'bytes u8>) -> [u8; 4] {
    let crc = bytes.into_iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    });
    (!crc).to_le_bytes()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number > 0x7F {
        bytes.push(u8::try_from(number & 0x7F).unwrap() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap());
    bytes
}

impl Codec for Checked {
    fn decode(&self, bytes: &[u8], _: usize, max: usize) -> Result<Decoded, FrameError> {
        let Some(last) = bytes.iter().take(3).position(|byte| byte & 0x80 == 0) else {
            return match bytes.len() {
                0..3 => Ok(Decoded::Partial { needed: Some(bytes.len() + 1), scanned: 0 }),
                _ => Err(FrameError::Codec("the length has no end")),
            };
        };
        let add = |len, byte: &u8| len << 7 | usize::from(byte & 0x7F);
        let announced = bytes[..=last].iter().rev().fold(0, add);
        if announced > max {
            return Err(FrameError::TooLong { announced, max });
        }
        let payload = last + 1..last + 1 + announced;
        let consumed = payload.end + 4;
        let Some(sum) = bytes.get(payload.end..consumed) else {
            return Ok(Decoded::Partial { needed: Some(consumed), scanned: 0 });
        };
        if sum != crc(&bytes[payload.clone()]) {
            return Err(FrameError::Codec("the checksum is wrong"));
        }
        Ok(Decoded::Frame { payload, consumed })
    }

    fn wrap(&self, parts: &[&[u8]]) -> Result<Envelope, FrameError> {
        let len = parts.iter().map(|part| part.len()).sum();
        Envelope::new(&varint(len), &crc(parts.iter().copied().flatten()))
    }
}

/// A frame of [`Checked`].
fn checked(payload: &[u8]) -> Vec<u8> {
    [&varint(payload.len())[..], payload, &crc(payload)].concat()
}

/// Does with a byte what the byte says: most are frames.
struct Rogue;

impl Codec for Rogue {
    fn decode(&self, bytes: &[u8], _: usize, _: usize) -> Result<Decoded, FrameError> {
        Ok(match bytes[0] {
            b'p' => panic!("a bug of a codec"),
            b'0' => Decoded::Frame { payload: 0..1, consumed: 0 },
            b'>' => Decoded::Frame { payload: 0..1, consumed: bytes.len() + 1 },
            b'r' => Decoded::Frame { payload: 0..usize::MAX, consumed: 1 },
            b'n' => Decoded::Partial { needed: Some(1), scanned: 0 },
            b'm' => Decoded::Partial { needed: Some(usize::MAX), scanned: 0 },
            b's' => Decoded::Partial { needed: None, scanned: 2 },
            _ => Decoded::Frame { payload: 0..1, consumed: 1 },
        })
    }

    fn wrap(&self, parts: &[&[u8]]) -> Result<Envelope, FrameError> {
        if parts.concat() == b"w" {
            panic!("another bug of a codec");
        }
        Envelope::new(b"", b"")
    }
}

#[track_caller]
fn start<S: Session>(
    backend: Backend,
    framing: Framing,
    session: impl Fn() -> S + Send + Sync + 'static,
) -> RunningServer {
    Server::bind("127.0.0.1:0")
        .framing(framing)
        .backend(backend)
        .workers(1)
        .limits(Limits { idle: None, frame_deadline: None, ..Limits::default() })
        .start(move |_| session())
        .expect("the server starts")
}

/// A client that writes and reads bytes as they are.
#[track_caller]
fn connect(server: &RunningServer) -> Client {
    Client::connect(server.handle().addresses()[0].tcp().unwrap(), Wire::Raw)
}

fn frames_of_a_codec_come_back_however_they_are_split(backend: Backend) {
    let server = start(backend, Framing::codec(Checked), || Echo);
    let payloads =
        [pattern(1, 5), Vec::new(), pattern(2, 127), pattern(3, 128), pattern(4, 20_000)];
    let stream: Vec<u8> = payloads.iter().flat_map(|payload| checked(payload)).collect();
    let mut client = connect(&server);
    for split in (0..20).chain([130, 150, 151, 152, 280, 16_384, stream.len() - 1]) {
        client.write(&stream[..split]);
        // The one worker has seen the first part once it has answered another session.
        connect(&server).ping(&checked(b"probe"));
        client.write(&stream[split..]);
        client.expect_stream(&stream);
    }
}

fn what_a_codec_calls_wrong_closes_its_session_with_its_words(backend: Backend) {
    let (log, events) = recording();
    let server = start(backend, Framing::codec(Checked), move || log.of(Echo));
    let mut client = connect(&server);
    let mut wrong = checked(b"hello");
    wrong[3] ^= 1;
    client.write(&[checked(b"right"), wrong].concat());
    assert_same("what is right", &client.rest(), &checked(b"right"));
    let what = events.until(|event| matches!(event.what, What::Disconnected { .. })).1.what;
    let text = "bad frame: the checksum is wrong".to_owned();
    assert_eq!(what, What::Disconnected { name: "bad_frame", text });
}

fn a_codec_that_lies_or_panics_ends_its_session_and_no_other(backend: Backend) {
    let (log, events) = recording();
    let server = start(backend, Framing::codec(Rogue), move || log.of(Echo));
    let mut neighbour = connect(&server);
    neighbour.ping(b"a");
    let lies = [
        (b"p", "bad_frame", "it panicked"),
        (b"0", "bad_frame", "a frame of no bytes"),
        (b">", "bad_frame", "of more than there are"),
        (b"r", "bad_frame", "outside of its frame"),
        (b"n", "bad_frame", "needs no more bytes than it has"),
        (b"m", "bad_frame", "at most 65536 are allowed"),
        (b"s", "bad_frame", "scanned more bytes than there are"),
        (b"w", "send_bad_frame", "it panicked"),
    ];
    for (lie, reason, words) in lies {
        let mut client = connect(&server);
        client.ping(b"ok");
        client.write(lie);
        client.expect_end();
        let (_, event) = events.until(|event| matches!(event.what, What::Disconnected { .. }));
        let What::Disconnected { name, text } = event.what else { unreachable!() };
        assert_eq!(name, reason);
        assert!(text.contains(words), "{text}");
        neighbour.ping(b"b");
    }
}

fn a_codec_that_panics_for_another_thread_ends_the_session_that_was_sent_to(backend: Backend) {
    let (log, events) = recording();
    let server = start(backend, Framing::codec(Rogue), move || log.of(Echo));
    let mut neighbour = connect(&server);
    neighbour.ping(b"a");
    let mut client = connect(&server);
    client.ping(b"x");
    let is_x = |what: &What| *what == What::Frame(b"x".to_vec());
    let id = events.until(|event| is_x(&event.what)).1.id;
    server.handle().session(id).send(b"w");
    client.expect_end();
    neighbour.ping(b"b");
    let (_, event) = events.until(|event| matches!(event.what, What::Disconnected { .. }));
    let of_codec = matches!(event.what, What::Disconnected { name: "send_bad_frame", .. });
    assert!(event.id == id && of_codec, "{event:?}");
}

fn packets_of_games_are_answered_in_parts(backend: Backend) {
    let (log, events) = recording();
    let answers = || {
        on_frame(|ctx, frame| {
            let packet = GamePacket::of(frame)?;
            ctx.send_parts(&[&(packet.id + 1).to_le_bytes(), packet.body, b"", b"!"]);
            Ok(())
        })
    };
    let server = start(backend, Framing::GAME, move || log.of(answers()));
    let mut client = connect(&server);
    client.write(b"\x08\0\x10\x01body\x04\0\xFF\0");
    client.expect_stream(b"\x09\0\x11\x01body!\x05\0\0\x01!");
    client.write(b"\x03\0\0\0");
    client.expect_end();
    let (_, event) = events.until(|event| matches!(event.what, What::Disconnected { .. }));
    let text = "bad frame: a frame of 3 bytes in all, and it takes at least 4".to_owned();
    assert_eq!(event.what, What::Disconnected { name: "bad_frame", text });
}

fn a_length_within_a_message_is_filled_in(backend: Backend) {
    let field = LengthField { offset: 2, width: 2, ..LengthField::default() };
    let framing = Framing::length_field(field).unwrap();
    let server = start(backend, framing, || {
        on_frame(|ctx, frame| {
            // As it came, shorter, and in parts that do not end where the field does.
            ctx.send(frame);
            ctx.send(&frame[..frame.len() - 1]);
            ctx.send_parts(&[&frame[..1], &frame[1..3], &frame[3..], b"more"]);
            Ok(())
        })
    });
    let mut client = connect(&server);
    client.write(b"ID\x03\0abc");
    client.expect_stream(b"ID\x03\0abcID\x02\0abID\x07\0abcmore");
}

fn what_has_no_frame_ends_its_session_with_the_reason(backend: Backend) {
    let (log, events) = recording();
    let answers = || {
        on_frame(|ctx, frame| {
            ctx.send_parts(&[&frame[..1], &frame[2..]]);
            Ok(())
        })
    };
    let server = start(backend, Framing::fixed(4).unwrap(), move || log.of(answers()));
    let mut client = connect(&server);
    client.write(b"four");
    client.expect_end();
    let (_, event) = events.until(|event| matches!(event.what, What::Disconnected { .. }));
    let text = "nothing that can be sent: a frame of 3 bytes, where every frame has 4".to_owned();
    assert_eq!(event.what, What::Disconnected { name: "send_bad_frame", text });
}

fn what_has_no_frame_is_sent_to_nobody_else(backend: Backend) {
    let server = start(backend, Framing::fixed(4).unwrap(), || {
        on_frame(|ctx, frame| {
            let room = ctx.group("room");
            ctx.join(&room)?;
            assert_eq!(ctx.broadcast(&room, b"odd"), SendStatus::BadFrame);
            assert_eq!(ctx.broadcast(&room, &[0; 5_000]), SendStatus::TooLong);
            assert!(ctx.frame(b"odd").is_err());
            ctx.send(frame);
            Ok(())
        })
    });
    let mut client = connect(&server);
    client.write(b"join");
    client.expect_stream(b"join");
    let handle = server.handle();
    let room = handle.group("room");
    let member = room.members()[0].session;
    let raw = start(backend, Framing::RAW, || Echo);
    let foreign = raw.handle().frame(b"odd").unwrap();
    assert_eq!(room.broadcast(b"odd"), SendStatus::BadFrame);
    assert_eq!(room.broadcast_except(member, b"odd"), SendStatus::BadFrame);
    assert_eq!(room.broadcast_frame(&foreign), SendStatus::BadFrame);
    assert_eq!(handle.session(member).send_frame(&foreign), SendStatus::BadFrame);
    assert_eq!(room.broadcast(b"four"), SendStatus::Queued);
    client.expect_stream(b"four");
}

fn half_a_frame_at_the_end_is_no_frame(backend: Backend) {
    let delimiter = Framing::delimiter("\r\n").unwrap();
    let cases: [(Framing, &[u8]); 3] = [
        (delimiter, b"12\r\nhalf\r"),
        (Framing::fixed(4).unwrap(), b"12\r\nhal"),
        (Framing::GAME, b"\x04\x0012\x04"),
    ];
    for (framing, stream) in cases {
        let (log, events) = recording();
        let server = start(backend, framing, move || log.of(Echo));
        let mut client = connect(&server);
        client.write(stream);
        client.finish();
        assert_same("the whole frame", &client.rest(), &stream[..4]);
        let (_, event) = events.until(|event| matches!(event.what, What::Disconnected { .. }));
        assert!(matches!(event.what, What::Disconnected { name: "truncated", .. }), "{event:?}");
    }
}

fn a_frame_of_a_fixed_length_may_be_longer_than_what_is_usual(backend: Backend) {
    const LEN: usize = 100_000;
    let server = start(backend, Framing::fixed(LEN).unwrap(), || Echo);
    let mut client = connect(&server);
    let frame = pattern(7, LEN);
    client.write(&frame);
    client.expect_stream(&frame);
}
