//! No end of a connection is kept longer than it has something to say.

use std::io::Read;

use wharf_port::sim::{Network, NetworkOptions};

use crate::place::{LATER, SOON, pair};

#[test]
fn an_end_that_has_ended_its_stream_is_freed_when_it_is_closed() {
    let network = Network::new(NetworkOptions::default());
    let (client, server) = pair(&network);
    client.end();
    network.advance_by(SOON);
    drop((client, server));
    network.advance_by(SOON);
    assert_eq!(network.kept_ends(), 0);
}

#[test]
fn an_end_that_has_given_its_peer_up_is_freed_when_it_is_closed() {
    let network = Network::new(NetworkOptions::default());
    let (client, mut server) = pair(&network);
    client.vanish();
    server.try_write(b"anybody there?").unwrap();
    network.advance_by(LATER);
    drop((client, server));
    network.advance_by(LATER);
    assert_eq!(network.kept_ends(), 0);
}

#[test]
fn an_end_that_was_reset_is_freed_when_it_is_closed() {
    let network = Network::new(NetworkOptions::default());
    let (client, server) = pair(&network);
    client.reset();
    network.advance_by(SOON);
    drop(server);
    network.advance_by(SOON);
    assert_eq!(network.kept_ends(), 0);
}

#[test]
fn a_read_into_nothing_gives_nothing_at_once() {
    let network = Network::new(NetworkOptions::default());
    let (mut client, _server) = pair(&network);
    assert_eq!(client.try_read(&mut []).unwrap(), 0);
    assert_eq!(client.read(&mut []).unwrap(), 0);
}
