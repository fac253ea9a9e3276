//! Frames, parsed where they lie: a `u32` little-endian length and that many bytes.

use std::io;

use crate::{BUFFER_BYTES, FRAME_HEADER_BYTES, FRAME_PAYLOAD_BYTES_MAX};

/// Room below which a buffer of frames grows before the next read.
pub const ROOM_BYTES_MIN: usize = 2 * 1024;

/// A frame announced more than [`FRAME_PAYLOAD_BYTES_MAX`] bytes.
#[derive(Debug, Eq, PartialEq)]
pub struct FrameTooLong;

impl From<FrameTooLong> for io::Error {
    fn from(_: FrameTooLong) -> Self {
        Self::new(io::ErrorKind::InvalidData, "a frame is too long")
    }
}

/// The buffer, with room for the next read: it grows with the frames.
#[must_use]
pub fn with_room(mut buffer: Vec<u8>) -> Vec<u8> {
    if buffer.capacity() - buffer.len() < ROOM_BYTES_MIN {
        buffer.reserve(BUFFER_BYTES);
    }
    buffer
}

/// How many of the bytes, from the first one on, are whole frames.
///
/// # Errors
/// If a frame announces more than is allowed.
pub fn whole_frames(bytes: &[u8]) -> Result<usize, FrameTooLong> {
    let mut whole = 0;
    while let Some(frame_bytes) = frame_bytes(&bytes[whole..])? {
        if frame_bytes > bytes.len() - whole {
            break;
        }
        whole += frame_bytes;
    }
    Ok(whole)
}

/// Moves bytes to the end of `half` until it is one whole frame, and says how many it took and
/// whether the frame is whole now.
///
/// # Errors
/// If the frame announces more than is allowed.
pub fn complete(half: &mut Vec<u8>, bytes: &[u8]) -> Result<(usize, bool), FrameTooLong> {
    let mut taken = FRAME_HEADER_BYTES.saturating_sub(half.len()).min(bytes.len());
    half.extend_from_slice(&bytes[..taken]);
    let Some(frame_bytes) = frame_bytes(half)? else {
        return Ok((taken, false));
    };
    let missing = frame_bytes - half.len();
    let rest = &bytes[taken..];
    let rest = &rest[..missing.min(rest.len())];
    half.reserve_exact(missing);
    half.extend_from_slice(rest);
    taken += rest.len();
    Ok((taken, rest.len() == missing))
}

/// Bytes of the frame that begins here, header included; none if the header is not all there.
fn frame_bytes(bytes: &[u8]) -> Result<Option<usize>, FrameTooLong> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER_BYTES>() else {
        return Ok(None);
    };
    let payload_bytes = u32::from_le_bytes(*header) as usize;
    if payload_bytes > FRAME_PAYLOAD_BYTES_MAX {
        return Err(FrameTooLong);
    }
    Ok(Some(FRAME_HEADER_BYTES + payload_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = (payload.len() as u32).to_le_bytes().to_vec();
        frame.extend_from_slice(payload);
        frame
    }

    #[test]
    fn whole_frames_end_before_the_half_one() {
        let two = [frame(b"one"), frame(b"")].concat();
        assert_eq!(whole_frames(&two), Ok(two.len()));
        let half = [&two[..], &frame(b"half")[..6]].concat();
        assert_eq!(whole_frames(&half), Ok(two.len()));
        assert_eq!(whole_frames(&two[..3]), Ok(0));
        assert_eq!(whole_frames(&[]), Ok(0));
    }

    #[test]
    fn a_frame_cut_anywhere_is_completed() {
        let whole = frame(b"payload");
        let bytes = [&whole[..], b"next"].concat();
        for cut in 1..whole.len() {
            for piece in 1..bytes.len() {
                let mut half = whole[..cut].to_vec();
                let mut at = cut;
                loop {
                    let end = (at + piece).min(bytes.len());
                    let (taken, done) = complete(&mut half, &bytes[at..end]).expect("short");
                    at += taken;
                    if done {
                        break;
                    }
                    assert_eq!(at, end, "all is taken while bytes are missing");
                }
                assert_eq!((half, at), (whole.clone(), whole.len()));
            }
        }
    }

    #[test]
    fn the_longest_frame_is_allowed_and_one_more_is_not() {
        let longest = frame(&vec![0; FRAME_PAYLOAD_BYTES_MAX]);
        assert_eq!(whole_frames(&longest), Ok(longest.len()));
        let header = (FRAME_PAYLOAD_BYTES_MAX as u32 + 1).to_le_bytes();
        assert_eq!(whole_frames(&header), Err(FrameTooLong));
        assert_eq!(complete(&mut header[..1].to_vec(), &header[1..]), Err(FrameTooLong));
    }
}
