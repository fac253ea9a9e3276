//! A server of one worker on a simulated network, of which a test makes every turn.

use std::time::Duration;

use wharf::sim::{Network, NetworkOptions, Peer};
use wharf::{
    Address, Arrival, IpNet, Limits, PortOptions, Server, Session, SocketOptions, SteppedServer,
};

/// Where it listens.
const SERVER: &str = "10.0.0.1:7777";

/// One whose sessions a function makes.
pub(crate) type Simulated<H> = SteppedServer<H, fn(&Arrival) -> H>;

/// A network on which everything takes a tenth of a millisecond.
pub(crate) fn network(seed: u64) -> NetworkOptions {
    let latency = (Duration::from_micros(100), Duration::ZERO);
    NetworkOptions { seed, latency, ..NetworkOptions::default() }
}

/// Starts it, behind these proxies.
pub(crate) fn start<H: Session>(
    network: &Network,
    limits: Limits,
    proxies: &[&str],
    factory: fn(&Arrival) -> H,
) -> Simulated<H> {
    let simulated = Some(network.clone());
    let proxies: Vec<IpNet> = proxies.iter().map(|text| text.parse().unwrap()).collect();
    Server::bind(SERVER)
        .workers(1)
        .limits(limits)
        .port_options(PortOptions { simulated, ..PortOptions::default() })
        .proxies(proxies)
        .start_stepped(factory)
        .expect("a server")
}

/// Turns it at the network's time.
pub(crate) fn turn<H: Session>(server: &mut Simulated<H>, network: &Network) {
    server.turn(0, Some(network.now())).expect("a port that works");
}

/// Begins to connect to it from an address.
pub(crate) fn connect(network: &Network, from: &str) -> Peer {
    let bind = Some(format!("{from}:0").parse().unwrap());
    let options = SocketOptions { bind, ..SocketOptions::default() };
    network.connect_with(SERVER.parse::<Address>().unwrap(), &options)
}
