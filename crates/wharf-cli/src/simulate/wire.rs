//! Frames as a client writes and reads them: written apart from the library's, so that an error there
//! is not repeated here.

use std::ops::Range;

use fastrand::Rng;
use wharf::{ByteOrder, Framing, LengthCounts, LengthField};

use super::netstring::Netstring;
use super::record::ClientNumber;

/// What every payload of a run is made of: its kind, its number, whose it is, and then bytes that tell
/// their places, so that none is taken for another and none is moved unnoticed.
pub(super) fn payload(kind: char, number: u64, client: ClientNumber, len: usize) -> Vec<u8> {
    let mut payload = format!("{kind}{number}@{client}:").into_bytes();
    let start = number + client as u64 * 31;
    let more = (payload.len() as u64..len as u64).map(|at| filler(start + at * 11 + at / 63));
    payload.extend(more);
    payload.truncate(len);
    payload
}

/// A byte that is printable, no small letter (these say what a frame is for) and no end of a line.
fn filler(number: u64) -> u8 {
    u8::try_from(number % 63).map_or(b'!', |byte| b'!' + byte)
}

/// How frames go over the wire, as the side of the clients has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wire {
    Raw,
    Lines,
    Delimiter(&'static [u8]),
    Length(LengthField),
    Game,
    Netstring,
}

/// What stands in a payload where nothing is said.
const HEAD: [u8; 32] = [b'#'; 32];
/// Those with lengths of two and four bytes are drawn often, as they are used often.
const PLAIN: [(u8, ByteOrder); 4] =
    [(2, ByteOrder::Little), (2, ByteOrder::Big), (4, ByteOrder::Little), (4, ByteOrder::Big)];
/// Its first byte is in many payloads; one that clients of old text protocols use; one byte; the longest.
const DELIMITERS: [&[u8]; 4] = [b"AB", b"\r\n", b"\0", b"0123456789ABCDEF"];
/// Fields of every kind that there is: odd widths, behind other bytes, with numbers added.
const FIELDS: [LengthField; 11] = [
    field(0, 1, ByteOrder::Little, LengthCounts::Payload, 0),
    field(0, 3, ByteOrder::Big, LengthCounts::Payload, 0),
    field(0, 5, ByteOrder::Little, LengthCounts::WholeFrame, 0),
    field(0, 7, ByteOrder::Big, LengthCounts::Payload, -3),
    field(0, 8, ByteOrder::Little, LengthCounts::Payload, 0),
    field(0, 2, ByteOrder::Little, LengthCounts::Payload, 4),
    field(1, 3, ByteOrder::Big, LengthCounts::WholeFrame, 0),
    field(2, 1, ByteOrder::Big, LengthCounts::Payload, 0),
    field(3, 4, ByteOrder::Big, LengthCounts::WholeFrame, -2),
    field(4, 6, ByteOrder::Little, LengthCounts::Payload, 5),
    field(9, 7, ByteOrder::Little, LengthCounts::Payload, -1),
];
/// The header of [`Wire::Game`]: its id is a part of the payload.
const GAME: LengthField = field(0, 2, ByteOrder::Little, LengthCounts::WholeFrame, 0);
const GAME_ID: usize = 2;

const fn field(
    offset: usize,
    width: u8,
    order: ByteOrder,
    counts: LengthCounts,
    adjustment: i64,
) -> LengthField {
    LengthField { offset, width, order, counts, adjustment }
}

impl Wire {
    pub(super) fn draw(dice: &mut Rng) -> Self {
        match dice.u8(..16) {
            0..2 => Self::Raw,
            2..4 => Self::Lines,
            4..8 => {
                let (width, order) = PLAIN[dice.usize(..PLAIN.len())];
                Self::Length(field(0, width, order, LengthCounts::Payload, 0))
            }
            8..10 => Self::Delimiter(DELIMITERS[dice.usize(..DELIMITERS.len())]),
            10..13 => Self::Length(FIELDS[dice.usize(..FIELDS.len())]),
            13 => Self::Game,
            _ => Self::Netstring,
        }
    }

