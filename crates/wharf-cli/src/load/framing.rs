//! How a client tells messages apart. Written apart from the library's, so that an error there is not
//! repeated here.

use std::fmt;
use std::str::FromStr;

/// How messages are told apart in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Framing {
    /// As the command line has it.
    text: String,
    header: Header,
    trailer: Vec<u8>,
    /// What every payload has, if all have the same.
    fixed: Option<u64>,
}

/// What stands before a payload.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Header {
    None,
    Length {
        /// Bytes before the length, and behind it, that are the same in every message.
        before: usize,
        behind: usize,
        width: usize,
        big_endian: bool,
        /// What the length says beyond the payload's.
        more: i128,
    },
}

impl Framing {
    /// The longest payload that can be told.
    pub(crate) fn payload_max(&self) -> u64 {
        match &self.header {
            Header::None => self.fixed.unwrap_or(u64::MAX),
            Header::Length { width, more, .. } => {
                let longest = i128::from(u64::MAX >> (64 - 8 * width)) - more;
                u64::try_from(longest.clamp(0, i128::from(u64::MAX))).unwrap_or_default()
            }
        }
    }

    /// The shortest one.
    pub(crate) fn payload_min(&self) -> u64 {
        match &self.header {
            Header::None => self.fixed.unwrap_or_default(),
            Header::Length { more, .. } => u64::try_from(-more).unwrap_or_default(),
        }
    }

    /// What stands before a payload of `size` bytes.
    ///
    /// # Panics
    /// If there is no frame of that size.
    pub(crate) fn header(&self, size: u64) -> Vec<u8> {
        assert!(
            (self.payload_min()..=self.payload_max()).contains(&size),
            "{size} bytes as {self}"
        );
        match &self.header {
            Header::None => Vec::new(),
            Header::Length { more, .. } => {
                self.saying(u64::try_from(i128::from(size) + more).unwrap_or_default())
            }
        }
    }

    /// A header that no server should wait behind, if there is one: its length is less than what it counts
    /// of the header, or 4 GiB and more.
    pub(crate) fn illegal_header(&self) -> Option<Vec<u8>> {
        match self.header {
            Header::Length { more, .. } if more > 0 => Some(self.saying(0)),
            Header::Length { width: 4.., .. } => Some(self.saying(u64::MAX)),
            _ => None,
        }
    }

    /// A header with a length of these digits, as many as it has.
    fn saying(&self, length: u64) -> Vec<u8> {
        let Header::Length { before, behind, width, big_endian, .. } = &self.header else {
            return Vec::new();
        };
        let mut digits: Vec<u8> = length.to_le_bytes()[..*width].to_vec();
        if *big_endian {
            digits.reverse();
        }
        [vec![b'#'; *before], digits, vec![b'#'; *behind]].concat()
    }

    /// What stands after a payload.
    pub(crate) fn trailer(&self) -> &[u8] {
        &self.trailer
    }

    /// Whether a payload may hold this byte. One holds no byte of a delimiter. What ends with text is text: many a
    /// server decodes its lines, and drops a CR or a blank at their ends, so they are of visible ASCII.
    pub(crate) fn takes(&self, byte: u8) -> bool {
        let is_text = !self.trailer.is_empty() && self.trailer.is_ascii();
        !self.trailer.contains(&byte) && (!is_text || byte.is_ascii_graphic())
    }

    /// Lengths of a width, which count what follows, and the bytes before and behind.
    fn length(text: &str, width: usize, big_endian: bool) -> Self {
        Self::header_of(text, Header::Length { before: 0, behind: 0, width, big_endian, more: 0 })
    }

    fn header_of(text: &str, header: Header) -> Self {
        Self { text: text.to_owned(), header, trailer: Vec::new(), fixed: None }
    }
}

impl FromStr for Framing {
    type Err = wharf::FramingError;

