//! What an idle session costs: resident memory of the server before and after 19,000 connections.

use std::time::Duration;

use super::Terms;
use crate::Result;
use crate::checks::{Checks, ensure, grouped};
use crate::client::Client;
use crate::load;
use crate::procfs;
use crate::server::{Server, Signal, serve_echo};
use crate::{smoke, wait};

/// Connections that are held: what a limit of 20,000 descriptors leaves a client room for.
pub(super) const SESSIONS: usize = 19_000;
/// Bytes of the process's own memory that one of them may cost.
const BYTES_MAX: u64 = 512;
/// Connections that are made before the server has taken them in. Of thousands at once a worker keeps
/// some hundred KiB of queues, once and not for a session.
const LOT: usize = 1_000;
/// How long the server may take until it has taken a lot in.
const SETTLED_MAX: Duration = Duration::from_secs(10);
/// More places to listen on: where one has most of a system's ports connected to it, the next connect
/// searches long for one that is free.
const MORE_PLACES: &str = "--listen 127.0.0.2:0 --listen 127.0.0.3:0 --listen 127.0.0.4:0";
/// Descriptors of the server besides the sessions', at least.
const DESCRIPTORS_MIN: usize = 4;

pub(super) fn run(terms: &Terms<'_>, checks: &mut Checks) {
    for backend in terms.backends {
        checks.check(format!("{backend}, silent"), || held(terms, backend, false));
        checks.check(format!("{backend}, after a message each"), || held(terms, backend, true));
    }
}

/// Holds connections, which have spoken before or not, and measures what they cost.
fn held(terms: &Terms<'_>, backend: &str, spoken: bool) -> Result<String> {
    let flags = format!("--backend {backend} {MORE_PLACES}");
    let server = Server::start(&mut serve_echo(terms.wharf, &flags))?;
    if spoken {
        // The receive buffers are touched once in the life of a server, by whatever sessions it has.
        load::echo(terms.wharf, &server, "--sessions 500 --depth 4 --messages 20")?;
    }
    let before = procfs::memory(server.id())?;
    let mut clients = connect_all(&server)?;
    if spoken {
        for client in &mut clients {
            client.write(b"hello, this is a message of 64 bytes, which is 64 bytes long ...")?;
        }
        for client in &mut clients {
            client.expect(b"hello, this is a message of 64 bytes, which is 64 bytes long ...")?;
        }
    }
    let after = procfs::memory(server.id())?;
    let each = after.saturating_sub(before) / SESSIONS as u64;
    drop(clients);
    smoke::drained(&server.stop(Signal::Terminate)?)?;
    ensure(each <= BYTES_MAX, || format!("{each} B each, and at most {BYTES_MAX} are allowed"))?;
    let [before, after] = [before, after].map(|bytes| grouped(bytes / 1024));
    Ok(format!("{each} B each ({before} KiB before, {after} KiB with {SESSIONS} sessions)"))
}

fn connect_all(server: &Server) -> Result<Vec<Client>> {
    let places = server.addresses();
    let mut clients = Vec::with_capacity(SESSIONS);
    for place in places.into_iter().cycle().take(SESSIONS) {
        clients.push(Client::connect(place)?);
        if clients.len() % LOT == 0 {
            let expected = clients.len() + DESCRIPTORS_MIN;
            let taken_in = || {
                procfs::descriptors(server.id()).is_ok_and(|open| open >= expected).then_some(())
            };
            wait::until(SETTLED_MAX, taken_in).ok_or_else(|| {
                format!("the server has not taken {} connections in", grouped(clients.len() as u64))
            })?;
        }
    }
    Ok(clients)
}
