//! Every fault comes, and none loses, doubles or misplaces a byte.

use wharf_port::sim::{FaultKind, Faults, Personality};

use crate::echo::{Plan, run};

#[test]
fn every_fault_comes_and_the_echo_stays_true() {
    let mut injected = vec![0; FaultKind::ALL.len()];
    let mut echoed = 0;
    for seed in 0..300 {
        for personality in Personality::ALL {
            let outcome = run(Plan { seed, personality, faults: Faults::all(), turns: 800 });
            echoed += outcome.echoed;
            injected.iter_mut().zip(&outcome.injected).for_each(|(sum, count)| *sum += count);
        }
    }
    let missing: Vec<&str> = FaultKind::ALL
        .iter()
        .zip(&injected)
        .filter(|(_, count)| **count == 0)
        .map(|(kind, _)| kind.name())
        .collect();
    assert!(missing.is_empty(), "faults that never came: {missing:?}");
    assert!(echoed > 100_000, "only {echoed} bytes came back");
}

#[test]
fn without_faults_none_comes() {
    let outcome = run(Plan {
        seed: 9,
        personality: Personality::Uring,
        faults: Faults::none(),
        turns: 2_000,
    });
    assert!(outcome.injected.iter().all(|count| *count == 0));
    assert!(outcome.echoed > 0);
}
