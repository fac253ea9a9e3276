//! Frames as a client writes and reads them: written apart from the library's, so that an error there
//! is not repeated here.

use wharf::Framing;

/// A payload as it goes over the wire.
pub(super) fn encode(framing: Framing, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut bytes = Vec::with_capacity(len + 4);
    match framing {
        Framing::U16_LE => bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()),
        Framing::U16_BE => bytes.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()),
        Framing::U32_LE => bytes.extend(u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes()),
        Framing::U32_BE => bytes.extend(u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()),
        _ => {}
    }
    bytes.extend_from_slice(payload);
    if framing == Framing::LINES {
        bytes.push(b'\n');
    }
    bytes
}

/// Takes the first whole frame out of what was received; raw, that is all of it.
pub(super) fn decode(framing: Framing, received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let (header, len, trailer) = match framing {
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
    fn what_is_encoded_is_decoded() {
        for framing in [Framing::LINES, Framing::U16_LE, Framing::U16_BE, Framing::U32_LE] {
            let mut bytes = encode(framing, b"one");
            bytes.extend(encode(framing, b""));
            assert_eq!(decode(framing, &mut bytes).unwrap(), b"one");
            assert_eq!(decode(framing, &mut bytes).unwrap(), b"");
            assert_eq!(decode(framing, &mut bytes), None);
        }
    }
}
