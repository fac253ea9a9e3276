//! The completion port of a run: opened, waited for and shut down, with failures as the program tells them.

use std::time::Duration;

use wharf_port::{CompletionPort, PortOptions, Time};

use super::options::LoadOptions;
use crate::failure::{Exit, Failure};

/// How long the system has to close what is left.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Opens a port on the backend that is asked for.
pub(super) fn open(options: &LoadOptions) -> Result<CompletionPort, Failure> {
    let options = PortOptions { backend: options.backend, ..PortOptions::default() };
    CompletionPort::open(&options).map_err(|error| Failure::new(Exit::Failed, error))
}

/// Waits until something has come or `deadline`; gives the time.
#[inline]
pub(super) fn wait(port: &mut CompletionPort, deadline: Time) -> Result<Time, Failure> {
    port.wait(Some(deadline)).map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(port.now())
}

/// Closes what is left. What does not close is told, and no failure of the run: all has been measured.
pub(super) fn shut_down(port: CompletionPort) {
    if let Err(error) = port.shut_down(CLOSING_MAX) {
        eprintln!("wharf: {error}");
    }
}
