//! Captures as files: whole, cut, damaged, edited and made up.

use std::time::{Duration, SystemTime};

use wharf::Limits;
use wharf::capture::{CaptureOptions, Direction, Redacted};
use wharf_capture::{ReadError, Recording, What};

use crate::support::{Lines, Member, evening, server, wait_until};

fn written(recording: &Recording) -> Vec<u8> {
    let mut file = Vec::new();
    recording.write(&mut file).unwrap();
    file
}

fn recording() -> Recording {
    let mut recording = evening(wharf::Backend::Auto);
    recording.records.push(recording.records[1].clone());
    // What is no text, and what is one that JSON makes longer than base64 does.
    for payload in [&b"\xff\x00\n"[..], "Grüße \"\\\n".as_bytes(), &[1; 1000], b""] {
        let last = recording.records.last_mut().unwrap();
        last.what = What::In(payload.to_vec());
        let next = last.clone();
        recording.records.push(next);
    }
    recording
        .records
        .iter_mut()
        .for_each(|it| it.at = Duration::from_micros(u64::try_from(it.at.as_micros()).unwrap()));
    recording
}

#[test]
fn what_is_written_is_read() {
    let mut recording = recording();
    for is_redacted in [true, false] {
        recording.is_redacted = is_redacted;
        assert_eq!(Recording::read(&written(&recording)[..]).unwrap(), recording);
    }
    let file = written(&recording);
    let text = String::from_utf8(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(r#"{"wharf_capture":1,"version":"#), "{}", lines[0]);
    assert!(lines[1].contains(r#""event":"open""#) && lines[1].contains(r#""session":1"#));
    assert!(text.contains(r#""text":"anna says hello 0""#));
    assert!(text.contains(r#""base64":"/wAK""#));
    assert!(lines.last().unwrap().contains(r#""event":"done""#));
}

/// What is received has these bytes in the capture.
fn lengthened(bytes: usize) -> Recording {
    let mut options = CaptureOptions::default();
    options.session_bytes_max = 64 << 20;
    let options = options.redact(move |direction, frame| {
        if direction == Direction::In {
            frame.resize(bytes, b'*');
        }
        Redacted::Keep
    });
    let limits = Limits { frame_bytes_max: 64, ..Limits::default() };
    let server = server("127.0.0.1:0").limits(limits).capture(options);
    let running = server.start(Member::new).unwrap();
    let handle = running.handle();
    let mut member = Lines::connect(&handle);
    member.hear("who are you?");
    member.say("rest");
    wait_until(|| handle.stats().frames_in == 1);
    let recording = Recording::of(&handle.captured().unwrap(), None);
    handle.stop();
    running.join().unwrap();
    recording
}

#[test]
fn a_frame_that_a_redaction_made_longer_than_the_server_takes_is_read() {
    let recording = lengthened(65);
    assert_eq!((recording.frame_bytes_max, recording.is_redacted), (64, true));
    let read = Recording::read(&written(&recording)[..]).unwrap();
    let received = What::In(b"rest".iter().chain(&[b'*'; 61]).copied().collect());
    assert!(read.records.iter().any(|it| it.what == received), "{read:?}");
    assert!(read.sessions[0].is_complete(), "{:?}", read.sessions);
}

#[test]
fn a_frame_that_no_line_has_room_for_is_left_out_and_counted() {
    let (longest, too_long) = (lengthened(16 << 20), lengthened((16 << 20) + 1));
    for (recording, left_out) in [(longest, 0), (too_long, 1)] {
        let read = Recording::read(&written(&recording)[..]).unwrap();
        assert_eq!(read.sessions[0].frames_left_out, left_out);
        let received = read.records.iter().filter(|it| matches!(it.what, What::In(_))).count();
        assert_eq!(received as u64 + left_out, 1);
    }
}

/// By which a server is told how much it may keep.
#[test]
fn a_frame_has_less_than_twice_the_bytes_in_a_file_that_it_counts_in_memory() {
    let recording = evening(wharf::Backend::Auto);
    let (first, last) = (recording.records[0].clone(), recording.records[1].clone());
    for byte in [b'a', b'"', 1, 0xff] {
        for len in (0..300).chain([4096, 100_000]) {
            let frame = What::Out(vec![byte; len]);
            let size = |records: Vec<_>| {
                let mut one = recording.clone();
                one.records = records;
                written(&one).len()
            };
            let mut record = last.clone();
            // The longest time that is likely: a year.
            (record.at, record.what) = (Duration::from_secs(366 * 86_400), frame);
            let bytes = size(vec![first.clone(), record]) - size(vec![first.clone()]);
            assert!(bytes < 2 * (len + 64), "{len} times {byte}: {bytes} bytes");
        }
    }
    assert_eq!(2 * Recording::KEPT_BYTES_MAX, Recording::FILE_BYTES_MAX);
}

#[test]
fn the_time_of_the_beginning_is_that_of_the_wall_clock() {
    let server = server("127.0.0.1:0").capture(CaptureOptions::default());
    let running = server.start(Member::new).unwrap();
    let captured = running.handle().captured().unwrap();
    let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let recording = Recording::of(&captured, Some(started));
    assert_eq!(recording.started_unix_ms, Some(1_700_000_000_123));
}

#[test]
fn a_file_that_is_cut_anywhere_is_read_up_to_its_last_whole_line() {
    let recording = recording();
    let file = written(&recording);
    let head = file.iter().position(|byte| *byte == b'\n').unwrap();
    for cut in (0..file.len()).step_by(5) {
        let read = Recording::read(&file[..cut]);
        if cut <= head {
            assert!(matches!(read, Err(ReadError::NotACapture)), "{cut}: {read:?}");
            continue;
        }
        let read = read.unwrap();
        let whole = file[..cut].iter().filter(|byte| **byte == b'\n').count() - 1;
        assert!(read.is_cut, "{cut}");
        assert_eq!(read.records, recording.records[..whole], "{cut}");
    }
}

#[test]
fn a_byte_that_is_another_is_found_and_an_edited_line_needs_no_checksum() {
    let recording = recording();
    let file = written(&recording);
    let mut found = 0;
    for at in (0..file.len()).step_by(7) {
        let mut damaged = file.clone();
        damaged[at] ^= 1;
        match Recording::read(&damaged[..]) {
            // What is left without a checksum is a line that somebody has edited.
            Ok(read) if read.is_cut || read == recording => {}
            Ok(_) => {
                let line =
                    damaged[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |it| it + 1);
                let line = damaged[line..].split(|byte| *byte == b'\n').next().unwrap();
                assert!(!line.ends_with(b"\"}"), "{at}: {}", line.escape_ascii());
            }
            Err(_) => found += 1,
        }
    }
    assert!(found * 7 > file.len() * 9 / 10, "{found} of {}", file.len() / 7);
    let text = String::from_utf8(file).unwrap();
    let edited: Vec<&str> = text.lines().map(|it| it.split_once(",\"crc\"").unwrap().0).collect();
    let edited = edited.join("}\n").replace("hello 0", "bye bye") + "}\n";
    let read = Recording::read(edited.as_bytes()).unwrap();
    let is_edited = |what: &What| *what == What::Out(b"anna says bye bye".to_vec());
    assert!(!read.is_cut && read.records.iter().any(|it| is_edited(&it.what)));
    let wrong = text.replacen("hello 0", "bye bye", 1);
    let error = Recording::read(wrong.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("line 17: its checksum is wrong"), "{error}");
}

#[test]
fn made_up_files_are_refused_and_told_why() {
    let head = r#"{"wharf_capture":1,"version":"x","framing":"lines","frame_max":10}"#;
    let open = r#"{"event":"open","at_us":0,"session":1,"id":"","peer":""}"#;
    let cases = [
        (String::new(), "it is no capture"),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "it is no capture"),
        ("[1]\n".to_owned(), "it is no capture"),
        (r#"{"wharf_capture":2}"#.to_owned() + "\n", "its form is 2"),
        (r#"{"wharf_capture":1}"#.to_owned() + "\n", "line 1: missing field"),
        (format!("{head}\n{{}}\n"), "line 2: missing field `event`"),
        (format!("{head}\n{}\n", "[".repeat(100_000)), "line 2: "),
        (format!("{head}\n{}\n", open.replace(":1,", ":2,")), "numbered from 1 on"),
        (format!("{head}\n{}\n", open.replace(":1,", ":18446744073709551615,")), "numbered from 1"),
        (format!("{head}\n{open}\n{open}\n"), "line 3: sessions are numbered"),
        (
            format!("{head}\n{open}\n{}\n", r#"{"event":"in","at_us":0,"session":2,"text":""}"#),
            "no session of this number",
        ),
        (
            format!("{head}\n{open}\n{}\n", r#"{"event":"in","at_us":0,"session":1}"#),
            "either text or base64",
        ),
        (
            format!("{head}\n{open}\n{}\n", r#"{"event":"in","at_us":0,"session":1,"base64":"!"}"#),
            "its base64 is none",
        ),
        (format!("{head}\n{}\n", r#"{"event":"done","records":7}"#), "lines are missing"),
        (
            format!("{head}\n{}\n{open}\n", r#"{"event":"done","records":0}"#),
            "line 3: it stands behind the end",
        ),
        (format!("{head}\n{}", " ".repeat(23 << 20)), "line 2: it is longer than any frame"),
    ];
    for (file, wanted) in cases {
        let error = Recording::read(file.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(wanted), "{}: {error}", &file[..file.len().min(200)]);
    }
}
