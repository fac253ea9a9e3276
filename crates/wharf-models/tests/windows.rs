//! The experiments that Windows alone has, where they show the same under Wine.

#![cfg(windows)]
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use wharf_models::experiments::{Verdict, experiments};

/// Runs an experiment: what came of it, and its report.
fn run(name: &str) -> (Verdict, String) {
    let found = experiments().into_iter().find(|experiment| experiment.name == name);
    let experiment = found.expect("there is such an experiment");
    let mut report = Vec::new();
    let verdict = (experiment.run)(&mut report).expect("it comes to an end");
    let report = String::from_utf8(report).expect("a report is text");
    println!("{report}{verdict:?}");
    (verdict, report)
}

/// For what Wine does in another way: then the report says that it does.
fn is_shown_or_said_of_wine(name: &str) {
    let (verdict, report) = run(name);
    assert!(verdict == Verdict::Shown || report.contains("Wine"), "{report}");
}

#[test]
fn packets_are_taken_in_order() {
    let (verdict, report) = run("packets-fifo");
    assert_eq!(verdict, Verdict::Shown, "{report}");
}

#[test]
fn the_last_thread_to_wait_goes_first_but_under_wine() {
    is_shown_or_said_of_wine("threads-lifo");
}

#[test]
fn a_port_bounds_how_many_threads_run_but_under_wine() {
    is_shown_or_said_of_wine("concurrency-value");
}

#[test]
fn an_array_of_buffers_may_be_gone_after_the_call() {
    let (verdict, report) = run("wsabuf-stack");
    assert_eq!(verdict, Verdict::Shown, "{report}");
}

#[test]
fn one_receive_at_a_time_keeps_a_stream_whole_and_numbers_mend_several() {
    // Whether several are handled out of order is chance.
    let (_, report) = run("receives-in-flight");
    let (one, eight) = report.split_once('\n').expect("a line for each");
    assert!(one.contains("the stream as handled is whole"), "{report}");
    assert!(eight.contains("by number it is whole"), "{report}");
}

#[test]
fn every_way_to_accept_answers_all_but_on_used_sockets_under_wine() {
    let (verdict, report) = run("accept");
    assert_eq!(verdict, Verdict::Shown, "{report}");
    assert_eq!(report.lines().filter(|line| line.contains("accept")).count(), 1, "{report}");
    assert_eq!(report.lines().filter(|line| line.contains("AcceptEx")).count(), 4, "{report}");
}
