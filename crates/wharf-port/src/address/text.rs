//! Addresses as text.

use std::fmt::{self, Write};
use std::str::FromStr;

use thiserror::Error;

use super::{Address, UnixAddress};

/// What a Unix socket begins with.
const SCHEME: &str = "unix:";
/// What one without an address is displayed as. It cannot be parsed: there is nothing there to reach.
const UNNAMED: &str = "(unnamed)";

/// Why a text, a path or a name is no address.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It is neither kind.
    #[error("'{0}' is no address: use IP:PORT, [IPv6]:PORT or unix:/path")]
    Unknown(String),
    /// There is no path behind `unix:`.
    #[error("a Unix socket needs a path: unix:/path")]
    NoPath,
    /// There is no name behind `unix:@`.
    #[error("an abstract Unix socket needs a name: unix:@name")]
    NoName,
    /// More than [`UnixAddress::PATH_BYTES_MAX`].
    #[error(
        "the path of a Unix socket has at most {} bytes, this one has {bytes}",
        UnixAddress::PATH_BYTES_MAX
    )]
    LongPath {
        /// How many it has.
        bytes: usize,
    },
    /// More than [`UnixAddress::NAME_BYTES_MAX`].
    #[error(
        "the name of a Unix socket has at most {} bytes, this one has {bytes}",
        UnixAddress::NAME_BYTES_MAX
    )]
    LongName {
        /// How many it has.
        bytes: usize,
    },
    /// A path ends at its first 0.
    #[error("the path of a Unix socket has no byte 0")]
    ZeroInPath,
    /// A backslash that begins nothing.
    #[error(
        "a backslash in the path of a Unix socket is written '\\\\', a byte that cannot be printed '\\xNN'"
    )]
    Backslash,
    /// What is displayed of a socket without an address.
    #[error("'unix:(unnamed)' is nowhere: use unix:/path")]
    Unnamed,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        if let Some(name) = self.name() {
            f.write_str("@")?;
            return write_escaped(f, name);
        }
        match self.path_bytes() {
            // Or it would be taken for a name, or for none at all.
            Some(path) if path.starts_with(b"@") || path == UNNAMED.as_bytes() => {
                write!(f, "\\x{:02x}", path[0])?;
                write_escaped(f, &path[1..])
            }
            Some(path) => write_escaped(f, path),
            None => f.write_str(UNNAMED),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if text.starts_with(SCHEME) {
            return text.parse().map(Self::Unix);
        }
        text.parse().map(Self::Tcp).map_err(|_| AddressError::Unknown(text.to_owned()))
    }
}

impl FromStr for UnixAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let unknown = || AddressError::Unknown(text.to_owned());
        let address = text.strip_prefix(SCHEME).ok_or_else(unknown)?;
        if address == UNNAMED {
            return Err(AddressError::Unnamed);
        }
        let unescaped = |text| unescape(text).ok_or(AddressError::Backslash);
        match address.strip_prefix('@') {
            Some(name) => Self::named(unescaped(name)?),
            None => Self::at_bytes(&unescaped(address)?),
        }
    }
}

/// Writes bytes that others may have chosen, so that no line is broken and no terminal is told anything.
fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                _ if is_escaped(character) => {
                    let mut encoded = [0; 4];
                    write_hex(f, character.encode_utf8(&mut encoded).as_bytes())?;
                }
                _ => f.write_char(character)?,
            }
        }
        write_hex(f, chunk.invalid())?;
    }
    Ok(())
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// What addresses in a line are separated by, and what is invisible or turns a line round: marks of
/// direction, and what has no width.
fn is_escaped(character: char) -> bool {
    let is_format = matches!(character,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    is_format || character == ',' || character.is_control() || character.is_whitespace()
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', rest @ ..] => {
                bytes.push(b'\\');
                rest
            }
            [b'\\', b'x', high, low, rest @ ..] => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                bytes.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
                rest
            }
            [b'\\', ..] => return None,
            [byte, rest @ ..] => {
                bytes.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_is_parsed_to_the_same() {
        let paths: [&[u8]; 8] = [
            b"/run/chat.sock",
            b"relative",
            b"@file",
            b"(unnamed)",
            b"/back\\slash",
            b"/line\nbreak\x1b[31m",
            b"/not\xffUTF-8\xc3",
            "/grün \u{202e}\u{2028}".as_bytes(),
        ];
        let mut addresses: Vec<UnixAddress> =
            paths.iter().map(|path| UnixAddress::at_bytes(path).unwrap()).collect();
        addresses.extend(paths.iter().map(|name| UnixAddress::named(name).unwrap()));
        addresses.push(UnixAddress::named(b"\0a\0").unwrap());
        for address in addresses.into_iter().map(Address::Unix) {
            let text = address.to_string();
            assert!(!text.contains(is_escaped), "{text:?}");
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for text in ["127.0.0.1:80", "[::1]:80", r"unix:/run/a\x20b", "unix:@a", r"unix:/\\\x0a"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        let [plain, shown] = ["unix:/a b,c", r"unix:/a\x20b\x2cc"];
        assert_eq!(plain.parse::<Address>().unwrap().to_string(), shown);
        assert_eq!(r"unix:\x2fa".parse::<Address>().unwrap().to_string(), "unix:/a");
    }

    /// Whatever bytes somebody has named a socket with.
    #[test]
    fn any_bytes_are_displayed_in_one_word_and_come_back() {
        let mut random = crate::clock::Random::new(1);
        for _ in 0..20_000 {
            let len = random.next() % 24 + 1;
            // Mostly what means something: escapes, separators, the beginnings of characters.
            let byte = |_| match random.next().to_le_bytes() {
                [0..=99, pick, ..] => b"\\x@,0 \n/\xc3\xa4\xe2\x80"[usize::from(pick) % 12],
                [_, any, ..] => any,
            };
            let bytes: Vec<u8> = (0..len).map(byte).collect();
            let addresses = [UnixAddress::named(&bytes), UnixAddress::at_bytes(&bytes)];
            for address in addresses.into_iter().flatten() {
                let text = address.to_string();
                assert!(!text.contains(is_escaped), "{text:?}");
                assert_eq!(text.parse(), Ok(address), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_address_is_told_why() {
        let long = format!("unix:/{}", "p".repeat(200));
        for (text, says) in [
            ("", "'' is no address: use IP:PORT"),
            ("localhost:80", "'localhost:80' is no address"),
            ("UNIX:/a", "is no address"),
            ("unix:", "needs a path"),
            ("unix:@", "needs a name"),
            ("unix:(unnamed)", "is nowhere"),
            (r"unix:/a\n", "a backslash"),
            (r"unix:/a\x4", "a backslash"),
            (r"unix:/a\xg0", "a backslash"),
            (r"unix:/a\x00b", "no byte 0"),
            (&long, "bytes, this one has 201"),
        ] {
            let said = text.parse::<Address>().unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
            assert!(!said.contains('\n'));
        }
        let unnamed = Address::Unix(UnixAddress::unnamed()).to_string();
        assert_eq!(unnamed.parse::<Address>(), Err(AddressError::Unnamed));
    }
}
