//! How `wharf top` treats the terminal that it is on: sizes, colours, texts of others, and giving it back.

use std::net::{SocketAddr, TcpListener};

use crate::serving::{Serving, Signal, check_echo};
use crate::topping::{ESCAPE, View, endpoint_with, top};

#[track_caller]
fn check_given_back(view: &View) {
    let screen = view.screen();
    assert!(!screen.alternate_screen(), "the other screen is still shown");
    assert!(!screen.hide_cursor(), "the cursor is still hidden");
    assert!(view.is_cooked(), "the terminal is still raw");
    assert_eq!(screen.contents().trim(), "", "something is left on the screen");
}

#[test]
fn the_terminal_is_given_back_by_keys_and_by_signals() {
    let mut serving = Serving::start("--admin 127.0.0.1:0");
    let admin = serving.admin();
    type End = fn(&View);
    let ends: [End; 5] = [
        |view| view.press("q"),
        |view| view.press("\u{3}"),
        |view| view.signal(Signal::TERM),
        |view| view.signal(Signal::INT),
        |view| view.signal(Signal::HUP),
    ];
    for end in ends {
        let mut view = View::start(admin);
        view.wait_for("accepting");
        assert!(view.screen().alternate_screen() && view.screen().hide_cursor());
        assert!(!view.is_cooked());
        end(&view);
        assert_eq!(view.end(), Some(0));
        check_given_back(&view);
    }
    serving.stop();
}

#[test]
fn who_cannot_be_reached_leaves_the_terminal_alone() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut view = View::start(nobody);
    assert_eq!(view.end(), Some(4));
    let raw = String::from_utf8(view.raw.clone()).unwrap();
    assert!(raw.starts_with("wharf: error: no picture of --admin "), "{raw:?}");
    assert!(!raw.contains('\u{1b}'), "{raw:?}");
}

#[test]
fn every_size_has_a_picture_or_a_line_that_says_why_not() {
    let mut serving = Serving::start("--workers 2 --admin 127.0.0.1:0");
    let admin = serving.admin();
    let session = serving.connect();
    check_echo(&session, b"hello");
    let peer = session.local_addr().unwrap().to_string();
    let mut view = View::start(admin);
    for (rows, columns) in [(24, 80), (60, 250), (24, 80), (40, 120)] {
        view.resize(rows, columns);
        view.wait_until("all of it", |view| {
            let lines = view.lines();
            let last = lines.last().is_some_and(|line| line.contains("? help"));
            last && view.peers() == [&*peer] && lines[0].starts_with("wharf top ")
        });
    }
    for (rows, columns) in [(23, 80), (24, 79), (3, 30), (1, 1)] {
        view.resize(rows, columns);
        let wanted = format!("{columns}x{rows} is too small");
        let wanted: String = wanted.chars().take(columns.into()).collect();
        view.wait_until(&wanted, |view| view.lines()[0] == wanted);
    }
    // Nothing is asked, and so nothing is done, where no question is seen.
    view.resize(10, 50);
    view.wait_for("50x10 is too small");
    view.press("\u{1b}[Bky");
    view.wait_until_typed();
    // They are taken before the size that comes behind them.
    view.resize(11, 50);
    view.wait_for("50x11 is too small");
    view.resize(24, 80);
    view.wait_for(&peer);
    view.press("?");
    view.wait_for("Any key leaves this.");
    check_echo(&session, b"still here");
    view.press("q");
    view.wait_until("no help", |view| view.line_with("Any key leaves this.").is_none());
    view.press("q");
    assert_eq!(view.end(), Some(0));
    serving.stop();
}

/// An answer of the terminal would come to the thread that reads keys: whoever waits for it waits in vain.
#[test]
fn a_new_size_draws_everything_anew_and_asks_the_terminal_for_nothing() {
    let mut serving = Serving::start("--admin 127.0.0.1:0");
    let mut view = View::start(serving.admin());
    view.wait_for("? help");
    // What has come to stand on the screen is known to nobody.
    for (rows, columns) in [(24, 80), (40, 120), (30, 100)] {
        view.wipe();
        view.resize(rows, columns);
        view.wait_for("wharf top ");
        view.wait_for("? help");
    }
    view.press("q");
    assert_eq!(view.end(), Some(0));
    let raw = String::from_utf8(view.raw.clone()).unwrap();
    assert!(!raw.contains("\u{1b}[6n"), "it asks where the cursor is");
    serving.stop();
}

