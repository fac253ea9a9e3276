//! The flags of the mode that is about a chat.

use clap::{ArgAction, Args};

use super::messages::LoadArgs;
use crate::args::Given;
use crate::args::values::switch;
use crate::failure::Failure;
use crate::load::ChatOptions;

#[derive(Debug, Args)]
pub(in crate::args) struct ChatArgs {
    #[command(flatten)]
    load: LoadArgs,

    /// Whether the server sends to the session that sends, too, on or off.
    #[arg(
        long,
        env = "WHARF_ECHO_TO_SENDER",
        value_name = "SWITCH",
        action = ArgAction::Set,
        default_value = "on",
        value_parser = switch
    )]
    echo_to_sender: bool,
}

impl ChatArgs {
    pub(in crate::args) fn check(self, given: &Given<'_>) -> Result<ChatOptions, Failure> {
        let load = self.load.check(given)?;
        if !self.echo_to_sender && load.sessions < 2 {
            return Err(Failure::arguments(
                "--echo-to-sender off leaves nobody who gets anything: give --sessions 2 or more",
            ));
        }
        Ok(ChatOptions { load, echo_to_sender: self.echo_to_sender })
    }
}
