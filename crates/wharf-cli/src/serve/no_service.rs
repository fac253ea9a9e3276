//! Where there is no service manager that could be told.

use std::time::Duration;

use wharf::ServerHandle;

use crate::console::Console;

/// Nobody.
#[derive(Debug)]
pub(super) struct Service;

impl Service {
    pub(super) const fn find() -> Self {
        Self
    }

    pub(super) const fn is_ready(&mut self, _: &ServerHandle, _: &Console) {}

    pub(super) const fn is_draining(&mut self, _: usize, _: &Console) {}

    pub(super) const fn rests(&self) -> Option<Duration> {
        None
    }

    pub(super) const fn beat(&mut self, _: &ServerHandle, _: &Console) {}
}
