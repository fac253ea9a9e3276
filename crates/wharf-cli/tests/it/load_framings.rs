//! `wharf load` with every framing of the command line, as a server sees it: headers and trailers are
//! written by hand.

use std::sync::mpsc;
use std::time::Duration;

use crate::program::{count, load_echo, run, run_json, wharf};
use crate::server;

/// A framing, what stands before a message of 20 bytes, and what stands behind it.
const WIRES: [(&str, &[u8], &[u8]); 18] = [
    ("lines", b"", b"\n"),
    (r"delimiter:\r\n", b"", b"\r\n"),
    (r"delimiter:\0\xfe;:\\", b"", b"\0\xfe;:\\"),
    ("delimiter:0123456789abcdef", b"", b"0123456789abcdef"),
    ("fixed:20", b"", b""),
    ("u16le", b"\x14\0", b""),
    ("u16be", b"\0\x14", b""),
    ("u32le", b"\x14\0\0\0", b""),
    ("u32be", b"\0\0\0\x14", b""),
    ("game", b"\x18\0##", b""),
    ("length:0:1:be", b"\x14", b""),
    ("length:0:8:le", b"\x14\0\0\0\0\0\0\0", b""),
    ("length:0:5:be:whole", b"\0\0\0\0\x19", b""),
    ("length:4:2:be", b"####\0\x14", b""),
    ("length:2:3:le:whole", b"##\x19\0\0", b""),
    ("length:0:2:be:-2", b"\0\x16", b""),
    ("length:0:1:le:+4", b"\x10", b""),
    ("length:1:2:be:whole:1", b"#\0\x16", b""),
];

#[test]
fn messages_on_the_wire_are_what_the_framing_says() {
    for (framing, header, trailer) in WIRES {
        let (sender, receiver) = mpsc::channel();
        let server = server::serve(move |_, stream| {
            let mut seen = Vec::new();
            server::pump(&stream, &stream, |bytes| seen.extend_from_slice(bytes));
            sender.send(seen).unwrap();
        });
        let flags = format!("--sessions 1 --messages 9 --depth 4 --size 20 --framing {framing}");
        let ended = run(load_echo(server, &flags));
        assert_eq!(ended.code, Some(0), "{framing}: {ended:?}");
        let seen = receiver.recv_timeout(Duration::from_secs(30)).unwrap();
        let message = header.len() + 20 + trailer.len();
        assert_eq!(seen.len(), 9 * message, "{framing}");
        for message in seen.chunks(message) {
            assert!(message.starts_with(header), "{framing}: {message:?}");
            assert!(message.ends_with(trailer), "{framing}: {message:?}");
            // Its payload would end early.
            let payload = &message[header.len()..message.len() - trailer.len()];
            let holds = |part: &[u8]| payload.windows(part.len()).any(|window| window == part);
            assert!(trailer.is_empty() || !holds(trailer), "{framing}: {message:?}");
            // Who reads text has its decoder.
            let is_text = !trailer.is_empty() && trailer.is_ascii();
            let is_visible = payload.iter().all(u8::is_ascii_graphic);
            assert!(is_visible == is_text, "{framing}: {message:?}");
        }
    }
}

#[test]
fn a_header_or_a_trailer_that_comes_back_wrong_is_noticed() {
    for (framing, header, trailer) in WIRES {
        let message = header.len() + 20 + trailer.len();
        let first = message;
        let places = [
            (!header.is_empty()).then_some(first),
            (!trailer.is_empty()).then_some(first + message - 1),
        ];
        for place in places.into_iter().flatten() {
            let server = server::echo_spoiled(move |_, position, bytes| {
                if let Some(byte) = place.checked_sub(position).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= 0x80;
                }
            });
            let flags = format!("--sessions 1 --messages 9 --size 20 --framing {framing}");
            let (ended, json) = run_json(load_echo(server, &flags));
            assert_eq!(count(&json, "wrong"), 1, "{framing}: {json}");
            let line = ended.failure(1);
            assert!(line.contains(&format!("byte {place} is ")), "{framing}: {line}");
        }
    }
}

#[test]
fn a_framing_that_cannot_be_is_refused_by_every_command() {
    let wrong = [
        ("u64le", "raw, lines, u16le, u16be, u32le, u32be, game, fixed:N"),
        ("Lines", "raw, lines, u16le"),
        ("lines:", "raw, lines, u16le"),
        ("u16", "raw, lines, u16le"),
        ("", "raw, lines, u16le"),
        ("fixed", "fixed:N"),
        ("fixed:", "fixed:N"),
        ("fixed:0", "give at least 1"),
        ("fixed:+1", "fixed:N"),
        ("fixed:1KiB", "fixed:N"),
        ("fixed:99999999999999999999", "fixed:N"),
        ("delimiter", "delimiter:TEXT"),
        ("delimiter:", "give 1 to 16"),
        ("delimiter:0123456789abcdefg", "give 1 to 16"),
        (r"delimiter:\q", "delimiter:TEXT"),
        (r"delimiter:\xF", "delimiter:TEXT"),
        (r"delimiter:\xFG", "delimiter:TEXT"),
        (r"delimiter:\", "delimiter:TEXT"),
        ("length", "length:OFFSET:WIDTH"),
        ("length:0", "length:OFFSET:WIDTH"),
        ("length:0:4", "length:OFFSET:WIDTH"),
        ("length:0:4:xe", "length:OFFSET:WIDTH"),
        ("length:-1:4:be", "length:OFFSET:WIDTH"),
        ("length:0:4:be:", "length:OFFSET:WIDTH"),
        ("length:0:4:be:1:whole", "length:OFFSET:WIDTH"),
        ("length:0:4:be:whole:1:2", "length:OFFSET:WIDTH"),
        ("length:0:0:be", "give 1 to 8"),
        ("length:0:9:be", "give 1 to 8"),
        ("length:16:1:be", "smaller offset"),
        ("length:9:8:le", "smaller offset"),
        ("length:0:1:be:-256", "nearer to 0"),
    ];
    for command in [["serve", "echo"], ["serve", "chat"], ["load", "echo"], ["load", "chat"]] {
        for (framing, says) in wrong {
            let ended = run(wharf(command.into_iter().chain(["--framing", framing])));
            let line = ended.failure_alone(2);
            assert!(line.contains("--framing") && line.contains(says), "{framing}: {line}");
        }
    }
}
