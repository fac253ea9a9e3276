//! Rule 10: what the kernel takes for a peer that does not read can be bounded.

use std::time::Duration;

use wharf_port::{Backend, Completion, ListenOptions, SocketId};

use crate::harness::{CheckedPort, Peer, Subject, assert_bytes, owned, pattern};

on_every_backend![
    ;
    over_tcp:
    rule_10_a_stopped_reader_hides_no_more_than_allowed,
    rule_10_a_bound_on_unsent_bytes_delays_no_reader,
];

const PAGE: usize = 4 << 10;
/// How long a send must have been stuck to be taken for blocked.
const STUCK: Duration = Duration::from_millis(200);
/// What the peer's own system takes: twice the receive buffer that it is given.
const PEER_BYTES: usize = 128 << 10;
/// The piece that the kernel may take beyond the bound, and what it was about to send.
const PIECE: usize = 128 << 10;

/// A connection whose peer has a small receive buffer, with a bound; `None` where there is none to set.
fn bounded_pair(port: &mut CheckedPort, bound: u32) -> Option<(SocketId, Peer)> {
    let backend = port.raw().backend();
    if !cfg!(target_os = "linux") || !matches!(backend, Backend::Uring | Backend::Readiness) {
        return None;
    }
    let mut options = ListenOptions::default();
    options.accepted.unsent_bytes_max = Some(bound);
    let home = port.listen_with(&options);
    let (socket, peer) = port.pair_through(home);
    peer.shrink_receive_buffer();
    Some((socket, peer))
}

/// Sends a page at a time until one is stuck, which stays in flight; how many bytes were taken.
fn send_until_stuck(port: &mut CheckedPort, socket: SocketId, bytes: &[u8]) -> usize {
    let mut taken = 0;
    for page in bytes.chunks(PAGE) {
        port.send(socket, vec![owned(page)]);
        let until = port.now() + STUCK;
        loop {
            port.wait(Some(until));
            if matches!(port.next(), Some(Completion::Sent { .. })) {
                break;
            }
            if port.now() >= until {
                return taken;
            }
        }
        taken += page.len();
    }
    taken
}

fn rule_10_a_stopped_reader_hides_no_more_than_allowed(subject: &Subject) {
    let bytes = pattern(1, 8 << 20);
    for bound in [16 << 10, 256 << 10] {
        let mut port = subject.open();
        let Some((socket, mut peer)) = bounded_pair(&mut port, bound) else {
            return port.finish();
        };
        let taken = send_until_stuck(&mut port, socket, &bytes);
        let most = PEER_BYTES + PIECE + bound as usize;
        assert!(taken <= most, "{taken} bytes were taken, {most} allowed with a bound of {bound}");
        assert!(taken >= bound as usize, "only {taken} bytes were taken");
        assert_bytes(&peer.read(taken), &bytes[..taken], "what was taken");
        // The page that was stuck goes out now.
        port.sent(socket).1.unwrap();
        assert_bytes(&peer.read(PAGE), &bytes[taken..taken + PAGE], "what was stuck");
        port.finish();
    }
}

/// One byte may be unsent: each acknowledgement has to make room again.
fn rule_10_a_bound_on_unsent_bytes_delays_no_reader(subject: &Subject) {
    let bytes = pattern(2, 2 << 20);
    let mut port = subject.open();
    let Some((socket, mut peer)) = bounded_pair(&mut port, 1) else {
        return port.finish();
    };
    let len = bytes.len();
    let reader = std::thread::spawn(move || peer.read(len));
    port.send_all(socket, vec![owned(&bytes)]);
    assert_bytes(&reader.join().unwrap(), &bytes, "all of it");
    port.finish();
}
