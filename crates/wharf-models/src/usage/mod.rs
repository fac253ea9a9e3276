//! What a process has used of the system: the price of a model, beside what it brings.

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(any(target_os = "linux", windows)), path = "unknown.rs")]
mod system;

use std::process::Child;
use std::time::Duration;

pub use system::CallCounter;

/// What a process has used since it began, all of its threads; `None` is what this system does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time on a CPU, in steps of the system's clock: some milliseconds.
    pub cpu: Option<Duration>,
}

impl Usage {
    /// Of a child so far.
    #[must_use]
    pub fn of(child: &Child) -> Self {
        Self { cpu: system::cpu(child) }
    }
}

/// How often a process has entered the kernel, and how often its threads have been switched away from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calls {
    /// System calls.
    pub calls: u64,
    /// Switches of threads, both those that wait and those whose time is up.
    pub switches: u64,
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// A child that says that it runs and waits until its input ends.
    fn child() -> Child {
        let mut command = if cfg!(windows) { Command::new("cmd") } else { Command::new("cat") };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    #[test]
    fn the_cpu_time_of_a_child_is_known_where_it_can_be() {
        let mut child = child();
        let used = Usage::of(&child).cpu;
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(used.is_some(), cfg!(any(target_os = "linux", windows)));
        assert!(used.is_none_or(|used| used < Duration::from_secs(60)), "{used:?}");
    }

    /// Each line that goes through `cat` is two calls, and a switch once it waits for the next.
    #[test]
    #[cfg(target_os = "linux")]
    fn calls_and_switches_are_counted_one_by_one() {
        use std::io::{BufRead, BufReader, Write};

        let mut child = child();
        let mut counter = match CallCounter::attach(&child) {
            Ok(counter) => counter,
            Err(why) => {
                eprintln!("left out: {why}");
                drop(child.stdin.take());
                assert!(child.wait().unwrap().success());
                return;
            }
        };
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut echo = |count| {
            for _ in 0..count {
                input.write_all(b"line\n").unwrap();
                let mut line = String::new();
                output.read_line(&mut line).unwrap();
            }
            counter.read().unwrap()
        };
        let before = echo(10);
        let after = echo(100);
        let (calls, switches) = (after.calls - before.calls, after.switches - before.switches);
        assert!((200..=210).contains(&calls), "{calls} calls for 100 lines");
        assert!((50..=1_000).contains(&switches), "{switches} switches for 100 lines");
        drop(input);
        child.wait().unwrap();
    }
}
