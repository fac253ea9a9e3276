//! The flags of `wharf serve` that have sessions captured.

use std::path::PathBuf;

use clap::Args;
use wharf::capture::{CaptureOptions, Chosen};
use wharf::{Framing, IpNet};
use wharf_capture::Recording;

use super::values::{Bytes, bytes, network, number};
use crate::failure::Failure;
use crate::serve::{AdminPlace, CapturePlace, Redaction};

#[derive(Debug, Args)]
#[command(next_help_heading = "Capture")]
pub(super) struct CaptureArgs {
    /// Keep what sessions receive and send, and write it to this file when the server has ended, for wharf
    /// replay.
    #[arg(long, env = "WHARF_CAPTURE", hide_env = true, value_name = "FILE")]
    capture: Option<PathBuf>,

    /// Who is captured from the beginning: all, or none, but those that are asked for at --admin, which has to have
    /// a token or to be a file; --capture may be left out then.
    #[arg(
        long,
        env = "WHARF_CAPTURE_CHOSEN",
        hide_env = true,
        value_name = "CHOICE",
        default_value = "all",
        value_parser = choice
    )]
    capture_chosen: Choice,

    /// With --capture: keep sessions from this network alone, an address or ADDRESS/LENGTH; give it again for
    /// more.
    #[arg(
        long,
        env = "WHARF_CAPTURE_PEER",
        hide_env = true,
        value_name = "NETWORK",
        value_delimiter = ',',
        value_parser = network
    )]
    capture_peer: Vec<IpNet>,

    // rustdoc would look for a link in the brackets.
    #[arg(
        long,
        help = "Of captures: what is kept as asterisks, as many as it has bytes: payloads (all of each) or \
                matches:REGEX (what it matches within a frame; bytes, not characters; not with raw), or off",
        env = "WHARF_CAPTURE_REDACT",
        hide_env = true,
        value_name = "REDACTION",
        default_value = "off"
    )]
    capture_redact: Redaction,

    /// Of captures: what is kept of a session, its last frames; 1KiB to 1024MiB.
    #[arg(
        long,
        env = "WHARF_CAPTURE_BYTES",
        hide_env = true,
        value_name = "BYTES",
        default_value = "1MiB",
        value_parser = bytes(1 << 10, 1 << 30)
    )]
    capture_bytes: u64,

    /// Of captures: how many sessions are kept, the last that ended among them; with --capture together with
    /// --capture-bytes up to 2048MiB.
    #[arg(
        long,
        env = "WHARF_CAPTURE_SESSIONS",
        hide_env = true,
        value_name = "N",
        default_value = "256",
        allow_negative_numbers = true,
        value_parser = number(1, 65_536)
    )]
    capture_sessions: u64,
}

/// Who is captured from the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    All,
    None,
}

fn choice(text: &str) -> Result<Choice, &'static str> {
    match text {
        "all" => Ok(Choice::All),
        "none" => Ok(Choice::None),
        _ => Err("give all or none"),
    }
}

impl CaptureArgs {
    /// What is captured, and where that goes, if anything may be; `admin` is where sessions can be asked for.
    pub(super) fn place(
        self,
        admin: Option<&AdminPlace>,
        framing: &Framing,
    ) -> Result<Option<CapturePlace>, Failure> {
        let chosen = match self.capture_chosen {
            Choice::None => self.none(admin)?,
            Choice::All if self.capture.is_none() => return self.nothing(),
            Choice::All if self.capture_peer.is_empty() => Chosen::All,
            Choice::All => Chosen::From(self.capture_peer.clone()),
        };
        if self.capture.is_some() {
            self.check_length()?;
        }
        if self.capture_redact.needs_frames() && !framing.has_frames() {
            return Err(Failure::arguments(format_args!(
                "--capture-redact {} may miss what comes in two pieces, and --framing {framing} has no frames: give \
                 payloads, or another framing",
                self.capture_redact,
            )));
        }
        let mut options = CaptureOptions::default();
        options.chosen = chosen;
        options.session_bytes_max = super::serve::size(self.capture_bytes);
        options.sessions_max = super::serve::size(self.capture_sessions);
        let options = self.capture_redact.set(options);
        Ok(Some(CapturePlace { path: self.capture, options }))
    }

    /// Nobody is captured, and nobody can be.
    fn nothing(&self) -> Result<Option<CapturePlace>, Failure> {
        let flag = match self.capture_peer.first() {
            Some(peer) => format!("--capture-peer {peer}"),
            None if self.capture_redact.is_on() => {
                format!("--capture-redact {}", self.capture_redact)
            }
            None => return Ok(None),
        };
        Err(Failure::arguments(format_args!(
            "{flag} is for --capture, and there is none: give a file, or leave it out"
        )))
    }

    /// Nobody is captured who is not asked for, which somebody has to be able to do.
    fn none(&self, admin: Option<&AdminPlace>) -> Result<Chosen, Failure> {
        const GIVE: &str =
            "give --admin-token-file, or --admin at a path such as unix:/run/wharf/admin.sock";
        if let Some(peer) = self.capture_peer.first() {
            return Err(Failure::arguments(format_args!(
                "--capture-peer {peer} is captured from the beginning, and with --capture-chosen none nobody is: \
                 leave one of them out"
            )));
        }
        match admin {
            Some(admin) if admin.is_private() => Ok(Chosen::None),
            Some(admin) => Err(Failure::arguments(format_args!(
                "--capture-chosen none is for sessions that are asked for at --admin {}, where every user of this \
                 machine could read what people say, so that none is given: {GIVE}",
                admin.listen,
            ))),
            None => Err(Failure::arguments(format_args!(
                "--capture-chosen none is for sessions that are asked for at --admin, and there is none: give one, \
                 and with it --admin-token-file, or a path such as unix:/run/wharf/admin.sock"
            ))),
        }
    }

    /// Every file can be read again.
    fn check_length(&self) -> Result<(), Failure> {
        let kept = self.capture_bytes.saturating_mul(self.capture_sessions);
        if kept <= Recording::KEPT_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::arguments(format_args!(
            "--capture-bytes {} for --capture-sessions {} may come to more than {}, of which a file could be too \
             long for wharf replay: lower one of them",
            Bytes(self.capture_bytes),
            self.capture_sessions,
            Bytes(Recording::KEPT_BYTES_MAX),
        )))
    }
}
