//! Bans and headers of proxies on a simulated network, where each ends when it should and not before.

use std::time::Duration;

use wharf::sim::{Network, Peer};
use wharf::{Backend, IpNet};

use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::simulated::{self, Simulated};

/// Longer than anything takes on the network.
const MOMENT: Duration = Duration::from_millis(100);

struct Play {
    network: Network,
    server: Simulated<Echo>,
}

impl Play {
    fn new(proxies: &[&str]) -> Self {
        let network = Network::new(simulated::network(11));
        let limits = Setup::new(Backend::Sim).limits;
        let server = simulated::start(&network, limits, proxies, |_| Echo);
        Self { network, server }
    }

    fn turn(&mut self) {
        simulated::turn(&mut self.server, &self.network);
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
        let peer = simulated::connect(&self.network, from);
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
