//! What `wharf top` changes of a server, and how it asks first.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::serving::{PATIENCE, Serving, check_echo, read_to_end};
use crate::topping::{DOWN, ENTER, View, endpoint};

#[test]
fn a_session_is_closed_only_if_the_answer_is_yes() {
    let mut serving = Serving::start("--workers 2 --admin 127.0.0.1:0");
    let admin = serving.admin();
    let (kicked, other) = (serving.connect(), serving.connect());
    check_echo(&other, b"hello");
    check_echo(&kicked, b"hello, and more than the other");
    let peer = kicked.local_addr().unwrap().to_string();
    let mut view = View::start(admin);
    view.press("\u{1b}[C\u{1b}[C");
    view.wait_for("INv");
    view.wait_until("who has sent the most is first", |view| view.peers().first() == Some(&peer));
    view.press(DOWN);
    view.press("k");
    view.wait_for("Close this session?");
    let question = view.line_with(&format!("  {peer}"));
    assert!(question.is_some(), "{:?}", view.lines());
    view.press("n");
    view.wait_for("not kicked");
    check_echo(&kicked, b"still here");
    view.press("k");
    view.wait_for("Close this session?");
    view.press("y");
    assert_eq!(read_to_end(&kicked), b"");
    view.wait_for("done: kick ");
    drop(kicked);
    view.wait_for("  1 session  ");
    view.wait_for("closed:  closed 1");
    view.wait_until("it is gone", |view| !view.peers().contains(&peer));
    check_echo(&other, b"hello");
    drop(other);
    let ended = serving.stop();
    assert!(ended.reasons().is_some_and(|reasons| reasons.contains("closed 1")), "{ended:?}");
}

#[test]
fn accepting_is_paused_and_resumed() {
    let mut serving = Serving::start("--admin 127.0.0.1:0");
    let mut view = View::start(serving.admin());
    view.wait_for(" accepting ");
    view.press("p");
    view.wait_for("Pause accepting?");
    view.press("p");
    view.wait_for("not paused");
    let session = serving.connect();
    check_echo(&session, b"hello");
    view.press("p");
    view.wait_for("Pause accepting?");
    view.press("y");
    view.wait_for("NOT ACCEPTING");
    view.press("p");
    view.wait_for("Resume accepting?");
    view.press("y");
    view.wait_for(" accepting ");
    let session = serving.connect();
    check_echo(&session, b"hello");
    serving.stop();
}

#[test]
fn accepting_is_paused_and_resumed_in_a_view_that_looks_no_more() {
    let mut serving = Serving::start("--admin 127.0.0.1:0");
    let mut view = View::start(serving.admin());
    view.wait_for(" accepting ");
    view.press(" ");
    view.wait_for("PAUSED");
    view.press("py");
    view.wait_for("NOT ACCEPTING");
    view.press("py");
    view.wait_for(" accepting ");
    serving.stop();
}

/// An endpoint whose changes are told to the test, and answered when the test has said with which status.
fn endpoint_that_waits() -> (SocketAddr, Receiver<String>, Sender<&'static str>) {
    let (tell, asked) = channel();
    let (say, statuses) = channel();
    let admin = endpoint(move |line| match line.split(' ').nth(1).unwrap_or_default() {
        "/api/v1/server" => ("200 OK", SERVER),
        "/api/v1/workers" => ("200 OK", r#"{"workers":[]}"#),
        path if path.starts_with("/api/v1/sessions?") => {
            ("200 OK", r#"{"sessions":[],"next":null}"#)
        }
        path => {
            let _ = tell.send(path.to_owned());
            (statuses.recv_timeout(PATIENCE).unwrap_or("500 No Test"), "so it is")
        }
    });
    (admin, asked, say)
}

const SERVER: &str = r#"{"version":"9","backend":"uring","addresses":[],"uptime_seconds":1,"accepting":true,
    "draining":false,"workers":0,"sessions":0,"groups":0,"rooms":0,"closes":{}}"#;

/// A view that is asked to end while a change is under way.
#[track_caller]
fn leaving(admin: SocketAddr, asked: &Receiver<String>) -> View {
    let mut view = View::start(admin);
    view.wait_for(" accepting ");
    view.press("py");
    view.press("q");
    view.wait_for("waiting for pause accepting; q again leaves");
    assert_eq!(asked.recv_timeout(PATIENCE).as_deref(), Ok("/api/v1/accepting/pause"));
    view
}

#[test]
fn the_end_waits_for_a_change_that_is_under_way() {
    let (admin, asked, say) = endpoint_that_waits();
    let mut view = leaving(admin, &asked);
    say.send("200 OK").unwrap();
    assert_eq!(view.end(), Some(0));
    assert!(asked.try_recv().is_err(), "it was asked for once");
}

#[test]
fn the_end_waits_no_longer_if_it_is_asked_for_again_or_the_change_has_failed() {
    let (admin, asked, say) = endpoint_that_waits();
    let mut view = leaving(admin, &asked);
    say.send("503 Service Unavailable").unwrap();
    view.wait_for("pause accepting failed: 503 so it is");
    view.press("py");
    view.press("q");
    view.wait_for("waiting for pause accepting");
    view.press("q");
    assert_eq!(view.end(), Some(0));
}

#[test]
fn a_drain_needs_its_word() {
    let mut serving = Serving::start("--framing lines --farewell bye --admin 127.0.0.1:0");
    let mut view = View::start(serving.admin());
    let session = serving.connect();
    check_echo(&session, b"hello\n");
    view.wait_for("  1 session  ");
    for wrong in ["", "drai", "q", "yes", "drainn"] {
        view.press("d");
        view.wait_for("Drain the server?");
        view.press(wrong);
        view.press(ENTER);
        view.wait_for("not drained");
        // Another key takes the line away.
        view.press("x");
        view.wait_until("the keys", |view| view.line_with("? help").is_some());
    }
    check_echo(&session, b"still here\n");
    view.press("d");
    view.wait_for("Drain the server?");
    view.press("drain");
    view.press(ENTER);
    assert_eq!(read_to_end(&session), b"bye\n");
    drop(session);
    let ended = serving.end();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("the admin endpoint was told so"), "{ended:?}");
    view.wait_for("NO ANSWER for ");
    view.press("q");
    assert_eq!(view.end(), Some(0));
}
