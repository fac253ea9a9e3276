//! Streams are what they should be, and whatever is wrong in one is noticed.

use super::*;

fn stream(pattern: &Pattern, session: usize, position: u64, len: usize) -> Vec<u8> {
    let segments = pattern.sent(pattern.lane(session), position, len as u64);
    segments.iter().flat_map(Segment::as_slice).copied().collect()
}

/// Every layout: raw, laid and gathered.
const SHAPES: [(&str, usize); 13] = [
    ("raw", 64),
    ("raw", 1 << 20),
    ("lines", 64),
    ("lines", 100_000),
    ("u16le", 1),
    ("u16be", 65_535),
    ("u32le", 2044),
    ("u32be", 2045),
    ("game", 60),
    ("game", 5_000),
    ("fixed:80", 80),
    (r"delimiter:\r\n--", 64),
    ("length:2:3:be:whole", 5_000),
];

fn framing(text: &str) -> Framing {
    text.parse().unwrap()
}

#[test]
fn a_stream_is_whole_frames_one_after_another() {
    for (text, size) in SHAPES {
        let framing = framing(text);
        let pattern = Pattern::new(&framing, size, 3);
        let message = usize::try_from(pattern.message()).unwrap();
        for session in 0..3 {
            let bytes = stream(&pattern, session, 0, message * 3);
            for frame in bytes.chunks(message) {
                let header = framing.header(size as u64);
                assert_eq!(&frame[..header.len()], header, "{framing} {size}");
                assert!(frame.ends_with(framing.trailer()));
                let payload = &frame[header.len()..message - framing.trailer().len()];
                assert_eq!(payload.len(), size);
                assert!(payload.iter().all(|byte| framing.takes(*byte)), "{framing} {size}");
            }
        }
    }
}

#[test]
fn what_is_sent_matches_wherever_it_is_cut() {
    for (text, size) in SHAPES {
        let framing = framing(text);
        let pattern = Pattern::new(&framing, size, 3);
        let (lane, len) = (pattern.lane(2), 300_000);
        let bytes = stream(&pattern, 2, 0, len);
        let mut at = 0;
        for step in (1..).step_by(97) {
            let piece = &bytes[at..(at + step).min(len)];
            assert!(pattern.matches(lane, at as u64, piece), "{framing} {size} at {at}");
            assert_eq!(stream(&pattern, 2, at as u64, piece.len()), piece);
            at += piece.len();
            if at == len {
                break;
            }
        }
    }
}

#[test]
fn each_wrong_byte_is_noticed_and_found() {
    for (text, size) in SHAPES {
        let framing = framing(text);
        let pattern = Pattern::new(&framing, size, 3);
        let mut bytes = stream(&pattern, 1, 777, 5000);
        for at in [0, 1, 2, 3, 4, 63, 64, 2047, 2048, 4999] {
            bytes[at] ^= 1;
            assert!(!pattern.matches(pattern.lane(1), 777, &bytes), "{framing} {size} {at}");
            let found = pattern.first_difference(pattern.lane(1), 777, &bytes);
            assert_eq!(found, Some((at, bytes[at] ^ 1)));
            bytes[at] ^= 1;
        }
        assert_eq!(pattern.first_difference(pattern.lane(1), 777, &bytes), None);
    }
}

#[test]
fn swapped_sessions_and_shifted_streams_are_noticed() {
    for (text, size) in SHAPES {
        let framing = framing(text);
        let pattern = Pattern::new(&framing, size, 100);
        let lanes: Vec<usize> = (0..100).map(|session| pattern.lane(session)).collect();
        let own = stream(&pattern, 0, 0, 4096);
        assert!(lanes[1..].iter().all(|&lane| !pattern.matches(lane, 0, &own)));
        // Lost or doubled: whole messages, and what servers' buffers measure.
        for shift in
            [1, pattern.message(), 3 * pattern.message(), 4096, 16 << 10, 64 << 10, 1 << 20]
        {
            assert!(!pattern.matches(lanes[0], shift, &own), "{framing} {size} by {shift}");
        }
    }
}

#[test]
fn lanes_are_distinct_as_far_as_the_table_goes() {
    for (framing, size, sessions) in
        [("raw", 64, 50_000), ("u32le", 60, 10_000), ("u32le", 2044, 509)]
    {
        let pattern = Pattern::new(&self::framing(framing), size, sessions);
        let mut lanes: Vec<usize> = (0..sessions).map(|session| pattern.lane(session)).collect();
        lanes.sort_unstable();
        lanes.dedup();
        assert_eq!(lanes.len(), sessions);
    }
}
