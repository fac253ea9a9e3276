//! The server passes the checks that every server has to pass, with its own ring and with monoio's.

use std::path::Path;

use bench_common::Mode;
use bench_common::check::{self, TestServer};

fn check_with(arguments: &[&str]) {
    let program = Path::new(env!("CARGO_BIN_EXE_monoio-server"));
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
fn default_ring() {
    check_with(&["--default-ring"]);
}
