//! Headers of proxies: what is made up by the rules is read as it was meant, however it comes, and
//! nothing else is taken for a header.

use std::net::{IpAddr, SocketAddr};

use arbitrary::{Result, Unstructured};

use crate::proxy_header::{ProxyHeader, read};

/// What follows a header must not matter.
const BEHIND: &[u8] = b"PROXY \r\n\0 and frames";

/// Reads bytes as a header, and headers that are made of them.
pub fn proxy_header(data: &[u8]) {
    check_pieces(data);
    let _ = try_one(&mut Unstructured::new(data));
}

fn try_one(input: &mut Unstructured<'_>) -> Result<()> {
    let source = SocketAddr::new(address(input)?, input.arbitrary()?);
    let destination = match source.ip() {
        IpAddr::V4(_) => SocketAddr::new(IpAddr::V4(input.arbitrary::<[u8; 4]>()?.into()), 80),
        IpAddr::V6(_) => SocketAddr::new(IpAddr::V6(input.arbitrary::<[u8; 16]>()?.into()), 80),
    };
    let line = version_1(source, destination);
    let more = input.int_in_range(0..=600)?;
    let local = input.ratio(1, 8)?;
    let binary = version_2(source, destination, &vec![0x5A; more], local);
    for (header, peer) in [(line, Some(source)), (binary, (!local).then_some(source))] {
        let whole = Ok(ProxyHeader::Whole { bytes: header.len(), peer });
        assert_eq!(read(&header), whole, "{}", header.escape_ascii());
        check_pieces(&[&header, BEHIND].concat());
        // One byte of it is another.
        let mut broken = header;
        let at = input.choose_index(broken.len())?;
        broken[at] ^= input.int_in_range(1..=255u8)?;
        check_pieces(&[&broken, BEHIND].concat());
    }
    Ok(())
}

fn address(input: &mut Unstructured<'_>) -> Result<IpAddr> {
    Ok(match input.arbitrary()? {
        true => IpAddr::V4(input.arbitrary::<[u8; 4]>()?.into()),
        false => IpAddr::V6(input.arbitrary::<[u8; 16]>()?.into()),
    })
}

fn version_1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", source.port(), destination.port()).into_bytes()
}

fn version_2(source: SocketAddr, destination: SocketAddr, more: &[u8], local: bool) -> Vec<u8> {
    let octets = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let ports = [source.port().to_be_bytes(), destination.port().to_be_bytes()].concat();
    let rest = [octets(source.ip()), octets(destination.ip()), ports, more.to_vec()].concat();
    let family = if source.is_ipv4() { 0x11 } else { 0x21 };
    let len = u16::try_from(rest.len()).unwrap_or(u16::MAX).to_be_bytes();
    let command = if local { 0x20 } else { 0x21 };
    [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &len, &rest].concat()
}

/// Byte by byte the same is found as in the whole: first beginnings, then one answer that stays.
fn check_pieces(bytes: &[u8]) {
    let whole = read(bytes);
    let mut answered = false;
    for len in 0..=bytes.len().min(5_000) {
        let found = read(&bytes[..len]);
        match found {
            Ok(ProxyHeader::Partial) => assert!(!answered, "{len} bytes are none any more"),
            answer => {
                assert_eq!(answer, whole, "{len} of {}", bytes.escape_ascii());
                answered = true;
            }
        }
        if let Ok(ProxyHeader::Whole { bytes: used, .. }) = found {
            assert!(used <= len && (15..=4_096).contains(&used), "{used} of {len}");
        }
    }
    assert!(answered || whole == Ok(ProxyHeader::Partial));
    assert!(answered || bytes.len() < 4_096, "{} bytes are a beginning", bytes.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made-up bytes, the same in every run: xorshift (Marsaglia, 2003).
    fn made_up(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let byte = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[0]
        };
        (0..len).map(byte).collect()
    }

    #[test]
    fn headers_by_the_rules_are_read_as_they_were_meant() {
        for seed in 0..400 {
            proxy_header(&made_up(seed, 64));
        }
    }
}
