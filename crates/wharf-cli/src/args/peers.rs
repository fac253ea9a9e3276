//! The flags of `wharf serve` that say who may connect.

use clap::Args;
use wharf::IpNet;

use super::values::network;
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

    /// Connections from this network come from proxies, and begin with a header of the PROXY protocol
    /// that says whose they are; give it again for more.
    #[arg(
        long,
        env = "WHARF_PROXY_FROM",
        hide_env = true,
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    proxy_from: Vec<IpNet>,
}

impl PeerArgs {
    pub(super) fn peers(self) -> Peers {
        Peers { allow: self.allow, deny: self.deny, proxies: self.proxy_from }
    }
}
