//! Sessions are spread evenly over the workers, however many listeners there are.

use wharf::Backend;

use crate::support::client::Client;
use crate::support::record::{Echo, on_frame};
use crate::support::server::{Setup, TestServer};
use crate::support::time::wait_until;
use crate::support::wire::Wire;

each_backend! {
    a_thousand_sessions_are_spread_evenly,
    a_thousand_sessions_are_spread_evenly_by_one_of_several_listeners,
    a_thousand_sessions_of_several_listeners_are_spread_evenly,
    new_sessions_go_where_others_have_left,
    every_worker_of_many_gets_sessions,
}

/// The sessions of each worker, as soon as there are `count`.
#[track_caller]
fn sessions_by_worker(server: &TestServer, count: u64) -> Vec<u64> {
    let sessions = || server.handle.worker_stats().iter().map(|it| it.sessions).collect();
    let mut by_worker: Vec<u64> = Vec::new();
    wait_until(&format!("there are {count} sessions"), || {
        by_worker = sessions();
        by_worker.iter().sum::<u64>() == count
    });
    by_worker
}

/// Opens 1,000 sessions by listeners that `pick` chooses, and checks that two workers share them.
fn check_spread(backend: Backend, listeners: usize, pick: impl Fn(usize) -> usize) {
    let server = Setup::new(backend).workers(2).listeners(listeners).start(|_| Echo);
    let addresses = server.handle.addresses();
    assert_eq!(addresses.len(), listeners);
    let mut clients: Vec<Client> = (0..1000)
        .map(|number| Client::connect(addresses[pick(number)].tcp().unwrap(), Wire::U32Le))
        .collect();
    let by_worker = sessions_by_worker(&server, 1000);
    assert!(by_worker.iter().all(|&sessions| sessions >= 450), "{by_worker:?}");
    for client in &mut clients {
        client.send(b"hello");
    }
    for client in &mut clients {
        client.expect(b"hello");
    }
}

fn a_thousand_sessions_are_spread_evenly(backend: Backend) {
    check_spread(backend, 1, |_| 0);
}

fn a_thousand_sessions_are_spread_evenly_by_one_of_several_listeners(backend: Backend) {
    check_spread(backend, 3, |_| 1);
}

fn a_thousand_sessions_of_several_listeners_are_spread_evenly(backend: Backend) {
    check_spread(backend, 3, |number| number % 3);
}

fn new_sessions_go_where_others_have_left(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|arrival| {
        let worker = arrival.id().worker();
        on_frame(move |ctx, _| {
            ctx.send(worker.to_string().as_bytes());
            Ok(())
        })
    });
    let connect = || {
        let mut client = server.connect();
        client.send(b"where am I?");
        (client.frame(), client)
    };
    let mut clients: Vec<(Vec<u8>, Client)> = (0..40).map(|_| connect()).collect();
    assert_eq!(sessions_by_worker(&server, 40), [20, 20]);
    for left in [b"0", b"1", b"0"] {
        clients.retain(|(worker, _)| worker != left);
        server.wait_for_sessions(20);
        let newcomers: Vec<_> = (0..20).map(|_| connect()).collect();
        assert!(newcomers.iter().all(|(worker, _)| worker == left));
        clients.extend(newcomers);
    }
}

fn every_worker_of_many_gets_sessions(backend: Backend) {
    let server = Setup::new(backend).workers(8).start(|_| Echo);
    let mut clients: Vec<Client> = (0..64).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.ping(b"hello");
    }
    assert_eq!(sessions_by_worker(&server, 64), [8; 8]);
}
