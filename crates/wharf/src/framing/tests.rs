use super::*;
use crate::fuzzing::{decode, encode};

const MAX: usize = 64;

fn decode_in(framing: &Framing, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
    let stream = decode(framing, MAX, pieces);
    stream.error.map_or(Ok(stream.frames), Err)
}

fn field(offset: usize, width: u8, order: ByteOrder, counts: LengthCounts) -> LengthField {
    LengthField { offset, width, order, counts, adjustment: 0 }
}

/// Each width, order, way of counting, and some offsets and adjustments.
fn fields() -> Vec<LengthField> {
    let mut all = Vec::new();
    for width in 1..=8 {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for counts in [LengthCounts::Payload, LengthCounts::WholeFrame] {
                for (offset, adjustment) in [(0, 0), (0, -3), (0, 5), (1, 0), (8, -2), (8, 4)] {
                    all.push(LengthField { offset, width, order, counts, adjustment });
                }
            }
        }
    }
    all
}

const fn half(needed: Option<usize>, scanned: usize) -> Decoded {
    Decoded::Partial { needed, scanned }
}

/// A codec that does as its name says with what it is asked.
struct Says(Decoded);

impl Codec for Says {
    fn decode(&self, _: &[u8], _: usize, _: usize) -> Result<Decoded, FrameError> {
        Ok(self.0.clone())
    }

    fn wrap(&self, _: &[&[u8]]) -> Result<Envelope, FrameError> {
        Envelope::new(&[0; 17], b"")
    }

    fn last_frame(&self, bytes: &[u8]) -> Option<std::ops::Range<usize>> {
        Some(0..bytes.len() + 1)
    }
}

/// A codec that panics.
struct Panics;

impl Codec for Panics {
    fn decode(&self, _: &[u8], _: usize, _: usize) -> Result<Decoded, FrameError> {
        panic!("a codec's bug")
    }

    fn wrap(&self, _: &[&[u8]]) -> Result<Envelope, FrameError> {
        panic!("a codec's bug")
    }

    fn last_frame(&self, _: &[u8]) -> Option<std::ops::Range<usize>> {
        panic!("a codec's bug")
    }
}

/// A codec that says another thing of the same bytes once more have come.
struct Fickle;

impl Codec for Fickle {
    fn decode(&self, bytes: &[u8], _: usize, _: usize) -> Result<Decoded, FrameError> {
        Ok(match bytes.len() {
            0..4 => Decoded::Partial { needed: None, scanned: 0 },
            _ => Decoded::Frame { payload: 0..1, consumed: 1 },
        })
    }

    fn wrap(&self, _: &[&[u8]]) -> Result<Envelope, FrameError> {
        Ok(Envelope::EMPTY)
    }
}

#[test]
fn a_stream_decodes_alike_however_it_is_split() {
    let payloads: [&[u8]; 5] = [b"hello", b"", b"a", &[7; MAX], b"end"];
    let delimiters = [&b"\0"[..], b"\r\n", b"--boundary--"];
    let delimited = delimiters.map(|bytes| Framing::delimiter(bytes).unwrap());
    let named =
        [Framing::LINES, Framing::U16_LE, Framing::U16_BE, Framing::U32_LE, Framing::U32_BE];
    for framing in named.into_iter().chain(delimited) {
        check_splits(&framing, &payloads);
    }
    check_splits(&Framing::GAME, &[b"id", b"idbody", &[7; MAX]]);
    check_splits(&Framing::fixed(5).unwrap(), &[b"fives", b"and 5", b"again"]);
}

#[track_caller]
fn check_splits(framing: &Framing, payloads: &[&[u8]]) {
    let stream = encode(framing, payloads);
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
            assert_eq!(decode_in(framing, &pieces).unwrap(), payloads, "{framing}");
        }
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(decode_in(framing, &single).unwrap(), payloads, "{framing}");
}

