//! Frames that say their length somewhere near their beginning.

use super::length_prefix::LengthPrefix;
use super::{Decoded, Envelope, FrameError, FramingError};

/// A length field: where it lies in a frame, how it is written, and what it counts.
///
/// With an offset of 0 the field is wharf's own: it is taken off before a frame is handed over, and put
/// before what is sent. With an offset above 0 the bytes in front of the field belong to the message:
/// the whole frame is handed over, and what is sent is given whole as well, with any bytes where the
/// field lies; wharf fills it in.
///
/// ```
/// use wharf::{ByteOrder, Framing, LengthCounts, LengthField};
///
/// // A byte of kind, then three bytes that count all of the frame, high byte first.
/// let framing = Framing::length_field(LengthField {
///     offset: 1,
///     width: 3,
///     order: ByteOrder::Big,
///     counts: LengthCounts::WholeFrame,
///     ..LengthField::default()
/// })?;
/// # Ok::<(), wharf::FramingError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LengthField {
    /// Bytes of the frame in front of the field; default 0. The field must end within the first 16
    /// bytes.
    pub offset: usize,
    /// Bytes of the field: 1 to 8; default 4.
    pub width: u8,
    /// How the field is written; default [`Little`](ByteOrder::Little).
    pub order: ByteOrder,
    /// What the field counts; default [`Payload`](LengthCounts::Payload).
    pub counts: LengthCounts,
    /// Added to what a received field says, and taken from what is written; default 0. With 4, a field
    /// that says 6 stands for 10 bytes.
    pub adjustment: i64,
}

/// The order of the bytes of a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    /// The low byte first.
    Little,
    /// The high byte first.
    Big,
}

/// What a length counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LengthCounts {
    /// What follows the field.
    Payload,
    /// The whole frame, from its first byte on.
    WholeFrame,
}

impl Default for LengthField {
    fn default() -> Self {
        Self {
            offset: 0,
            width: 4,
            order: ByteOrder::Little,
            counts: LengthCounts::Payload,
            adjustment: 0,
        }
    }
}

/// A length field that has been checked, and what follows from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CheckedField {
    field: LengthField,
    /// Bytes that every frame has behind the field.
    rest_min: u8,
}

impl CheckedField {
    /// The header of game servers: a size of two bytes that includes all four of the header, then two
    /// bytes that name the packet, and stay in front of its body.
    pub(super) const GAME: Self = Self {
        field: LengthField {
            offset: 0,
            width: 2,
            order: ByteOrder::Little,
            counts: LengthCounts::WholeFrame,
            adjustment: 0,
        },
        rest_min: 2,
    };

    pub(super) fn new(field: LengthField) -> Result<Self, FramingError> {
        let LengthField { offset, width, adjustment, .. } = field;
        if !(1..=8).contains(&width) {
            return Err(FramingError::Width { width });
        }
        if offset > Envelope::AFFIX_MAX - usize::from(width) {
            return Err(FramingError::Offset { offset, width });
        }
        let checked = Self { field, rest_min: 0 };
        if checked.whole_max() < checked.whole_min() {
            return Err(FramingError::Adjustment { adjustment });
        }
        Ok(checked)
    }

    /// The same as one of those that are faster.
    pub(super) fn as_prefix(&self) -> Option<LengthPrefix> {
        let plain = |width, order| LengthField { width, order, ..LengthField::default() };
        let prefixes = [
            (plain(2, ByteOrder::Little), LengthPrefix::U16_LE),
            (plain(2, ByteOrder::Big), LengthPrefix::U16_BE),
            (plain(4, ByteOrder::Little), LengthPrefix::U32_LE),
            (plain(4, ByteOrder::Big), LengthPrefix::U32_BE),
        ];
        let same = |(field, prefix)| (field == self.field).then_some(prefix);
        prefixes.into_iter().find_map(same)
    }

    pub(super) const fn field(&self) -> &LengthField {
        &self.field
    }

    const fn width(&self) -> usize {
        self.field.width as usize
    }

    /// Bytes up to the end of the field.
    const fn head(&self) -> usize {
        self.field.offset + self.width()
    }

    /// Bytes of a frame that are not handed over.
    const fn taken_off(&self) -> usize {
        if self.field.offset == 0 { self.width() } else { 0 }
    }

    /// Bytes of a frame that the field does not count.
    const fn uncounted(&self) -> usize {
        match self.field.counts {
            LengthCounts::Payload => self.head(),
            LengthCounts::WholeFrame => 0,
        }
    }