    /// Whether there is such a framing says the library; what it means is read anew.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<wharf::Framing>()?;
        let plain = Self::header_of(text, Header::None);
        let parts: Vec<&str> = text.split(':').collect();
        Ok(match parts[..] {
            ["u16le"] => Self::length(text, 2, false),
            ["u16be"] => Self::length(text, 2, true),
            ["u32le"] => Self::length(text, 4, false),
            ["u32be"] => Self::length(text, 4, true),
            ["game"] => {
                let id =
                    Header::Length { before: 0, behind: 2, width: 2, big_endian: false, more: 4 };
                Self::header_of(text, id)
            }
            ["lines"] => Self { trailer: b"\n".to_vec(), ..plain },
            ["fixed", len] => Self { fixed: len.parse().ok(), ..plain },
            ["delimiter", ..] => {
                let (_, delimiter) = text.split_once(':').unwrap_or_default();
                Self { trailer: unescaped(delimiter), ..plain }
            }
            ["length", offset, width, order, ref more @ ..] => {
                let before: usize = offset.parse().unwrap_or_default();
                let width = width.parse().unwrap_or_default();
                let whole = more.first() == Some(&"whole");
                let adjustment = more.get(usize::from(whole)).and_then(|it| it.parse::<i64>().ok());
                let counted = if whole { before + width } else { 0 };
                let more = counted as i128 - i128::from(adjustment.unwrap_or_default());
                let big_endian = order == "be";
                Self::header_of(text, Header::Length { before, behind: 0, width, big_endian, more })
            }
            _ => plain,
        })
    }
}

/// The bytes of a text whose escapes are right.
fn unescaped(text: &str) -> Vec<u8> {
    let named = [("\\n", 10), ("\\r", 13), ("\\t", 9), ("\\0", 0), ("\\\\", b'\\')];
    let (mut bytes, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.bytes().next() {
        let escape = named.iter().find(|(escape, _)| rest.starts_with(escape));
        if let Some((escape, byte)) = escape {
            bytes.push(*byte);
            rest = &rest[escape.len()..];
        } else if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap_or_default());
            rest = &hex[2..];
        } else {
            bytes.push(first);
            // Not always at a character's end, so by bytes.
            let len = rest.chars().next().map_or(1, char::len_utf8);
            bytes.extend(rest.bytes().take(len).skip(1));
            rest = &rest[len..];
        }
    }
    bytes
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_trailers_are_what_the_framings_say() {
        let cases: [(&str, &[u8], &[u8]); 9] = [
            ("u16be", b"\0\x03", b""),
            ("u32le", b"\x03\0\0\0", b""),
            ("game", b"\x07\0##", b""),
            ("lines", b"", b"\n"),
            ("fixed:3", b"", b""),
            (r"delimiter:\r\n;:\x7C\\", b"", b"\r\n;:|\\"),
            ("length:2:3:be", b"##\0\0\x03", b""),
            ("length:1:2:le:whole", b"#\x06\0", b""),
            ("length:0:1:be:-2", b"\x05", b""),
        ];
        for (text, header, trailer) in cases {
            let framing: Framing = text.parse().unwrap();
            assert_eq!(framing.header(3), header, "{text}");
            assert_eq!(framing.trailer(), trailer, "{text}");
            assert!(trailer.iter().all(|byte| !framing.takes(*byte)), "{text}");
        }
        for (text, illegal) in [
            ("u32be", Some(&b"\xff\xff\xff\xff"[..])),
            ("length:1:5:le", Some(b"#\xff\xff\xff\xff\xff")),
            ("game", Some(b"\0\0##")),
            ("length:1:2:le:whole", Some(b"#\0\0")),
            ("length:0:1:be:whole:4", None),
            ("u16le", None),
            ("lines", None),
            ("raw", None),
        ] {
            let framing: Framing = text.parse().unwrap();
            assert_eq!(framing.illegal_header().as_deref(), illegal, "{text}");
        }
        let shortest: Framing = "length:0:1:be:whole:4".parse().unwrap();
        assert_eq!((shortest.payload_min(), shortest.payload_max()), (3, 258));
    }
}
