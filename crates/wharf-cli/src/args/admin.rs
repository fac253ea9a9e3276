//! The flags of `wharf serve` that open its admin endpoint.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::serve::AdminPlace;

#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "IP:PORT or [IPV6]:PORT where metrics, health and sessions are told and the server is \
                drained over HTTP, where port 0 is any that is free; one that is not loopback needs \
                --admin-token-file",
        env = "WHARF_ADMIN",
        hide_env = true,
        value_name = "ADDR",
        value_parser = ip_and_port
    )]
    admin: Option<SocketAddr>,

    /// A file with the token that every request to --admin must bring: 16 bytes or more, visible ASCII.
    #[arg(long, env = "WHARF_ADMIN_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

/// No name: who may ask must not hang on what a resolver says.
fn ip_and_port(text: &str) -> Result<SocketAddr, &'static str> {
    text.trim().parse().map_err(|_| "give IP:PORT or [IPV6]:PORT, such as 127.0.0.1:7779")
}

impl AdminArgs {
    /// Where the endpoint is to be, if there is to be one. The file of the token is not looked at.
    pub(super) fn place(self) -> Result<Option<AdminPlace>, Failure> {
        match (self.admin, self.admin_token_file) {
            (Some(listen), None) if !listen.ip().is_loopback() => {
                Err(Failure::arguments(format_args!(
                    "--admin {listen} is no loopback address, and whoever reaches it could end the server: give \
                     --admin-token-file, or an address such as 127.0.0.1:{}",
                    listen.port(),
                )))
            }
            (Some(listen), token_file) => Ok(Some(AdminPlace { listen, token_file })),
            (None, Some(_)) => Err(Failure::arguments(
                "--admin-token-file is for the endpoint of --admin, and there is none: give one, such \
                 as 127.0.0.1:7779, or leave it out",
            )),
            (None, None) => Ok(None),
        }
    }
}
