//! Where a test takes place: on this machine's loopback, or on a simulated network of its own.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

#[cfg(target_os = "linux")]
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use socket2::Socket;
#[cfg(target_os = "linux")]
use wharf_port::ListenOptions;
use wharf_port::sim::{Network, NetworkOptions, PeerListener, Personality};

use super::unix::of_port;
#[cfg(target_os = "linux")]
use super::unix::{self, is_unix, to_port};
use super::{LIMIT, Peer};

/// The networks of the tests that run, by their hosts, so that an address is all that a peer needs.
static NETWORKS: Mutex<BTreeMap<IpAddr, Network>> = Mutex::new(BTreeMap::new());
/// Hosts that have been given out.
static HOSTS: AtomicU32 = AtomicU32::new(0);

fn networks() -> MutexGuard<'static, BTreeMap<IpAddr, Network>> {
    NETWORKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The simulated network that has a host; `None` is the system's.
pub(crate) fn network_of(host: IpAddr) -> Option<Network> {
    networks().get(&host).cloned()
}

/// The hosts that a test listens on and connects to.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    v4: Ipv4Addr,
    v6: Ipv6Addr,
    network: Option<Network>,
}

/// A listener that is no port's.
#[derive(Debug)]
pub(crate) enum Outside {
    System(Socket),
    Simulated(PeerListener),
}

impl Place {
    pub(crate) const LOOPBACK: Self =
        Self { v4: Ipv4Addr::LOCALHOST, v6: Ipv6Addr::LOCALHOST, network: None };

    /// A network on which nobody else is.
    pub(crate) fn simulated(options: NetworkOptions) -> Self {
        let network = Network::new(options);
        let [_, a, b, c] = (HOSTS.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes();
        let v4 = Ipv4Addr::new(10, a, b, c);
        let v6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, u16::from(a), u16::from_be_bytes([b, c]));
        let hosts: [IpAddr; 2] = [v4.into(), v6.into()];
        networks().extend(hosts.map(|host| (host, network.clone())));
        Self { v4, v6, network: Some(network) }
    }

    /// Forgets a network at the end of its test.
    pub(crate) fn leave(&self) {
        let hosts: [IpAddr; 2] = [self.v4.into(), self.v6.into()];
        networks().retain(|host, _| !hosts.contains(host));
    }

    /// Unix sockets under names of this test's own.
    #[cfg(target_os = "linux")]
    pub(crate) fn unix() -> Self {
        let [_, _, a, b] = (HOSTS.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes();
        let v4 = Ipv4Addr::new(unix::HOSTS[0], unix::HOSTS[1], a, b);
        Self { v4, ..Self::LOOPBACK }
    }

    pub(crate) const fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    pub(crate) const fn is_simulated(&self) -> bool {
        self.network.is_some()
    }

    /// Any port of the host's IPv4 address.
    pub(crate) fn v4(&self) -> SocketAddr {
        (self.v4, 0).into()
    }

    /// Any port of the host's IPv6 address; `None` on a machine that has none.
    pub(crate) fn v6(&self) -> Option<SocketAddr> {
        let address = SocketAddr::from((self.v6, 0));
        (self.is_simulated() || TcpListener::bind(address).is_ok()).then_some(address)
    }

    /// An IPv4 address of this host on whose ports no other test listens.
    pub(crate) const fn own_v4(&self) -> Ipv4Addr {
        if self.is_simulated() { self.v4 } else { Ipv4Addr::new(127, 66, 12, 1) }
    }

    /// An address where nobody listens.
    pub(crate) fn nobody(&self) -> SocketAddr {
        (self.v4, 1).into()
    }

    /// A listener that is no port's, for a port that connects.
    pub(crate) fn outside(&self, address: SocketAddr) -> (Outside, SocketAddr) {
        match self.network() {
            Some(network) => {
                let listener = network.listen(address).unwrap();
                let address = of_port(&listener.address());
                (Outside::Simulated(listener), address)
            }
            #[cfg(target_os = "linux")]
            None if is_unix(address) => {
                let address = to_port(address);
                (Outside::System(unix::listening(&address, 4096)), of_port(&address))
            }
            None => Outside::system(TcpListener::bind(address).unwrap()),
        }
    }

    /// The same with a queue of as few as there can be.
    #[cfg(target_os = "linux")]
    pub(crate) fn outside_with_short_queue(&self) -> (Outside, SocketAddr) {
        if let Some(network) = self.network() {
            let options = ListenOptions { backlog: 1, ..ListenOptions::default() };
            let listener = network.listen_with(self.v4(), &options).unwrap();
            let address = of_port(&listener.address());
            return (Outside::Simulated(listener), address);
        }
        if is_unix(self.v4()) {
            let address = to_port(self.v4());
            return (Outside::System(unix::listening(&address, 0)), of_port(&address));
        }
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &self.v4()).unwrap();
        listen(&socket, 0).unwrap();
        Outside::system(TcpListener::from(socket))
    }

    /// Whether bytes that arrived before a reset can still be read. Windows throws them away.
    pub(crate) fn bytes_outlive_a_reset(&self) -> bool {
        match &self.network {
            Some(network) => network.personality() != Personality::Iocp,
            None => cfg!(not(windows)),
        }
    }
}

impl Outside {
    fn system(listener: TcpListener) -> (Self, SocketAddr) {
        let address = listener.local_addr().unwrap();
        (Self::System(listener.into()), address)
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> Peer {
        match self {
            Self::System(listener) => {
                let (socket, _) = listener.accept().expect("a connection that is there");
                Peer::of(socket)
            }
            Self::Simulated(listener) => listener.accept().expect("a connection that comes").into(),
        }
    }
}

/// Waits until nothing is on its way on a network. What takes longer than the horizon is no delivery
/// but another try to connect.
pub(crate) fn settle(network: &Network) {
    const HORIZON: Duration = Duration::from_millis(100);
    assert!(network.settle(HORIZON, LIMIT), "the network does not come to rest");
}
