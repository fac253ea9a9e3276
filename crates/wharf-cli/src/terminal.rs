//! The terminal that the standard error stream may be.

#[cfg(unix)]
use std::io::{self, IsTerminal};

/// Takes the cursor's line away (ECMA-48: carriage return, erase in line).
pub(crate) const REMOVE_LINE: &[u8] = b"\r\x1b[2K";

/// Whether there is one that knows how to remove a line.
#[cfg(unix)]
pub(crate) fn is_one() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether there is one that knows how to remove a line: a console of Windows has to be asked to.
#[cfg(windows)]
pub(crate) fn is_one() -> bool {
    console::Term::stderr().features().colors_supported()
}

/// Whether this process is in the foreground of it. A terminal that belongs to nobody is everyone's.
#[cfg(unix)]
pub(crate) fn is_ours() -> bool {
    let owner = rustix::termios::tcgetpgrp(io::stderr());
    owner.map_or(true, |group| group == rustix::process::getpgrp())
}

/// A console of Windows knows no background.
#[cfg(windows)]
pub(crate) const fn is_ours() -> bool {
    true
}

/// How many columns it has.
#[cfg(unix)]
pub(crate) fn width() -> usize {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col.into(),
        _ => 80,
    }
}

/// How many columns it has.
#[cfg(windows)]
pub(crate) fn width() -> usize {
    console::Term::stderr().size().1.into()
}
