//! Where a frame begins and ends. TCP is a stream: it splits and merges what was sent.

mod codec;
mod delimiter;
#[cfg(test)]
mod dripping;
mod envelope;
mod error;
mod frame_reader;
mod game;
mod length_field;
mod length_prefix;
mod lines;
mod receive_buffer;
#[cfg(test)]
mod tests;
mod text;

pub use self::codec::{Codec, Decoded};
pub use self::envelope::Envelope;
pub use self::error::{FrameError, FramingError};
pub use self::frame_reader::FrameReader;
pub use self::game::GamePacket;
pub use self::length_field::{ByteOrder, LengthCounts, LengthField};
pub(crate) use self::receive_buffer::{Filled, ReceiveBuffer};

use self::codec::OwnCodec;
use self::delimiter::Delimiter;
use self::length_field::CheckedField;
use self::length_prefix::LengthPrefix;

/// What is copied at first of a frame whose end cannot be told, and then as much as there is of it.
const COPIED_MIN: usize = 256;

/// Where a frame begins and ends.
///
/// A frame that lies in one received buffer is handed over without a copy. Every framing has a maximum,
/// [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max), that is checked before anything is
/// allocated.
///
/// A framing has a text form, which `wharf serve --framing` takes: `raw`, `lines`, `u16le`, `u16be`,
/// `u32le`, `u32be`, `game`, `fixed:N`, `delimiter:TEXT` (with the escapes `\n`, `\r`, `\t`, `\0`, `\\`
/// and `\xHH`) and `length:OFFSET:WIDTH:le|be[:whole][:ADJUSTMENT]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Framing(Kind);

/// Those that are read most come first; only what users wrote is called through a pointer.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Kind {
    LengthPrefix(LengthPrefix),
    Raw,
    Lines,
    LengthField(CheckedField),
    Delimiter(Delimiter),
    Fixed(usize),
    Codec(OwnCodec),
}

impl Framing {
    /// No frames: each piece of the stream is handed over as it came, of any length. Must be asked
    /// for, since it is rarely what a protocol wants.
    pub const RAW: Self = Self(Kind::Raw);
    /// Lines: LF ends a frame, and one CR before it is left out. Sent with LF. A last line without LF
    /// is delivered at the end of the stream. A line to be sent that holds LF comes in as several.
    pub const LINES: Self = Self(Kind::Lines);
    /// A length of two bytes, little-endian, that counts the payload that follows.
    pub const U16_LE: Self = Self(Kind::LengthPrefix(LengthPrefix::U16_LE));
    /// A length of two bytes, big-endian, that counts the payload that follows.
    pub const U16_BE: Self = Self(Kind::LengthPrefix(LengthPrefix::U16_BE));
    /// A length of four bytes, little-endian, that counts the payload that follows.
    pub const U32_LE: Self = Self(Kind::LengthPrefix(LengthPrefix::U32_LE));
    /// A length of four bytes, big-endian, that counts the payload that follows.
    pub const U32_BE: Self = Self(Kind::LengthPrefix(LengthPrefix::U32_BE));
    /// The header of many game servers: a size of two bytes that includes the four of the header, and an
    /// id of two bytes, both little-endian. The size is taken off; the id stays in front of the body,
    /// and what is sent begins with one. See [`GamePacket`].
    pub const GAME: Self = Self(Kind::LengthField(CheckedField::GAME));

    /// A delimiter of 1 to 16 bytes ends each frame. It is taken off, and put behind what is sent. A
    /// payload to be sent must not hold it: it would come in as several frames. Bytes behind the last one
    /// are half a frame when the stream ends.
    ///
    /// # Errors
    /// [`FramingError::Delimiter`] if there are too few bytes or too many.
    pub fn delimiter(bytes: impl AsRef<[u8]>) -> Result<Self, FramingError> {
        Delimiter::new(bytes.as_ref()).map(|delimiter| Self(Kind::Delimiter(delimiter)))
    }

    /// Every frame has exactly `len` bytes. What is sent must have as many.
    ///
    /// # Errors
    /// [`FramingError::FixedLength`] if that is none.
    pub const fn fixed(len: usize) -> Result<Self, FramingError> {
        if len == 0 {
            return Err(FramingError::FixedLength);
        }
        Ok(Self(Kind::Fixed(len)))
    }

    /// A frame says its length near its beginning. See [`LengthField`].
    ///
    /// # Errors
    /// [`FramingError`] if there can be no such field.
    pub fn length_field(field: LengthField) -> Result<Self, FramingError> {
        let field = CheckedField::new(field)?;
        Ok(Self(field.as_prefix().map_or(Kind::LengthField(field), Kind::LengthPrefix)))
    }

    /// A framing of your own. It is asked for its [`payload_max`](Codec::payload_max) here.
    pub fn codec(codec: impl Codec) -> Self {
        Self(Kind::Codec(OwnCodec::new(codec)))
    }

    /// A payload of at most `max` bytes as it goes over the wire.
    ///
    /// # Errors
    /// [`FrameError`] if there is no frame for it.
    pub fn encode(&self, payload: &[u8], max: usize) -> Result<Vec<u8>, FrameError> {
        Ok(self.wrap(&[payload], max)?.around(payload).concat())
    }

