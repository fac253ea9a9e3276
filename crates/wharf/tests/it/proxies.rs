//! Connections that proxies forward: whose they are is what the proxy says, and nobody else may say it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wharf::{Address, Arrival, Backend, Context, IpNet, Outcome, Session, Verdict};

use crate::support::client::Client;
use crate::support::record::Echo;
use crate::support::server::{Setup, TestServer};
use crate::support::time::wait_until;
use crate::support::wire::Wire;

each_backend! {
    the_address_that_a_proxy_announces_is_the_sessions_however_it_comes,
    a_proxys_own_connection_has_its_own_address,
    what_begins_without_a_header_is_reset_and_never_becomes_a_session,
    from_others_a_header_is_data,
    a_header_that_does_not_come_ends_its_connection,
    the_announced_address_is_what_limits_bans_and_filters_see,
    a_connection_that_ends_or_is_drained_before_its_header_leaves_nothing,
}

const LINE: &[u8] = b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n";
const PEER: &str = "192.0.2.7:56324";

/// A header of version 2 with an IPv6 address and 300 bytes that are passed over.
fn binary() -> Vec<u8> {
    let addresses = [&[0x20, 1, 0x0D, 0xB8], &[0; 11][..], &[9], &[0; 16], &[0, 7, 0, 8]].concat();
    let len = u16::try_from(addresses.len() + 300).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x21", &len[..], &addresses, &[0x5A; 300]].concat()
}
const BINARY_PEER: &str = "[2001:db8::9]:7";

/// Says at once whose connection it takes itself for, and sends everything back.
struct Named(Address);

impl Session for Named {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        assert_eq!(*ctx.peer(), self.0, "the context and the arrival say the same");
        ctx.send(self.0.to_string().as_bytes());
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

fn behind_a_proxy(backend: Backend) -> Setup {
    Setup::new(backend).workers(2).proxies(&["127.0.0.0/8", "::1"])
}

fn named(setup: &Setup) -> TestServer {
    setup.start(|arrival: &Arrival| Named(arrival.peer().clone()))
}

fn the_address_that_a_proxy_announces_is_the_sessions_however_it_comes(backend: Backend) {
    let server = named(&behind_a_proxy(backend));
    let mut bytes_in = 0;
    for (header, peer) in [(LINE.to_vec(), PEER), (binary(), BINARY_PEER)] {
        let stream =
            [&header[..], &Wire::U32Le.encode(b"hello"), &Wire::U32Le.encode(b"again")].concat();
        for at in [0, 1, 5, 11, 12, 15, 16, header.len() - 1, header.len(), header.len() + 2] {
            let mut client = server.connect();
            client.write(&stream[..at]);
            bytes_in += at as u64;
            // The first part has been read when the second comes.
            server.wait_for_bytes_in(bytes_in);
            client.write(&stream[at..]);
            client.expect(peer.as_bytes());
            client.expect(b"hello");
            client.expect(b"again");
            bytes_in += (stream.len() - at) as u64;
        }
        let mut client = server.connect();
        for byte in &stream {
            client.write(&[*byte]);
        }
        client.expect(peer.as_bytes());
        client.expect(b"hello");
        client.expect(b"again");
        bytes_in += stream.len() as u64;
    }
    server.drain();
}

fn a_proxys_own_connection_has_its_own_address(backend: Backend) {
    let server = named(&behind_a_proxy(backend).limits(|limits| limits.per_address_max = Some(1)));
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\0\0";
    let mut clients = Vec::new();
    for header in [&local[..], b"PROXY UNKNOWN\r\n", local] {
        let mut client = server.connect();
        client.write(header);
        let own = client.address().to_string();
        client.expect(own.as_bytes());
        clients.push(client);
    }
    server.drain();
}

fn what_begins_without_a_header_is_reset_and_never_becomes_a_session(backend: Backend) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let server = behind_a_proxy(backend).start(move |_: &Arrival| {
        count.fetch_add(1, Ordering::Relaxed);
        Echo
    });
    let long = [b"PROXY TCP4 ", &[b'1'; 200][..]].concat();
    for wrong in [b"hello, world", &b"PROXY TCP4 192.0.2.7 1 2\r\n"[..], &long] {
        let mut client = server.connect();
        client.write(wrong);
        assert_eq!(client.expect_reset(), b"");
    }
    wait_until("all are counted", || server.handle.close_counts().get("bad_proxy_header") == 3);
    server.wait_for_sessions(0);
    assert_eq!((made.load(Ordering::Relaxed), server.stats().accepted), (0, 0));
    server.drain();
}

