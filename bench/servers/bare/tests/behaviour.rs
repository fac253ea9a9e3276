//! The server passes the checks that every server has to pass, with every switch that changes how
//! it works, and with so few and so small buffers that it always runs out of them.

use bench_common::check;

const FEW_BUFFERS: [&str; 4] = ["--buffers", "4", "--buffer-size", "512"];

fn check_with(arguments: &[&str]) {
    check::in_every_mode(env!("CARGO_BIN_EXE_bare-server"), arguments);
}

#[test]
fn plain() {
    check_with(&[]);
}

#[test]
fn skip() {
    check_with(&["--skip"]);
}

#[test]
fn direct() {
    check_with(&["--direct"]);
}

#[test]
fn direct_and_skip() {
    check_with(&["--direct", "--skip"]);
}

#[test]
fn few_buffers() {
    check_with(&FEW_BUFFERS);
}

#[test]
fn few_buffers_and_skip() {
    check_with(&[&FEW_BUFFERS[..], &["--skip"]].concat());
}
