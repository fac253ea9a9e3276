//! What goes around a payload.

use std::ops::Range;

use super::FrameError;

/// What goes before and after a payload: up to [`AFFIX_MAX`](Self::AFFIX_MAX) bytes each.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    header: [u8; Self::AFFIX_MAX],
    trailer: [u8; Self::AFFIX_MAX],
    header_len: u8,
    trailer_len: u8,
    /// How many bytes of the payload the header stands in for: those up to the end of a length field
    /// that lies within it.
    replaced: u8,
}

impl Envelope {
    /// Bytes of a header, and of a trailer, at most.
    pub const AFFIX_MAX: usize = 16;

    pub(super) const EMPTY: Self = Self {
        header: [0; Self::AFFIX_MAX],
        trailer: [0; Self::AFFIX_MAX],
        header_len: 0,
        trailer_len: 0,
        replaced: 0,
    };
    pub(super) const LF: Self = {
        let mut trailer = [0; Self::AFFIX_MAX];
        trailer[0] = b'\n';
        Self { trailer, trailer_len: 1, ..Self::EMPTY }
    };

    /// A header and a trailer; either may be empty.
    ///
    /// # Errors
    /// [`FrameError::BrokenCodec`] if one is longer than [`AFFIX_MAX`](Self::AFFIX_MAX).
    pub fn new(header: &[u8], trailer: &[u8]) -> Result<Self, FrameError> {
        let broken = FrameError::BrokenCodec("what goes around a payload is more than 16 bytes");
        let mut envelope = Self::EMPTY;
        let place = envelope.header.get_mut(..header.len()).ok_or(broken)?;
        place.copy_from_slice(header);
        let place = envelope.trailer.get_mut(..trailer.len()).ok_or(broken)?;
        place.copy_from_slice(trailer);
        // Neither is longer than 16.
        envelope.header_len = u8::try_from(header.len()).map_err(|_| broken)?;
        envelope.trailer_len = u8::try_from(trailer.len()).map_err(|_| broken)?;
        Ok(envelope)
    }

    /// A header of the first `N` bytes of 16.
    #[inline]
    pub(super) const fn of_header<const N: usize>(bytes: [u8; N]) -> Self {
        let mut header = [0; Self::AFFIX_MAX];
        let (place, _) = header.split_at_mut(N);
        place.copy_from_slice(&bytes);
        Self { header, header_len: len_of::<N>(), ..Self::EMPTY }
    }

    /// A header that stands in for the first bytes of the payload, as many as it has itself.
    pub(super) fn replacing(header: &[u8]) -> Result<Self, FrameError> {
        let envelope = Self::new(header, b"")?;
        Ok(Self { replaced: envelope.header_len, ..envelope })
    }

    /// What goes before a payload.
    #[inline]
    pub fn header(&self) -> &[u8] {
        &self.header[..usize::from(self.header_len)]
    }

    /// What goes after a payload.
    #[inline]
    pub fn trailer(&self) -> &[u8] {
        &self.trailer[..usize::from(self.trailer_len)]
    }

    /// The parts of the frame of a payload, in their order.
    #[inline]
    pub(crate) fn around<'a>(&'a self, payload: &'a [u8]) -> [&'a [u8]; 3] {
        [self.header(), &payload[self.replaced()..], self.trailer()]
    }

    /// Whether nothing goes around a payload.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.header_len == 0 && self.trailer_len == 0
    }

    /// How many bytes of the payload the header stands in for.
    #[inline]
    pub(crate) fn replaced(&self) -> usize {
        usize::from(self.replaced)
    }

    /// Where the frame lies whose payload lies at `payload` in `bytes`, if it has this envelope there
    /// already.
    #[inline]
    pub(crate) fn find_around(&self, bytes: &[u8], payload: Range<usize>) -> Option<Range<usize>> {
        let body = payload.start + self.replaced();
        let start = body.checked_sub(usize::from(self.header_len))?;
        let (before, rest) = bytes.get(start..)?.split_at_checked(body - start)?;
        // By its length: comparing a handful of bytes is not worth a call.
        let same = match before {
            [] => true,
            [a, b] => [*a, *b] == self.header[..2],
            [a, b, c, d] => [*a, *b, *c, *d] == self.header[..4],
            _ => before == self.header(),
        };
        if !same {
            return None;
        }
        if self.trailer_len == 0 {
            return Some(start..payload.end);
        }
        let behind = rest.get(payload.end - body..)?;
        behind.starts_with(self.trailer()).then(|| start..payload.end + self.trailer().len())
    }
}

/// A length that is known to fit.
const fn len_of<const N: usize>() -> u8 {
    assert!(N <= Envelope::AFFIX_MAX);
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 16")]
    let len = N as u8;
    len
}
