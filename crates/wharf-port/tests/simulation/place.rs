//! What most of these tests begin with.

use std::net::SocketAddr;
use std::time::Duration;

use wharf_port::sim::{Network, NetworkOptions, Peer, Personality};
use wharf_port::{Backend, Completion, CompletionPort, ListenOptions, PortOptions, SocketId};

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
    port_with(network, PortOptions::default())
}

pub(crate) fn port_with(network: &Network, options: PortOptions) -> CompletionPort {
    let simulated = Some(network.clone());
    CompletionPort::open(&PortOptions { backend: Backend::Sim, simulated, ..options }).unwrap()
}

/// The two ends of a connection of which none is a port's: who has connected, and who has accepted.
pub(crate) fn pair(network: &Network) -> (Peer, Peer) {
    let listener = network.listen(address("10.0.0.1:80")).unwrap();
    let mut client = network.connect(listener.address());
    client.wait_connected().unwrap();
    (client, listener.try_accept().unwrap())
}

/// A connection of a port's, and its peer.
pub(crate) fn accepted(network: &Network, port: &mut CompletionPort) -> (SocketId, Peer) {
    let listener = port.listen(address("10.0.0.1:0"), &ListenOptions::default()).unwrap();
    let peer = network.connect(port.listener_address(listener).unwrap());
    loop {
        port.wait(None).unwrap();
        if let Some(Completion::Accepted { socket, .. }) = port.take() {
            port.stop_listening(listener);
            turn(port);
            network.advance_by(SOON);
            return (port.adopt(socket).unwrap(), peer);
        }
    }
}

/// Starts what is staged and lets nothing happen that is not due.
pub(crate) fn turn(port: &mut CompletionPort) -> Vec<Completion> {
    port.wait(Some(port.now())).unwrap();
    std::iter::from_fn(|| port.take()).collect()
}
