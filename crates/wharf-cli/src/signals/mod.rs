//! What the process is told from outside.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::forward;
#[cfg(windows)]
pub(crate) use windows::forward;

/// What a signal wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// The program is to end.
    End,
    /// The terminal is gone. More than one may say so.
    HangUp,
}
