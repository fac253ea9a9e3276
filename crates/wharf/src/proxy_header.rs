//! The header in which a proxy says whose connection it forwards: versions 1 and 2 of the PROXY protocol
//! (haproxy.org, `proxy-protocol.txt`), as a receiver reads them.
//!
//! A parser of its own, since the crate `ppp` builds strings and errors that nobody asks for, and takes
//! some lines that are no headers. What a header has besides addresses is passed over unread.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

/// What every header of version 1 begins with, and how long one may be, its line end included.
const V1_BEGIN: &[u8] = b"PROXY ";
const V1_BYTES_MAX: usize = 107;
/// What every header of version 2 begins with; then come version and command, family and protocol, and
/// the length of the rest.
const V2_BEGIN: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_FIXED_BYTES: usize = 16;
/// How long one of version 2 may be: some ten times what proxies send, certificates' names included.
const V2_BYTES_MAX: usize = 4096;

/// What bytes that should begin with a header are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProxyHeader {
    /// The beginning of one.
    Partial,
    /// A whole one.
    Whole {
        /// Its length.
        bytes: usize,
        /// Whose connection it is; `None` is the proxy's own, or one without an address of TCP.
        peer: Option<SocketAddr>,
    },
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum ProxyHeaderError {
    #[error("it begins as no header of the PROXY protocol does")]
    NoHeader,
    #[error("a header is longer than one may be")]
    TooLong,
    #[error("a line of version 1 is not what it has to be")]
    Line,
    #[error("a header has a version or a command that there is not")]
    Command,
    #[error("a header has a family or a protocol that there is not")]
    Family,
    #[error("a header is too short for its addresses")]
    TooShort,
}

use ProxyHeaderError as Error;

/// Reads the header that `bytes` begin with.
pub(crate) fn read(bytes: &[u8]) -> Result<ProxyHeader, Error> {
    if begins_as(bytes, V1_BEGIN) {
        read_v1(bytes)
    } else if begins_as(bytes, V2_BEGIN) {
        read_v2(bytes)
    } else {
        Err(Error::NoHeader)
    }
}

fn begins_as(bytes: &[u8], begin: &[u8]) -> bool {
    bytes.iter().zip(begin).all(|(byte, expected)| byte == expected)
}

fn read_v1(bytes: &[u8]) -> Result<ProxyHeader, Error> {
    let longest = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(end) = memchr::memchr(b'\n', longest) else {
        let full = longest.len() == V1_BYTES_MAX;
        return if full { Err(Error::TooLong) } else { Ok(ProxyHeader::Partial) };
    };
    let line = longest[..end].strip_suffix(b"\r").ok_or(Error::Line)?;
    let line = std::str::from_utf8(line).map_err(|_| Error::Line)?;
    let peer = peer_of_line(line).ok_or(Error::Line)?;
    Ok(ProxyHeader::Whole { bytes: end + 1, peer })
}

/// The peer that a line names; `None` if the line is none.
fn peer_of_line(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    if next() != Some("PROXY") {
        return None;
    }
    let family = next()?;
    if family == "UNKNOWN" {
        // Whatever follows is to be passed over.
        return Some(None);
    }
    let (source, destination) = (next()?, next()?);
    let (source_port, destination_port) = (port(next()?)?, port(next()?)?);
    let [source, destination] = [source, destination].map(|text| match family {
        "TCP4" => text.parse().map(IpAddr::V4).ok(),
        "TCP6" => text.parse().map(IpAddr::V6).ok(),
        _ => None,
    });
    let _ = (destination?, destination_port);
    let peer = SocketAddr::new(source?, source_port);
    next().is_none().then_some(Some(peer))
}

/// A port as headers have it: digits, and none in front that says nothing.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let short = text == "0" || !text.starts_with('0');
    if plain && short { text.parse().ok() } else { None }
}

fn read_v2(bytes: &[u8]) -> Result<ProxyHeader, Error> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else {
        return Ok(ProxyHeader::Partial);
    };
    let [.., command, family, high, low] = *fixed;
    let is_proxied = match command {
        0x20 => false,
        0x21 => true,
        _ => return Err(Error::Command),
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    if V2_FIXED_BYTES + len > V2_BYTES_MAX {
        return Err(Error::TooLong);
    }
    let addresses_len = match family {
        // TCP over IPv4 and IPv6.
        0x11 => 12,
        0x21 => 36,
        // What is not said, or is there and not of TCP: the connection's own addresses count.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => 0,
        // The proxy's own connection has none, whatever stands there.
        _ if !is_proxied => 0,
        _ => return Err(Error::Family),
    };
    if is_proxied && len < addresses_len {
        return Err(Error::TooShort);
    }
    let Some(rest) = rest.get(..len) else { return Ok(ProxyHeader::Partial) };
    let peer = if is_proxied { peer_of_v2(family, rest) } else { None };
    Ok(ProxyHeader::Whole { bytes: V2_FIXED_BYTES + len, peer })
}

