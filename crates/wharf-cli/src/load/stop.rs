//! A run that is ended early, by Ctrl-C or what else asks the program to end.
//!
//! The first signal ends the measured window. What is on its way is waited for as at the normal end, and the result
//! is written. The second one ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wharf_port::{CompletionPort, Waker};

use crate::failure::{Exit, Failure};
use crate::signals::{self, Signal};

/// Whether a run is to end early.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    is_asked: Arc<AtomicBool>,
    waker: Waker,
}

impl Stop {
    /// Nobody asks for it yet, and signals do as they always do. `port` is woken when somebody does.
    pub(super) fn new(port: &CompletionPort) -> Self {
        Self { is_asked: Arc::new(AtomicBool::new(false)), waker: port.waker() }
    }

    /// Hears of signals from here on. Before there is anything to measure they may just end the process.
    pub(super) fn listen(&self) -> Result<(), Failure> {
        let Self { is_asked, waker } = self.clone();
        signals::forward(move |signal| {
            // A closing terminal may say so twice, and more than Ctrl-C.
            if is_asked.swap(true, Ordering::AcqRel) && signal == Signal::End {
                std::process::exit(Exit::Failed as i32);
            }
            waker.wake();
        })
        .map_err(Failure::no_thread)
    }

    pub(super) fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Acquire)
    }
}
