//! `wharf top`: what it shows of a real server, on a terminal that has a screen.

use std::cell::Cell;
use std::net::TcpStream;

use crate::program::run;
use crate::serving::{PATIENCE, Serving, check_echo, connect, serve};
use crate::topping::{DOWN, ENTER, ESCAPE, LEFT, RIGHT, View, top};

/// A server with its endpoint, and sessions of it that have sent so many bytes each.
fn serving_with(sent: &[usize]) -> (Serving, std::net::SocketAddr, Vec<TcpStream>) {
    let mut serving = Serving::start("--workers 2 --admin 127.0.0.1:0");
    let admin = serving.admin();
    // One has answered before the next connects, so that all workers agree about who is the oldest.
    let sessions = sent.iter().map(|bytes| {
        let session = serving.connect();
        check_echo(&session, &vec![7; *bytes]);
        session
    });
    let sessions: Vec<TcpStream> = sessions.collect();
    (serving, admin, sessions)
}

fn peer(session: &TcpStream) -> String {
    session.local_addr().unwrap().to_string()
}

#[test]
fn a_server_is_shown_with_its_workers_and_sessions() {
    let (serving, admin, sessions) = serving_with(&[1000, 2000, 3000]);
    let mut view = View::start(admin);
    view.wait_for("3 sessions");
    for session in &sessions {
        view.wait_for(&peer(session));
    }
    let shown = view.lines();
    for (line, part) in [
        (0, "accepting"),
        (0, &*admin.to_string()),
        (1, &*format!("wharf {}", env!("CARGO_PKG_VERSION"))),
        (1, &*serving.address().to_string()),
    ] {
        assert!(shown[line].contains(part), "{part}: {shown:?}");
    }
    let answers = |view: &View| view.lines().iter().filter(|it| it.ends_with(" answers")).count();
    view.wait_until("both workers answer", |view| answers(view) == 2);
    // Totals of 1,000 bytes and so on, both ways.
    let row = view.line_with(&peer(&sessions[0])).unwrap();
    let totals: Vec<_> = row.split_whitespace().skip(7).take(2).collect();
    assert_eq!(totals, ["1000", "1000"], "{row}");
    view.press("q");
    assert_eq!(view.end(), Some(0));
    serving.stop();
}

#[test]
fn throughput_of_a_load_is_shown_while_it_lasts_and_ends_with_it() {
    let (serving, admin, sessions) = serving_with(&[1]);
    let mut view = View::start(admin);
    let number = |view: &View, name: &str| {
        let line = view.line_with(name)?;
        line.split_whitespace().nth(2).map(str::to_owned)
    };
    view.wait_until("nothing", |view| number(view, "frames in/s").is_some_and(|it| it == "0"));
    // Until it is seen, since each look is a part of a second.
    let is_seen = (0..1000).any(|_| {
        (0..50).for_each(|_| check_echo(&sessions[0], &[7; 100]));
        let mut seen = false;
        view.look_at_what_there_is(|view| {
            seen |= ["frames in/s", "bytes in/s", "bytes out/s"]
                .iter()
                .all(|name| number(view, name).is_some_and(|it| it != "0" && it != "-"));
        });
        seen
    });
    assert!(is_seen, "{}", view.lines().join("\n"));
    let bars = view.line_with("frames in/s").unwrap();
    assert!(bars.ends_with(|bar: char| ('\u{2581}'..='\u{2588}').contains(&bar)), "{bars}");
    view.wait_until("nothing", |view| number(view, "bytes out/s").is_some_and(|it| it == "0"));
    serving.stop();
}

