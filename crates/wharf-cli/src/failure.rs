//! How a command fails: with an exit code that scripts rely on, and one line for people.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Why the program ends with something else than success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    /// `serve` or `proxy` could not start, or `load` found wrong or missing bytes, or no answer after a storm.
    Failed = 1,
    /// The command line makes no sense.
    Arguments = 2,
    /// `serve` ended with queued bytes lost, or was made to end before it had drained.
    Lost = 3,
    /// `load` could not connect all of its sessions, or `top` was answered nothing that it could show.
    NotConnected = 4,
}

/// What its line begins with.
const PREFIX: &str = "wharf: error: ";

/// A failure of a command: what went wrong, why, and what to do, in one line.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, line: impl fmt::Display) -> Self {
        Self { exit, text: format!("{PREFIX}{}\n", shown(&line.to_string())) }
    }

    /// A command line that makes no sense.
    pub(crate) fn arguments(line: impl fmt::Display) -> Self {
        Self::new(Exit::Arguments, line)
    }

    /// No command line at all: the answer is what there is, in as many lines as it takes.
    pub(crate) fn usage(help: impl fmt::Display) -> Self {
        Self { exit: Exit::Arguments, text: help.to_string() }
    }

    /// A thread of the program's own did not start, or has no way to hear of signals.
    pub(crate) fn no_thread(error: io::Error) -> Self {
        Self::new(
            Exit::Failed,
            format_args!(
                "a thread did not start: {error}; raise the limits of threads and descriptors \
                 (ulimit -u, ulimit -n)"
            ),
        )
    }

    /// The same with something more to say at the end of its line.
    pub(crate) fn and(mut self, more: impl FnOnce(&str) -> String) -> Self {
        let line = self.text.trim_end();
        self.text = format!("{line}{}\n", shown(&more(line)));
        self
    }

    /// What it says, as a part of another failure's line.
    pub(crate) fn reason(&self) -> &str {
        self.text.strip_prefix(PREFIX).unwrap_or(&self.text).trim_end()
    }

    /// The exit code and the text.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn parts(&self) -> (Exit, &str) {
        (self.exit, &self.text)
    }

    /// Prints the text to the standard error stream, and turns into the exit code.
    pub(crate) fn report(self) -> ExitCode {
        // Nobody is left to tell if even the standard error stream is gone.
        let _ = write!(io::stderr(), "{}", self.text);
        ExitCode::from(self.exit as u8)
    }
}

/// A text that was put together of what others gave, as one line that no terminal takes for a command.
pub(crate) fn shown(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() {
            line.extend(char.escape_default());
        } else {
            line.push(char);
        }
    }
    line
}

/// Prints to the standard output. Who has stopped reading it (`wharf ... | head`) wants no more, so
/// that is no error, and not the panic that `println!` makes of it.
pub(crate) fn print(text: impl fmt::Display) {
    let mut stdout = io::stdout().lock();
    let _ = write!(stdout, "{text}").and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_is_one_line_and_no_command_to_a_terminal() {
        let failure = Failure::arguments("no '\u{1b}[2J\n\u{9b}é'");
        let line = "wharf: error: no '\\u{1b}[2J\\n\\u{9b}é'\n";
        assert_eq!(failure.parts(), (Exit::Arguments, line));
    }
}
