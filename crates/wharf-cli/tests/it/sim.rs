//! `wharf sim`: what it says, how it ends, and that a seed is one run.

use serde_json::Value;

use crate::program::{Ended, run, run_json, wharf};

fn sim(arguments: &str) -> Ended {
    run(command(arguments))
}

fn command(arguments: &str) -> std::process::Command {
    wharf(["sim"].into_iter().chain(arguments.split_whitespace()))
}

#[test]
fn some_seeds_are_clean_and_say_what_they_met() {
    let (ended, json) = run_json(command("--seeds 60 --replays 10"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(json["seeds"], 60);
    assert_eq!(json["replayed"], 10);
    assert_eq!(json["violation"], Value::Null);
    assert!(json["steps"].as_u64().unwrap() > 10_000, "{json}");
    assert!(json["faults"]["partial-receive"].as_u64().unwrap() > 0, "{json}");
    assert!(json["marks"]["peer_closed"].as_u64().unwrap() > 0, "{json}");
    assert!(json["marks"]["honest among others"].as_u64().unwrap() > 0, "{json}");
}

#[test]
fn only_the_faults_that_were_named_come() {
    let (ended, json) = run_json(command("--seeds 40 --faults link-clog,partial-send"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for (name, count) in json["faults"].as_object().unwrap() {
        let named = ["link-clog", "partial-send"].contains(&name.as_str());
        assert_eq!(count.as_u64().unwrap() > 0, named, "{name}: {json}");
    }
}

#[test]
fn the_trace_of_a_seed_is_the_same_each_time() {
    let first = sim("--seeds 1 --from 7 --trace");
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stdout.lines().count() > 100, "{first:?}");
    assert_eq!(first.stdout, sim("--seeds 1 --from 7 --trace").stdout);
    assert_ne!(first.stdout, sim("--seeds 1 --from 8 --trace").stdout);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let of = |jobs| {
        let (_, mut json) = run_json(command(&format!("--seeds 30 --jobs {jobs}")));
        for varies in ["seconds", "steps_per_second"] {
            json.as_object_mut().unwrap().remove(varies);
        }
        json
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn people_get_a_summary() {
    let ended = sim("--seeds 20 --from 100 --replays 0");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let first = ended.stdout.lines().next().unwrap();
    assert!(first.starts_with("20 seeds from 100, 0 of them twice: "), "{first}");
    assert!(ended.stdout.contains("late-completion"), "{ended:?}");
    assert_eq!(ended.stderr, "");
}

#[test]
fn wrong_arguments_are_one_line() {
    for (arguments, word) in [
        ("--faults sunshine", "sunshine"),
        ("--seeds 0", "--seeds"),
        ("--from -1", "--from"),
        ("--jobs 0", "--jobs"),
        ("--replays 101", "--replays"),
        ("--trace --seeds 2", "--trace"),
        ("--json /nowhere/at/all", "--json"),
    ] {
        let ended = sim(arguments);
        assert_eq!(ended.code, Some(2), "{arguments}: {ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(word), "{arguments}: {ended:?}");
    }
}
