//! What the system tells of a process from outside: its memory, its descriptors, its connections.

#[cfg(target_os = "linux")]
use std::collections::BTreeSet;
use std::fs;
#[cfg(target_os = "linux")]
use std::time::Duration;

use crate::Result;

/// Bytes of memory of its own that a process has resident: heap, stacks and anonymous mappings, no
/// pages of files.
pub(crate) fn memory(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = fs::read_to_string(&path).map_err(|error| {
        format!("cannot read {path}: {error}; memory is measured on Linux only")
    })?;
    // Exact, where the counters of `status` lag behind by some pages per processor.
    let kib = kib_of(&text, "Anonymous:").ok_or_else(|| format!("{path} has no such line"))?;
    Ok(kib * 1024)
}

/// The most memory that a process has had resident, pages of files included, in bytes.
pub(crate) fn memory_peak(process: u32) -> Result<u64> {
    let path = format!("/proc/{process}/status");
    let text = fs::read_to_string(&path)?;
    let kib = kib_of(&text, "VmHWM:").ok_or_else(|| format!("{path} has no such line"))?;
    Ok(kib * 1024)
}

fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many descriptors a process has open.
pub(crate) fn descriptors(process: u32) -> Result<usize> {
    let path = format!("/proc/{process}/fd");
    let listed = fs::read_dir(&path).map_err(|error| {
        format!("cannot list {path}: {error}; descriptors are counted on Linux only")
    })?;
    Ok(listed.count())
}

/// The number that the next descriptor of a process will have.
#[cfg(target_os = "linux")]
pub(crate) fn next_descriptor(process: u32) -> Result<u64> {
    let listed = fs::read_dir(format!("/proc/{process}/fd"))?;
    let open: BTreeSet<u64> =
        listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    (0..).find(|number| !open.contains(number)).ok_or_else(|| "there is no number left".into())
}

/// The CPU time that a process has used, all of its threads that are there.
#[cfg(target_os = "linux")]
pub(crate) fn cpu(process: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        nanos += text.split_whitespace().next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Bytes that the system's send buffer of a TCP connection may grow to.
#[cfg(target_os = "linux")]
pub(crate) fn send_buffer_max() -> Result<usize> {
    let path = "/proc/sys/net/ipv4/tcp_wmem";
    let text = fs::read_to_string(path)?;
    let max = text.split_whitespace().nth(2).ok_or_else(|| format!("{path} has no maximum"))?;
    Ok(max.parse()?)
}

/// How many sockets each of a process's epoll instances watches, the fewest first: one instance is
/// one worker of the backend `readiness`.
pub(crate) fn watched(process: u32) -> Result<Vec<usize>> {
    let mut counts = Vec::new();
    for descriptor in fs::read_dir(format!("/proc/{process}/fdinfo"))? {
        // A descriptor may be closed between the listing and the reading.
        let Ok(text) = fs::read_to_string(descriptor?.path()) else { continue };
        let watched = text.lines().filter(|line| line.starts_with("tfd:")).count();
        if watched > 0 {
            counts.push(watched);
        }
    }
    counts.sort_unstable();
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_found() {
        let text = "Rss:     2048 kB\nAnonymous:    300 kB\nLazyFree:     0 kB\n";
        assert_eq!(kib_of(text, "Anonymous:"), Some(300));
        assert_eq!(kib_of(text, "Swap:"), None);
    }
}
