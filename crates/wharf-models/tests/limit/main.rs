//! The models that cannot have more than so many connections say so, and serve those that they have. In a process of
//! its own: what others open here counts for some of them.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

use std::net::TcpStream;

use support::{PATIENCE, ping};
use wharf_models::{Limit, models};

#[test]
fn who_is_beyond_the_limit_is_refused_and_nobody_else_is_harmed() {
    for model in models() {
        if let Limit::Handles(handles) = model.limit {
            refuses_beyond(model.name, handles);
        }
    }
}

fn refuses_beyond(name: &str, handles: usize) {
    let Some(server) = support::start(name) else { return };
    let mut streams: Vec<TcpStream> = Vec::new();
    loop {
        assert!(streams.len() <= handles, "{name} has {} connections", streams.len());
        let mut stream = server.connect();
        // A refused one is closed, with or without a reset.
        if ping(&mut stream, streams.len()).is_err() {
            break;
        }
        streams.push(stream);
    }
    let refusal = server.refused.recv_timeout(PATIENCE).expect("it says whom it refuses");
    assert_eq!(refusal.connections, streams.len(), "{name}: {refusal}");
    for (seed, stream) in streams.iter_mut().enumerate() {
        ping(stream, seed).expect("those it has are answered");
    }
    // A place that becomes free is taken again, once the server has seen it.
    drop(streams.swap_remove(streams.len() / 2));
    let taken = (0..100).any(|_| ping(&mut server.connect(), 1).is_ok());
    assert!(taken, "{name} takes nobody any more");
}
