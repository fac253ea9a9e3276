//! The flags of `wharf top`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use wharf::Address;

use super::values::{Target, number};
use crate::failure::Failure;
use crate::json::JsonTarget;
use crate::top::TopOptions;

/// What --interval takes, in seconds.
const INTERVAL_MIN: f64 = 0.1;
const INTERVAL_MAX: f64 = 60.0;

const HELP: &str = "\
Try it:  wharf serve echo --admin 127.0.0.1:7779
         wharf load echo --duration 60
         wharf top

? in it has the keys. Those that change something of the server ask first.

Each flag can also come from the environment: --admin-token-file as
WHARF_ADMIN_TOKEN_FILE. The command line goes first. NO_COLOR is respected.

Exit code: 0 ended by q or a signal, 1 the terminal could not be used, 2 wrong
arguments, 4 nothing that could be shown was answered at the start.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub(super) struct TopArgs {
    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "Where the server has its admin endpoint (wharf serve --admin): IP:PORT, [IPV6]:PORT, NAME:PORT, \
                unix:/path or unix:@name",
        env = "WHARF_ADMIN",
        hide_env = true,
        value_name = "ADDR",
        default_value = "127.0.0.1:7779"
    )]
    admin: Target,

    /// A file with the token that the endpoint asks for.
    #[arg(long, env = "WHARF_ADMIN_TOKEN_FILE", hide_env = true, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,

    /// How often to ask, in seconds from 0.1 to 60.
    #[arg(
        long,
        env = "WHARF_INTERVAL",
        hide_env = true,
        value_name = "SECS",
        default_value = "1",
        allow_negative_numbers = true,
        value_parser = interval
    )]
    interval: Duration,

    /// How many sessions to ask for at a time, those first that are the first by the chosen column.
    #[arg(
        long,
        env = "WHARF_LIMIT",
        hide_env = true,
        value_name = "N",
        default_value = "200",
        allow_negative_numbers = true,
        value_parser = number(1, 1_000)
    )]
    limit: u64,

    /// Print one picture as plain text and end: two looks at the server, --interval apart.
    #[arg(long, env = "WHARF_ONCE", hide_env = true)]
    once: bool,

    /// With --once: write the picture as JSON; - is the standard output.
    #[arg(long, env = "WHARF_JSON", hide_env = true, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw with ASCII alone.
    #[arg(long, env = "WHARF_ASCII", hide_env = true)]
    ascii: bool,
}

fn interval(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(value) if (INTERVAL_MIN..=INTERVAL_MAX).contains(&value) => {
            Ok(Duration::from_secs_f64(value))
        }
        _ => Err("give seconds from 0.1 to 60, such as 2 or 0.5"),
    }
}

impl TopArgs {
    /// Checks flag against flag, and the address against the system.
    pub(super) fn check(self) -> Result<TopOptions, Failure> {
        if self.json.is_some() && !self.once {
            return Err(Failure::arguments(
                "--json writes one picture, and without --once there are many: give --once",
            ));
        }
        if let Target::Address(Address::Unix(socket)) = &self.admin {
            let is_here = cfg!(target_os = "linux") || (cfg!(unix) && socket.name().is_none());
            if !is_here {
                return Err(Failure::arguments(format_args!(
                    "--admin {}: this system has no such sockets; give IP:PORT, such as 127.0.0.1:7779",
                    self.admin
                )));
            }
        }
        Ok(TopOptions {
            admin: self.admin,
            token_file: self.admin_token_file,
            interval: self.interval,
            limit: self.limit,
            once: self.once,
            json: self.json.map(JsonTarget::from),
            ascii: self.ascii,
        })
    }
}
