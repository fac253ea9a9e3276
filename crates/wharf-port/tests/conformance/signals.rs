//! Rule 7: signals are no errors of a wait. A simulated network gets none.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::Subject;

on_the_system![rule_07_a_signal_is_no_error];

const STARTED: &str = "waiting for signals";

/// A process that is stopped and goes on finds its system calls interrupted.
fn rule_07_a_signal_is_no_error(subject: &Subject) {
    let wait = || {
        let mut port = subject.open();
        println!("{STARTED}");
        let deadline = port.now() + Duration::from_millis(100);
        while port.now() < deadline {
            port.wait(Some(deadline));
            assert!(port.take().is_none());
        }
        port.finish();
    };
    subject.in_own_process_beside(wait, |child| {
        let pid = Pid::from_child(child);
        let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(STARTED)));
        for _ in 0..20 {
            kill_process(pid, Signal::STOP).unwrap();
            kill_process(pid, Signal::CONT).unwrap();
        }
    });
}
