//! What is wrong with a frame, and what with a framing.

use thiserror::Error;

use super::Envelope;

/// Why received bytes are no frame, or a payload cannot be sent as one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame is longer than the limit.
    #[error("a frame of {announced} bytes, and at most {max} are allowed")]
    TooLong {
        /// What the header says; with a delimiter, how much has come without one.
        announced: usize,
        /// [`Limits::frame_bytes_max`](crate::Limits::frame_bytes_max), or what the framing can
        /// express if that is less.
        max: usize,
    },
    /// A frame is shorter than what every frame has.
    #[error("a frame of {announced} bytes in all, and it takes at least {min}")]
    TooShort {
        /// Bytes of the whole frame.
        announced: usize,
        /// What every frame has at least.
        min: usize,
    },
    /// A length is below zero once it is adjusted.
    #[error("a length of {length}, which is negative with the adjustment of {adjustment}")]
    NegativeLength {
        /// What the length field says.
        length: u64,
        /// [`LengthField::adjustment`](crate::LengthField::adjustment).
        adjustment: i64,
    },
    /// A length is more than can be counted.
    #[error("a length of {length}, which is more than this machine can count")]
    LengthOverflow {
        /// What the length field says.
        length: u64,
    },
    /// A frame to be sent has another length than all have.
    #[error("a frame of {len} bytes, where every frame has {expected}")]
    WrongLength {
        /// Bytes that were to be sent.
        len: usize,
        /// What [`Framing::fixed`](crate::Framing::fixed) was given.
        expected: usize,
    },
    /// What a [`Codec`](crate::Codec) says is wrong.
    #[error("{0}")]
    Codec(&'static str),
    /// A [`Codec`](crate::Codec) broke its contract, and this says how.
    #[error("the codec is broken: {0}")]
    BrokenCodec(&'static str),
}

/// Why there is no such framing.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum FramingError {
    /// A delimiter is empty or too long.
    #[error("a delimiter of {len} bytes: give 1 to {max}", max = Envelope::AFFIX_MAX)]
    Delimiter {
        /// What was given.
        len: usize,
    },
    /// Frames of a fixed length have none.
    #[error("frames of 0 bytes have no end: give at least 1")]
    FixedLength,
    /// The width of a length field is out of its range.
    #[error("a length field of {width} bytes: give 1 to 8")]
    Width {
        /// What was given.
        width: u8,
    },
    /// A length field lies too far behind the beginning of its frame.
    #[error(
        "a length field of {width} bytes at offset {offset}: it must end within the first {max} bytes \
         of a frame, so give a smaller offset",
        max = Envelope::AFFIX_MAX
    )]
    Offset {
        /// What was given.
        offset: usize,
        /// Bytes of the field.
        width: u8,
    },
    /// No length that the field can hold is that of a frame.
    #[error(
        "an adjustment of {adjustment} makes every frame shorter than its header, or longer than can \
         be counted: give one nearer to 0"
    )]
    Adjustment {
        /// What was given.
        adjustment: i64,
    },
    /// There is no framing of this name.
    #[error("no framing '{0}': give {FORMS}", FORMS = super::text::FORMS)]
    Unknown(String),
}
