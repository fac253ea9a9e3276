//! What `wharf top` changes of a server, and how it asks first.

use crate::serving::{Serving, check_echo, read_to_end};
use crate::topping::{DOWN, ENTER, View};

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
    view.wait_for("NOT ACCEPTING");
    view.press("p");
    view.wait_for(" accepting ");
    let session = serving.connect();
    check_echo(&session, b"hello");
    serving.stop();
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
