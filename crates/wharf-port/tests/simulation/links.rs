//! What becomes of connections that die, and of hosts that are parted.

use std::io::ErrorKind;

use wharf_port::ListenOptions;
use wharf_port::sim::{Network, NetworkOptions, Personality};

use crate::place::{LATER, SOON, address, network_of, pair};

#[test]
fn who_vanished_with_bytes_on_their_way_is_given_up_no_sooner() {
    let network = Network::new(NetworkOptions::default());
    let (mut client, _server) = pair(&network);
    client.try_write(b"on its way").unwrap();
    client.vanish();
    network.advance_by(SOON);
    assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    network.advance_by(LATER);
    assert_eq!(client.try_read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn who_vanishes_while_connecting_never_connects() {
    for seed in 0..50 {
        let network = network_of(Personality::Uring, seed);
        let listener = network.listen(address("10.0.0.1:80")).unwrap();
        let client = network.connect(listener.address());
        for _ in 0..seed % 2 {
            network.advance();
        }
        assert!(client.is_connecting());
        client.vanish();
        network.advance_by(LATER);
        assert!(!client.is_connecting() && !client.is_connected(), "seed {seed}");
    }
}

#[test]
fn hosts_are_parted_in_both_directions_on_a_listener_for_both_families() {
    let network = Network::new(NetworkOptions::default());
    let both = ListenOptions { dual_stack: true, ..ListenOptions::default() };
    let listener = network.listen_with(address("[::]:80"), &both).unwrap();
    let mut client = network.connect(address("10.0.0.1:80"));
    client.wait_connected().unwrap();
    let mut server = listener.try_accept().unwrap();
    let host = address("10.0.0.1:80").ip();
    network.partition(host, host, LATER);
    server.try_write(b"there").unwrap();
    client.try_write(b"and back").unwrap();
    network.advance_by(SOON);
    assert_eq!((client.readable_bytes(), server.readable_bytes()), (0, 0));
    network.advance_by(LATER);
    assert_eq!((client.readable_bytes(), server.readable_bytes()), (5, 8));
}

#[test]
fn a_reset_is_told_once_or_as_windows_does_each_time() {
    for personality in Personality::ALL {
        let network = network_of(personality, 0);
        let (client, mut server) = pair(&network);
        client.reset();
        network.advance_by(SOON);
        let mut told = [(); 2].map(|()| server.try_read(&mut [0]).map_err(|it| it.kind()));
        let sent = server.try_write(b"still there?").map_err(|it| it.kind());
        if personality == Personality::Iocp {
            assert_eq!(
                (told, sent),
                ([Err(ErrorKind::ConnectionReset); 2], Err(ErrorKind::ConnectionReset))
            );
            continue;
        }
        assert_eq!(told, [Err(ErrorKind::ConnectionReset), Ok(0)]);
        assert_eq!(sent, Err(ErrorKind::BrokenPipe));
        // The other way round.
        let (client, mut server) = pair(&network);
        client.reset();
        network.advance_by(SOON);
        assert_eq!(server.try_write(b"there?").unwrap_err().kind(), ErrorKind::ConnectionReset);
        told[0] = server.try_read(&mut [0]).map_err(|it| it.kind());
        assert_eq!(told[0], Ok(0));
    }
}
