//! Frames as a client writes and reads them: written apart from the library's, so that an error there
//! is not repeated here.

use wharf::Framing;

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

/// A payload as it goes over the wire.
pub(super) fn encode(framing: &Framing, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut bytes = Vec::with_capacity(len + 4);
    match *framing {
        Framing::U16_LE => bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()),
        Framing::U16_BE => bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()),
        Framing::U32_LE => bytes.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()),
        Framing::U32_BE => bytes.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()),
        _ => {}
    }
    bytes.extend_from_slice(payload);
    if *framing == Framing::LINES {
        bytes.push(b'\n');
    }
    bytes
}

/// Takes the first whole frame out of what was received; raw, that is all of it.
pub(super) fn decode(framing: &Framing, received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (header, len, trailer) = match *framing {
        Framing::U16_LE => (2, usize::from(u16::from_le_bytes(first(received)?)), 0),
        Framing::U16_BE => (2, usize::from(u16::from_be_bytes(first(received)?)), 0),
        Framing::U32_LE => (4, usize::try_from(u32::from_le_bytes(first(received)?)).ok()?, 0),
        Framing::U32_BE => (4, usize::try_from(u32::from_be_bytes(first(received)?)).ok()?, 0),
        Framing::LINES => (0, received.iter().position(|byte| *byte == b'\n')?, 1),
        _ if received.is_empty() => return None,
        _ => (0, received.len(), 0),
    };
    if received.len() < header + len + trailer {
        return None;
    }
    let frame: Vec<u8> = received.drain(..header + len + trailer).collect();
    Some(frame[header..header + len].to_vec())
}

fn first<const N: usize>(received: &[u8]) -> Option<[u8; N]> {
    received.get(..N)?.try_into().ok()
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
        for framing in [Framing::LINES, Framing::U16_LE, Framing::U16_BE, Framing::U32_LE] {
            let mut bytes = encode(&framing, b"one");
            bytes.extend(encode(&framing, b""));
            assert_eq!(decode(&framing, &mut bytes).unwrap(), b"one");
            assert_eq!(decode(&framing, &mut bytes).unwrap(), b"");
            assert_eq!(decode(&framing, &mut bytes), None);
        }
    }
}
