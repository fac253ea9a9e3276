//! What the framings say, written once more without a thought of speed or pieces.

use arbitrary::{Result, Unstructured};

use super::frame_decode::Stream;
use crate::framing::{
    ByteOrder, Codec, Decoded, Envelope, FrameError, Framing, LengthCounts, LengthField,
};

/// A framing, and how a whole stream of it is decoded.
pub(super) struct Case {
    pub(super) framing: Framing,
    pub(super) model: Model,
}

pub(super) enum Model {
    Raw,
    Lines,
    Delimiter(Vec<u8>),
    Fixed(usize),
    /// A field, and what every frame has behind it.
    Field(LengthField, usize),
    Codec(Checked),
    Ended(Ended),
    Liar,
}

const U32: LengthField = LengthField {
    offset: 0,
    width: 4,
    order: ByteOrder::Little,
    counts: LengthCounts::Payload,
    adjustment: 0,
};

impl Case {
    pub(super) fn draw(input: &mut Unstructured<'_>) -> Result<Self> {
        let big = LengthField { order: ByteOrder::Big, ..U32 };
        let game = LengthField { width: 2, counts: LengthCounts::WholeFrame, ..U32 };
        let field = |framing, field| (framing, Model::Field(field, 0));
        let (framing, model) = match input.int_in_range(0..=13)? {
            0 => (Framing::RAW, Model::Raw),
            1 => (Framing::LINES, Model::Lines),
            2 => field(Framing::U16_LE, LengthField { width: 2, ..U32 }),
            3 => field(Framing::U16_BE, LengthField { width: 2, ..big }),
            4 => field(Framing::U32_LE, U32),
            5 => field(Framing::U32_BE, big),
            6 => (Framing::GAME, Model::Field(game, 2)),
            7 => Self::delimiter(input)?,
            8 => {
                let len = input.int_in_range(1..=40)?;
                let Ok(framing) = Framing::fixed(len) else { panic!("1 and more are allowed") };
                (framing, Model::Fixed(len))
            }
            9..=10 => Self::field(input)?,
            11 => {
                let codec = Checked { tells: input.arbitrary()? };
                (Framing::codec(codec), Model::Codec(codec))
            }
            12 => {
                let codec = Ended { asks: input.arbitrary()?, scans: input.arbitrary()? };
                (Framing::codec(codec), Model::Ended(codec))
            }
            _ => (Framing::codec(Liar), Model::Liar),
        };
        Ok(Self { framing, model })
    }

    /// Few letters, so that they are met, and begin again within themselves.
    fn delimiter(input: &mut Unstructured<'_>) -> Result<(Framing, Model)> {
        let len = input.int_in_range(1..=16)?;
        let letter = |_| Ok(*input.choose(b"\r\na")?);
        let bytes: Vec<u8> = (0..len).map(letter).collect::<Result<_>>()?;
        let Ok(framing) = Framing::delimiter(&bytes) else { panic!("up to 16 are allowed") };
        Ok((framing, Model::Delimiter(bytes)))
    }

    /// Any field; one that cannot be is made one that can.
    fn field(input: &mut Unstructured<'_>) -> Result<(Framing, Model)> {
        let field = LengthField {
            offset: input.int_in_range(0..=15)?,
            width: input.int_in_range(1..=8)?,
            order: *input.choose(&[ByteOrder::Little, ByteOrder::Big])?,
            counts: *input.choose(&[LengthCounts::Payload, LengthCounts::WholeFrame])?,
            adjustment: match input.int_in_range(0..=3)? {
                0 => 0,
                1 | 2 => input.int_in_range(-20..=20)?,
                _ => input.arbitrary()?,
            },
        };
        let (framing, field) = match Framing::length_field(field) {
            Ok(framing) => (framing, field),
            Err(_) => (Framing::U32_LE, U32),
        };
        Ok((framing, Model::Field(field, 0)))
    }
}

impl Model {
    /// Bytes that may be held besides a payload.
    pub(super) fn around(&self) -> usize {
        match self {
            Self::Raw | Self::Fixed(_) => 0,
            Self::Lines => 2,
            Self::Delimiter(delimiter) => delimiter.len(),
            Self::Field(field, _) if field.offset == 0 => field.width.into(),
            // The whole frame is the payload.
            Self::Field(field, _) => field.offset + usize::from(field.width),
            Self::Codec(_) | Self::Ended(_) | Self::Liar => 2 * Envelope::AFFIX_MAX,
        }
    }

