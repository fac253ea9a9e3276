//! Thousands of connections at once.

use std::io::{Read, Write};

use crate::server::{Server, connect, end, options};

const CONNECTIONS: u32 = 5_000;

#[test]
fn five_thousand_connections_echo_verified_bytes() {
    let server = Server::start(options());
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| connect(server.address)).collect();
    for round in 0..2u32 {
        for (number, client) in (0..CONNECTIONS).zip(&mut clients) {
            client.write_all(&message(number, round)).unwrap();
        }
        for (number, client) in (0..CONNECTIONS).zip(&mut clients) {
            let mut echoed = [0; 12];
            client.read_exact(&mut echoed).unwrap();
            assert_eq!(echoed, message(number, round), "connection {number}, round {round}");
        }
    }
    clients.into_iter().for_each(end);
    let report = server.stop();
    assert_eq!(report.accepted, u64::from(CONNECTIONS), "{report:?}");
}

/// Bytes that no other connection sends in any round.
fn message(number: u32, round: u32) -> [u8; 12] {
    let mut message = [0; 12];
    message[..4].copy_from_slice(&number.to_le_bytes());
    message[4..8].copy_from_slice(&round.to_le_bytes());
    message[8..].copy_from_slice(&(number ^ 0xA5A5_A5A5).to_be_bytes());
    message
}
