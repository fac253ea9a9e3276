//! A framing as a user of the library would write it: netstrings, which say their length in digits.

use wharf::{Codec, Decoded, Envelope, FrameError};

/// `5:hello,`
pub(super) struct Netstring;

/// Digits of a length: no payload of a run has more.
const DIGITS_MAX: usize = 5;

impl Codec for Netstring {
    fn decode(&self, bytes: &[u8], scanned: usize, max: usize) -> Result<Decoded, FrameError> {
        let front = &bytes[..bytes.len().min(DIGITS_MAX + 1)];
        // What was looked at before has no colon in it.
        let mut behind = front.iter().skip(scanned);
        let Some(digits) = behind.position(|byte| *byte == b':').map(|at| scanned + at) else {
            if front.len() > DIGITS_MAX {
                return Err(FrameError::Codec("no length"));
            }
            return Ok(Decoded::Partial { needed: None, scanned: front.len() });
        };
        let len = std::str::from_utf8(&bytes[..digits]).ok().and_then(|text| text.parse().ok());
        let len: usize = len.ok_or(FrameError::Codec("a length that is no number"))?;
        if len > max {
            return Err(FrameError::TooLong { announced: len, max });
        }
        let payload = digits + 1..digits + 1 + len;
        match bytes.get(payload.end) {
            None => Ok(Decoded::Partial { needed: Some(payload.end + 1), scanned: digits }),
            Some(b',') => Ok(Decoded::Frame { consumed: payload.end + 1, payload }),
            Some(_) => Err(FrameError::Codec("no comma behind a payload")),
        }
    }

    fn wrap(&self, parts: &[&[u8]]) -> Result<Envelope, FrameError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        Envelope::new(format!("{len}:").as_bytes(), b",")
    }
}
