//! A port without a kernel, for models of what crosses threads (`--cfg loom`): it sleeps and is woken
//! by the code of [`CompletionPort`](crate::CompletionPort), and has nothing else.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::waker::{Signal, Waker};

/// What a notifier is to a port that waits: whether a notification has come that no wait has reported.
/// Relaxed, since nothing is promised of what a descriptor's edge makes visible.
#[derive(Debug, Default)]
pub(crate) struct Edge(AtomicBool);

impl Edge {
    pub(crate) fn rise(&self) {
        self.0.swap(true, Ordering::Relaxed);
    }

    /// Blocks until a notification has come. One that never comes leaves this loop turning, which loom
    /// reports.
    fn fall(&self) {
        while !self.0.swap(false, Ordering::Relaxed) {
            thread::yield_now();
        }
    }
}

/// A port that can do nothing but wait.
#[derive(Debug)]
pub struct ModelledPort {
    waker: Waker,
    edge: Arc<Edge>,
}

/// What ends a wait that blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// A notification.
    Notified,
    /// Something else is finished: a timer, for example.
    Otherwise,
}

impl Default for ModelledPort {
    fn default() -> Self {
        let edge = Arc::<Edge>::default();
        Self { waker: Waker::new(Signal::Modelled(Arc::clone(&edge))), edge }
    }
}

impl ModelledPort {
    /// A handle that wakes this port from any thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// One wait; true if the port was woken.
    pub fn wait(&self, until: Until) -> bool {
        let ((), woken) = self.waker.sleep(true, |blocks| {
            if blocks && until == Until::Notified {
                self.edge.fall();
            }
        });
        woken
    }
}
