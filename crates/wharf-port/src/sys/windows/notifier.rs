//! What interrupts a wait: a packet to the port itself.

use std::io;
use std::sync::Arc;

use crate::iocp::{Api, Native, Port, notify};

/// Interrupts the wait of one port. It is the port: nothing else is needed on Windows.
#[derive(Debug)]
pub(crate) struct Notifier(Arc<Port>);

impl Notifier {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(Native.open_port()?)))
    }

    pub(crate) fn notify(&self) {
        notify(&Native, &self.0);
    }

    /// The port that it interrupts.
    pub(crate) fn port(&self) -> Arc<Port> {
        Arc::clone(&self.0)
    }
}
