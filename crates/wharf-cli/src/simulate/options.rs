//! What `wharf sim` is asked for.

use wharf::sim::Faults;

use crate::json::JsonTarget;

/// Checked options of `wharf sim`.
#[derive(Clone, Debug)]
pub(crate) struct SimOptions {
    pub(crate) seeds: Seeds,
    pub(crate) faults: Faults,
    /// The faults as they were asked for, to be repeated.
    pub(crate) faults_asked: String,
    pub(crate) jobs: usize,
    /// How many of a hundred seeds run twice.
    pub(crate) replays_percent: u64,
    /// Prints the steps of the one seed.
    pub(crate) trace: bool,
    pub(crate) json: Option<JsonTarget>,
}

/// Which seeds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seeds {
    pub(crate) from: u64,
    pub(crate) count: u64,
}
