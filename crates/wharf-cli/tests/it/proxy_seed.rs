//! That a seed gives the same faults again.

use std::io::Write;
use std::net::Shutdown;

use crate::proxying::{Between, Report, read_to_reset};
use crate::serving::{backends, numbers, read_to_end};

/// What became of a connection: what arrived, and how it ended.
type Fate = Option<(Vec<u8>, Option<std::io::ErrorKind>)>;

/// Sends the same through one connection after another, in pieces of `step` bytes.
fn fates(connections: usize, flags: &str, step: usize) -> (Vec<Fate>, Report) {
    let between = Between::start(flags);
    let sent = numbers(0, 5_000);
    let mut fates = Vec::new();
    for _ in 0..connections {
        fates.push(between.connect_unless_dropped().map(|(mut client, server)| {
            for part in sent.chunks(step) {
                // The connection may be gone already.
                let _ = client.write_all(part);
            }
            let _ = client.shutdown(Shutdown::Write);
            read_to_reset(&server)
        }));
    }
    (fates, between.stop())
}

const FLAGS: &str = "--direction up --share 0.7 --drop 0.2 --corrupt 0.001 --reset 0.1";

#[test]
fn the_same_seed_gives_the_same_faults_however_the_stream_is_cut() {
    let mut first = None;
    for backend in backends() {
        for step in [5_000, 700] {
            let flags = format!("--backend {backend} --seed 77 {FLAGS}");
            let (fates, report) = fates(60, &flags, step);
            let first = first.get_or_insert_with(|| fates.clone());
            assert!(*first == fates, "{backend} in pieces of {step}: {report:?}");
            check_variety(&fates, &report);
        }
    }
}

#[test]
fn another_seed_gives_other_faults() {
    // Each draw by itself: who is affected, who is dropped, which bits flip, what is reset.
    for flags in [
        "--share 0.5 --corrupt 1 --direction up",
        "--drop 0.5",
        "--corrupt 0.01 --direction up",
        "--reset 0.5 --direction up",
    ] {
        let [(first, _), (second, report)] =
            [77, 78].map(|seed| fates(20, &format!("--seed {seed} {flags}"), 5_000));
        assert!(first != second, "{flags}: {report:?}");
    }
}

/// Checks that some connections were dropped, reset, corrupted and left alone, as counted.
#[track_caller]
fn check_variety(fates: &[Fate], report: &Report) {
    let sent = numbers(0, 5_000);
    let arrived: Vec<_> = fates.iter().flatten().collect();
    let dropped = fates.len() - arrived.len();
    let reset = arrived.iter().filter(|(_, end)| end.is_some()).count();
    let untouched = arrived.iter().filter(|(bytes, _)| *bytes == sent).count();
    let bits: u32 = arrived
        .iter()
        .flat_map(|(bytes, _)| bytes.iter().zip(&sent))
        .map(|(a, b)| (a ^ b).count_ones())
        .sum();
    assert!(dropped > 0 && reset > 0 && untouched > 0 && bits > 0, "{report:?}");
    assert_eq!(report.count("drop"), dropped, "{report:?}");
    assert_eq!(report.count("reset"), reset, "{report:?}");
    assert_eq!(report.count("flipped bit"), usize::try_from(bits).unwrap(), "{report:?}");
    assert_eq!(report.count("connection"), 60, "{report:?}");
}

#[test]
fn a_share_of_connections_is_affected_and_the_others_are_left_alone() {
    let between = Between::start("--share 0.2 --corrupt 1 --direction up --seed 3");
    let mut changed = 0;
    for _ in 0..100 {
        let (mut client, server) = between.connect();
        client.write_all(&[0; 100]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let received = read_to_end(&server);
        let bits: u32 = received.iter().map(|byte| byte.count_ones()).sum();
        assert!(bits == 0 || bits == 100, "all of it or nothing: {bits}");
        changed += usize::from(bits > 0);
    }
    assert!((8..=35).contains(&changed), "{changed}");
    assert_eq!(between.stop().count("affected"), changed);
}

#[test]
fn the_seed_that_was_drawn_is_said_and_gives_the_same_again() {
    let between = Between::start("--drop 0.5");
    let seed = between.proxy.line.rsplit_once(" seed=").unwrap().1.to_owned();
    let dropped = |between: &Between| -> Vec<bool> {
        (0..30).map(|_| between.connect_unless_dropped().is_none()).collect()
    };
    let first = dropped(&between);
    assert!(first.contains(&true) && first.contains(&false), "{first:?}");
    assert_eq!(dropped(&Between::start(&format!("--drop 0.5 --seed {seed}"))), first);
}
