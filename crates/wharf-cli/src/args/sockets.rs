//! The flags of `wharf serve` that set up sockets.

use std::time::Duration;

use clap::{ArgAction, Args};
use wharf::{Keepalive, ListenOptions, SocketOptions};

use super::values::{KIB, Listen, OrOff, bytes, mode, number, or_off, seconds, switch};
use crate::failure::Failure;

/// The longest time that Linux takes for what was sent: 24 days.
const USER_TIMEOUT_SECONDS_MAX: u32 = 24 * 24 * 60 * 60;

#[derive(Debug, Args)]
#[command(next_help_heading = "Sockets")]
pub(super) struct SocketArgs {
    /// Whether an IPv6 address takes IPv4 as well, on or off.
    #[arg(
        long,
        env = "WHARF_DUAL_STACK",
        hide_env = true,
        value_name = "SWITCH",
        default_value = "off",
        action = ArgAction::Set,
        value_parser = switch
    )]
    dual_stack: bool,

    /// The permissions of the file of a Unix socket, in octal, or off, which is what the mask of the process
    /// leaves; who is to connect needs the right to write.
    #[arg(
        long,
        env = "WHARF_UNIX_MODE",
        hide_env = true,
        value_name = "MODE",
        default_value = "off",
        value_parser = or_off(mode)
    )]
    unix_mode: OrOff<u32>,

    /// Connections that may wait to be accepted; the system may allow fewer.
    #[arg(
        long,
        env = "WHARF_BACKLOG",
        hide_env = true,
        value_name = "N",
        default_value = "4096",
        value_parser = number(1, 65_535)
    )]
    backlog: u64,

    /// How long a connection may be silent before the system asks whether its peer is still there, in
    /// whole seconds, or off.
    #[arg(
        long,
        env = "WHARF_KEEPALIVE",
        hide_env = true,
        value_name = "SECS",
        default_value = "off",
        value_parser = or_off(number(1, 32_767))
    )]
    keepalive: OrOff<u64>,

    /// With --keepalive: how long until the system asks again, in whole seconds.
    #[arg(
        long,
        env = "WHARF_KEEPALIVE_INTERVAL",
        hide_env = true,
        value_name = "SECS",
        default_value = "10",
        value_parser = number(1, 32_767)
    )]
    keepalive_interval: u64,

    /// With --keepalive: how often the system asks in vain before the connection is gone.
    #[arg(
        long,
        env = "WHARF_KEEPALIVE_PROBES",
        hide_env = true,
        value_name = "N",
        default_value = "3",
        value_parser = number(1, 127)
    )]
    keepalive_probes: u64,

    /// How long what was sent may stay unconfirmed before the connection is gone, in seconds, or off,
    /// which is the system's own time (Linux).
    #[arg(
        long,
        env = "WHARF_USER_TIMEOUT",
        hide_env = true,
        value_name = "SECS",
        default_value = "off",
        value_parser = or_off(seconds(USER_TIMEOUT_SECONDS_MAX))
    )]
    user_timeout: OrOff<Duration>,

    /// The system's send buffer of a session, or off, which is the system's own sizing.
    #[arg(
        long,
        env = "WHARF_SEND_BUFFER",
        hide_env = true,
        value_name = "BYTES",
        default_value = "off",
        value_parser = or_off(bytes(KIB, 1 << 30))
    )]
    send_buffer: OrOff<u64>,

    /// The system's receive buffer of a session, or off, which is the system's own sizing.
    #[arg(
        long,
        env = "WHARF_RECEIVE_BUFFER",
        hide_env = true,
        value_name = "BYTES",
        default_value = "off",
        value_parser = or_off(bytes(KIB, 1 << 30))
    )]
    receive_buffer: OrOff<u64>,
}

impl SocketArgs {
    /// What they mean for listeners on these addresses.
    pub(super) fn listen_options(
        &self,
        listen: &[Listen],
        unsent_max: OrOff<u64>,
    ) -> Result<ListenOptions, Failure> {
        if self.dual_stack && !listen.iter().any(Listen::may_be_ipv6) {
            return Err(Failure::arguments(
                "--dual-stack is for IPv6 addresses, and --listen has none: give one, such as \
                 [::]:7777, or leave --dual-stack out",
            ));
        }
        let unix_mode = self.unix_mode.on();
        if unix_mode.is_some() && !listen.iter().any(Listen::is_file) {
            return Err(Failure::arguments(
                "--unix-mode is for the files of Unix sockets, and --listen has none: give one, such as \
                 unix:/run/wharf.sock, or leave --unix-mode out",
            ));
        }
        let keepalive = self.keepalive.on().map(|idle| Keepalive {
            idle: Duration::from_secs(idle),
            interval: Duration::from_secs(self.keepalive_interval),
            probes: small(self.keepalive_probes),
        });
        Ok(ListenOptions {
            backlog: small(self.backlog),
            dual_stack: self.dual_stack,
            unix_mode,
            accepted: SocketOptions {
                keepalive,
                user_timeout: self.user_timeout.on(),
                send_buffer_bytes: self.send_buffer.on().map(small),
                unsent_bytes_max: unsent_max.on().map(small),
                receive_buffer_bytes: self.receive_buffer.on().map(small),
                ..SocketOptions::default()
            },
        })
    }
}

/// A value whose parser keeps it small.
fn small(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
