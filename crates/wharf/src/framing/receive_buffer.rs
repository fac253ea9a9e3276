//! Where half a frame waits for its rest.

use super::{Decoded, FrameError, Framing};

/// The beginning of one frame. It exists only while a session holds half a frame; whole frames never
/// pass through it.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    bytes: Vec<u8>,
    /// Bytes that were looked at and did not make a frame.
    scanned: usize,
}

impl ReceiveBuffer {
    /// Appends what of `next` belongs to the frame, and returns how many bytes that was.
    pub(crate) fn fill(&mut self, framing: Framing, max: usize, next: &[u8]) -> usize {
        let count = framing.belonging(&self.bytes, next, max);
        self.bytes.extend_from_slice(&next[..count]);
        count
    }

    /// The frame, if it is complete.
    pub(crate) fn frame(
        &mut self,
        framing: Framing,
        max: usize,
    ) -> Result<Option<&[u8]>, FrameError> {
        match framing.decode(&self.bytes, self.scanned, max)? {
            Decoded::Partial => {
                self.scanned = self.bytes.len();
                Ok(None)
            }
            Decoded::Frame { payload, consumed } => {
                debug_assert_eq!(consumed, self.bytes.len(), "only one frame was copied");
                Ok(Some(&self.bytes[payload]))
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Empties the buffer, so that it can be used for another session.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.scanned = 0;
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::{decode, encode};

    const MAX: usize = 64;

    fn decode_in(framing: Framing, pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
        let stream = decode(framing, MAX, pieces);
        stream.error.map_or(Ok(stream.frames), Err)
    }

    #[test]
    fn a_stream_decodes_alike_however_it_is_split() {
        let payloads: [&[u8]; 5] = [b"hello", b"", b"a", &[7; MAX], b"end"];
        for framing in
            [Framing::LINES, Framing::U16_LE, Framing::U16_BE, Framing::U32_LE, Framing::U32_BE]
        {
            let stream = encode(framing, &payloads);
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(decode_in(framing, &pieces).unwrap(), payloads, "{framing:?}");
                }
            }
            let single: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(decode_in(framing, &single).unwrap(), payloads, "{framing:?}");
        }
    }

    #[test]
    fn a_frame_over_the_maximum_is_refused_by_its_header_alone() {
        let refused = |announced| Err(FrameError::TooLong { announced, max: MAX });
        assert_eq!(Framing::U32_LE.decode(&[65, 0, 0, 0], 0, MAX), refused(65));
        assert_eq!(Framing::U16_BE.decode(&[0xFF, 0xFF], 0, MAX), refused(0xFFFF));
        assert_eq!(Framing::LINES.decode(&[b'x'; MAX + 1], 0, MAX), refused(MAX + 1));
        assert_eq!(Framing::U32_LE.decode(&[64, 0, 0, 0], 0, MAX), Ok(Decoded::Partial));
    }

    #[test]
    fn of_a_line_that_is_too_long_no_more_is_copied_than_shows_it() {
        let mut buffer = ReceiveBuffer::default();
        assert_eq!(buffer.fill(Framing::LINES, MAX, b"x"), 1);
        assert_eq!(buffer.fill(Framing::LINES, MAX, &[b'x'; 100 * MAX]), MAX + 1);
        assert!(buffer.frame(Framing::LINES, MAX).is_err());
    }

    #[test]
    fn one_cr_before_lf_is_left_out() {
        let frames = decode_in(Framing::LINES, &[b"a\r\nb\r", b"\r\n\r", b"\nlast\r"]).unwrap();
        assert_eq!(frames, [&b"a"[..], b"b\r", b"", b"last"]);
    }

    #[test]
    fn a_line_as_long_as_the_maximum_may_end_with_cr_lf() {
        let mut line = vec![b'x'; MAX];
        line.extend_from_slice(b"\r\n");
        let single: Vec<&[u8]> = line.chunks(1).collect();
        assert_eq!(decode_in(Framing::LINES, &single).unwrap(), [&line[..MAX]]);
    }

    #[test]
    fn a_length_that_does_not_fit_has_no_envelope() {
        assert!(Framing::U16_LE.envelope(65_535).is_some());
        assert!(Framing::U16_LE.envelope(65_536).is_none());
    }
}