#[test]
fn colors_are_those_of_the_text_and_none_if_that_is_asked_for() {
    let mut serving = Serving::start("--admin 127.0.0.1:0");
    let admin = serving.admin();
    let colors = |view: &View| {
        let (rows, columns) = view.size();
        let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let cells: Vec<_> =
            cells.filter_map(|(row, column)| view.screen().cell(row, column)).collect();
        let is_default = |color: vt100::Color| color == vt100::Color::Default;
        assert!(
            cells.iter().all(|cell| is_default(cell.bgcolor())),
            "the background is its user's"
        );
        cells.iter().filter(|cell| !is_default(cell.fgcolor())).count()
    };
    let mut view = View::start(admin);
    view.wait_for("? help");
    assert!(colors(&view) > 0);
    let mut command = top(admin, "");
    command.env("NO_COLOR", "1");
    let mut view = View::spawn(command);
    view.wait_for("? help");
    assert_eq!(colors(&view), 0);
    let mut view = View::spawn(top(admin, "--ascii"));
    view.wait_for("? help");
    assert!(view.raw.is_ascii());
    serving.stop();
}

/// Answers as an endpoint does whose peers have chosen what would move a cursor, or hide.
fn hostile_endpoint() -> SocketAddr {
    endpoint_with(SERVER, WORKERS, SESSIONS)
}

const SERVER: &str = r#"{"version":"9\u001b[2J","backend":"\u009b31m","addresses":["a\r\nb"],
    "uptime_seconds":1e300,"accepting":true,"draining":false,"workers":1,"sessions":1,"groups":1,
    "rooms":0,"closes":{"\u001b]0;owned\u0007":18446744073709551615}}"#;
const WORKERS: &str = r#"{"workers":[{"worker":0,"answers":false,"ended":false,"stats":{"sessions":1,
    "frames_in":0,"bytes_in":0,"bytes_out":0,"turns":0},"report":null,
    "turns":{"bounds_seconds":[],"counts":[],"sum_seconds":-1},
    "timer_lag":{"bounds_seconds":[0.1],"counts":[1,2,3],"sum_seconds":0}}]}"#;
const SESSIONS: &str = r#"{"sessions":[{"id":"1/../../drain","name":"\u001bc","worker":0,
    "peer":"\u001b[1;1HEVIL\u202e","age_seconds":-5,"silent_seconds":0,
    "queued_bytes":18446744073709551615,"received_bytes":0,"sent_bytes":0,"received_per_second":0,"sent_per_second":0,
    "groups":["\u001b[?1049l","\u0000\u007f"]}],"next":null}"#;

#[test]
fn what_others_have_chosen_never_reaches_the_terminal_raw() {
    let admin = hostile_endpoint();
    let mut view = View::start(admin);
    view.resize(40, 160);
    for shown in [
        r"\u{1b}[1;1HEVIL\u{202e}",
        r"9\u{1b}[2J",
        r"\u{9b}31m",
        r"a\r\nb",
        r"\u{1b}]0;owned\u{7}",
        r"\u{1b}[?1049l",
        "NO ANSWER",
    ] {
        view.wait_for(shown);
    }
    view.press("\u{1b}[Bk");
    view.wait_for(r"\u{1b}c  ");
    view.press("n");
    view.press("/\u{1b}");
    view.wait_for("? help");
    view.press(ESCAPE);
    view.press("q");
    assert_eq!(view.end(), Some(0));
    let raw = String::from_utf8(view.raw.clone()).unwrap();
    for never in
        ["\u{1b}[1;1HEVIL", "\u{202e}", "\u{9b}", "\u{1b}]0;owned", "9\u{1b}[2J", "\u{1b}c"]
    {
        assert!(!raw.contains(never), "{never:?} is in what was written");
    }
    check_given_back(&view);
}
