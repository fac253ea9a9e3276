//! What workers hold, by owner, kind and state.

use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Fixture, PATIENCE, fields_of, frame, keys_of, wait_until};

/// The books of the workers that have answered.
fn books(fixture: &Fixture) -> Vec<Value> {
    let mut ledger = fixture.json("/api/v1/ledger");
    let workers = ledger["workers"].as_array_mut().unwrap();
    let books = workers.iter_mut().map(|worker| worker["ledger"].take());
    books.filter(|ledger| !ledger.is_null()).collect()
}

/// What stands at a place in the books of all workers together.
fn sum(books: &[Value], pointer: &str) -> u64 {
    books.iter().map(|books| books.pointer(pointer).unwrap().as_u64().unwrap()).sum()
}

/// The sum of all numbers of an object but `total`.
fn sum_of_parts(object: &Value) -> u64 {
    let parts = object.as_object().unwrap().iter().filter(|(name, _)| *name != "total");
    parts.map(|(_, count)| count.as_u64().unwrap()).sum()
}

#[test]
fn the_ledger_has_everything_once() {
    let fixture = Fixture::start(|_| ());
    let _sessions = [fixture.session(), fixture.session(), fixture.session()];
    let books = books(&fixture);
    assert_eq!(books.len(), 2);
    for books in &books {
        for parts in ["buffers", "operations"] {
            assert_eq!(sum_of_parts(&books[parts]), books[parts]["total"], "{books}");
        }
        assert_eq!(sum_of_parts(&books["sessions"]), books["sockets"], "{books}");
    }
    let sum = |pointer: &str| sum(&books, pointer);
    assert_eq!((sum("/sessions/open"), sum("/sockets"), sum("/listeners")), (3, 3, 1));
    assert_eq!((sum("/operations/accepts"), sum("/operations/receives")), (1, 3));
    let others = ["connects", "sends", "closes"].map(|it| sum(&format!("/operations/{it}")));
    assert_eq!((others, sum("/queued_bytes"), sum("/inbox_bytes")), ([0; 3], 0, 0));
    assert!(sum("/buffers/total") > 0 && sum("/buffers/leased") == 0);
}

#[test]
fn no_kind_is_left_out() {
    let fixture = Fixture::start(|_| ());
    let known = fixture.server().ask_workers_for_holdings().wait(PATIENCE);
    let books = books(&fixture).remove(0);
    let holdings = known[0].holdings.unwrap();
    let (operations, sessions) =
        (format!("{:?}", holdings.operations), format!("{:?}", holdings.sessions));
    let with_total: BTreeSet<_> = fields_of(&operations).into_iter().chain(["total"]).collect();
    assert_eq!(keys_of(&books["operations"]), with_total);
    assert_eq!(keys_of(&books["sessions"]), fields_of(&sessions));
    assert_eq!(keys_of(&books["buffers"]), fields_of(&format!("{:?}", known[0].ledger)));
}

#[test]
fn what_waits_for_somebody_who_does_not_read_is_told_until_it_is_gone() {
    let fixture = Fixture::start(|_| ());
    let mut session = fixture.session();
    frame(&mut session, b"flood");
    let has = |pointer: &str, count: u64| sum(&books(&fixture), pointer) == count;
    wait_until("its send waits", || has("/operations/sends", 1));
    assert!(sum(&books(&fixture), "/queued_bytes") > 1 << 20);
    let page = fixture.json("/api/v1/sessions");
    let kick = format!("/api/v1/sessions/{}/kick", page["sessions"][0]["id"].as_str().unwrap());
    assert_eq!(fixture.post(&kick).status, Some(202));
    wait_until("it is flushed", || has("/sessions/flushing", 1) && has("/sessions/open", 0));
    drop(session);
    wait_until("it is gone", || has("/sockets", 0));
    let books = books(&fixture);
    let (operations, accepts) =
        (sum(&books, "/operations/total"), sum(&books, "/operations/accepts"));
    assert_eq!(operations, accepts + sum(&books, "/operations/timers"), "{books:?}");
    assert_eq!((accepts, sum(&books, "/queued_bytes")), (1, 0));
}

#[test]
fn the_books_of_a_worker_that_is_held_up_are_missing() {
    let fixture = Fixture::start(|options| options.worker_patience = Duration::from_secs(1));
    let mut session = fixture.session();
    frame(&mut session, b"wait");
    fixture.waits.recv_timeout(PATIENCE).unwrap();
    let ledger = fixture.json("/api/v1/ledger");
    let workers = ledger["workers"].as_array().unwrap();
    let silent: Vec<_> = workers.iter().filter(|worker| worker["answers"] == false).collect();
    let [silent] = silent[..] else { panic!("{ledger}") };
    assert!(silent["ledger"].is_null() && silent["ended"] == false, "{silent}");
    fixture.go_on.send(()).unwrap();
    session.read_exact(&mut [0; 8]).unwrap();
    wait_until("both have books", || books(&fixture).len() == 2);
}

#[test]
fn operations_by_kind_are_metrics_and_add_up() {
    let fixture = Fixture::start(|_| ());
    let _sessions = [fixture.session(), fixture.session(), fixture.session()];
    let answer = fixture.get("/metrics");
    let of = |worker: usize, kind: &str| {
        let name = format!("wharf_port_operations{{worker=\"{worker}\",kind=\"{kind}\"}}");
        answer.value(&name).unwrap_or_else(|| panic!("{name}"))
    };
    let kinds = ["accept", "connect", "receive", "send", "close", "timer"];
    for worker in 0..2 {
        let all = answer.value(&format!("wharf_operations{{worker=\"{worker}\"}}"));
        assert_eq!(Some(kinds.iter().map(|kind| of(worker, kind)).sum()), all);
    }
    assert_eq!(of(0, "receive") + of(1, "receive"), 3.0);
    assert_eq!(of(0, "accept") + of(1, "accept"), 1.0);
}
