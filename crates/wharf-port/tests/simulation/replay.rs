//! A seed is one run.

use wharf_port::sim::{Faults, Personality};

use crate::echo::{Plan, run};

fn plan(seed: u64) -> Plan {
    Plan { seed, personality: Personality::Uring, faults: Faults::all(), turns: 600 }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..50 {
        assert_eq!(run(plan(seed)), run(plan(seed)), "seed {seed}");
    }
}

#[test]
fn another_seed_is_another_run() {
    assert_ne!(run(plan(1)).hash, run(plan(2)).hash);
}

#[test]
fn a_personality_changes_the_run() {
    let uring = run(plan(3)).hash;
    let iocp = run(Plan { personality: Personality::Iocp, ..plan(3) }).hash;
    assert_ne!(uring, iocp);
}