    /// The library's word for it; what it refuses shows when the server starts.
    pub(super) fn framing(self) -> Framing {
        let framing = match self {
            Self::Raw => return Framing::RAW,
            Self::Lines => return Framing::LINES,
            Self::Game => return Framing::GAME,
            Self::Netstring => return Framing::codec(Netstring),
            Self::Delimiter(bytes) => Framing::delimiter(bytes),
            Self::Length(field) => Framing::length_field(field),
        };
        framing.unwrap_or(Framing::RAW)
    }

    pub(super) const fn has_frames(self) -> bool {
        !matches!(self, Self::Raw)
    }

    /// For the summary.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Raw => "framing: raw",
            Self::Lines => "framing: lines",
            Self::Delimiter(_) => "framing: delimiter",
            Self::Length(LengthField { offset: 1.., .. }) => "framing: length inside",
            Self::Length(_) => "framing: length",
            Self::Game => "framing: game",
            Self::Netstring => "framing: own codec",
        }
    }

    /// Half a frame at the end of a stream is as good as a whole one.
    const fn ends_with_stream(self) -> bool {
        matches!(self, Self::Raw | Self::Lines)
    }

    /// With how many bytes each payload begins that say nothing: a field that lies there is a part of it,
    /// and it must be so long that the field can express it.
    pub(super) fn head(self) -> usize {
        match self {
            Self::Length(field) => usize::try_from(shortest(field)).unwrap_or(usize::MAX),
            Self::Game => GAME_ID,
            _ => 0,
        }
    }

    /// Bytes of a frame that says nothing.
    pub(super) fn overhead(self) -> usize {
        self.encode(b"").len()
    }

    /// The payload that says this, as the library is given it: the field in it is the library's to fill in.
    pub(super) fn payload(self, said: &[u8]) -> Vec<u8> {
        [self.head_bytes(), said].concat()
    }

    pub(super) fn head_bytes(self) -> &'static [u8] {
        HEAD.get(..self.head()).unwrap_or_default()
    }

    /// What a payload says; `None` if it begins as none does.
    pub(super) fn said(self, payload: &[u8]) -> Option<&[u8]> {
        let (head, said) = payload.split_at_checked(self.head())?;
        let field = match self {
            Self::Length(field) if field.offset > 0 => field.offset..end_of(field),
            _ => 0..0,
        };
        let is_plain = |(at, byte): (usize, &u8)| field.contains(&at) || *byte == HEAD[0];
        head.iter().enumerate().all(is_plain).then_some(said)
    }

    /// A frame as it goes over the wire.
    pub(super) fn encode(self, said: &[u8]) -> Vec<u8> {
        match self {
            Self::Raw => said.to_vec(),
            Self::Lines => [said, b"\n"].concat(),
            Self::Delimiter(delimiter) => [said, delimiter].concat(),
            Self::Length(field) => encode_length(field, self.head_bytes(), said),
            Self::Game => encode_length(GAME, self.head_bytes(), said),
            Self::Netstring => [format!("{}:", said.len()).as_bytes(), said, b","].concat(),
        }
    }

    /// What arrives of a frame of which only so much is sent before the stream ends, if anything does.
    pub(super) fn arrives<'it>(self, said: &'it [u8], sent: &'it [u8]) -> &'it [u8] {
        if self.ends_with_stream() { sent.strip_suffix(b"\n").unwrap_or(sent) } else { said }
    }

    /// Takes the first whole frame out of what was received and gives what it says; raw, that is all.
    pub(super) fn decode(self, received: &mut Vec<u8>) -> Option<Vec<u8>> {
        let (payload, whole) = self.first_frame(received)?;
        if received.len() < whole || whole == 0 {
            return None;
        }
        let payload = &received[payload];
        // What is not as it should be is taken for what nobody has sent.
        let said = self.said(payload).unwrap_or(payload).to_vec();
        received.drain(..whole);
        Some(said)
    }

    /// Where the payload of the first frame lies, and how long the frame is, if that can be told.
    fn first_frame(self, received: &[u8]) -> Option<(Range<usize>, usize)> {
        match self {
            Self::Raw => Some((0..received.len(), received.len())),
            Self::Lines => position(received, b"\n").map(|end| (0..end, end + 1)),
            Self::Delimiter(delimiter) => {
                position(received, delimiter).map(|end| (0..end, end + delimiter.len()))
            }
            Self::Length(field) => first_with_length(field, received),
            Self::Game => first_with_length(GAME, received),
            Self::Netstring => {
                let colon = position(received, b":")?;
                let len: usize = std::str::from_utf8(&received[..colon]).ok()?.parse().ok()?;
                Some((colon + 1..colon + 1 + len, colon + len + 2))
            }
        }
    }
}

