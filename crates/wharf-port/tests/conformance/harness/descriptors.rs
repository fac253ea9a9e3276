//! The descriptors that the process of the port may open.

use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wharf_port::sim::Network;

use super::place::Place;

/// Descriptors that a test has taken, so that the port finds none; all are given back at its end.
pub(crate) enum Taken {
    System(Vec<File>),
    Simulated(Network),
}

impl Place {
    /// Has the process open few descriptors, so that it is no work to take them all. Before the first
    /// wait, since a kernel may look at the limit when an accept starts and not when it ends.
    pub(crate) fn limit_descriptors(&self) {
        if !self.is_simulated() {
            let limit = Rlimit { current: Some(256), maximum: getrlimit(Resource::Nofile).maximum };
            setrlimit(Resource::Nofile, limit).unwrap();
        }
    }

    /// Takes every descriptor that is left.
    pub(crate) fn take_all_descriptors(&self) -> Taken {
        match self.network() {
            Some(network) => {
                network.set_descriptors_max(network.descriptors());
                Taken::Simulated(network.clone())
            }
            None => Taken::System(std::iter::from_fn(|| File::open("/dev/null").ok()).collect()),
        }
    }

    /// Descriptors that are open.
    pub(crate) fn descriptors(&self) -> usize {
        match self.network() {
            Some(network) => network.descriptors(),
            None => std::fs::read_dir("/proc/self/fd").unwrap().count(),
        }
    }
}

impl Taken {
    /// Gives one back.
    pub(crate) fn give_back_one(&mut self) {
        match self {
            Self::System(files) => drop(files.pop()),
            Self::Simulated(network) => network.set_descriptors_max(network.descriptors() + 1),
        }
    }

    /// Gives back what a peer needs in this process; a simulated one is in another.
    pub(crate) fn give_back_one_for_a_peer(&mut self) {
        if let Self::System(files) = self {
            files.pop();
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Self::Simulated(network) = self {
            network.set_descriptors_max(usize::MAX);
        }
    }
}
