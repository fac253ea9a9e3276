//! The server passes the checks that every server has to pass, with its own buffers and with those of the
//! shared pool, and with so few of these that it always runs out of them.

use std::path::Path;

use bench_common::Mode;
use bench_common::check::{self, TestServer};

fn check_with(arguments: &[&str]) {
    let program = Path::new(env!("CARGO_BIN_EXE_compio-server"));
    for mode in [Mode::Raw, Mode::Framed, Mode::Chat] {
        let server = TestServer::start(program, mode, arguments);
        check::all(&server);
        if mode == Mode::Chat {
            check::lagging_members(&server);
        }
    }
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
