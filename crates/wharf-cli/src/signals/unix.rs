//! Signals: `SIGINT` (Ctrl-C) and `SIGTERM` end the program, `SIGHUP` says that its terminal is gone.

use std::io;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Signal;

/// Calls `tell` for every signal from here on, in a thread of its own.
pub(crate) fn forward(tell: impl Fn(Signal) + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
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
fn is_hang_up_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status))
}

/// Reads the mask of ignored signals, in hexadecimal; `SIGHUP` is the first.
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
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