#[test]
fn length_fields_of_every_width_and_order_come_back_however_they_are_split() {
    for field in fields() {
        let framing = Framing::length_field(field).unwrap();
        let long = [0xA5; MAX];
        let shortest = framing.payload_min();
        let frames = [&long[..shortest], &long[..MAX - 1], &long[..shortest + 1]];
        let stream = encode(&framing, &frames);
        for split in 0..=stream.len() {
            let found = decode_in(&framing, &[&stream[..split], &stream[split..]]).unwrap();
            assert_eq!(found.len(), 3, "{framing}");
            for (found, sent) in found.iter().zip(frames) {
                // In a frame that is handed over whole, the field has been filled in.
                let own = if field.offset == 0 { 0 } else { usize::from(field.width) };
                let behind = if own == 0 { 0 } else { field.offset + own };
                assert_eq!(found.len(), sent.len(), "{framing}");
                assert_eq!(found[..behind - own], sent[..behind - own], "{framing}");
                assert_eq!(found[behind..], sent[behind..], "{framing}");
            }
        }
    }
}

#[test]
fn length_fields_look_on_the_wire_as_they_are_described() {
    use ByteOrder::{Big, Little};
    use LengthCounts::{Payload, WholeFrame};
    let cases: [(LengthField, &[u8], &[u8]); 7] = [
        (field(0, 3, Big, Payload), b"abc", b"\0\0\x03abc"),
        (field(0, 3, Little, WholeFrame), b"abc", b"\x06\0\0abc"),
        (field(0, 8, Big, Payload), b"a", b"\0\0\0\0\0\0\0\x01a"),
        (field(2, 1, Big, Payload), b"id?abc", b"id\x03abc"),
        (field(2, 2, Little, WholeFrame), b"id??abc", b"id\x07\0abc"),
        (LengthField { adjustment: 4, ..field(0, 1, Big, Payload) }, b"abcdef", b"\x02abcdef"),
        (LengthField { adjustment: -2, ..field(0, 1, Big, Payload) }, b"ab", b"\x04ab"),
    ];
    for (field, payload, wire) in cases {
        let framing = Framing::length_field(field).unwrap();
        assert_eq!(encode(&framing, &[payload]), wire, "{framing}");
    }
    assert_eq!(encode(&Framing::GAME, &[b"\x05\x01body"]), b"\x08\0\x05\x01body");
}

#[test]
fn a_frame_over_the_maximum_is_refused_by_its_header_alone() {
    let refused = |announced| Err(FrameError::TooLong { announced, max: MAX });
    assert_eq!(Framing::U32_LE.decode(&[65, 0, 0, 0], 0, MAX), refused(65));
    assert_eq!(Framing::U16_BE.decode(&[0xFF, 0xFF], 0, MAX), refused(0xFFFF));
    assert_eq!(Framing::GAME.decode(&[67, 0], 0, MAX), refused(65));
    assert_eq!(Framing::LINES.decode(&[b'x'; MAX + 1], 0, MAX), refused(MAX + 1));
    let partial = |needed, scanned| Ok(Decoded::Partial { needed: Some(needed), scanned });
    assert_eq!(Framing::U32_LE.decode(&[64, 0, 0, 0], 0, MAX), partial(68, 4));
    assert_eq!(Framing::GAME.decode(&[66, 0], 0, MAX), partial(66, 2));
    let crlf = Framing::delimiter("\r\n").unwrap();
    assert_eq!(crlf.decode(&[b'x'; MAX + 2], 0, MAX), refused(MAX + 1));
    // The last byte may be the beginning of the delimiter.
    assert!(crlf.decode(&[b'x'; MAX + 1], 0, MAX).is_ok());
    for field in fields() {
        let framing = Framing::length_field(field).unwrap();
        let head = field.offset + usize::from(field.width);
        let (whole, kept) = if field.offset == 0 { (MAX + 1 + head, head) } else { (MAX + 1, 0) };
        let stream = encode(&framing, &[&vec![0; whole - kept]]);
        assert_eq!(framing.decode(&stream[..head], 0, MAX), refused(MAX + 1), "{framing}");
    }
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let decoded = |field: LengthField, bytes: &[u8]| {
        Framing::length_field(field).unwrap().decode(bytes, 0, MAX).unwrap_err()
    };
    let whole = |width| field(0, width, ByteOrder::Big, LengthCounts::WholeFrame);
    let payload = |width| field(0, width, ByteOrder::Big, LengthCounts::Payload);
    let too_short = |announced, min| FrameError::TooShort { announced, min };
    assert_eq!(decoded(whole(2), &[0, 1]), too_short(1, 2));
    assert_eq!(Framing::GAME.decode(&[3, 0], 0, MAX), Err(too_short(3, 4)));
    assert_eq!(Framing::GAME.decode(&[0, 0], 0, MAX), Err(too_short(0, 4)));
    let negative = LengthField { adjustment: -5, ..payload(1) };
    assert_eq!(decoded(negative, &[4]), FrameError::NegativeLength { length: 4, adjustment: -5 });
    let overflow = FrameError::LengthOverflow { length: u64::MAX };
    assert_eq!(decoded(payload(8), &[0xFF; 8]), overflow);
    let adjusted = LengthField { adjustment: i64::MAX, ..whole(8) };
    assert_eq!(decoded(adjusted, &[0xFF; 8]), overflow);
}

