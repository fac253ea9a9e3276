//! The server passes the checks that every server has to pass.

use std::path::Path;

use bench_common::Mode;
use bench_common::check::{self, TestServer};

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_glommio-server"))
}

#[test]
fn raw() {
    check::all(&TestServer::start(program(), Mode::Raw, &[]));
}

#[test]
fn framed() {
    check::all(&TestServer::start(program(), Mode::Framed, &[]));
}

#[test]
fn chat() {
    let server = TestServer::start(program(), Mode::Chat, &[]);
    check::all(&server);
    check::lagging_members(&server);
}
