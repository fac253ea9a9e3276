//! The server passes the checks that every server has to pass, and once more with so short an event
//! list that ready connections always have to wait for the next.

use std::path::Path;

use bench_common::Mode;
use bench_common::check::{self, TestServer};

fn check_with(arguments: &[&str]) {
    let program = Path::new(env!("CARGO_BIN_EXE_mio-server"));
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
fn one_event_at_a_time() {
    check_with(&["--events", "1"]);
}
