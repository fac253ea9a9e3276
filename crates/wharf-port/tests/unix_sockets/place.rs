//! Ports and paths for a test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use wharf_port::{
    Address, Backend, Completion, CompletionPort, FreshSocket, OpenError, PortOptions, UnixAddress,
};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A directory of a test's own.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What is in it, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = self.0.path().read_dir().unwrap();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

pub(crate) fn at(path: &Path) -> Address {
    UnixAddress::at(path).unwrap().into()
}

pub(crate) fn open(backend: Backend) -> Option<CompletionPort> {
    match CompletionPort::open(&PortOptions { backend, ..PortOptions::default() }) {
        // A container may deny io_uring.
        Err(OpenError::Unavailable { .. }) => None,
        port => Some(port.unwrap()),
    }
}

/// Runs a test on a port of each backend that there is.
pub(crate) fn on_each_backend(test: impl Fn(CompletionPort)) {
    [Backend::Uring, Backend::Readiness].into_iter().filter_map(open).for_each(test);
}

/// Takes completions until one is what is looked for.
#[track_caller]
pub(crate) fn take<T>(
    port: &mut CompletionPort,
    what: &str,
    mut is_it: impl FnMut(&mut CompletionPort, Completion) -> Option<T>,
) -> T {
    let until = port.clock().now() + LIMIT;
    while port.clock().now() < until {
        port.wait(Some(until)).unwrap();
        while let Some(completion) = port.take() {
            if let Some(found) = is_it(port, completion) {
                return found;
            }
        }
    }
    panic!("nothing after {LIMIT:?}: {what}");
}

#[track_caller]
pub(crate) fn accepted(port: &mut CompletionPort) -> FreshSocket {
    take(port, "a connection", |_, completion| match completion {
        Completion::Accepted { socket, .. } => Some(socket),
        _ => None,
    })
}
