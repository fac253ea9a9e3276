//! Sessions as JSON.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use wharf::{SessionId, SessionsWanted};

use crate::support::{Fixture, GROUP, PATIENCE, frame, wait_until};

/// Sends a frame and reads it back.
fn echo(stream: &mut TcpStream, payload: &[u8]) {
    frame(stream, payload);
    stream.read_exact(&mut vec![0; 4 + payload.len()]).unwrap();
}

#[track_caller]
fn sessions(fixture: &Fixture, query: &str) -> Vec<Value> {
    let page = fixture.json(&format!("/api/v1/sessions{query}"));
    assert_eq!(page["silent_workers"], json!([]), "{page}");
    page["sessions"].as_array().unwrap().clone()
}

/// Whom the sessions speak to, in the order of the answer.
#[track_caller]
fn peers(fixture: &Fixture, query: &str) -> Vec<String> {
    let peer = |session: &Value| session["peer"].as_str().unwrap().to_owned();
    sessions(fixture, query).iter().map(peer).collect()
}

/// The id, which is text of digits.
#[track_caller]
fn id_of(session: &Value) -> u64 {
    session["id"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_session_is_told_as_its_worker_knows_it() {
    let fixture = Fixture::start(|_| ());
    let mut stream = fixture.session();
    echo(&mut stream, b"join");
    let told = sessions(&fixture, "");
    let [session] = &told[..] else { panic!("{told:?}") };
    let id = SessionId::from_u64(id_of(session));
    let known = fixture.server().ask_workers(SessionsWanted::One(id)).wait(PATIENCE);
    let known = known.iter().find_map(|report| report.sessions.first()).unwrap();
    assert_eq!(known.id, id);
    let (age, silent) = (session["age_seconds"].as_f64(), session["silent_seconds"].as_f64());
    assert!(age.unwrap() > silent.unwrap() && silent.unwrap() >= 0.0, "{session}");
    assert!(age.unwrap() < 2.0 * PATIENCE.as_secs_f64(), "{session}");
    // Nobody has asked before: since it began, and as over a second at least.
    let rate = session["received_per_second"].clone();
    let rounded_off = 17.0 / age.unwrap().max(1.0) - rate.as_f64().unwrap();
    assert!(rate.is_u64() && (0.0..1.0).contains(&rounded_off), "{session}");
    let expected = json!({
        "id": id.as_u64().to_string(),
        "name": id.to_string(),
        "worker": id.worker(),
        "peer": stream.local_addr().unwrap().to_string(),
        "age_seconds": age,
        "silent_seconds": silent,
        "received_bytes": 17,
        "received_frames": 2,
        "sent_bytes": 17,
        "received_per_second": rate,
        "sent_per_second": rate,
        "queued_bytes": 0,
        "held_back": false,
        "closing": false,
        "groups": [GROUP],
    });
    assert_eq!(session, &expected);
    let mut alone = fixture.json(&format!("/api/v1/sessions/{}", id.as_u64()));
    for time in ["age_seconds", "silent_seconds"] {
        assert!(
            alone[time].as_f64() > session[time].as_f64(),
            "{alone} comes later than {session}"
        );
        alone[time] = session[time].clone();
    }
    for rate in ["received_per_second", "sent_per_second"] {
        assert!(alone[rate].is_u64(), "{alone}");
        alone[rate] = session[rate].clone();
    }
    assert_eq!(alone, expected);
}

#[test]
fn all_sessions_of_all_workers_are_told_page_by_page() {
    let fixture = Fixture::start(|_| ());
    let streams: Vec<_> = (0..7).map(|_| fixture.session()).collect();
    for (limit, pages) in [(1, 8), (3, 3), (7, 2), (1000, 1)] {
        let (mut ids, mut turned, mut after) = (Vec::new(), 0, String::new());
        loop {
            let page = fixture.json(&format!("/api/v1/sessions?limit={limit}{after}"));
            let told: Vec<_> = page["sessions"].as_array().unwrap().iter().map(id_of).collect();
            assert!(told.len() <= limit, "{page}");
            ids.extend(&told);
            turned += 1;
            if page["next"].is_null() {
                break;
            }
            assert_eq!(page["next"].as_str().unwrap(), told.last().unwrap().to_string());
            after = format!("&order=id&after={}", told.last().unwrap());
        }
        assert_eq!((ids.len(), turned), (streams.len(), pages), "{limit} at a time");
        assert!(ids.is_sorted_by(|one, next| one < next), "{ids:?}");
        let workers = ids.iter().map(|id| SessionId::from_u64(*id).worker());
        assert_eq!(workers.max(), Some(1), "both have some: {ids:?}");
    }
}

#[test]
fn the_oldest_the_most_silent_and_the_fullest_come_first() {
    let fixture = Fixture::start(|_| ());
    let mut streams: Vec<_> = (0..5).map(|_| fixture.session()).collect();
    let peer = |stream: &TcpStream| stream.local_addr().unwrap().to_string();
    let by_age: Vec<_> = streams.iter().map(peer).collect();
    assert_eq!(peers(&fixture, "?order=age"), by_age);
    assert_eq!(peers(&fixture, "?limit=2&order=age"), by_age[..2]);
    echo(&mut streams[0], b"hello");
    echo(&mut streams[2], b"hello");
    let by_silence = [1, 3, 4, 0, 2].map(|at| by_age[at].clone());
    assert_eq!(peers(&fixture, "?order=silence"), by_silence);
    assert_eq!(peers(&fixture, "?order=silence&limit=4"), by_silence[..4]);
    // It reads nothing of all this.
    frame(&mut streams[3], b"flood");
    let fullest = || sessions(&fixture, "?order=queue&limit=1").remove(0);
    wait_until("much is queued", || fullest()["queued_bytes"].as_u64() > Some(1 << 20));
    assert_eq!(fullest()["peer"].as_str(), Some(&*by_age[3]));
    let queues = sessions(&fixture, "?order=queue");
    let empty = queues[1..].iter().filter(|session| session["queued_bytes"] == 0);
    assert_eq!((queues.len(), empty.clone().count()), (5, 4));
    assert!(empty.map(id_of).is_sorted(), "by id, if they are alike: {queues:?}");
}

#[test]
fn sessions_are_told_by_what_they_moved_and_found_by_peer_and_group() {
    let fixture = Fixture::start(|_| ());
    let mut streams: Vec<_> = (0..5).map(|_| fixture.session()).collect();
    let peer = |stream: &TcpStream| stream.local_addr().unwrap().to_string();
    let by_age: Vec<_> = streams.iter().map(peer).collect();
    echo(&mut streams[1], &[b'x'; 500]);
    echo(&mut streams[3], &[b'x'; 900]);
    for order in ["received", "sent"] {
        let most = [3, 1].map(|at| by_age[at].clone());
        assert_eq!(peers(&fixture, &format!("?order={order}&limit=2")), most);
    }
    echo(&mut streams[2], b"join");
    echo(&mut streams[3], b"join");
    let group: String = form_urlencoded::byte_serialize(GROUP.as_bytes()).collect();
    let in_group = [2, 3].map(|at| by_age[at].clone());
    assert_eq!(peers(&fixture, &format!("?order=age&group={group}")), in_group);
    assert_eq!(peers(&fixture, &format!("?group={group}&peer={}", by_age[3])), [&*by_age[3]]);
    assert_eq!(peers(&fixture, &format!("?peer={}", by_age[0])), [&*by_age[0]]);
    assert_eq!(peers(&fixture, "?peer=127.0.0.1%3A&limit=4").len(), 4);
    assert!(peers(&fixture, "?peer=192.0.2.").is_empty());
    // A filter goes with pages: each is full, but for the last.
    let page = fixture.json(&format!("/api/v1/sessions?group={group}&limit=1"));
    let next = page["next"].as_str().unwrap();
    let page = fixture.json(&format!("/api/v1/sessions?group={group}&limit=1&after={next}"));
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1, "{page}");
    let next = page["next"].as_str().unwrap();
    let page = fixture.json(&format!("/api/v1/sessions?group={group}&limit=1&after={next}"));
    assert_eq!((&page["sessions"], &page["next"]), (&json!([]), &Value::Null));
}

#[test]
fn the_fastest_each_way_come_first() {
    let fixture = Fixture::start(|_| ());
    let mut streams: Vec<_> = (0..5).map(|_| fixture.session()).collect();
    let peer = |stream: &TcpStream| stream.local_addr().unwrap().to_string();
    let [receives, sends] = [2, 3].map(|at| peer(&streams[at]));
    let first = |order| sessions(&fixture, &format!("?order={order}_rate")).remove(0);
    // Rates are of the time since the last question: on a busy machine that may be as short as the next.
    let mut are_first = || {
        for _ in 0..10 {
            echo(&mut streams[2], &[b'x'; 60_000]);
        }
        frame(&mut streams[3], b"flood");
        let flood = 512 * (4 + (64 << 10)) + 4 + 5;
        streams[3].read_exact(&mut vec![0; flood]).unwrap();
        let (received, sent) = (first("received"), first("sent"));
        let peers = [&received, &sent].map(|it| it["peer"].as_str().unwrap().to_owned());
        let rates = [&received["received_per_second"], &sent["sent_per_second"]];
        peers == [&*receives, &*sends] && rates.iter().all(|it| it.as_u64() > Some(0))
    };
    assert!((0..20).any(|_| are_first()), "{receives} is not the first, or {sends} is not");
}

#[test]
fn what_is_not_there_or_asked_for_wrongly_is_said() {
    let fixture = Fixture::start(|_| ());
    for (query, says) in [
        ("limit=0", "limit is a whole number from 1 to 1000\n"),
        ("limit=1001", "limit is a whole number from 1 to 1000\n"),
        (
            "order=peer",
            "order is id, queue, age, silence, received, sent, received_rate or sent_rate\n",
        ),
        ("peers=1", "a query has order, limit, after, peer and group\n"),
        (
            "after=1&order=queue",
            "after is for order=id: by anything else the next page may be another\n",
        ),
    ] {
        let answer = fixture.get(&format!("/api/v1/sessions?{query}"));
        assert_eq!((answer.status, &*answer.body), (Some(400), says), "{query}");
    }
    // One that could be there, one of the other worker, and one of a worker that there is not.
    for id in ["0", "1", "18014398509481984", "18446744073709551615"] {
        let answer = fixture.get(&format!("/api/v1/sessions/{id}"));
        assert_eq!(
            (answer.status, &*answer.body),
            (Some(404), "there is no such session\n"),
            "{id}"
        );
    }
    let stream = fixture.session();
    let id = id_of(&sessions(&fixture, "")[0]);
    drop(stream);
    let gone = || fixture.get(&format!("/api/v1/sessions/{id}")).status == Some(404);
    wait_until("it is gone", gone);
}

#[test]
fn sessions_of_a_worker_that_is_held_up_are_missed_by_name() {
    let fixture = Fixture::start(|options| options.worker_patience = Duration::from_secs(1));
    let mut held_up = fixture.session();
    let held_up_peer = held_up.local_addr().unwrap().to_string();
    let _other = fixture.session();
    let known = fixture.server().ask_workers(SessionsWanted::Oldest(10)).wait(PATIENCE);
    let [first, second] = &known[..] else { panic!("{known:?}") };
    assert_eq!((first.sessions.len(), second.sessions.len()), (1, 1), "each worker has one");
    let is_first = first.sessions[0].peer.to_string() == held_up_peer;
    let (silent, other) = if is_first { (first, second) } else { (second, first) };
    frame(&mut held_up, b"wait");
    fixture.waits.recv_timeout(PATIENCE).unwrap();
    let page = fixture.json("/api/v1/sessions");
    assert_eq!(page["silent_workers"], json!([silent.worker]), "{page}");
    let told: Vec<_> = page["sessions"].as_array().unwrap().iter().map(id_of).collect();
    assert_eq!(told, [other.sessions[0].id.as_u64()]);
    let first = silent.sessions[0].id.as_u64();
    let says = "its worker has not answered within 1s\n";
    for answer in [
        fixture.get(&format!("/api/v1/sessions/{first}")),
        fixture.post(&format!("/api/v1/sessions/{first}/kick")),
    ] {
        assert_eq!((answer.status, &*answer.body), (Some(503), says));
    }
    fixture.go_on.send(()).unwrap();
    let is_told = || fixture.get(&format!("/api/v1/sessions/{first}")).status == Some(200);
    wait_until("it goes on, and was not closed", is_told);
}
