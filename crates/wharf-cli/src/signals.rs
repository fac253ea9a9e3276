//! What the process is told from outside.

use std::io;

/// What a signal wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    /// The program is to end: `SIGINT` (Ctrl-C) or `SIGTERM`.
    End,
    /// The terminal is gone: `SIGHUP`. The shell and the kernel may both say so.
    HangUp,
}

/// Calls `tell` for every signal from here on, in a thread of its own.
#[cfg(unix)]
pub(crate) fn forward(tell: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    if !is_hang_up_ignored() {
        signals.add_signal(SIGHUP)?;
    }
    let body = move || {
        for signal in signals.forever() {
            tell(if signal == SIGHUP { Signal::HangUp } else { Signal::End });
        }
    };
    std::thread::Builder::new().name("wharf-signals".to_owned()).spawn(body)?;
    Ok(())
}

/// Whether the process was started to outlive its terminal (`nohup`). Only Linux tells without `unsafe`.
#[cfg(unix)]
fn is_hang_up_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status))
}

/// Reads the mask of ignored signals, in hexadecimal; `SIGHUP` is the first.
#[cfg(unix)]
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_hang_up_is_the_first_bit_of_the_mask() {
        let status =
            |mask: &str| format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0\n");
        assert!(ignores_hang_up(&status("0000000000001001")));
        assert!(!ignores_hang_up(&status("0000000000001000")));
        assert!(!ignores_hang_up("nothing of the kind"));
    }
}
