use super::*;
use crate::case::groups;
use crate::results::{Machine, Method, Run};
use crate::sets;

fn outcome(name: &str, values: &[f64]) -> Outcome {
    let run = |cpu: &f64| {
        Some(Run {
            cpu_ns: Some(*cpu),
            p99_us: Some(*cpu),
            session_bytes: Some(*cpu),
            ..Run::default()
        })
    };
    Outcome { name: name.into(), runs: values.iter().map(run).collect(), ..Outcome::default() }
}

fn results(cases: Vec<(&str, Vec<Outcome>)>) -> Results {
    let case = |(case, servers): (&str, Vec<Outcome>)| CaseResults {
        case: case.to_owned(),
        asked_per_second: None,
        servers,
    };
    Results {
        area: "echo".into(),
        machine: Machine::default(),
        method: Method {
            server_cpu: 0,
            load_cpu: 1,
            rounds: 15,
            window_s: 1.0,
            warmup_s: 1.0,
            disturbed_share: 0.06,
        },
        cases: cases.into_iter().map(case).collect(),
    }
}

fn target(against: Against, rule: Rule, bound: f64) -> Target {
    let figure = Figure::Cpu;
    Target { area: "echo", case: "a".into(), server: "wharf-uring", figure, against, rule, bound }
}

fn verdict(target: &Target, servers: Vec<Outcome>) -> Verdict {
    judge(target, &results(vec![("a", servers)])).verdict
}

#[test]
fn a_bound_near_one_takes_fifteen_rounds() {
    let target = target(Against::Server("bare"), Rule::AtMost, 1.06);
    let servers = |rounds: usize| {
        vec![outcome("wharf-uring", &vec![105.0; rounds]), outcome("bare", &vec![100.0; rounds])]
    };
    assert_eq!(verdict(&target, servers(15)), Verdict::Held);
    assert!(matches!(verdict(&target, servers(14)), Verdict::Undecided(_)));
}

#[test]
fn a_bound_near_one_is_missed_only_by_the_whole_interval() {
    let target = target(Against::Server("bare"), Rule::AtMost, 1.06);
    let base = outcome("bare", &[100.0; 15]);
    // The median is beyond the bound, and so is the upper end; the lower is not.
    let scattered: Vec<f64> = (0..15).map(|n| if n < 8 { 107.0 } else { 104.0 }).collect();
    let servers = vec![outcome("wharf-uring", &scattered), base.clone()];
    let judged = judge(&target, &results(vec![("a", servers)]));
    assert!(judged.value.is_some_and(|median| median > 1.06), "{judged:?}");
    assert_eq!(judged.verdict, Verdict::Held);
    let clear = vec![outcome("wharf-uring", &[110.0; 15]), base];
    assert_eq!(verdict(&target, clear), Verdict::Missed);
}

#[test]
fn other_bounds_are_held_against_the_median() {
    let target = target(Against::Server("tokio"), Rule::AtMost, 0.75);
    let tokio = outcome("tokio", &[100.0; 3]);
    let with = |cpu: &[f64]| vec![outcome("wharf-uring", cpu), tokio.clone()];
    assert_eq!(verdict(&target, with(&[70.0, 74.0, 99.0])), Verdict::Held);
    assert_eq!(verdict(&target, with(&[70.0, 76.0, 99.0])), Verdict::Missed);
}

#[test]
fn the_generator_is_held_against_the_server_that_it_loads() {
    let figure = Figure::GeneratorCpu;
    let target = Target { server: "bare", figure, ..target(Against::Loaded, Rule::AtMost, 1.25) };
    let servers = |generator: f64| {
        // What the soft-interrupt thread did for the server, nobody counts for the generator.
        let run = Run { cpu_ns: Some(110.0), softirq_thread_ns: Some(10.0), ..Run::default() };
        let run = Run { generator_ns: Some(generator), ..run };
        vec![Outcome { name: "bare".into(), runs: vec![Some(run); 3], ..Outcome::default() }]
    };
    assert_eq!(verdict(&target, servers(125.0)), Verdict::Held);
    assert_eq!(verdict(&target, servers(126.0)), Verdict::Missed);
}

#[test]
fn at_least_is_the_other_way_round() {
    let target = target(Against::Server("bare"), Rule::AtLeast, 0.95);
    let with = |own: f64| vec![outcome("wharf-uring", &[own; 15]), outcome("bare", &[100.0; 15])];
    assert_eq!(verdict(&target, with(96.0)), Verdict::Held);
    assert_eq!(verdict(&target, with(94.0)), Verdict::Missed);
}

