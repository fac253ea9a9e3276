//! What most of these tests begin with.

use std::net::SocketAddr;
use std::time::Duration;

use wharf_port::sim::{Network, NetworkOptions, Peer, Personality};
use wharf_port::{Backend, CompletionPort, PortOptions};

/// Long enough for whatever is under way, but for who waits for an answer that does not come.
pub(crate) const SOON: Duration = Duration::from_secs(1);
/// Long enough for those as well.
pub(crate) const LATER: Duration = Duration::from_secs(30);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) fn network_of(personality: Personality, seed: u64) -> Network {
    Network::new(NetworkOptions { personality, seed, ..NetworkOptions::default() })
}

pub(crate) fn port_on(network: &Network) -> CompletionPort {
    let simulated = Some(network.clone());
    let options = PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
    CompletionPort::open(&options).unwrap()
}

/// The two ends of a connection of which none is a port's: who has connected, and who has accepted.
pub(crate) fn pair(network: &Network) -> (Peer, Peer) {
    let listener = network.listen(address("10.0.0.1:80")).unwrap();
    let mut client = network.connect(listener.address());
    client.wait_connected().unwrap();
    (client, listener.try_accept().unwrap())
}
