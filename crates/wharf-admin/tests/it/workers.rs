//! Workers as JSON.

use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use wharf::SessionsWanted;

#[cfg(target_os = "linux")]
use crate::support::{Answer, connect};
use crate::support::{Fixture, PATIENCE, fields_of, frame, keys_of, wait_until};

#[test]
fn workers_tell_what_they_count_and_hold() {
    let fixture = Fixture::start(|_| ());
    let _sessions = [fixture.session(), fixture.session(), fixture.session()];
    let server = fixture.json("/api/v1/workers");
    assert_eq!(server["backend"], fixture.server().backend().name());
    assert_eq!(server["accepting"], true);
    let addresses: Vec<_> = fixture.server().addresses().iter().map(ToString::to_string).collect();
    assert_eq!(server["addresses"], Value::from(addresses));
    let workers = server["workers"].as_array().unwrap();
    let sum = |pointer: &str| -> u64 {
        workers.iter().map(|worker| worker.pointer(pointer).unwrap().as_u64().unwrap()).sum()
    };
    assert_eq!((workers.len(), sum("/worker")), (2, 1));
    assert!(workers.iter().all(|worker| worker["answers"] == true), "{server}");
    assert_eq!((sum("/stats/sessions"), sum("/stats/accepted")), (3, 3));
    assert_eq!((sum("/stats/frames_in"), sum("/stats/bytes_in")), (3, 27));
    assert_eq!((sum("/report/sockets"), sum("/report/listeners")), (3, 1));
    assert_eq!((sum("/report/queued_bytes"), sum("/stats/panics")), (0, 0));
    assert!(sum("/report/operations") > 3, "each session receives, and the listener accepts");
    assert!(sum("/report/port/waits") > 0 && sum("/report/port/completions") >= 6, "{server}");
    let buffers = |owner: &str| sum(&format!("/report/buffers/{owner}"));
    assert_eq!(buffers("free") + buffers("leased") + buffers("kernel"), buffers("total"));
    assert!(buffers("total") > 0);
}

#[test]
fn turns_and_timers_are_told_as_they_were_measured() {
    let fixture = Fixture::start(|_| ());
    let mut session = fixture.session();
    for _ in 0..100 {
        frame(&mut session, b"hello");
        session.read_exact(&mut [0; 9]).unwrap();
    }
    let server = fixture.json("/api/v1/workers");
    let timings = fixture.server().worker_timings();
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    };
    let mut timed = 0.0;
    for (worker, timings) in timings.iter().enumerate() {
        let told = &server["workers"][worker];
        for (name, measured) in [("turns", &timings.turn), ("timer_lag", &timings.timer_lag)] {
            let bounds = measured.buckets().filter_map(|(bound, _)| bound);
            let bounds: Vec<_> = bounds.map(|bound| bound.as_secs_f64()).collect();
            assert_eq!(numbers(&told[name]["bounds_seconds"]), bounds, "{name}");
            let counts = numbers(&told[name]["counts"]);
            assert_eq!(counts.len(), bounds.len() + 1, "one is beyond all bounds");
            // What was measured since, it has more.
            let known = measured.buckets().map(|(_, count)| u32::try_from(count).unwrap().into());
            assert!(counts.iter().zip(known).all(|(told, known)| *told <= known), "{counts:?}");
            assert!(told[name]["sum_seconds"].as_f64().unwrap() <= measured.sum().as_secs_f64());
        }
        timed += numbers(&told["turns"]["counts"]).iter().sum::<f64>();
    }
    assert!(timed >= 5.0, "a hundred turns at least, and one in seventeen is timed: {timed}");
    assert!(server["workers"][0]["turns"]["sum_seconds"].is_number(), "{server}");
}

#[test]
fn no_counter_is_left_out() {
    let fixture = Fixture::start(|_| ());
    let known = fixture.server().ask_workers(SessionsWanted::None).wait(PATIENCE);
    let server = fixture.json("/api/v1/workers");
    let told = &server["workers"][0];
    assert_eq!(keys_of(&told["stats"]), fields_of(&format!("{:?}", known[0].stats)));
    assert_eq!(keys_of(&told["report"]["port"]), fields_of(&format!("{:?}", known[0].port)));
    let ledger = format!("{:?}", known[0].ledger);
    assert_eq!(keys_of(&told["report"]["buffers"]), fields_of(&ledger));
}

/// Whoever connects during a pause stands in the system's queue, and in what is told of it.
#[test]
#[cfg(target_os = "linux")]
fn who_waits_to_be_accepted_is_told() {
    let fixture = Fixture::start(|_| ());
    let lines = |answer: &Answer, metric: &str| -> Vec<f64> {
        (0..2).filter_map(|it| answer.value(&format!("{metric}{{worker=\"{it}\"}}"))).collect()
    };
    let none_waits = lines(&fixture.get("/metrics"), "wharf_accept_backlog");
    assert_eq!(none_waits, [0.0], "one worker has the listener");

    assert_eq!(fixture.post("/api/v1/accepting/pause").status, Some(200));
    // A worker pauses in the turn in which it is told and says so to the system at its end: before the second.
    for _ in 0..2 {
        fixture.json("/api/v1/workers");
    }
    let address = fixture.server().addresses()[0].tcp().unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| connect(address)).collect();
    let waiting = || lines(&fixture.get("/metrics"), "wharf_accept_backlog");
    wait_until("all three wait", || waiting() == [3.0]);
    let max = lines(&fixture.get("/metrics"), "wharf_accept_backlog_max");
    assert!(matches!(max[..], [128.0..=4096.0]), "what was asked for, or what is allowed: {max:?}");
    let server = fixture.json("/api/v1/workers");
    let mut told: Vec<_> =
        (0..2).map(|it| &server["workers"][it]["report"]["accept_backlog"]).collect();
    told.sort_by_key(|told| told.is_null());
    assert_eq!((&told[0]["waiting"], told[0]["max"].as_f64()), (&Value::from(3), Some(max[0])));
    assert!(told[1].is_null(), "it listens to nobody: {server}");

    assert_eq!(fixture.post("/api/v1/accepting/resume").status, Some(200));
    for client in &mut clients {
        frame(client, b"hello");
        client.read_exact(&mut [0; 9]).unwrap();
    }
    assert_eq!(waiting(), [0.0]);
}

#[test]
fn a_worker_that_is_held_up_has_counted_and_reports_nothing() {
    let fixture = Fixture::start(|options| options.worker_patience = Duration::from_secs(1));
    let mut session = fixture.session();
    frame(&mut session, b"wait");
    fixture.waits.recv_timeout(PATIENCE).unwrap();
    let server = fixture.json("/api/v1/workers");
    let workers = server["workers"].as_array().unwrap();
    let silent: Vec<_> = workers.iter().filter(|worker| worker["answers"] == false).collect();
    let [silent] = silent[..] else { panic!("{server}") };
    assert!(silent["report"].is_null(), "{silent}");
    assert_eq!(silent["stats"]["sessions"], 1);
    assert!(silent["turns"]["counts"].is_array(), "{silent}");
    fixture.go_on.send(()).unwrap();
    let is_back = || {
        let server = fixture.json("/api/v1/workers");
        server["workers"].as_array().unwrap().iter().all(|worker| worker["answers"] == true)
    };
    wait_until("both answer", is_back);
}
