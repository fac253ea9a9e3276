//! The flags of `wharf serve` that open its admin endpoint.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use wharf::{Address, AddressError};

use crate::failure::Failure;
use crate::serve::AdminPlace;

#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "IP:PORT, [IPV6]:PORT or unix:/PATH where metrics, health and sessions are told and the server is \
                drained over HTTP, where port 0 is any that is free, and a file is for its owner alone; an \
                address that is not loopback needs --admin-token-file",
        env = "WHARF_ADMIN",
        hide_env = true,
        value_name = "ADDR",
        value_parser = address
    )]
    admin: Option<Address>,

    /// A file with the token that every request to --admin must bring: 16 bytes or more, visible ASCII.
    #[arg(long, env = "WHARF_ADMIN_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,

    /// With --admin: a name that requests may ask by, besides localhost; give it again for more.
    #[arg(
        long,
        env = "WHARF_ADMIN_HOST",
        hide_env = true,
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = host
    )]
    admin_host: Vec<String>,
}

/// No name: who may ask must not hang on what a resolver says.
fn address(text: &str) -> Result<Address, String> {
    text.trim().parse().map_err(|error| match error {
        AddressError::Unknown(_) => {
            "give IP:PORT, [IPV6]:PORT or unix:/PATH, such as 127.0.0.1:7779".to_owned()
        }
        of_unix_sockets => of_unix_sockets.to_string(),
    })
}

/// A name as it stands in a `Host`, without the port.
fn host(text: &str) -> Result<String, String> {
    /// The longest name that there is (RFC 1035).
    const BYTES_MAX: usize = 253;
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_right);
    let is_name = text.len() <= BYTES_MAX && text.split('.').all(is_label);
    if is_name && text.parse::<IpAddr>().is_err() {
        Ok(text.to_owned())
    } else {
        Err("give a name without a port, such as wharf.example".to_owned())
    }
}

impl AdminArgs {
    /// Where the endpoint is to be, if there is to be one. The file of the token is not looked at.
    pub(super) fn place(self) -> Result<Option<AdminPlace>, Failure> {
        match (self.admin, self.admin_token_file) {
            (Some(Address::Tcp(listen)), None) if !listen.ip().is_loopback() => {
                Err(Failure::arguments(format_args!(
                    "--admin {listen} is no loopback address, and whoever reaches it could end the server: give \
                     --admin-token-file, or an address such as 127.0.0.1:{}",
                    listen.port(),
                )))
            }
            (Some(Address::Unix(listen)), None) if listen.path_bytes().is_none() => {
                Err(Failure::arguments(format_args!(
                    "--admin {listen} has no file with permissions, and every user of this machine could end the \
                     server: give --admin-token-file, or a path such as unix:/run/wharf/admin.sock"
                )))
            }
            (Some(listen), token_file) => {
                Ok(Some(AdminPlace { listen, token_file, hosts: self.admin_host }))
            }
            (None, Some(_)) => Err(Failure::arguments(
                "--admin-token-file is for the endpoint of --admin, and there is none: give one, such \
                 as 127.0.0.1:7779, or leave it out",
            )),
            (None, None) => match self.admin_host.first() {
                Some(host) => Err(Failure::arguments(format_args!(
                    "--admin-host {host} is for the endpoint of --admin, and there is none: give one, such as \
                     127.0.0.1:7779, or leave it out"
                ))),
                None => Ok(None),
            },
        }
    }
}
