//! What the routes answer.

use std::collections::{BTreeSet, HashSet};
use std::io::{Read, Write};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::{Fixture, OPERATIONS, PATIENCE, frame, wait_until};

#[test]
fn metrics_are_what_has_happened() {
    let fixture = Fixture::start(|_| ());
    let mut sessions = [fixture.session(), fixture.session(), fixture.session()];
    let answer = fixture.get("/metrics");
    assert_eq!(answer.status, Some(200));
    let kind = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(answer.head.contains(kind), "{}", answer.head);
    assert!(answer.head.contains("x-content-type-options: nosniff"), "{}", answer.head);
    assert!(!answer.head.contains("access-control"), "{}", answer.head);
    let sum = |metric: &str| -> f64 {
        let of = |worker| answer.value(&format!("{metric}{{worker=\"{worker}\"}}"));
        of(0).unwrap() + of(1).unwrap()
    };
    assert_eq!((sum("wharf_sessions"), sum("wharf_sessions_accepted_total")), (3.0, 3.0));
    assert_eq!(sum("wharf_frames_received_total"), 3.0);
    assert_eq!(sum("wharf_received_bytes_total"), 27.0);
    assert_eq!(sum("wharf_sent_bytes_total"), 27.0);
    assert_eq!((sum("wharf_sockets"), sum("wharf_queued_bytes")), (3.0, 0.0));
    assert_eq!(sum("wharf_worker_answers"), 2.0);
    assert!(sum("wharf_port_completions_total") >= 6.0, "three accepts and three receives");
    assert_eq!(answer.value("wharf_accepting"), Some(1.0));
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let [first, ..] = &mut sessions;
    // A length beyond what is allowed.
    first.write_all(&u32::MAX.to_le_bytes()).unwrap();
    let _ = first.read(&mut [0; 9]);
    let closed = "wharf_sessions_closed_total{reason=\"bad_frame\"}";
    drop(sessions);
    wait_until("it is counted out", || fixture.get("/metrics").value(closed) == Some(1.0));
}

#[test]
fn every_metric_is_described_once_and_named_by_convention() {
    let fixture = Fixture::start(|_| ());
    let _session = fixture.session();
    let answer = fixture.get("/metrics");
    let (mut described, mut family) = (HashSet::new(), String::new());
    for line in answer.body.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(name.starts_with("wharf_") && described.insert(name.to_owned()), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(!name.ends_with("_total"), "{line}");
            name.clone_into(&mut family);
        } else if !line.starts_with("# HELP ") {
            assert!(line.starts_with(&family), "{line} stands below {family}");
        }
    }
    assert!(described.len() > 30, "{described:?}");
}

#[test]
fn every_metric_is_on_the_page_of_operations() {
    let fixture = Fixture::start(|_| ());
    let answer = fixture.get("/metrics");
    let types = answer.body.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.map(|line| match line.split_once(' ').unwrap() {
        (name, "counter") => format!("{name}_total"),
        (name, _) => name.to_owned(),
    });
    let rows =
        OPERATIONS.lines().filter_map(|line| line.strip_prefix("| `wharf_")?.split_once('`'));
    let told: BTreeSet<String> = rows.map(|(name, _)| format!("wharf_{name}")).collect();
    assert_eq!(told, names.collect::<BTreeSet<_>>());
}

#[test]
fn histograms_rise_to_their_count() {
    let fixture = Fixture::start(|_| ());
    let mut session = fixture.session();
    for _ in 0..100 {
        frame(&mut session, b"hello");
        session.read_exact(&mut [0; 9]).unwrap();
    }
    let answer = fixture.get("/metrics");
    let mut timed = 0.0;
    for worker in 0..2 {
        let bucket = "wharf_turn_seconds_bucket{le=\"";
        let of_worker = format!("worker=\"{worker}\"");
        let lines =
            answer.body.lines().filter(|it| it.starts_with(bucket) && it.contains(&of_worker));
        let counts: Vec<f64> =
            lines.map(|it| it.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
        assert_eq!(counts.len(), 25, "{}", answer.body);
        assert!(counts.is_sorted(), "{counts:?}");
        let count = answer.value(&format!("wharf_turn_seconds_count{{{of_worker}}}"));
        assert_eq!(counts.last().copied(), count);
        timed += count.unwrap();
    }
    assert!(timed >= 5.0, "a hundred turns at least, and one in seventeen is timed: {timed}");
    assert!(answer.body.contains("le=\"+Inf\""), "{}", answer.body);
}

#[test]
fn a_worker_that_is_held_up_is_told_of_and_the_rest_is_answered() {
    let patience = Duration::from_millis(500);
    let fixture = Fixture::start(|options| options.worker_patience = patience);
    let mut session = fixture.session();
    wait_until("all answer", || fixture.get("/health").status == Some(200));
    frame(&mut session, b"wait");
    fixture.waits.recv_timeout(PATIENCE).unwrap();
    let answer = fixture.get("/health");
    assert_eq!(answer.status, Some(503));
    assert!(answer.body.starts_with("no answer within 500ms from worker "), "{}", answer.body);
    let metrics = fixture.get("/metrics");
    let answers = |worker| metrics.value(&format!("wharf_worker_answers{{worker=\"{worker}\"}}"));
    let silent = (0..2).find(|worker| answers(*worker) == Some(0.0)).unwrap();
    assert!(answer.body.contains(&format!("worker {silent}")), "{}", answer.body);
    // What it has published is there, what only it knows is not.
    let of_silent = |name| metrics.value(&format!("{name}{{worker=\"{silent}\"}}"));
    assert_eq!((of_silent("wharf_sessions"), of_silent("wharf_sockets")), (Some(1.0), None));
    fixture.go_on.send(()).unwrap();
    session.read_exact(&mut [0; 8]).unwrap();
    wait_until("all answer again", || fixture.get("/health").status == Some(200));
}

#[test]
fn ready_is_who_accepts() {
    let fixture = Fixture::start(|_| ());
    assert_eq!(fixture.get("/ready").status, Some(200));
    fixture.server().pause_accepting();
    assert_eq!(fixture.get("/ready").status, Some(503));
    assert_eq!(fixture.get("/metrics").value("wharf_accepting"), Some(0.0));
    assert_eq!(fixture.get("/health").status, Some(200), "who pauses is alive");
    fixture.server().resume_accepting();
    assert_eq!(fixture.get("/ready").status, Some(200));
}

#[test]
fn an_endpoint_that_is_dropped_is_gone_and_its_server_goes_on() {
    let fixture = Fixture::start(|_| ());
    let other = wharf_admin::AdminOptions::new(([127, 0, 0, 1], 0).into());
    let admin = wharf_admin::Admin::start(fixture.server(), other).unwrap();
    let address = admin.address().clone();
    let taken = wharf_admin::AdminOptions::at(address.clone());
    let error = wharf_admin::Admin::start(fixture.server(), taken).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("the admin endpoint cannot listen on {address}: ")),
        "{error}"
    );
    // One that sends nothing does not keep it.
    let _silent = crate::support::connect(&address);
    let (ended, ends) = channel();
    std::thread::spawn(move || {
        drop(admin);
        ended.send(()).unwrap();
    });
    ends.recv_timeout(Duration::from_secs(4)).expect("it ends before its clients do");
    assert!(std::net::TcpStream::connect(address).is_err());
    assert_eq!(fixture.get("/health").status, Some(200));
    drop(fixture.session());
}
