//! Bans and headers of proxies on a simulated network, where each ends when it should and not before.

use std::time::Duration;

use wharf::sim::{Network, NetworkOptions, Peer};
use wharf::{Arrival, Backend, IpNet, PortOptions, Server, SocketOptions, SteppedServer};

use crate::support::record::Echo;
use crate::support::server::Setup;

const SERVER: &str = "10.0.0.1:7777";
/// Longer than anything takes on the network.
const MOMENT: Duration = Duration::from_millis(100);

struct Play {
    network: Network,
    server: SteppedServer<Echo, fn(&Arrival) -> Echo>,
}

impl Play {
    fn new(proxies: &[&str]) -> Self {
        let latency = (Duration::from_micros(100), Duration::ZERO);
        let network = Network::new(NetworkOptions { seed: 11, latency, ..Default::default() });
        let proxies: Vec<IpNet> = proxies.iter().map(|text| text.parse().unwrap()).collect();
        let server = Server::bind(SERVER)
            .workers(1)
            .limits(Setup::new(Backend::Sim).limits)
            .port_options(PortOptions { simulated: Some(network.clone()), ..Default::default() })
            .proxies(proxies)
            .start_stepped((|_| Echo) as fn(&Arrival) -> Echo)
            .expect("a server");
        Self { network, server }
    }

    fn turn(&mut self) {
        self.server.turn(0, Some(self.network.now())).expect("a port that works");
    }

    fn pass(&mut self, time: Duration) {
        let until = self.network.now() + time;
        while self.network.now() < until {
            self.turn();
            let now = self.network.now();
            let next = self.network.next_event().filter(|next| *next < until).unwrap_or(until);
            self.network.advance_by((next - now).max(Duration::from_micros(1)));
        }
        // What has begun meanwhile comes to its end.
        for _ in 0..5 {
            self.turn();
            self.network.advance_by(MOMENT / 100);
        }
    }

    fn connect(&mut self, from: &str) -> Peer {
        let bind = Some(format!("{from}:0").parse().unwrap());
        let options = SocketOptions { bind, ..SocketOptions::default() };
        let peer = self.network.connect_with(SERVER.parse::<wharf::Address>().unwrap(), &options);
        self.pass(MOMENT);
        peer
    }

    fn refused(&self) -> u64 {
        self.server.handle().stats().refused_banned
    }
}

#[test]
fn a_ban_ends_at_its_time_on_the_networks_clock() {
    let mut play = Play::new(&[]);
    play.pass(Duration::from_secs(3_600));
    let server = play.server.handle();
    assert_eq!(server.now(), play.network.now());
    let network: IpNet = "10.0.0.4/31".parse().unwrap();
    server.ban(network, Some(server.now() + Duration::from_secs(60))).unwrap();
    play.connect("10.0.0.5");
    let other = play.connect("10.0.0.6");
    assert!(other.is_connected());
    assert_eq!((play.refused(), play.server.handle().sessions()), (1, 1));
    play.pass(Duration::from_secs(60) - 4 * MOMENT);
    play.connect("10.0.0.5");
    assert_eq!((play.refused(), play.server.handle().bans().len()), (2, 1));
    play.pass(2 * MOMENT);
    assert_eq!(play.server.handle().bans(), []);
    let peer = play.connect("10.0.0.5");
    assert!(peer.is_connected());
    assert_eq!((play.refused(), play.server.handle().sessions()), (2, 2));
}

#[test]
fn a_proxy_has_five_seconds_to_say_whose_connection_it_is() {
    let mut play = Play::new(&["10.0.0.9/32"]);
    let mut proxy = play.connect("10.0.0.9");
    proxy.try_write(b"PROXY TCP4 ").expect("room");
    play.pass(Duration::from_secs(5) - 3 * MOMENT);
    assert_eq!(play.server.handle().sessions(), 1);
    play.pass(3 * MOMENT);
    assert_eq!(play.server.handle().sessions(), 0);
    assert_eq!(play.server.handle().close_counts().get("first_frame_late"), 1);
    // In time, it becomes a session, which has all the time in the world.
    let mut proxy = play.connect("10.0.0.9");
    proxy.try_write(b"PROXY TCP4 192.0.2.7 10.0.0.1 ").expect("room");
    play.pass(Duration::from_secs(4));
    proxy.try_write(b"1 2\r\n").expect("room");
    play.pass(Duration::from_secs(600));
    assert_eq!((play.server.handle().sessions(), play.server.handle().stats().accepted), (1, 1));
}
