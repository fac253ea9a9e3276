//! Holding a worker up: what happens meanwhile meets it all at once when it goes on.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use wharf::{Context, Outcome, Session};

use super::time::PATIENCE;

/// The test's side: knows when a worker stands at the gate, and lets it go on.
#[derive(Debug)]
pub(crate) struct Gate {
    arrivals: Receiver<()>,
    go_on: Sender<()>,
}

/// The callback's side.
#[derive(Clone, Debug)]
pub(crate) struct GatePost {
    arrived: Sender<()>,
    may_go_on: Arc<Mutex<Receiver<()>>>,
}

impl Gate {
    pub(crate) fn new() -> (Self, GatePost) {
        let (arrived, arrivals) = channel();
        let (go_on, may_go_on) = channel();
        let post = GatePost { arrived, may_go_on: Arc::new(Mutex::new(may_go_on)) };
        (Self { arrivals, go_on }, post)
    }

    /// Waits until a callback stands at the gate.
    #[track_caller]
    pub(crate) fn wait_for_arrival(&self) {
        self.arrivals.recv_timeout(PATIENCE).expect("a callback comes to the gate");
    }

    /// Whether one more has come to the gate.
    pub(crate) fn somebody_waits(&self) -> bool {
        self.arrivals.try_recv().is_ok()
    }

    /// Lets one callback go on.
    pub(crate) fn open(&self) {
        self.go_on.send(()).expect("a callback stands at the gate");
    }
}

impl GatePost {
    /// Stands at the gate until it is opened, or the test has ended.
    pub(crate) fn wait(&self) {
        let _ = self.arrived.send(());
        let may_go_on = self.may_go_on.lock().unwrap();
        let _ = may_go_on.recv_timeout(PATIENCE);
    }
}

impl GatePost {
    /// Sends every frame back, and stands at the gate before it does so with `wait`.
    pub(crate) fn echo(&self) -> GatedEcho {
        GatedEcho(self.clone())
    }
}

/// See [`GatePost::echo`].
#[derive(Clone, Debug)]
pub(crate) struct GatedEcho(GatePost);

impl Session for GatedEcho {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        if frame == b"wait" {
            self.0.wait();
        }
        ctx.send(frame);
        Ok(())
    }
}
