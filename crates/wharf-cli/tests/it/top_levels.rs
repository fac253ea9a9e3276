//! What `wharf top` says of who waits, who is refused and who is held back, and how it stands out.

use std::net::SocketAddr;

use vt100::Color;

use crate::serving::{Serving, check_echo, connect};
use crate::topping::{View, endpoint_with};

/// The colors of a terminal: as they are by default, of what is near its maximum, and of what is at it.
const PLAIN: Color = Color::Default;
const NEAR: Color = Color::Idx(3);
const BAD: Color = Color::Idx(1);

/// The color of a text that is on the screen once.
fn color(view: &View, text: &str) -> Option<Color> {
    let lines = view.lines();
    let mut places = lines.iter().zip(0u16..).filter_map(|(line, row)| {
        let before = line.split_once(text)?.0.chars().count();
        view.screen().cell(row, u16::try_from(before).ok()?)
    });
    let cell = places.next()?;
    places.next().is_none().then(|| cell.fgcolor())
}

#[track_caller]
fn check_color(view: &mut View, text: &str, wanted: Color) {
    view.wait_until(text, |view| color(view, text) == Some(wanted));
}

/// Whoever connects during a pause stands in the system's queue.
#[cfg(target_os = "linux")]
#[test]
fn who_waits_to_be_accepted_is_shown_beside_how_many_may() {
    let mut serving = Serving::start("--workers 1 --backlog 64 --admin 127.0.0.1:0");
    let mut view = View::start(serving.admin());
    view.wait_for(" 0/64 ");
    view.press("py");
    view.wait_for("NOT ACCEPTING");
    let waiting: Vec<_> = (0..3).map(|_| serving.connect()).collect();
    view.wait_for(" 3/64 ");
    view.press("py");
    view.wait_for(" 0/64 ");
    for session in &waiting {
        check_echo(session, b"hello");
    }
    serving.stop();
}

#[test]
fn a_server_without_room_and_those_whom_it_refuses_stand_out() {
    let mut serving = Serving::start("--sessions-max 2 --admin 127.0.0.1:0");
    let mut view = View::start(serving.admin());
    view.wait_for("sessions-max 2  ");
    view.wait_for("refused: none yet");
    let first = serving.connect();
    check_echo(&first, b"hello");
    view.wait_for("  1 session  ");
    check_color(&mut view, "1 session  ", PLAIN);
    let second = serving.connect();
    check_echo(&second, b"hello");
    view.wait_for("  2 sessions  ");
    check_color(&mut view, "2 sessions  ", BAD);
    // It is reset, now or soon.
    let _refused = connect(serving.address());
    view.wait_for("refused:  sessions_max 1");
    serving.stop();
}

/// An endpoint with queues at several levels, and sessions in each state.
fn endpoint_with_levels() -> SocketAddr {
    endpoint_with(SERVER, WORKERS, SESSIONS)
}

const SERVER: &str = r#"{"version":"9","backend":"uring","addresses":[],"uptime_seconds":1,"accepting":true,
    "draining":false,"workers":5,"sessions":3,"groups":0,"rooms":0,"closes":{},"more":[1]}"#;
const WORKERS: &str = r#"{"workers":[
    {"worker":0,"answers":true,"ended":false,"stats":{"sessions":1,"frames_in":0,"bytes_in":0,"bytes_out":0,"turns":0,
        "refused_banned":4,"refused_nobody_knows":null},
     "turns":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "timer_lag":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "report":{"queued_bytes":0,"accept_backlog":{"waiting":95,"max":128}}},
    {"worker":1,"answers":true,"ended":false,"stats":{"sessions":1,"frames_in":0,"bytes_in":0,"bytes_out":0,"turns":0,
        "refused_banned":5,"refused_filter":1},
     "turns":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "timer_lag":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "report":{"queued_bytes":0,"accept_backlog":{"waiting":96,"max":128}}},
    {"worker":2,"answers":true,"ended":false,"stats":{"sessions":1,"frames_in":0,"bytes_in":0,"bytes_out":0,"turns":0},
     "turns":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "timer_lag":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "report":{"queued_bytes":0,"accept_backlog":{"waiting":129,"max":128}}},
    {"worker":3,"answers":true,"ended":false,"stats":{"sessions":1,"frames_in":0,"bytes_in":0,"bytes_out":0,"turns":0},
     "turns":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "timer_lag":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "report":{"queued_bytes":0,"accept_backlog":null}},
    {"worker":4,"answers":true,"ended":false,"stats":{"sessions":1,"frames_in":0,"bytes_in":0,"bytes_out":0,"turns":0},
     "turns":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "timer_lag":{"bounds_seconds":[],"counts":[0],"sum_seconds":0},
     "report":{"queued_bytes":0}}]}"#;
const SESSIONS: &str = r#"{"sessions":[
    {"id":"1","name":"0-1-1","worker":0,"peer":"192.0.2.1:1","age_seconds":1,"silent_seconds":0,"queued_bytes":0,
     "received_bytes":7,"sent_bytes":7,"received_per_second":0,"sent_per_second":0,
     "held_back":false,"closing":false,"groups":["all"]},
    {"id":"2","name":"0-2-1","worker":0,"peer":"192.0.2.1:2","age_seconds":1,"silent_seconds":0,"queued_bytes":0,
     "received_bytes":7,"sent_bytes":7,"received_per_second":0,"sent_per_second":0,
     "held_back":false,"closing":true,"groups":["all"]},
    {"id":"3","name":"0-3-1","worker":0,"peer":"192.0.2.1:3","age_seconds":1,"silent_seconds":0,"queued_bytes":0,
     "received_bytes":7,"sent_bytes":7,"received_per_second":0,"sent_per_second":0,
     "held_back":true,"closing":false,"groups":["all"]}],"next":null}"#;

#[test]
fn a_queue_stands_out_when_it_is_nearly_full_and_when_it_is() {
    let mut view = View::start(endpoint_with_levels());
    // On the smallest terminal, too.
    view.resize(24, 80);
    for (level, wanted) in [("95/128", PLAIN), ("96/128", NEAR), ("129/128", BAD)] {
        check_color(&mut view, level, wanted);
    }
    let backlog = |view: &View, worker: &str| {
        let row = view.lines().into_iter().find(|line| line.trim_start().starts_with(worker))?;
        row.split_whitespace().rev().nth(1).map(str::to_owned)
    };
    for untold in ["3 ", "4 "] {
        view.wait_until(untold, |view| backlog(view, untold).as_deref() == Some("-"));
    }
    view.wait_for("refused:  banned 9  filter 1");
}

#[test]
fn who_is_held_back_or_being_closed_is_marked_and_found_by_that() {
    let mut view = View::start(endpoint_with_levels());
    view.wait_for("192.0.2.1:3");
    let states = |view: &View| -> Vec<String> {
        let lines = view.lines();
        let rows = lines.iter().filter(|line| line.starts_with("192.0.2.1:"));
        let words = rows.map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.map(|words| format!("{} {}", &words[0][10..], words[9..].join(" "))).collect()
    };
    view.wait_until("by id", |view| states(view) == ["1 all", "2 c all", "3 h all"]);
    check_color(&mut view, "h all", NEAR);
    // From the rate of what comes, three columns to the right.
    for title in ["OUT/Sv", " INv", " OUTv"] {
        view.press(crate::topping::RIGHT);
        view.wait_for(title);
    }
    view.press(crate::topping::RIGHT);
    view.wait_until("by state", |view| states(view) == ["3 h all", "2 c all", "1 all"]);
}