#[test]
fn sessions_are_sorted_by_the_column_that_is_chosen() {
    let (serving, admin, sessions) = serving_with(&[2000, 3000, 1000]);
    let [two, three, one] = [0, 1, 2].map(|session| peer(&sessions[session]));
    let mut view = View::start(admin);
    // By what is received in a second at first, by the total two columns to the right of it.
    view.wait_for("IN/Sv");
    view.press(RIGHT);
    view.wait_for("OUT/Sv");
    view.press(RIGHT);
    view.wait_for("INv");
    let wanted = [three.clone(), two.clone(), one.clone()];
    view.wait_until("most first", |view| view.peers() == wanted);
    view.press("r");
    let wanted = [one.clone(), two.clone(), three.clone()];
    view.wait_until("least first", |view| view.peers() == wanted);
    view.press("r");
    // By the age: the two columns of rates, the queue and the silence lie between.
    for title in ["OUT/Sv", "IN/Sv", "QUEUEv", "SILENv", "AGEv"] {
        view.press(LEFT);
        view.wait_for(title);
    }
    let wanted = [two, three, one];
    view.wait_until("oldest first", |view| view.peers() == wanted);
    serving.stop();
}

/// Of all sessions, though one alone is asked for.
#[test]
fn the_fastest_is_found_behind_higher_totals() {
    let (serving, admin, sessions) = serving_with(&[60_000, 50_000, 10]);
    let fast = peer(&sessions[2]);
    let mut view = View::spawn(top(admin, "--limit 1"));
    view.wait_for("IN/Sv");
    // Once for each picture: its total stays far below the others'.
    let seen = Cell::new(0);
    let say = |view: &View| {
        if seen.replace(view.raw.len()) != view.raw.len() {
            check_echo(&sessions[2], b"on and on");
        }
    };
    view.wait_until("the first is who is busy, with its rate", |view| {
        say(view);
        let rate = |row: String| row.split_whitespace().nth(5).map(|rate| rate != "0");
        view.peers() == [&*fast] && view.line_with(&fast).and_then(rate) == Some(true)
    });
    view.press(&RIGHT.repeat(2));
    view.wait_until("by the total another is", |view| view.peers() == [peer(&sessions[0])]);
    view.press(LEFT);
    view.wait_for("most sent/s");
    view.wait_until("it is the first both ways", |view| {
        say(view);
        view.peers() == [&*fast]
    });
    serving.stop();
}

#[test]
fn sessions_are_filtered_by_peer_and_by_group() {
    let mut serving = Serving::spawn(serve("chat", "--admin 127.0.0.1:0"));
    let admin = serving.admin();
    let sessions = [serving.connect(), serving.connect()];
    let mut view = View::start(admin);
    view.wait_until("both", |view| view.peers().len() == 2);
    view.press("/");
    view.wait_for("peers that begin with: _");
    let first = peer(&sessions[0]);
    view.press(&first);
    view.press(ENTER);
    view.wait_until("one", |view| view.peers() == [&*first]);
    view.wait_for(&format!("peer={first}"));
    view.press(ESCAPE);
    view.wait_until("both again", |view| view.peers().len() == 2);
    for (group, count) in [("everybody", 2), ("nobody", 0)] {
        view.press("g");
        view.wait_for("members of the group: ");
        // What was typed before stands there again.
        view.press(&"\u{7f}".repeat(10));
        view.press(group);
        view.press(ENTER);
        view.wait_until(group, |view| {
            view.peers().len() == count && view.line_with(&format!("group={group}")).is_some()
        });
    }
    view.wait_for("no session is like that");
    serving.stop();
}

#[test]
fn a_choice_stays_with_its_session() {
    let (serving, admin, sessions) = serving_with(&[3000, 2000, 1000]);
    let mut view = View::start(admin);
    view.press(&RIGHT.repeat(2));
    view.wait_for("INv");
    view.wait_until("all", |view| view.peers().len() == 3);
    view.press(DOWN);
    view.press(DOWN);
    let chosen = |view: &View| {
        let screen = view.screen();
        let is_chosen =
            |row: &u16| screen.cell(*row, 0).is_some_and(|it| it.inverse() && it.contents() == "1");
        let row = (0..view.size().0).find(is_chosen)?;
        view.lines()[usize::from(row)].split(' ').next().map(str::to_owned)
    };
    let second = peer(&sessions[1]);
    view.wait_until("the second", |view| chosen(view).as_ref() == Some(&second));
    // Now it is the one with the most.
    check_echo(&sessions[1], &[7; 5000]);
    view.wait_until("it is the first", |view| view.peers().first() == Some(&second));
    assert_eq!(chosen(&view), Some(second.clone()));
    // Nothing is chosen in its place when it is gone.
    drop(sessions);
    view.wait_until("none", |view| view.peers().is_empty());
    view.press("k");
    view.wait_for("choose a session first");
    serving.stop();
}

