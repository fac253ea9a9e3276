//! Frames that end with LF.

use memchr::memchr;

use super::{Decoded, FrameError};

pub(super) fn decode(bytes: &[u8], scanned: usize, max: usize) -> Result<Decoded, FrameError> {
    let end = memchr(b'\n', &bytes[scanned..]).map(|at| scanned + at);
    let payload = without_cr(&bytes[..end.unwrap_or(bytes.len())]).len();
    if payload > max {
        return Err(FrameError::TooLong { announced: payload, max });
    }
    match end {
        Some(end) => Ok(Decoded::Frame { payload: 0..payload, consumed: end + 1 }),
        None => Ok(Decoded::Partial { needed: None, scanned: bytes.len() }),
    }
}

/// The bytes up to the end of the line, or all.
pub(super) fn belonging(next: &[u8]) -> usize {
    memchr(b'\n', next).map_or(next.len(), |at| at + 1)
}

pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