#[test]
fn what_has_no_frame_is_not_wrapped() {
    let wrap = |framing: &Framing, parts: &[&[u8]]| framing.wrap(parts, MAX).map(|_| ());
    let too_long = |announced, max| Err(FrameError::TooLong { announced, max });
    assert_eq!(wrap(&Framing::LINES, &[&[0; 40], &[0; 25]]), too_long(65, MAX));
    let narrow = field(0, 1, ByteOrder::Big, LengthCounts::Payload);
    let narrow = LengthField { adjustment: -200, ..narrow };
    let narrow = Framing::length_field(narrow).unwrap();
    assert_eq!(wrap(&narrow, &[&[0; 56]]), too_long(56, 55));
    assert_eq!(wrap(&narrow, &[&[0; 55]]), Ok(()));
    let too_short = Err(FrameError::TooShort { announced: 3, min: 4 });
    assert_eq!(wrap(&Framing::GAME, &[b"i"]), too_short);
    let fixed = Framing::fixed(4).unwrap();
    assert_eq!(wrap(&fixed, &[b"abc"]), Err(FrameError::WrongLength { len: 3, expected: 4 }));
    assert_eq!(wrap(&fixed, &[b"abc", b"d"]), Ok(()));
    assert!(Framing::U16_LE.wrap(&[&[0; 65_535]], usize::MAX).is_ok());
    assert!(Framing::U16_LE.wrap(&[&[0; 65_536]], usize::MAX).is_err());
}

#[test]
fn what_remains_behind_the_last_frame_is_a_frame_only_of_lines() {
    let crlf = Framing::delimiter("\r\n").unwrap();
    let halves = [&crlf, &Framing::fixed(5).unwrap(), &Framing::GAME, &Framing::U32_LE];
    for framing in halves {
        assert_eq!(framing.last_frame(b"half", MAX), Ok(None), "{framing}");
    }
    assert_eq!(Framing::LINES.last_frame(b"half\r", MAX), Ok(Some(&b"half"[..])));
}

#[test]
fn of_a_frame_that_is_too_long_no_more_is_copied_than_shows_it() {
    for (framing, around) in [(Framing::LINES, 2), (Framing::delimiter("\r\n").unwrap(), 2)] {
        let mut buffer = ReceiveBuffer::default();
        buffer.begin(b"x", None, 1);
        assert!(buffer.fill(&framing, MAX, &[b'x'; 100 * MAX]).is_err(), "{framing}");
        assert_eq!(buffer.bytes().len(), MAX + around, "{framing}");
    }
}

#[test]
fn what_was_copied_behind_a_frame_is_given_back() {
    let crlf = Framing::delimiter("\r\n").unwrap();
    let mut buffer = ReceiveBuffer::default();
    buffer.begin(b"one\r", None, 4);
    // The next delimiter is found first, and the one that had begun ends before it.
    let filled = buffer.fill(&crlf, MAX, b"\ntwo\r\n");
    assert_eq!(filled, Ok(Filled { used: 1, again: 0, frame: Some(b"one") }));
    assert_eq!(buffer.bytes(), b"one\r\n");
}