    /// The longest payload that can be expressed, in bytes.
    pub fn payload_max(&self) -> usize {
        match &self.0 {
            Kind::Raw | Kind::Lines | Kind::Delimiter(_) => usize::MAX,
            Kind::LengthPrefix(prefix) => prefix.payload_max(),
            Kind::LengthField(field) => field.payload_max(),
            Kind::Fixed(len) => *len,
            Kind::Codec(codec) => codec.payload_max(),
        }
    }

    /// The shortest payload that is a frame, in bytes.
    pub fn payload_min(&self) -> usize {
        match &self.0 {
            Kind::LengthField(field) => field.payload_min(),
            Kind::Fixed(len) => *len,
            _ => 0,
        }
    }

    /// Whether what is sent keeps its boundaries: not with [`RAW`](Self::RAW).
    #[inline]
    pub fn has_frames(&self) -> bool {
        !matches!(self.0, Kind::Raw)
    }

    /// Whether a frame takes exactly the bytes that it was said to need, which a codec may not know.
    const fn is_exact(&self) -> bool {
        !matches!(self.0, Kind::Codec(_))
    }

    /// Looks for a frame at the beginning of `bytes`. `scanned` is what was said of them when they were
    /// fewer.
    #[inline]
    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        scanned: usize,
        max: usize,
    ) -> Result<Decoded, FrameError> {
        match &self.0 {
            Kind::LengthPrefix(prefix) => prefix.decode(bytes, max),
            Kind::Raw if bytes.is_empty() => Ok(Decoded::Partial { needed: None, scanned: 0 }),
            Kind::Raw => Ok(Decoded::Frame { payload: 0..bytes.len(), consumed: bytes.len() }),
            Kind::Lines => lines::decode(bytes, scanned, max),
            Kind::LengthField(field) => field.decode(bytes, max),
            Kind::Delimiter(delimiter) => delimiter.decode(bytes, scanned, max),
            Kind::Fixed(len) => decode_fixed(*len, bytes, max),
            Kind::Codec(codec) => codec.decode(bytes, scanned, max),
        }
    }

    /// How many of the bytes in `next` are to be copied behind `held` ones that begin a frame, where its
    /// length is not known. No more of one that is too long than `max` and what goes around it.
    fn belonging(&self, held: usize, next: &[u8], max: usize) -> usize {
        let room = |around: usize| max.saturating_add(around).saturating_sub(held).max(1);
        match &self.0 {
            // With CR and LF.
            Kind::Lines => lines::belonging(&next[..next.len().min(room(2))]),
            Kind::Delimiter(delimiter) => {
                let room = room(delimiter.bytes().len());
                delimiter.belonging(&next[..next.len().min(room)])
            }
            Kind::Codec(_) => held.max(COPIED_MIN).min(room(2 * Envelope::AFFIX_MAX)),
            Kind::Raw | Kind::LengthPrefix(_) | Kind::LengthField(_) | Kind::Fixed(_) => next.len(),
        }
    }

    /// What remains as a frame when the stream ends behind `bytes`; `None` if they are half a frame.
    pub(crate) fn last_frame<'bytes>(
        &self,
        bytes: &'bytes [u8],
        max: usize,
    ) -> Result<Option<&'bytes [u8]>, FrameError> {
        match &self.0 {
            Kind::Lines => Ok(Some(lines::without_cr(bytes))),
            Kind::Codec(codec) => Ok(codec.last_frame(bytes, max)?.map(|payload| &bytes[payload])),
            _ => Ok(None),
        }
    }

    /// What goes around a payload, which is given in parts, and may have at most `max` bytes if it is a
    /// frame.
    #[inline]
    pub(crate) fn wrap(&self, parts: &[&[u8]], max: usize) -> Result<Envelope, FrameError> {
        let len = parts.iter().fold(0_usize, |len, part| len.saturating_add(part.len()));
        match &self.0 {
            Kind::Raw => return Ok(Envelope::EMPTY),
            _ if len > max => {}
            Kind::LengthPrefix(prefix) => {
                if let Some(envelope) = prefix.envelope(len) {
                    return Ok(envelope);
                }
            }
            Kind::Lines => return Ok(Envelope::LF),
            Kind::LengthField(field) => return field.envelope(parts, len),
            Kind::Delimiter(delimiter) => return Ok(delimiter.envelope()),
            Kind::Fixed(expected) if len == *expected => return Ok(Envelope::EMPTY),
            Kind::Fixed(expected) => {
                return Err(FrameError::WrongLength { len, expected: *expected });
            }
            Kind::Codec(codec) => return codec.wrap(parts),
        }
        Err(FrameError::TooLong { announced: len, max: max.min(self.payload_max()) })
    }
}

fn decode_fixed(len: usize, bytes: &[u8], max: usize) -> Result<Decoded, FrameError> {
    if len > max {
        return Err(FrameError::TooLong { announced: len, max });
    }
    if bytes.len() < len {
        return Ok(Decoded::half(len, bytes));
    }
    Ok(Decoded::Frame { payload: 0..len, consumed: len })
}