#[test]
fn the_best_peer_has_the_lowest_median_and_no_variant_is_one() {
    let target = target(Against::BestPeer, Rule::AtMost, 0.85);
    let servers = vec![
        outcome("wharf-uring", &[80.0; 3]),
        outcome("bare", &[50.0; 3]),
        outcome("bare-1024", &[10.0; 3]),
        outcome("tokio", &[120.0; 3]),
        outcome("mio", &[100.0, 90.0, 1000.0]),
    ];
    let judged = judge(&target, &results(vec![("a", servers)]));
    assert_eq!((judged.base.as_str(), judged.verdict), ("mio", Verdict::Held));
}

#[test]
fn where_a_peer_beats_the_anchor_that_peer_is_the_measure() {
    let servers = |own: f64, mio: f64| {
        vec![
            outcome("wharf-uring", &[own; 15]),
            outcome("bare", &[100.0; 15]),
            outcome("mio", &[mio; 15]),
        ]
    };
    let to_bare = target(Against::Server("bare"), Rule::AtMost, 1.06);
    assert_eq!(verdict(&to_bare, servers(100.0, 90.0)), Verdict::Missed);
    assert_eq!(verdict(&to_bare, servers(94.0, 90.0)), Verdict::Held);
    let to_peer = target(Against::BestPeer, Rule::AtMost, 1.0);
    assert_eq!(verdict(&to_peer, servers(94.0, 90.0)), Verdict::Held);
    // As long as the anchor is the better one, no peer may be better than we are.
    assert_eq!(verdict(&to_peer, servers(104.0, 101.0)), Verdict::Missed);
}

#[test]
fn growth_is_that_of_both_from_case_to_case() {
    let target =
        Target { case: "b".into(), ..target(Against::Growth("a".into()), Rule::AtMost, 1.0) };
    let grown = |own: f64| {
        results(vec![
            ("a", vec![outcome("wharf-uring", &[110.0; 15]), outcome("bare", &[100.0; 15])]),
            ("b", vec![outcome("wharf-uring", &[own; 15]), outcome("bare", &[200.0; 15])]),
        ])
    };
    assert_eq!(judge(&target, &grown(219.0)).verdict, Verdict::Held);
    assert_eq!(judge(&target, &grown(230.0)).verdict, Verdict::Missed);
}

#[test]
fn tails_are_those_of_the_best_rounds() {
    let target = Target { figure: Figure::P99, ..target(Against::BestPeer, Rule::BestAtMost, 1.5) };
    let with = |own: &[f64]| vec![outcome("wharf-uring", own), outcome("mio", &[100.0, 900.0])];
    assert_eq!(verdict(&target, with(&[149.0, 5000.0])), Verdict::Held);
    assert_eq!(verdict(&target, with(&[151.0, 152.0])), Verdict::Missed);
}

#[test]
fn a_figure_by_itself_needs_no_other() {
    let target =
        Target { figure: Figure::SessionBytes, ..target(Against::Nobody, Rule::AtMost, 512.0) };
    assert_eq!(verdict(&target, vec![outcome("wharf-uring", &[512.0])]), Verdict::Held);
    assert_eq!(verdict(&target, vec![outcome("wharf-uring", &[513.0])]), Verdict::Missed);
}

#[test]
fn what_was_not_measured_is_undecided() {
    let target = target(Against::Server("bare"), Rule::AtMost, 1.06);
    assert!(matches!(judge(&target, &results(vec![])).verdict, Verdict::Undecided(_)));
    let alone = vec![outcome("wharf-uring", &[1.0; 15])];
    assert!(matches!(verdict(&target, alone), Verdict::Undecided(_)));
}

#[test]
fn every_target_is_measured_by_the_set_of_its_area() {
    for target in bounds() {
        let set = &sets::named(target.area).unwrap()[0];
        let cases: Vec<String> =
            groups(set.cases).unwrap().concat().iter().map(ToString::to_string).collect();
        let mut needed = vec![target.case.clone()];
        match &target.against {
            Against::Other(_, case) | Against::Growth(case) => needed.push(case.clone()),
            _ => {}
        }
        assert!(needed.iter().all(|case| cases.contains(case)), "{target:?}");
        if let Some(servers) = set.servers {
            assert!(servers.split(',').any(|server| server == target.server), "{target:?}");
        }
    }
}
