//! Decoding: however a stream is cut, the frames are those that a simple decoder finds in the whole,
//! and memory follows what has come, not what was announced.

use arbitrary::{Result, Unstructured};

use crate::framing::{Decoded, FrameError, Framing, ReceiveBuffer};

const FRAMINGS: [Framing; 6] = [
    Framing::RAW,
    Framing::LINES,
    Framing::U16_LE,
    Framing::U16_BE,
    Framing::U32_LE,
    Framing::U32_BE,
];
/// What goes around a payload, at most: a header of four bytes, or CR and LF.
const ENVELOPE_MAX: usize = 4;
/// What a vector allocates for its first byte.
const CAPACITY_MIN: usize = 8;

/// The frames of a stream, and whether it ended for a frame that is too long.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Stream {
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) error: Option<FrameError>,
}

/// Decodes bytes by any framing, with any maximum, cut anywhere.
pub fn frame_decode(data: &[u8]) {
    // Input that is too short for a case is none.
    let _ = try_one(&mut Unstructured::new(data));
}

fn try_one(input: &mut Unstructured<'_>) -> Result<()> {
    let framing = *input.choose(&FRAMINGS)?;
    let max = input.int_in_range(1..=300)?;
    let cuts: Vec<usize> = (0..input.int_in_range(0..=24)?)
        .map(|_| input.int_in_range(1..=99))
        .collect::<Result<_>>()?;
    let stream = input.bytes(input.len())?;
    let (mut pieces, mut rest) = (Vec::new(), stream);
    for cut in cuts {
        let (piece, behind) = rest.split_at(cut.min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces.push(rest);
    let whole = decode(framing, max, &[stream]);
    if framing == Framing::RAW {
        assert_eq!(decode(framing, max, &pieces).frames.concat(), stream);
        return Ok(());
    }
    let expected = decode_simply(framing, max, stream);
    assert_same(framing, &expected, &whole);
    assert_same(framing, &expected, &decode(framing, max, &pieces));
    assert_same(framing, &expected, &decode(framing, max, &stream.chunks(1).collect::<Vec<_>>()));
    // A line's own CR at its end is taken for that of the line's end.
    let comes_back = |frame: &&Vec<u8>| framing != Framing::LINES || !frame.ends_with(b"\r");
    for frame in whole.frames.iter().filter(comes_back) {
        let again = decode(framing, max, &[&encode(framing, &[frame])]);
        assert_eq!((again.frames.as_slice(), again.error), (std::slice::from_ref(frame), None));
    }
    Ok(())
}

/// What is too long with a delimiter is told by how much has come, which depends on the pieces.
fn assert_same(framing: Framing, expected: &Stream, found: &Stream) {
    assert_eq!(expected.frames, found.frames, "{framing:?}");
    if framing == Framing::LINES {
        assert_eq!(expected.error.is_some(), found.error.is_some(), "{framing:?}");
    } else {
        assert_eq!(expected.error, found.error, "{framing:?}");
    }
}

/// Decodes a stream that comes in pieces, as a worker does.
pub(crate) fn decode(framing: Framing, max: usize, pieces: &[&[u8]]) -> Stream {
    let mut stream = Stream { frames: Vec::new(), error: None };
    let mut half = None;
    for piece in pieces {
        if let Err(error) = decode_piece(framing, max, piece, &mut half, &mut stream.frames) {
            stream.error = Some(error);
            return stream;
        }
    }
    let last = half.as_ref().and_then(|half: &ReceiveBuffer| framing.last_frame(half.bytes()));
    stream.frames.extend(last.map(<[u8]>::to_vec));
    stream
}

fn decode_piece(
    framing: Framing,
    max: usize,
    piece: &[u8],
    half: &mut Option<ReceiveBuffer>,
    frames: &mut Vec<Vec<u8>>,
) -> std::result::Result<(), FrameError> {
    let mut rest = piece;
    while !rest.is_empty() {
        if half.is_none()
            && let Decoded::Frame { payload, consumed } = framing.decode(rest, 0, max)?
        {
            assert_found_in_place(framing, rest, payload.clone(), consumed);
            frames.push(rest[payload].to_vec());
            rest = &rest[consumed..];
            continue;
        }
        let buffer = half.get_or_insert_default();
        rest = &rest[buffer.fill(framing, max, rest)..];
        assert_bounded(framing, max, buffer);
        if let Some(frame) = buffer.frame(framing, max)? {
            frames.push(frame.to_vec());
            *half = None;
        }
    }
    Ok(())
}

/// A session that holds half a frame holds no more than that frame, and memory for twice as much as has
/// come of it.
fn assert_bounded(framing: Framing, max: usize, buffer: &ReceiveBuffer) {
    let held = buffer.bytes().len();
    if framing.has_frames() {
        assert!(held <= max + ENVELOPE_MAX, "{held} bytes held of a frame of at most {max}");
    }
    assert!(buffer.capacity() <= CAPACITY_MIN.max(2 * held), "{} for {held}", buffer.capacity());
}

/// A payload that is sent back from where it lies takes its frame with it, and nothing else.
fn assert_found_in_place(
    framing: Framing,
    bytes: &[u8],
    payload: std::ops::Range<usize>,
    consumed: usize,
) {
    let Some(envelope) = framing.envelope(payload.len()) else { return };
    let found = envelope.find_around(bytes, payload.clone());
    let encoded = encode(framing, &[&bytes[payload]]);
    // A line that ends with CR and LF is not what goes out.
    assert_eq!(found.is_some(), encoded == bytes[..consumed], "{framing:?}");
    if let Some(found) = found {
        assert_eq!(bytes[found], encoded, "{framing:?}");
    }
}

/// Writes payloads one behind the other, each in its envelope.
pub(crate) fn encode(framing: Framing, payloads: &[&[u8]]) -> Vec<u8> {
    let mut stream = Vec::new();
    for payload in payloads {
        let Some(envelope) = framing.envelope(payload.len()) else { panic!("a frame came in") };
        for part in [envelope.header(), payload, envelope.trailer()] {
            stream.extend_from_slice(part);
        }
    }
    stream
}

/// Decodes a whole stream by what the framings say, without a thought of speed or pieces.
fn decode_simply(framing: Framing, max: usize, stream: &[u8]) -> Stream {
    if framing == Framing::LINES {
        lines_simply(max, stream)
    } else {
        lengths_simply(framing, max, stream)
    }
}

fn lines_simply(max: usize, stream: &[u8]) -> Stream {
    let mut lines: Vec<&[u8]> = stream.split(|byte| *byte == b'\n').collect();
    // Behind the last LF there is a line only if something stands there.
    lines.pop_if(|last| last.is_empty());
    let mut frames = Vec::new();
    for line in lines {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > max {
            return Stream {
                frames,
                error: Some(FrameError::TooLong { announced: line.len(), max }),
            };
        }
        frames.push(line.to_vec());
    }
    Stream { frames, error: None }
}

fn lengths_simply(framing: Framing, max: usize, mut stream: &[u8]) -> Stream {
    let width = if matches!(framing, Framing::U16_LE | Framing::U16_BE) { 2 } else { 4 };
    let mut frames = Vec::new();
    while let Some((header, behind)) = stream.split_at_checked(width) {
        let big_endian = matches!(framing, Framing::U16_BE | Framing::U32_BE);
        let digits: Vec<usize> = header.iter().map(|byte| usize::from(*byte)).collect();
        let add = |length, digit: &usize| length << 8 | digit;
        let announced =
            if big_endian { digits.iter().fold(0, add) } else { digits.iter().rev().fold(0, add) };
        if announced > max {
            return Stream { frames, error: Some(FrameError::TooLong { announced, max }) };
        }
        let Some((payload, behind)) = behind.split_at_checked(announced) else { break };
        frames.push(payload.to_vec());
        stream = behind;
    }
    Stream { frames, error: None }
}