    /// Whether what is too long is told by how much has come, which depends on the pieces.
    pub(super) const fn tells_by_what_came(&self) -> bool {
        !matches!(self, Self::Raw | Self::Fixed(_) | Self::Field(..) | Self::Liar)
    }

    pub(super) fn decode(&self, max: usize, stream: &[u8]) -> Stream {
        let mut found = Stream { frames: Vec::new(), error: None };
        let mut rest = stream;
        while !rest.is_empty() && found.error.is_none() {
            match self.first(max, rest) {
                Ok(Some((frame, behind))) => {
                    found.frames.push(frame.to_vec());
                    rest = behind;
                }
                Ok(None) => break,
                Err(error) => found.error = Some(error),
            }
        }
        found
    }

    /// The first frame of a stream, and what stands behind it; `None` if it is not whole.
    fn first<'stream>(&self, max: usize, stream: &'stream [u8]) -> Found<'stream> {
        let (payload, behind) = match self {
            Self::Lines => {
                let end = stream.iter().position(|byte| *byte == b'\n');
                let line = &stream[..end.unwrap_or(stream.len())];
                let behind = end.map_or(&[][..], |end| &stream[end + 1..]);
                (line.strip_suffix(b"\r").unwrap_or(line), behind)
            }
            Self::Delimiter(delimiter) => {
                let len = delimiter.len();
                let Some(end) = stream.windows(len).position(|bytes| bytes == delimiter) else {
                    let payload = (stream.len() + 1).saturating_sub(len);
                    return if payload > max { Err(too_long(payload, max)) } else { Ok(None) };
                };
                (&stream[..end], &stream[end + len..])
            }
            Self::Fixed(len) if *len > max => return Err(too_long(*len, max)),
            Self::Fixed(len) => match stream.split_at_checked(*len) {
                Some(split) => split,
                None => return Ok(None),
            },
            Self::Field(field, rest_min) => return first_by_field(*field, *rest_min, max, stream),
            Self::Codec(codec) => match codec.decode(stream, 0, max)? {
                Decoded::Frame { payload, consumed } => (&stream[payload], &stream[consumed..]),
                Decoded::Partial { .. } => return Ok(None),
            },
            Self::Ended(codec) => match codec.decode(stream, 0, max)? {
                Decoded::Frame { payload, consumed } => (&stream[payload], &stream[consumed..]),
                Decoded::Partial { .. } => return Ok(None),
            },
            Self::Raw | Self::Liar => panic!("there is no other way to decode this"),
        };
        if payload.len() > max {
            Err(too_long(payload.len(), max))
        } else {
            Ok(Some((payload, behind)))
        }
    }
}

type Found<'stream> = std::result::Result<Option<(&'stream [u8], &'stream [u8])>, FrameError>;

const fn too_long(announced: usize, max: usize) -> FrameError {
    FrameError::TooLong { announced, max }
}

fn first_by_field(field: LengthField, rest_min: usize, max: usize, stream: &[u8]) -> Found<'_> {
    let LengthField { offset, width, order, counts, adjustment } = field;
    let head = offset + usize::from(width);
    let Some(digits) = stream.get(offset..head) else { return Ok(None) };
    let mut digits: Vec<u64> = digits.iter().map(|digit| u64::from(*digit)).collect();
    if order == ByteOrder::Little {
        digits.reverse();
    }
    let length = digits.iter().fold(0, |length, digit| length << 8 | digit);
    let counted = i128::from(length) + i128::from(adjustment);
    if counted < 0 {
        return Err(FrameError::NegativeLength { length, adjustment });
    }
    let whole = counted + if counts == LengthCounts::Payload { head as i128 } else { 0 };
    if whole > i128::from(u64::MAX) || usize::try_from(whole).is_err() {
        return Err(FrameError::LengthOverflow { length });
    }
    let whole = usize::try_from(whole).unwrap_or_default();
    let min = head + rest_min;
    if whole < min {
        return Err(FrameError::TooShort { announced: whole, min });
    }
    let start = if offset == 0 { head } else { 0 };
    if whole - start > max {
        return Err(too_long(whole - start, max));
    }
    Ok(stream.split_at_checked(whole).map(|(frame, behind)| (&frame[start..], behind)))
}

