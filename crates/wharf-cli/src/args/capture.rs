//! The flags of `wharf serve` that have sessions captured.

use std::path::PathBuf;

use clap::Args;
use wharf::IpNet;
use wharf::capture::{CaptureOptions, Chosen};
use wharf_capture::Recording;

use super::values::{Bytes, bytes, network, number};
use crate::failure::Failure;
use crate::serve::CapturePlace;

#[derive(Debug, Args)]
#[command(next_help_heading = "Capture")]
pub(super) struct CaptureArgs {
    /// Keep what sessions receive and send, and write it to this file when the server has ended, for wharf
    /// replay.
    #[arg(long, env = "WHARF_CAPTURE", hide_env = true, value_name = "FILE")]
    capture: Option<PathBuf>,

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

    /// With --capture: what is kept of a session, its last frames; 1KiB to 1024MiB.
    #[arg(
        long,
        env = "WHARF_CAPTURE_BYTES",
        hide_env = true,
        value_name = "BYTES",
        default_value = "1MiB",
        value_parser = bytes(1 << 10, 1 << 30)
    )]
    capture_bytes: u64,

    /// With --capture: how many sessions are kept, the last that ended among them; together with
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

impl CaptureArgs {
    /// What is captured, and where that goes, if anything is.
    pub(super) fn place(self) -> Result<Option<CapturePlace>, Failure> {
        let Some(path) = self.capture else {
            return match self.capture_peer.first() {
                Some(peer) => Err(Failure::arguments(format_args!(
                    "--capture-peer {peer} is for --capture, and there is none: give a file, or leave it out"
                ))),
                None => Ok(None),
            };
        };
        let kept = self.capture_bytes.saturating_mul(self.capture_sessions);
        if kept > Recording::KEPT_BYTES_MAX {
            return Err(Failure::arguments(format_args!(
                "--capture-bytes {} for --capture-sessions {} may come to more than {}, of which a file could be too \
                 long for wharf replay: lower one of them",
                Bytes(self.capture_bytes),
                self.capture_sessions,
                Bytes(Recording::KEPT_BYTES_MAX),
            )));
        }
        let mut options = CaptureOptions::default();
        if !self.capture_peer.is_empty() {
            options.chosen = Chosen::From(self.capture_peer);
        }
        options.session_bytes_max = super::serve::size(self.capture_bytes);
        options.sessions_max = super::serve::size(self.capture_sessions);
        Ok(Some(CapturePlace { path, options }))
    }
}