/// The source: both addresses come first, then both ports.
fn peer_of_v2(family: u8, rest: &[u8]) -> Option<SocketAddr> {
    let (address, ports): (IpAddr, usize) = match family {
        0x11 => (Ipv4Addr::from(*rest.first_chunk::<4>()?).into(), 8),
        0x21 => (Ipv6Addr::from(*rest.first_chunk::<16>()?).into(), 32),
        _ => return None,
    };
    let port = u16::from_be_bytes(*rest.get(ports..)?.first_chunk::<2>()?);
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &[u8] = V2_BEGIN;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &len, rest].concat()
    }

    fn peer(header: &[u8]) -> Option<SocketAddr> {
        match read(header) {
            Ok(ProxyHeader::Whole { bytes, peer }) if bytes == header.len() => peer,
            other => panic!("{other:?} of {}", header.escape_ascii()),
        }
    }

    #[test]
    fn lines_of_version_1_name_their_peer() {
        for (line, expected) in [
            ("PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\r\n", Some("192.0.2.1:56324")),
            (
                "PROXY TCP4 255.255.255.255 255.255.255.255 65535 0\r\n",
                Some("255.255.255.255:65535"),
            ),
            ("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", Some("[2001:db8::1]:1")),
            ("PROXY UNKNOWN\r\n", None),
            ("PROXY UNKNOWN ffff::1 and so on\r\n", None),
        ] {
            let expected = expected.map(|text| text.parse().unwrap());
            assert_eq!(peer(line.as_bytes()), expected, "{line}");
        }
        let full: String = ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"; 2].join(" ");
        let longest = format!("PROXY UNKNOWN {full} 65535 65535\r\n");
        assert_eq!((longest.len(), peer(longest.as_bytes())), (V1_BYTES_MAX, None));
    }

    #[test]
    fn what_is_no_line_of_version_1_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 1\r\n",
            "PROXY TCP4  192.0.2.1 10.0.0.1 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 56324 443 \r\n",
            "PROXY TCP4 192.0.2.01 10.0.0.1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 01 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 10.0.0.1 1 65536\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY TCP5 192.0.2.1 10.0.0.1 1 2\r\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY \r\n",
        ] {
            assert_eq!(read(line.as_bytes()), Err(Error::Line), "{line}");
        }
        let long = [V1_BEGIN, &[b'x'; V1_BYTES_MAX - 6]].concat();
        assert_eq!(read(&long), Err(Error::TooLong));
        assert_eq!(read(&long[..V1_BYTES_MAX - 1]), Ok(ProxyHeader::Partial));
    }

    #[test]
    fn headers_of_version_2_name_their_peer() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0xDC, 0x04, 0x01, 0xBB];
        let six = [&[0x20, 1, 0x0D, 0xB8], &[0; 11][..], &[9], &[0; 16], &[0, 7, 0, 8]].concat();
        let with_more = [&four[..], b"\x01\x00\x02h2"].concat();
        assert_eq!(peer(&v2(0x21, 0x11, &four)), Some("192.0.2.1:56324".parse().unwrap()));
        assert_eq!(peer(&v2(0x21, 0x11, &with_more)), Some("192.0.2.1:56324".parse().unwrap()));
        assert_eq!(peer(&v2(0x21, 0x21, &six)), Some("[2001:db8::9]:7".parse().unwrap()));
        for (command, family, rest) in [
            (0x20, 0x00, &[][..]),
            (0x20, 0x11, &four[..]),
            (0x20, 0xFF, b"x"),
            (0x21, 0x00, b"what is not looked at"),
            (0x21, 0x12, &four[..]),
            (0x21, 0x31, &[0; 216]),
        ] {
            assert_eq!(peer(&v2(command, family, rest)), None, "{command:x} {family:x}");
        }
        assert_eq!(peer(&v2(0x20, 0, &[0; V2_BYTES_MAX - V2_FIXED_BYTES])), None);
    }

    #[test]
    fn what_is_no_header_of_version_2_is_refused_as_soon_as_it_shows() {
        let fixed = |command, family, len: u16| {
            let len = len.to_be_bytes();
            [V2, &[command, family], &len].concat()
        };
        for (header, error) in [
            (fixed(0x11, 0x11, 12), Error::Command),
            (fixed(0x22, 0x11, 12), Error::Command),
            (fixed(0x21, 0x13, 12), Error::Family),
            (fixed(0x21, 0x41, 12), Error::Family),
            (fixed(0x21, 0x11, 11), Error::TooShort),
            (fixed(0x21, 0x21, 35), Error::TooShort),
            (fixed(0x21, 0x11, 4081), Error::TooLong),
            (fixed(0x20, 0x00, u16::MAX), Error::TooLong),
        ] {
            assert_eq!(read(&header), Err(error), "{}", header.escape_ascii());
        }
        assert_eq!(read(b"\r\n\r\n\0\r\nQUITE"), Err(Error::NoHeader));
        assert_eq!(read(b"GET / HTTP/1.1"), Err(Error::NoHeader));
        assert_eq!(read(b"PROXZ"), Err(Error::NoHeader));
    }
}
