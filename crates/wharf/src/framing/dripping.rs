//! What a peer that drips has a framing do: not more than the bytes are worth.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const MAX: usize = 1 << 20;

/// A codec of frames that end with LF, which counts the bytes that it looks at.
#[derive(Clone)]
struct Counting {
    /// What it says of half a frame of so many bytes.
    half: fn(usize) -> Decoded,
    looked_at: Arc<AtomicUsize>,
}

impl Counting {
    const SCANS: fn(usize) -> Decoded = |len| Decoded::Partial { needed: None, scanned: len };
    const ASKS: fn(usize) -> Decoded = |len| Decoded::Partial { needed: Some(len + 1), scanned: 0 };
    const SILENT: fn(usize) -> Decoded = |_| Decoded::Partial { needed: None, scanned: 0 };

    fn new(half: fn(usize) -> Decoded) -> Self {
        Self { half, looked_at: Arc::default() }
    }
}

impl Codec for Counting {
    fn decode(&self, bytes: &[u8], scanned: usize, _: usize) -> Result<Decoded, FrameError> {
        let new = &bytes[scanned..];
        let end = new.iter().position(|byte| *byte == b'\n');
        self.looked_at.fetch_add(end.map_or(new.len(), |end| end + 1), Ordering::Relaxed);
        Ok(match end {
            Some(end) => Decoded::Frame { payload: 0..scanned + end, consumed: scanned + end + 1 },
            None => (self.half)(bytes.len()),
        })
    }

    fn wrap(&self, _: &[&[u8]]) -> Result<Envelope, FrameError> {
        Ok(Envelope::LF)
    }
}

/// What it costs to receive a frame in two or more pieces, the first of which begins it.
#[derive(PartialEq, Eq, Debug)]
struct Work {
    looked_at: usize,
    again: usize,
}

/// Receives one frame of `len` bytes, LF included, in pieces of `piece` behind the first byte.
#[track_caller]
fn receive(half: fn(usize) -> Decoded, len: usize, piece: usize) -> Work {
    let codec = Counting::new(half);
    let framing = Framing::codec(codec.clone());
    let mut frame = vec![b'x'; len - 1];
    frame.push(b'\n');
    let Ok(Decoded::Partial { needed, scanned }) = framing.decode(&frame[..1], 0, MAX) else {
        panic!("one byte is no frame")
    };
    let mut buffer = ReceiveBuffer::default();
    buffer.begin(&frame[..1], needed, scanned);
    let (mut used, mut again, mut found) = (1, 0, 0);
    for piece in frame[1..].chunks(piece) {
        let filled = buffer.fill(&framing, MAX, piece).unwrap();
        used += filled.used;
        again += filled.again;
        found += filled.frame.map_or(0, <[u8]>::len);
    }
    assert_eq!((used, found), (len, len - 1));
    Work { looked_at: codec.looked_at.load(Ordering::Relaxed), again }
}

#[test]
fn lines_and_delimiters_are_searched_for_behind_what_was_scanned() {
    let half = |len| Ok(Decoded::Partial { needed: None, scanned: len });
    assert_eq!(Framing::LINES.decode(b"a\nb", 3, MAX), half(3));
    for delimiter in ["\r\n", "--boundary--"] {
        let framing = Framing::delimiter(delimiter).unwrap();
        let bytes = [b"a", delimiter.as_bytes(), b"b"].concat();
        assert_eq!(framing.decode(&bytes, bytes.len() - 1, MAX), half(bytes.len()));
        // One that has begun there is found.
        let found = framing.decode(&bytes, bytes.len() - 2, MAX);
        assert_eq!(found, Ok(Decoded::Frame { payload: 0..1, consumed: bytes.len() - 1 }));
    }
}

#[test]
fn a_codec_that_says_what_it_has_scanned_looks_at_every_byte_once() {
    const LEN: usize = 20_000;
    for piece in [1, 2, 700, LEN] {
        let once = Work { looked_at: LEN, again: 0 };
        assert_eq!(receive(Counting::SCANS, LEN, piece), once, "pieces of {piece}");
    }
}

#[test]
fn a_codec_that_asks_for_one_byte_more_gets_what_there_is() {
    const LEN: usize = 32 << 10;
    let work = receive(Counting::ASKS, LEN, LEN);
    assert!(work.looked_at < 4 * LEN, "{work:?}");
    assert!(work.again < 3 * LEN, "{work:?}");
}

#[test]
fn what_a_codec_looks_at_once_more_is_told() {
    const LEN: usize = 1000;
    for half in [Counting::SILENT, Counting::ASKS] {
        let work = receive(half, LEN, 1);
        // That is what the others are for.
        assert_eq!(work.looked_at, LEN * (LEN + 1) / 2);
        assert_eq!(work.again, work.looked_at - LEN);
    }
}