fn from_others_a_header_is_data(backend: Backend) {
    for proxies in [&[][..], &["192.0.2.0/24", "::/1"]] {
        let server = Setup::new(backend).wire(Wire::Raw).proxies(proxies).start(|_: &Arrival| Echo);
        let mut client = server.connect();
        client.write(LINE);
        assert_eq!(client.bytes(LINE.len()), LINE);
        server.drain();
    }
}

fn a_header_that_does_not_come_ends_its_connection(backend: Backend) {
    let limit = Duration::from_millis(100);
    let server = named(&behind_a_proxy(backend).limits(|limits| limits.first_frame = Some(limit)));
    let (mut silent, mut begun) = (server.connect(), server.connect());
    begun.write(&LINE[..20]);
    for client in [&mut silent, &mut begun] {
        assert_eq!(client.expect_reset(), b"");
    }
    wait_until("both are counted", || server.handle.close_counts().get("first_frame_late") == 2);
    server.drain();
    // Switched off, it is not off for proxies.
    let server = named(&behind_a_proxy(backend));
    let mut silent = server.connect();
    assert_eq!(silent.expect_reset(), b"");
    server.drain();
}

fn the_announced_address_is_what_limits_bans_and_filters_see(backend: Backend) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    let setup = behind_a_proxy(backend).limits(|limits| limits.per_address_max = Some(2));
    let setup = setup.accept_filter(move |incoming| {
        asked.lock().unwrap().push((incoming.peer.to_string(), incoming.listener.clone()));
        if incoming.peer.ip().unwrap().to_string() == "192.0.2.66" {
            Verdict::Deny
        } else {
            Verdict::Allow
        }
    });
    let server = named(&setup);
    let forward = |host: &str| {
        let mut client = server.connect();
        client.write(format!("PROXY TCP4 {host} 10.0.0.1 9 443\r\n").as_bytes());
        client
    };
    let served = |host: &str| -> Client {
        let mut client = forward(host);
        client.expect(format!("{host}:9").as_bytes());
        client
    };
    let refused = |host: &str| assert_eq!(forward(host).expect_reset(), b"", "{host}");
    let first = [served("192.0.2.1"), served("192.0.2.1"), served("192.0.2.2")];
    refused("192.0.2.1");
    refused("192.0.2.66");
    let network: IpNet = "192.0.2.128/25".parse().unwrap();
    server.handle.ban(network, None).unwrap();
    // That of the proxy itself shuts nobody out.
    server.handle.ban(server.address().ip(), None).unwrap();
    refused("192.0.2.200");
    wait_until("each is counted by its cause", || {
        let stats = server.stats();
        (stats.refused_per_address, stats.refused_by_filter, stats.refused_banned) == (1, 1, 1)
    });
    let asked = seen.lock().unwrap().clone();
    assert!(asked.iter().all(|(_, listener)| *listener == server.address()), "{asked:?}");
    assert_eq!(asked.len(), 5, "not about who is banned: {asked:?}");
    // A seat that is given up is free.
    drop(first);
    server.wait_for_sessions(0);
    drop([served("192.0.2.1"), served("192.0.2.1")]);
    server.drain();
}

fn a_connection_that_ends_or_is_drained_before_its_header_leaves_nothing(backend: Backend) {
    let server = named(&behind_a_proxy(backend));
    let (mut ended, mut half) = (server.connect(), server.connect());
    ended.finish();
    half.write(b"PROXY");
    half.finish();
    ended.expect_end();
    half.expect_end();
    server.wait_for_sessions(0);
    let counts = server.handle.close_counts();
    assert_eq!(["peer_closed", "truncated"].map(|reason| counts.get(reason)), [1, 1], "{counts}");
    let mut waiting = server.connect();
    waiting.write(b"PROXY TCP4");
    server.wait_for_sessions(1);
    let report = server.drain();
    assert_eq!((report.drained, report.forced, report.bytes_lost), (1, 0, 0));
    waiting.expect_reset();
}