#[test]
fn one_cr_before_lf_is_left_out() {
    let frames = decode_in(&Framing::LINES, &[b"a\r\nb\r", b"\r\n\r", b"\nlast\r"]).unwrap();
    assert_eq!(frames, [&b"a"[..], b"b\r", b"", b"last"]);
}

#[test]
fn a_line_as_long_as_the_maximum_may_end_with_cr_lf() {
    let mut line = vec![b'x'; MAX];
    line.extend_from_slice(b"\r\n");
    let single: Vec<&[u8]> = line.chunks(1).collect();
    assert_eq!(decode_in(&Framing::LINES, &single).unwrap(), [&line[..MAX]]);
}

#[test]
fn a_codec_that_lies_is_found_out() {
    let frame = |payload, consumed| Decoded::Frame { payload, consumed };
    let lies = [
        frame(0..1, 0),
        frame(0..4, 5),
        frame(3..4, 3),
        #[expect(clippy::reversed_empty_ranges, reason = "it is one of the lies")]
        frame(3..2, 4),
        frame(usize::MAX..usize::MAX, 4),
        half(Some(4), 0),
        half(Some(0), 0),
        half(None, 5),
    ];
    for lie in lies {
        let found = Framing::codec(Says(lie.clone())).decode(b"four", 0, MAX);
        assert!(matches!(found, Err(FrameError::BrokenCodec(_))), "{lie:?}: {found:?}");
    }
    let honest = Framing::codec(Says(half(None, 0)));
    assert!(matches!(honest.wrap(&[b"four"], MAX), Err(FrameError::BrokenCodec(_))));
    assert!(matches!(honest.last_frame(b"four", MAX), Err(FrameError::BrokenCodec(_))));
    let panics = Framing::codec(Panics);
    assert!(matches!(panics.decode(b"four", 0, MAX), Err(FrameError::BrokenCodec(_))));
    assert!(matches!(panics.wrap(&[b"four"], MAX), Err(FrameError::BrokenCodec(_))));
    assert!(matches!(panics.last_frame(b"four", MAX), Err(FrameError::BrokenCodec(_))));
    let changed = decode(&Framing::codec(Fickle), MAX, &[b"ab", b"cd"]);
    assert!(matches!(changed.error, Some(FrameError::BrokenCodec(_))), "{changed:?}");
}

#[test]
fn a_codec_that_does_not_keep_to_the_maximum_is_held_to_it() {
    let refused = |says, bytes: &[u8]| {
        let found = Framing::codec(Says(says)).decode(bytes, 0, MAX);
        assert!(matches!(found, Err(FrameError::TooLong { max: MAX, .. })), "{found:?}");
    };
    let around = 2 * Envelope::AFFIX_MAX;
    refused(Decoded::Frame { payload: 0..MAX + 1, consumed: MAX + 1 }, &[0; 2 * MAX]);
    refused(half(Some(MAX + around + 1), 0), b"a");
    refused(half(Some(usize::MAX), 0), b"a");
    refused(half(None, 0), &[0; MAX + 32]);
    let allowed = Framing::codec(Says(half(Some(MAX + around), 0)));
    assert!(allowed.decode(b"a", 0, MAX).is_ok());
}

#[test]
fn framings_that_cannot_be_are_refused_with_what_to_do() {
    let field = |offset, width, adjustment| {
        Framing::length_field(LengthField { offset, width, adjustment, ..LengthField::default() })
            .unwrap_err()
            .to_string()
    };
    let texts = [
        (Framing::delimiter("").unwrap_err().to_string(), "give 1 to 16"),
        (Framing::delimiter([0; 17]).unwrap_err().to_string(), "give 1 to 16"),
        (Framing::fixed(0).unwrap_err().to_string(), "give at least 1"),
        (field(0, 0, 0), "give 1 to 8"),
        (field(0, 9, 0), "give 1 to 8"),
        (field(13, 4, 0), "smaller offset"),
        (field(usize::MAX, 4, 0), "smaller offset"),
        (field(0, 1, -256), "nearer to 0"),
    ];
    for (text, part) in &texts {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(Framing::length_field(LengthField::default()), Ok(Framing::U32_LE));
}
