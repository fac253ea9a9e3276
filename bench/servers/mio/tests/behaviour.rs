//! The server passes the checks that every server has to pass, and once more with so short an event
//! list that ready connections always have to wait for the next.

use bench_common::check;

fn check_with(arguments: &[&str]) {
    check::in_every_mode_with_a_limit(env!("CARGO_BIN_EXE_mio-server"), arguments);
}

#[test]
fn plain() {
    check_with(&[]);
}

#[test]
fn one_event_at_a_time() {
    check_with(&["--events", "1"]);
}
