//! Streams of frames, cut in two at every boundary there is, merged, and cut into single bytes.

use std::time::Duration;

use super::Terms;
use crate::Result;
use crate::checks::{Checks, ensure};
use crate::client::{self, Client};
use crate::server::{Server, Signal, serve_echo};
use crate::{smoke, wait};

/// What goes before a payload of so many bytes.
type Header = fn(usize) -> Vec<u8>;

/// The framings.
const FRAMINGS: [(&str, Header); 6] = [
    ("raw", |_| Vec::new()),
    ("lines", |_| Vec::new()),
    ("u16le", |len| len.to_le_bytes()[..2].to_vec()),
    ("u16be", |len| len.to_le_bytes()[..2].iter().rev().copied().collect()),
    ("u32le", |len| len.to_le_bytes()[..4].to_vec()),
    ("u32be", |len| len.to_le_bytes()[..4].iter().rev().copied().collect()),
];

/// Payloads: none, one byte, and what takes one and two bytes of a length.
const PAYLOADS: [usize; 6] = [5, 0, 1, 64, 300, 2];

/// Long enough for the first part to be read before the second comes. That is not guaranteed, and
/// need not be: every split that does happen is one that is tested.
const BETWEEN: Duration = Duration::from_millis(50);

pub(super) fn run(terms: &Terms<'_>, checks: &mut Checks) {
    for backend in terms.backends {
        for (framing, header) in FRAMINGS {
            let name = format!("{backend}, {framing}");
            checks.check(name, || split(terms, backend, framing, &stream(framing, header)));
        }
    }
}

/// A stream of one frame for each payload.
fn stream(framing: &str, header: Header) -> Vec<u8> {
    let mut stream = Vec::new();
    for (at, len) in PAYLOADS.into_iter().enumerate() {
        stream.extend(header(len));
        // Above what ends a line or goes before its end.
        stream.extend(client::piece(at * 1000, len).iter().map(|byte| byte | 0x20));
        if framing == "lines" {
            stream.push(b'\n');
        }
    }
    stream
}

fn split(terms: &Terms<'_>, backend: &str, framing: &str, stream: &[u8]) -> Result<String> {
    let flags = format!("--backend {backend} --framing {framing}");
    let server = Server::start(&mut serve_echo(terms.wharf, &flags))?;
    // One connection for each boundary, and one that is cut nowhere.
    let mut clients = Client::connect_all(server.address, stream.len() + 1)?;
    for (at, client) in clients.iter_mut().enumerate() {
        client.write(&stream[..at])?;
    }
    wait::pause(BETWEEN);
    for (at, client) in clients.iter_mut().enumerate() {
        client.write(&stream[at..])?;
    }
    for (at, client) in clients.iter_mut().enumerate() {
        client.expect(stream).map_err(|error| format!("cut at {at}: {error}"))?;
    }
    let mut in_bytes = Client::connect(server.address)?;
    for byte in stream {
        in_bytes.write(std::slice::from_ref(byte))?;
    }
    in_bytes.expect(stream).map_err(|error| format!("in single bytes: {error}"))?;
    clients.push(in_bytes);
    let count = clients.len();
    clients.into_iter().try_for_each(Client::end)?;
    let ended = server.stop(Signal::Terminate)?;
    smoke::drained(&ended)?;
    ensure(count > stream.len(), || "not every boundary was tried".to_owned())?;
    Ok(format!("{count} connections, {} boundaries", stream.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_the_framing_says() {
        let headers = FRAMINGS.map(|(_, header)| header(300));
        let expected: [&[u8]; 6] = [&[], &[], &[44, 1], &[1, 44], &[44, 1, 0, 0], &[0, 0, 1, 44]];
        assert_eq!(headers, expected);
    }

    #[test]
    fn a_line_has_no_end_within() {
        let (framing, header) = FRAMINGS[1];
        let stream = stream(framing, header);
        assert_eq!(stream.split(|&byte| byte == b'\n').count(), PAYLOADS.len() + 1);
        assert!(!stream.contains(&b'\r'));
    }
}
