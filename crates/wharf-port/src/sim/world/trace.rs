//! What has happened: as a hash, to tell whether two runs were the same, and as text to read.

use std::hash::{Hash, Hasher};

use super::end::{Connecting, EndId, Failure};
use crate::clock::Time;
use crate::completion::Direction;
use crate::sim::faults::FaultKind;

/// One step of a run.
#[derive(Clone, Copy, Hash, Debug)]
pub(in crate::sim) enum Step {
    Fault(FaultKind),
    Knocked(EndId),
    Accepted(EndId),
    ConnectEnded(EndId, Connecting),
    Written(EndId, usize),
    Delivered(EndId, usize),
    Read(EndId, usize),
    StreamEnded(EndId),
    Failed(EndId, Failure),
    Finished(EndId, Direction),
    CancelArrived(EndId, Direction),
    Closed(EndId, bool),
    Waited(usize, u64),
    Said(u64),
}

/// All steps of a run, by their hash, and as lines if they were asked for.
#[derive(Debug)]
pub(in crate::sim) struct Trace {
    hash: u64,
    steps: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(keeps_lines: bool) -> Self {
        Self { hash: 0, steps: 0, lines: keeps_lines.then(Vec::new) }
    }

    pub(super) fn note(&mut self, now: Time, step: Step) {
        let mut mixer = Mixer(self.hash);
        (now, step).hash(&mut mixer);
        self.hash = mixer.0;
        self.steps += 1;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>14} ns  {step:?}", now.as_nanos()));
        }
    }

    /// Takes a user's line in.
    pub(in crate::sim) fn say(&mut self, now: Time, line: &str) {
        let mut mixer = Mixer(self.hash);
        line.hash(&mut mixer);
        self.note(now, Step::Said(mixer.0));
        if let Some(lines) = &mut self.lines {
            lines.pop();
            lines.push(format!("{:>14} ns  {line}", now.as_nanos()));
        }
    }

    pub(in crate::sim) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(in crate::sim) const fn steps(&self) -> u64 {
        self.steps
    }

    pub(in crate::sim) fn take_lines(&mut self) -> Vec<String> {
        self.lines.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

/// Mixes words into one, the same in every process; the standard library's hasher promises that not.
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
