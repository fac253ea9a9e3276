//! What Linux tells: CPU time in `/proc`, calls and switches by the events of perf.

use std::fs;
use std::io;
use std::process::Child;
use std::time::Duration;

use perf_event::events::{Software, Tracepoint};
use perf_event::{Builder, Counter};

use super::Calls;

/// Time in `/proc/PID/stat` is in hundredths of a second, on every system that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

pub(super) fn cpu(child: &Child) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    // The name comes second, in parentheses, and may have anything in it.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * user.checked_add(system)?)
}

/// Counts the calls and switches of a process.
///
/// It counts in the kernel, with the tracepoint `raw_syscalls:sys_enter`: the process is not stopped for it as by a
/// debugger, so that what it does in a turn is what it does without. It is not free either, so that what is counted
/// should not be timed.
#[derive(Debug)]
pub struct CallCounter {
    /// One for each thread that there was; threads that one of them starts are counted with it.
    counters: Vec<(Counter, Counter)>,
}

impl CallCounter {
    /// Counts from now on.
    ///
    /// # Errors
    /// Why it cannot be counted, as a clause: it takes `CAP_PERFMON` or root, and tracefs.
    pub fn attach(child: &Child) -> Result<Self, String> {
        let counters = attach(child.id());
        counters.map(|counters| Self { counters }).map_err(|error| {
            format!("counting calls takes root, or CAP_PERFMON and a readable tracefs: {error}")
        })
    }

    /// How many there were so far. Threads that have ended count.
    ///
    /// # Errors
    /// What the system says.
    pub fn read(&mut self) -> io::Result<Calls> {
        let mut sum = Calls { calls: 0, switches: 0 };
        for (calls, switches) in &mut self.counters {
            sum.calls += calls.read()?;
            sum.switches += switches.read()?;
        }
        Ok(sum)
    }
}

fn attach(process: u32) -> io::Result<Vec<(Counter, Counter)>> {
    let calls = Tracepoint::with_id(tracepoint()?);
    let mut counters = Vec::new();
    for task in fs::read_dir(format!("/proc/{process}/task"))? {
        let task = task?.file_name();
        let task = task.to_str().and_then(|task| task.parse().ok());
        let task: i32 = task.ok_or(io::ErrorKind::InvalidData)?;
        counters.push((counter(calls, task)?, counter(Software::CONTEXT_SWITCHES, task)?));
    }
    Ok(counters)
}

/// The number of the tracepoint, from where tracefs is mounted, or was in older systems.
fn tracepoint() -> io::Result<u64> {
    let read = |root| fs::read_to_string(format!("{root}/events/raw_syscalls/sys_enter/id"));
    let id = read("/sys/kernel/tracing").or_else(|_| read("/sys/kernel/debug/tracing"))?;
    id.trim().parse().map_err(io::Error::other)
}

/// A counter that runs, of a thread and those it starts.
fn counter(event: impl perf_event::events::Event, task: i32) -> io::Result<Counter> {
    let mut builder = Builder::new(event);
    // Both happen in the kernel, which is left out unless it is wished for.
    builder.observe_pid(task).any_cpu().inherit(true).include_kernel();
    let mut counter = builder.build()?;
    counter.enable()?;
    Ok(counter)
}