/// A codec such as users write: seven bits of the length in each byte, the low ones first, the payload,
/// and a sum.
#[derive(Clone, Copy)]
pub(super) struct Checked {
    /// It says how many bytes it needs.
    tells: bool,
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
}

impl Codec for Checked {
    fn decode(
        &self,
        bytes: &[u8],
        _: usize,
        max: usize,
    ) -> std::result::Result<Decoded, FrameError> {
        let needs = |needed| Decoded::Partial { needed: self.tells.then_some(needed), scanned: 0 };
        let partial = |needed| Ok(needs(needed));
        let mut len = 0;
        for (at, byte) in bytes.iter().enumerate().take(3) {
            len |= usize::from(byte & 0x7F) << (7 * at);
            if byte & 0x80 != 0 {
                continue;
            }
            if len > max {
                return Err(too_long(len, max));
            }
            let payload = at + 1..at + 1 + len;
            let Some(found) = bytes.get(payload.end) else { return partial(payload.end + 1) };
            if sum(&bytes[payload.clone()]) != *found {
                return Err(FrameError::Codec("the sum is wrong"));
            }
            return Ok(Decoded::Frame { consumed: payload.end + 1, payload });
        }
        if bytes.len() < 3 {
            return partial(bytes.len() + 1);
        }
        Err(FrameError::Codec("the length has no end"))
    }

    fn wrap(&self, parts: &[&[u8]]) -> std::result::Result<Envelope, FrameError> {
        let payload = parts.concat();
        let (mut len, mut header) = (payload.len(), Vec::new());
        while len > 0x7F {
            header.push(u8::try_from(len & 0x7F).unwrap_or_default() | 0x80);
            len >>= 7;
        }
        header.push(u8::try_from(len).unwrap_or_default());
        Envelope::new(&header, &[sum(&payload)])
    }
}

/// A codec that searches for the end of a frame, two letters that are alike, and may go on where it was.
#[derive(Clone, Copy)]
pub(super) struct Ended {
    /// It asks for one byte more.
    asks: bool,
    /// It says how far it has come.
    scans: bool,
}

impl Codec for Ended {
    fn decode(
        &self,
        bytes: &[u8],
        scanned: usize,
        max: usize,
    ) -> std::result::Result<Decoded, FrameError> {
        assert!(self.scans || scanned == 0, "it has never said so");
        let at = bytes[scanned..].windows(2).position(|pair| pair == b"aa");
        let payload = at.map_or(bytes.len() - 1, |at| scanned + at);
        if payload > max {
            return Err(too_long(payload, max));
        }
        Ok(match at {
            Some(_) => Decoded::Frame { payload: 0..payload, consumed: payload + 2 },
            None => Decoded::Partial {
                needed: self.asks.then_some(bytes.len() + 1),
                // The last one may be the first of two.
                scanned: if self.scans { bytes.len() - 1 } else { 0 },
            },
        })
    }

    fn wrap(&self, _: &[&[u8]]) -> std::result::Result<Envelope, FrameError> {
        Envelope::new(b"", b"aa")
    }
}

/// A codec that says anything, as its input has it. It does not panic, which ends a fuzzer.
struct Liar;

impl Codec for Liar {
    fn decode(&self, bytes: &[u8], _: usize, _: usize) -> std::result::Result<Decoded, FrameError> {
        let at = |at: usize| usize::from(*bytes.get(at).unwrap_or(&0));
        match at(0) % 4 {
            0 => Ok(Decoded::Partial { needed: None, scanned: at(1) / 8 }),
            1 => Ok(Decoded::Partial { needed: Some(at(1)), scanned: 0 }),
            2 => Ok(Decoded::Frame { payload: at(1)..at(2), consumed: at(3) }),
            _ => Ok(Decoded::Frame { payload: 0..1, consumed: bytes.len() / 2 + 1 }),
        }
    }

    fn wrap(&self, parts: &[&[u8]]) -> std::result::Result<Envelope, FrameError> {
        let payload = parts.concat();
        Envelope::new(&payload, &payload)
    }

    fn last_frame(&self, bytes: &[u8]) -> Option<std::ops::Range<usize>> {
        let first = bytes.first().copied().unwrap_or_default();
        Some(usize::from(first)..bytes.len() + 1 - usize::from(first & 1))
    }
}