/// Where some bytes stand for the first time.
fn position(bytes: &[u8], of: &[u8]) -> Option<usize> {
    let first = *of.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == first)?;
        if bytes[at..].starts_with(of) {
            return Some(at);
        }
        from = at + 1;
    }
}

const fn end_of(field: LengthField) -> usize {
    field.offset + field.width as usize
}

/// Bytes of the header that are no part of the payload.
const fn taken_off(field: LengthField) -> usize {
    if field.offset == 0 { field.width as usize } else { 0 }
}

/// By how much a frame is longer than its field says.
fn beyond(field: LengthField) -> i64 {
    let counted = match field.counts {
        LengthCounts::Payload => end_of(field),
        LengthCounts::WholeFrame => 0,
    };
    field.adjustment + i64::try_from(counted).unwrap_or_default()
}

/// The shortest payload that there can be.
fn shortest(field: LengthField) -> i64 {
    let end = i64::try_from(end_of(field)).unwrap_or_default();
    end.max(beyond(field)) - i64::try_from(taken_off(field)).unwrap_or_default()
}

fn encode_length(field: LengthField, head: &[u8], said: &[u8]) -> Vec<u8> {
    let whole = taken_off(field) + head.len() + said.len();
    let whole = i64::try_from(whole).unwrap_or_default();
    let value = whole - beyond(field);
    let width = usize::from(field.width);
    let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
    let digits = match field.order {
        ByteOrder::Little => &little[..width],
        ByteOrder::Big => &big[8 - width..],
    };
    if field.offset == 0 {
        return [digits, head, said].concat();
    }
    let mut frame = [head, said].concat();
    frame[field.offset..end_of(field)].copy_from_slice(digits);
    frame
}

fn first_with_length(field: LengthField, received: &[u8]) -> Option<(Range<usize>, usize)> {
    let digits = received.get(field.offset..end_of(field))?;
    let add = |value: i64, digit: &u8| value << 8 | i64::from(*digit);
    let value = match field.order {
        ByteOrder::Little => digits.iter().rev().fold(0, add),
        ByteOrder::Big => digits.iter().fold(0, add),
    };
    let whole = usize::try_from(value + beyond(field)).ok()?;
    Some((taken_off(field)..whole, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_payloads_are_alike_and_no_two_places() {
        let one = payload('e', 7, 3, 300);
        assert!(one.starts_with(b"e7@3:") && one.len() == 300);
        assert_eq!(payload('e', 7, 3, 2), b"e7");
        for other in [payload('e', 8, 3, 300), payload('e', 7, 4, 300)] {
            let same = one.iter().zip(&other).skip(5).filter(|(a, b)| a == b).count();
            assert_eq!(same, 0);
        }
        for moved in 1..63 {
            assert_ne!(one[10..100], one[10 + moved..100 + moved]);
        }
        assert!(one[5..].iter().all(|byte| (b'!'..=b'_').contains(byte)));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let plain = PLAIN.map(|(width, order)| field(0, width, order, LengthCounts::Payload, 0));
        let lengths = plain.into_iter().chain(FIELDS).map(Wire::Length);
        let others = DELIMITERS.into_iter().map(Wire::Delimiter);
        let all = [Wire::Lines, Wire::Game, Wire::Netstring];
        for wire in all.into_iter().chain(lengths).chain(others) {
            assert_eq!(wire.framing().payload_min(), wire.head(), "{wire:?}");
            let mut bytes = wire.encode(b"one");
            bytes.extend(wire.encode(b""));
            assert_eq!(wire.decode(&mut bytes).unwrap(), b"one", "{wire:?}");
            assert_eq!(wire.decode(&mut bytes).unwrap(), b"", "{wire:?}");
            assert_eq!(wire.decode(&mut bytes), None, "{wire:?}");
        }
    }
}
