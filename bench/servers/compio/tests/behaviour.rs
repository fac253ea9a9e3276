//! The server passes the checks that every server has to pass, with its own buffers and with those of the
//! shared pool, and with so few of these that it always runs out of them.

use bench_common::check;

fn check_with(arguments: &[&str]) {
    check::in_every_mode_with_a_limit(env!("CARGO_BIN_EXE_compio-server"), arguments);
}

#[test]
fn plain() {
    check_with(&[]);
}

#[test]
fn multi() {
    check_with(&["--multi"]);
}

#[test]
fn multi_with_few_buffers() {
    check_with(&["--multi", "--buffers", "4"]);
}
