//! How connections are spread over the workers, seen from outside: each worker of the backend
//! `readiness` has an epoll instance, and the system tells what that watches.

use std::time::Duration;

use super::Terms;
use crate::Result;
use crate::checks::{Checks, ensure};
use crate::client::Client;
use crate::procfs;
use crate::server::{Server, Signal, serve_echo};
use crate::{smoke, wait};

const CONNECTIONS: usize = 1_000;
/// The fewest that a worker may have.
const WORKER_MIN: usize = 450;
/// What a worker watches besides sessions, at most: its notifier and a listener.
const OTHERS_MAX: usize = 2;

/// The backend makes no difference to who gets a connection, and only this one can be looked into.
pub(super) fn run(terms: &Terms<'_>, checks: &mut Checks) {
    checks.check("readiness", || spread(terms));
}

fn spread(terms: &Terms<'_>) -> Result<String> {
    let server = Server::start(&mut serve_echo(terms.wharf, "--backend readiness --workers 2"))?;
    let clients = Client::connect_all(server.address, CONNECTIONS)?;
    let all_in = || {
        let watched = procfs::watched(server.id()).ok()?;
        (watched.iter().sum::<usize>() >= CONNECTIONS).then_some(watched)
    };
    let watched = wait::until(Duration::from_secs(10), all_in)
        .ok_or("the workers do not watch as many sockets as there are connections")?;
    ensure(watched.len() == 2 && watched[0] >= WORKER_MIN + OTHERS_MAX, || {
        format!("the workers watch {watched:?}: none may have fewer than {WORKER_MIN} sessions")
    })?;
    drop(clients);
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    Ok(format!("the workers watch {watched:?} sockets, notifiers and listener included"))
}
