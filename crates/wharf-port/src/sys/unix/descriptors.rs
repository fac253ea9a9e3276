//! How many descriptors the process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// macOS calls its hard limit infinite and refuses a soft one that is; so many (`OPEN_MAX`) it always
/// gives.
const AT_LEAST: u64 = 10_240;

/// Raises the soft limit to the hard one and returns what holds now; `None` is no limit.
pub(crate) fn raise_descriptor_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum || raise(limit.maximum, &limit) {
        return limit.maximum;
    }
    let falls_short = limit.current.is_some_and(|current| current < AT_LEAST);
    if cfg!(target_vendor = "apple") && falls_short && raise(Some(AT_LEAST), &limit) {
        return Some(AT_LEAST);
    }
    limit.current
}

fn raise(current: Option<u64>, limit: &Rlimit) -> bool {
    setrlimit(Resource::Nofile, Rlimit { current, maximum: limit.maximum }).is_ok()
}
