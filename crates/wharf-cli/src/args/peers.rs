//! The flags of `wharf serve` that say who may connect.

use clap::Args;
use wharf::IpNet;

use super::values::{Listen, NETWORK_FORMS, network};
use crate::failure::Failure;
use crate::serve::Peers;

#[derive(Debug, Args)]
#[command(next_help_heading = "Peers")]
pub(super) struct PeerArgs {
    /// Take connections from this network alone, an address or ADDRESS/LENGTH; give it again for more.
    #[arg(
        long,
        env = "WHARF_ALLOW",
        hide_env = true,
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    allow: Vec<IpNet>,

    /// Take no connection from this network, which goes before --allow; give it again for more.
    #[arg(
        long,
        env = "WHARF_DENY",
        hide_env = true,
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    deny: Vec<IpNet>,

    /// Connections from this network, or with unix all over Unix sockets, come from proxies, and begin with
    /// a header of the PROXY protocol that says whose they are; give it again for more.
    #[arg(
        long,
        env = "WHARF_PROXY_FROM",
        hide_env = true,
        value_name = "SOURCE",
        value_delimiter = ',',
        value_parser = source
    )]
    proxy_from: Vec<Source>,
}

/// Where proxies may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Source {
    Network(IpNet),
    /// At the other ends of Unix sockets.
    Unix,
}

fn source(text: &str) -> Result<Source, String> {
    match text {
        "unix" => Ok(Source::Unix),
        _ => network(text).map(Source::Network).map_err(|problem| {
            let is_no_network = problem == NETWORK_FORMS;
            if is_no_network { format!("{problem}, or unix") } else { problem }
        }),
    }
}

impl PeerArgs {
    /// What they mean for listeners on these addresses.
    pub(super) fn peers(self, listen: &[Listen]) -> Result<Peers, Failure> {
        let unix_proxies = self.proxy_from.contains(&Source::Unix);
        if unix_proxies && !listen.iter().any(Listen::is_unix) {
            return Err(Failure::arguments(
                "--proxy-from unix is for Unix sockets, and --listen has none: give one, such as \
                 unix:/run/wharf.sock, or leave it out",
            ));
        }
        let network = |source: &Source| match source {
            Source::Network(network) => Some(*network),
            Source::Unix => None,
        };
        let proxies = self.proxy_from.iter().filter_map(network).collect();
        Ok(Peers { allow: self.allow, deny: self.deny, proxies, unix_proxies })
    }
}
