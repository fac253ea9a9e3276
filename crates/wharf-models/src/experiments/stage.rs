//! What the simulated experiments begin with: a network from a seed, a server's completion port, and its clients.

use std::net::SocketAddr;

use wharf_port::sim::{Network, NetworkOptions, Peer, Personality};
use wharf_port::{Backend, Completion, CompletionPort, ListenOptions, PortOptions};

/// A network with a server's port on it. Everything on it follows from the seed.
pub(super) struct Stage {
    pub(super) network: Network,
    pub(super) port: CompletionPort,
    pub(super) address: SocketAddr,
}

impl Stage {
    /// A network as Windows has it, without faults: what goes wrong here goes wrong on a good day.
    ///
    /// # Errors
    /// What the port says, if it cannot be opened.
    pub(super) fn new(seed: u64) -> Result<Self, String> {
        let personality = Personality::Iocp;
        let network =
            Network::new(NetworkOptions { seed, personality, ..NetworkOptions::default() });
        let simulated = Some(network.clone());
        let options = PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
        let mut port = CompletionPort::open(&options).map_err(|error| error.to_string())?;
        let address = SocketAddr::from(([10, 0, 0, 1], 7777));
        port.listen(address, &ListenOptions::default()).map_err(|error| error.to_string())?;
        Ok(Self { network, port, address })
    }

    /// A number below `count`, by chance.
    pub(super) fn pick(&self, count: usize) -> usize {
        usize::try_from(self.network.random() % count as u64).unwrap_or(0)
    }

    /// A client that begins to connect.
    pub(super) fn connect(&self) -> Peer {
        self.network.connect(self.address)
    }

    /// Has the kernel do what is due, and moves the clock if nothing is: what has finished.
    ///
    /// # Errors
    /// What the port says.
    pub(super) fn turn(&mut self) -> Result<Vec<Completion>, String> {
        let now = self.port.now();
        self.port.wait(Some(now)).map_err(|error| error.to_string())?;
        let completions: Vec<Completion> = std::iter::from_fn(|| self.port.take()).collect();
        if completions.is_empty() {
            self.network.advance();
        }
        Ok(completions)
    }
}

/// How a run ended that broke: at which step, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) step: usize,
    pub(super) story: Vec<String>,
}

/// Runs seeds from 0 on: how many broke, and the first of them.
pub(super) fn broken_of(
    seeds: u64,
    run: impl Fn(u64) -> Result<(), Broken>,
) -> (usize, Option<(u64, Broken)>) {
    let broken: Vec<(u64, Broken)> =
        (0..seeds).filter_map(|seed| run(seed).err().map(|broken| (seed, broken))).collect();
    (broken.len(), broken.into_iter().next())
}
