//! `wharf top`: a running server on a terminal, made of what its admin endpoint answers.

mod answers;
mod asker;
mod change;
mod client;
mod columns;
mod keys;
mod once;
mod options;
mod picture;
mod run;
mod sample;
mod screen;
mod spread;
mod state;
mod text;
mod view;

use client::{AskError, Client};
pub(crate) use options::TopOptions;
use state::State;

use crate::failure::{Exit, Failure};

/// Runs `wharf top` until somebody quits, or once.
pub(crate) fn top(options: &TopOptions) -> Result<(), Failure> {
    let client = Client::new(options)?;
    let admin = options.admin.to_string();
    let state = State::new(admin, options.interval, options.limit, options.ascii);
    if options.once { once::run(options, client, state) } else { run::run(options, client, state) }
}

/// The endpoint has nothing that could be shown.
fn no_picture(options: &TopOptions, error: &AskError) -> Failure {
    let advice = match error {
        AskError::Connect(_) | AskError::Broken(_) => {
            "is a server there that was started with --admin?"
        }
        AskError::Late => "is this the admin endpoint of wharf?",
        AskError::Refused(status, _) => match status.as_u16() {
            401 => "give the file with its token as --admin-token-file",
            421 => "it does not know that name: give its address, or start it with --admin-host",
            404 => "is this the admin endpoint of a wharf of this age?",
            _ => "ask the server's log",
        },
        AskError::Unreadable(..) => "give the address that the server has for --admin",
    };
    let admin = &options.admin;
    Failure::new(
        Exit::NotConnected,
        format_args!("no picture of --admin {admin}: {error}; {advice}"),
    )
}
