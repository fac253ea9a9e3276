//! The server passes the checks that every server has to pass, with its own ring and with monoio's.

use bench_common::check;

fn check_with(arguments: &[&str]) {
    check::in_every_mode_with_a_limit(env!("CARGO_BIN_EXE_monoio-server"), arguments);
}

#[test]
fn plain() {
    check_with(&[]);
}

#[test]
fn default_ring() {
    check_with(&["--default-ring"]);
}
