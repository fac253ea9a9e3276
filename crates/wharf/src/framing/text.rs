//! Framings as text, for command lines and files.

use std::fmt;
use std::str::FromStr;

use super::{ByteOrder, Framing, FramingError, Kind, LengthCounts, LengthField};

/// What there is, for those who gave something else.
pub(super) const FORMS: &str = "raw, lines, u16le, u16be, u32le, u32be, game, fixed:N, \
                                delimiter:TEXT or length:OFFSET:WIDTH:le|be[:whole][:ADJUSTMENT]";

const NAMED: [(&str, Framing); 7] = [
    ("raw", Framing::RAW),
    ("lines", Framing::LINES),
    ("u16le", Framing::U16_LE),
    ("u16be", Framing::U16_BE),
    ("u32le", Framing::U32_LE),
    ("u32be", Framing::U32_BE),
    ("game", Framing::GAME),
];

impl FromStr for Framing {
    type Err = FramingError;

    fn from_str(text: &str) -> Result<Self, FramingError> {
        if let Some((_, framing)) = NAMED.into_iter().find(|(name, _)| *name == text) {
            return Ok(framing);
        }
        let unknown = || FramingError::Unknown(text.escape_default().to_string());
        let (kind, rest) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "fixed" => Self::fixed(number(rest).ok_or_else(unknown)?),
            "delimiter" => Self::delimiter(unescaped(rest).ok_or_else(unknown)?),
            "length" => Self::length_field(length_field(rest).ok_or_else(unknown)?),
            _ => Err(unknown()),
        }
    }
}

/// Digits, and nothing before them.
fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn length_field(text: &str) -> Option<LengthField> {
    let mut parts = text.split(':').peekable();
    let offset = number(parts.next()?)?;
    let width = number(parts.next()?)?;
    let order = match parts.next()? {
        "le" => ByteOrder::Little,
        "be" => ByteOrder::Big,
        _ => return None,
    };
    let whole = parts.next_if_eq(&"whole");
    let counts = whole.map_or(LengthCounts::Payload, |_| LengthCounts::WholeFrame);
    let adjustment = match parts.next() {
        Some(adjustment) => adjustment.parse().ok()?,
        None => 0,
    };
    let field = LengthField { offset, width, order, counts, adjustment };
    parts.next().is_none().then_some(field)
}

/// The bytes of a text with escapes.
fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'0' => 0,
                b'\\' => b'\\',
                b'x' => hex_digit(rest.next()?)? << 4 | hex_digit(rest.next()?)?,
                _ => return None,
            },
            _ => byte,
        });
    }
    Some(bytes)
}

fn hex_digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// As [`FromStr`] takes it; one of [`Framing::codec`] is `codec`, which it does not take.
impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = NAMED.iter().find(|(_, framing)| framing == self) {
            return f.pad(name);
        }
        match &self.0 {
            Kind::Fixed(len) => write!(f, "fixed:{len}"),
            Kind::Delimiter(delimiter) => write_escaped(f, delimiter.bytes()),
            Kind::LengthField(field) => write_length(f, field.field()),
            Kind::Codec(_) => f.pad("codec"),
            Kind::Raw | Kind::Lines | Kind::LengthPrefix(_) => {
                unreachable!("these have names")
            }
        }
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, delimiter: &[u8]) -> fmt::Result {
    f.write_str("delimiter:")?;
    delimiter.iter().try_for_each(|byte| match byte {
        b'\n' => f.write_str("\\n"),
        b'\r' => f.write_str("\\r"),
        b'\t' => f.write_str("\\t"),
        0 => f.write_str("\\0"),
        b'\\' => f.write_str("\\\\"),
        b' '..=b'~' => write!(f, "{}", char::from(*byte)),
        _ => write!(f, "\\x{byte:02x}"),
    })
}

fn write_length(f: &mut fmt::Formatter<'_>, field: &LengthField) -> fmt::Result {
    let LengthField { offset, width, order, counts, adjustment } = field;
    let order = match order {
        ByteOrder::Little => "le",
        ByteOrder::Big => "be",
    };
    write!(f, "length:{offset}:{width}:{order}")?;
    if *counts == LengthCounts::WholeFrame {
        f.write_str(":whole")?;
    }
    if *adjustment != 0 {
        write!(f, ":{adjustment}")?;
    }
    Ok(())
}
