//! Virtual time.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wharf_port::sim::{Network, NetworkOptions, Pace};
use wharf_port::{Completion, ListenOptions, Segment};

use crate::place::port_on;

#[test]
fn an_hour_of_waiting_takes_no_time() {
    let network = Network::new(NetworkOptions::default());
    let mut port = port_on(&network);
    let hour = Duration::from_secs(3600);
    let timer = port.start_timer(port.now() + hour, 7).unwrap();
    port.wait(None).unwrap();
    let fired = port.take();
    assert!(matches!(fired, Some(Completion::Timer { timer: of, token: 7 }) if of == timer));
    assert!(port.now().since(timer.deadline()) < Duration::from_millis(1));
}

#[test]
fn a_wait_for_what_never_comes_is_an_error_and_no_hang() {
    let network = Network::new(NetworkOptions::default());
    let error = port_on(&network).wait(None).unwrap_err().to_string();
    assert!(error.contains("nothing will ever happen"), "{error}");
}

#[test]
fn a_partition_holds_bytes_back_until_it_is_healed() {
    let network = Network::new(NetworkOptions::default());
    let listener =
        network.listen(wharf_port::Address::Tcp("10.0.0.1:80".parse().unwrap())).unwrap();
    let mut client = network.connect(listener.address());
    client.wait_connected().unwrap();
    let mut server = listener.try_accept().unwrap();
    let host = listener.address().ip();
    network.partition(host.unwrap(), host.unwrap(), Duration::from_secs(30));
    client.write_all(b"held").unwrap();
    network.advance_by(Duration::from_secs(20));
    assert_eq!(server.readable_bytes(), 0);
    network.heal();
    let mut bytes = [0; 4];
    server.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"held");
    assert!(network.now() < wharf_port::Time::ZERO + Duration::from_secs(21));
}

#[test]
fn who_vanished_is_given_up_by_who_sends_and_never_by_who_waits() {
    let network = Network::new(NetworkOptions::default());
    let listener =
        network.listen(wharf_port::Address::Tcp("10.0.0.1:80".parse().unwrap())).unwrap();
    let mut client = network.connect(listener.address());
    client.wait_connected().unwrap();
    let mut server = listener.try_accept().unwrap();
    client.vanish();
    network.advance_by(Duration::from_secs(3600));
    assert_eq!(server.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    server.try_write(b"anybody there?").unwrap();
    network.advance_by(Duration::from_secs(11));
    assert_eq!(server.try_read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

/// A port that has sent and waits for something else must not keep the news to itself.
#[test]
fn at_a_real_pace_a_peer_learns_of_what_a_waiting_port_has_sent() {
    let network = Network::new(NetworkOptions { pace: Pace::Real, ..NetworkOptions::default() });
    let mut port = port_on(&network);
    let listener = port
        .listen("10.0.0.1:80".parse::<wharf_port::Address>().unwrap(), &ListenOptions::default())
        .unwrap();
    let mut peer = network.connect(port.listener_address(listener).unwrap());
    let socket = loop {
        port.wait(None).unwrap();
        if let Some(Completion::Accepted { socket, .. }) = port.take() {
            break port.adopt(socket).unwrap();
        }
    };
    let (tell, told) = mpsc::channel();
    let reader = thread::spawn({
        let network = network.clone();
        move || {
            tell.send(()).unwrap();
            peer.read_exact(&mut [0; 5]).unwrap();
            (network.now(), peer)
        }
    });
    told.recv().unwrap();
    // Time for the reader to begin to wait; if it has not, the test shows less and fails no sooner.
    port.wait(Some(port.now() + Duration::from_millis(20))).unwrap();
    // More than there is room for, so that the wait goes on.
    port.send(socket, vec![Segment::Owned(vec![7; 1 << 20].into())]).unwrap();
    let sent = port.now();
    port.wait(Some(sent + Duration::from_millis(700))).unwrap();
    assert!(port.take().is_none(), "nobody has read so much");
    let (read, _peer) = reader.join().unwrap();
    let late = read.since(sent);
    assert!(late < Duration::from_millis(350), "the peer learned of it {late:?} late");
}
