//! Decoding: however a stream is cut, the frames are those that a simple decoder finds in the whole,
//! and memory follows what has come, not what was announced.

use arbitrary::{Result, Unstructured};

use super::frame_model::{Case, Model};
use crate::framing::{Decoded, Filled, FrameError, Framing, ReceiveBuffer};

/// What a vector allocates for its first byte.
const CAPACITY_MIN: usize = 8;

/// The frames of a stream, and why it ended, if it did so for what is no frame.
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
    let case = Case::draw(input)?;
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
    check(&case, max, stream, &pieces);
    Ok(())
}

fn check(case: &Case, max: usize, stream: &[u8], pieces: &[&[u8]]) {
    let Case { framing, model } = case;
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    let decoded = |pieces: &[&[u8]]| {
        let held = |held: usize| assert!(held <= max + model.around(), "{held} bytes held");
        decode_holding(framing, max, pieces, held)
    };
    match model {
        // Whatever it says, what is held has a bound, and nothing is read that is not there.
        Model::Liar => return drop([decoded(&[stream]), decoded(pieces), decoded(&bytes)]),
        Model::Raw => return assert_eq!(decoded(pieces).frames.concat(), stream),
        _ => {}
    }
    let whole = decoded(&[stream]);
    let expected = model.decode(max, stream);
    for found in [&whole, &decoded(pieces), &decoded(&bytes)] {
        assert_eq!(expected.frames, found.frames, "{framing}");
        if model.tells_by_what_came() {
            assert_eq!(expected.error.is_some(), found.error.is_some(), "{framing}");
        } else {
            assert_eq!(expected.error, found.error, "{framing}");
        }
    }
    // A line's own CR at its end is taken for that of the line's end.
    let comes_back = |frame: &&Vec<u8>| !matches!(model, Model::Lines) || !frame.ends_with(b"\r");
    for frame in whole.frames.iter().filter(comes_back) {
        let again = decode(framing, max, &[&encode(framing, &[frame])]);
        assert_eq!((again.frames.as_slice(), again.error), (std::slice::from_ref(frame), None));
    }
}

/// Decodes a stream that comes in pieces, as a worker does.
pub(crate) fn decode(framing: &Framing, max: usize, pieces: &[&[u8]]) -> Stream {
    decode_holding(framing, max, pieces, |_| ())
}

/// The same; `held` is told how much is held of half a frame.
fn decode_holding(framing: &Framing, max: usize, pieces: &[&[u8]], held: impl Fn(usize)) -> Stream {
    let mut stream = Stream { frames: Vec::new(), error: None };
    let mut half = None;
    for piece in pieces {
        let decoded = decode_piece(framing, max, piece, &mut half, &mut stream.frames);
        half.iter().for_each(assert_bounded);
        half.iter().for_each(|half: &ReceiveBuffer| held(half.bytes().len()));
        if let Err(error) = decoded {
            stream.error = Some(error);
            return stream;
        }
    }
    match half.as_ref().map(|half| framing.last_frame(half.bytes(), max)) {
        Some(Ok(last)) => stream.frames.extend(last.map(<[u8]>::to_vec)),
        Some(Err(error)) => stream.error = Some(error),
        None => {}
    }
    stream
}

fn decode_piece(
    framing: &Framing,
    max: usize,
    piece: &[u8],
    half: &mut Option<ReceiveBuffer>,
    frames: &mut Vec<Vec<u8>>,
) -> std::result::Result<(), FrameError> {
    let mut rest = piece;
    while !rest.is_empty() {
        let Some(buffer) = half else {
            match framing.decode(rest, 0, max)? {
                Decoded::Frame { payload, consumed } => {
                    assert_found_in_place(framing, rest, payload.clone(), consumed);
                    frames.push(rest[payload].to_vec());
                    rest = &rest[consumed..];
                }
                Decoded::Partial { needed, scanned } => {
                    half.insert(ReceiveBuffer::default()).begin(rest, needed, scanned);
                    return Ok(());
                }
            }
            continue;
        };
        let Filled { used, frame, .. } = buffer.fill(framing, max, rest)?;
        assert!(used > 0, "a byte that comes belongs to the half frame");
        rest = &rest[used..];
        if let Some(frame) = frame {
            frames.push(frame.to_vec());
            *half = None;
        }
    }
    Ok(())
}

/// A session that holds half a frame holds memory for twice as much as has come of it.
fn assert_bounded(buffer: &ReceiveBuffer) {
    let held = buffer.bytes().len();
    assert!(buffer.capacity() <= CAPACITY_MIN.max(2 * held), "{} for {held}", buffer.capacity());
}

/// A payload that is sent back from where it lies takes its frame with it, and nothing else.
fn assert_found_in_place(
    framing: &Framing,
    bytes: &[u8],
    payload: std::ops::Range<usize>,
    consumed: usize,
) {
    let Ok(envelope) = framing.wrap(&[&bytes[payload.clone()]], usize::MAX) else { return };
    let found = envelope.find_around(bytes, payload.clone());
    let encoded = encode(framing, &[&bytes[payload]]);
    // A line that ends with CR and LF is not what goes out.
    assert!(found.is_some() || encoded != bytes[..consumed], "{framing}");
    if let Some(found) = found {
        assert_eq!(bytes[found], encoded, "{framing}");
    }
}

/// Writes payloads one behind the other, each in its envelope.
pub(crate) fn encode(framing: &Framing, payloads: &[&[u8]]) -> Vec<u8> {
    let mut stream = Vec::new();
    for payload in payloads {
        // Given in parts, which must make no difference.
        let (front, back) = payload.split_at(payload.len() / 2);
        let envelope = match framing.wrap(&[front, back], usize::MAX) {
            Ok(envelope) => envelope,
            Err(error) => panic!("a frame that came in: {error}"),
        };
        stream.extend(envelope.around(payload).concat());
    }
    stream
}