    /// The largest number that the field can hold.
    const fn value_max(&self) -> u64 {
        u64::MAX >> (64 - 8 * self.field.width as u32)
    }

    /// Bytes of the longest frame that can be expressed.
    fn whole_max(&self) -> i128 {
        let longest = self.whole_of(self.value_max());
        longest.min(i128::try_from(usize::MAX).unwrap_or(i128::MAX))
    }

    /// Bytes of the shortest frame: one that its field can express, with the header and what else every
    /// frame has.
    fn whole_min(&self) -> i128 {
        let least = (self.head() + usize::from(self.rest_min)) as i128;
        self.whole_of(0).max(least)
    }

    /// Bytes of a frame whose field says `value`; possible or not.
    fn whole_of(&self, value: u64) -> i128 {
        i128::from(value) + i128::from(self.field.adjustment) + self.uncounted() as i128
    }

    /// The longest payload that can be expressed.
    pub(super) fn payload_max(&self) -> usize {
        usize::try_from(self.whole_max()).map_or(0, |whole| whole - self.taken_off())
    }

    /// The shortest payload that is a frame.
    pub(super) fn payload_min(&self) -> usize {
        usize::try_from(self.whole_min()).map_or(0, |whole| whole - self.taken_off())
    }

    pub(super) fn decode(&self, bytes: &[u8], max: usize) -> Result<Decoded, FrameError> {
        let Some(digits) = bytes.get(self.field.offset..self.head()) else {
            return Ok(Decoded::half(self.head(), bytes));
        };
        let consumed = self.announced(self.value(digits))?;
        let payload = self.taken_off()..consumed;
        if payload.len() > max {
            return Err(FrameError::TooLong { announced: payload.len(), max });
        }
        if bytes.len() < consumed {
            return Ok(Decoded::half(consumed, bytes));
        }
        Ok(Decoded::Frame { payload, consumed })
    }

    #[inline]
    fn value(&self, digits: &[u8]) -> u64 {
        let add = |value, digit: &u8| value << 8 | u64::from(*digit);
        match self.field.order {
            ByteOrder::Little => digits.iter().rev().fold(0, add),
            ByteOrder::Big => digits.iter().fold(0, add),
        }
    }

    /// Bytes of the frame whose field says `length`.
    #[inline]
    fn announced(&self, length: u64) -> Result<usize, FrameError> {
        let adjustment = self.field.adjustment;
        let whole = length
            .checked_add_signed(adjustment)
            .and_then(|counted| counted.checked_add(self.uncounted() as u64));
        let Some(whole) = whole else {
            // Below zero only by what is taken off.
            return Err(if adjustment < 0 && adjustment.unsigned_abs() > length {
                FrameError::NegativeLength { length, adjustment }
            } else {
                FrameError::LengthOverflow { length }
            });
        };
        let whole = usize::try_from(whole).map_err(|_| FrameError::LengthOverflow { length })?;
        let min = self.head() + usize::from(self.rest_min);
        if whole < min {
            return Err(FrameError::TooShort { announced: whole, min });
        }
        Ok(whole)
    }

    /// What goes around a payload of `len` bytes that is given in parts.
    pub(super) fn envelope(&self, parts: &[&[u8]], len: usize) -> Result<Envelope, FrameError> {
        let too_long = FrameError::TooLong { announced: len, max: self.payload_max() };
        let whole = len.checked_add(self.taken_off()).ok_or(too_long)?;
        let min = usize::try_from(self.whole_min()).unwrap_or(usize::MAX);
        if whole < min {
            return Err(FrameError::TooShort { announced: whole, min });
        }
        // Not below zero, since it is no shorter than the shortest.
        let value = u64::try_from(whole as i128 - self.whole_of(0)).map_err(|_| too_long)?;
        if value > self.value_max() {
            return Err(too_long);
        }
        let mut header = [0; Envelope::AFFIX_MAX];
        let (front, field) = header.split_at_mut(self.field.offset);
        let given = parts.iter().flat_map(|part| part.iter());
        front.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
        self.write(value, &mut field[..self.width()]);
        let header = &header[..self.head()];
        if self.field.offset == 0 {
            Envelope::new(header, b"")
        } else {
            Envelope::replacing(header)
        }
    }

    fn write(&self, value: u64, field: &mut [u8]) {
        let width = field.len();
        match self.field.order {
            ByteOrder::Little => field.copy_from_slice(&value.to_le_bytes()[..width]),
            ByteOrder::Big => field.copy_from_slice(&value.to_be_bytes()[8 - width..]),
        }
    }
}