#[test]
fn a_server_that_ends_is_missed_and_found_when_it_is_back() {
    let (serving, admin, sessions) = serving_with(&[1000]);
    let session = peer(&sessions[0]);
    let mut view = View::start(admin);
    view.wait_for(&session);
    drop(sessions);
    serving.stop();
    view.wait_for("NO ANSWER for ");
    view.wait_for("next try in ");
    assert!(view.line_with("wharf top").is_some(), "the last picture stays: {:?}", view.lines());
    let mut again = Serving::start(&format!("--admin {admin}"));
    assert_eq!(again.admin(), admin);
    let other = again.connect();
    check_echo(&other, b"hello");
    view.wait_for(&peer(&other));
    view.wait_until("it is back", |view| view.line_with("NO ANSWER").is_none());
    view.press("q");
    assert_eq!(view.end(), Some(0));
    again.stop();
}

#[test]
fn a_view_that_is_paused_asks_nothing_and_goes_on() {
    let (serving, admin, _sessions) = serving_with(&[1]);
    let mut view = View::start(admin);
    view.wait_for("  1 session  ");
    view.press(" ");
    view.wait_for("PAUSED");
    let second = serving.connect();
    check_echo(&second, b"hello");
    // Another view shows how many looks there could have been.
    let mut other = View::start(admin);
    other.wait_for(&peer(&second));
    let is_old = |view: &View| {
        let row = view.line_with(&peer(&second));
        let age = row.and_then(|row| row.split_whitespace().nth(2).map(str::to_owned));
        age.is_some_and(|age| ["2.", "3.", "4."].iter().any(|seconds| age.starts_with(seconds)))
    };
    other.wait_until("two seconds later", is_old);
    view.look_at_what_there_is(|_| {});
    assert_eq!(view.line_with(&peer(&second)), None, "{:?}", view.lines());
    view.press(" ");
    view.wait_for(&peer(&second));
    serving.stop();
}

#[test]
fn a_token_is_sent_and_its_lack_is_told() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("token");
    std::fs::write(&path, "a-token-of-some-length\n").unwrap();
    let flag = format!("--admin-token-file {}", path.display());
    let mut serving = Serving::start(&format!("--admin 127.0.0.1:0 {flag}"));
    let admin = serving.admin();
    let ended = run(top(admin, "--once"));
    let line = ended.failure_alone(4);
    assert!(line.contains("401") && line.contains("--admin-token-file"), "{line}");
    let mut view = View::spawn(top(admin, &flag));
    view.wait_for("accepting");
    std::fs::write(&path, "short").unwrap();
    let ended = run(top(admin, &format!("--once {flag}")));
    assert!(ended.failure_alone(2).contains("too short"), "{ended:?}");
    serving.stop();
}

/// One that takes a connection and says nothing holds the program up for a bounded time.
#[test]
fn an_endpoint_that_says_nothing_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = silent.local_addr().unwrap();
    let (time, ended) = crate::serving::timed(|| run(top(admin, "--once")));
    let line = ended.failure_alone(4);
    assert!(line.contains("no answer within 5s"), "{line}");
    assert!(time < PATIENCE, "{time:?}");
    drop(silent);
    assert!(connect(admin).is_err());
    let ended = run(top(admin, "--once"));
    let line = ended.failure_alone(4);
    assert!(line.contains(&admin.to_string()) && line.contains("--admin"), "{line}");
}
