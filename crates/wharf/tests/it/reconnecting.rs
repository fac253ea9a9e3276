//! Targets whose servers go and come back, and what is told of it.

use std::net::SocketAddr;
use std::time::Duration;

use wharf::{Backend, Reconnect, Server, Target};

use crate::clients::{free_address, soon};
use crate::support::caller::{TestClient, Told};
use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::wine::resets_can_look_like_ends;

each_backend! {
    a_server_that_comes_back_a_hundred_times_is_found_each_time,
    a_target_is_given_up_after_as_many_attempts_as_it_may_have,
    delays_grow_behind_sessions_that_are_over_at_once,
    delays_begin_again_behind_a_good_session,
}

/// A server on an address that another one has had.
fn again(backend: Backend, address: SocketAddr) -> wharf::RunningServer {
    let setup = Setup::new(backend);
    let server = Server::bind(address.to_string()).framing(setup.wire.framing()).workers(1);
    server.limits(setup.limits).port_options(setup.port).start(|_| Echo).expect("it comes back")
}

fn a_server_that_comes_back_a_hundred_times_is_found_each_time(backend: Backend) {
    const TIMES: u64 = 100;
    let address = free_address();
    let client = TestClient::of(backend, Target::from(address).reconnect(soon()));
    let mut failures = 0;
    for time in 0..TIMES {
        client.hears.until_failure();
        let server = again(backend, address);
        let (failed, told) = client.hears.next_but_failures();
        failures += failed + 1;
        let Told::Connected { reconnects, attempts, id, .. } = told else { panic!("{told:?}") };
        assert_eq!(reconnects, time);
        assert!(attempts >= 2, "it was tried while nobody was there");
        let (failed, told) = client.hears.next_but_failures();
        assert_eq!((failed, told), (0, Told::Frame(id, b"hello".to_vec())));
        // Half of them end in order, half at once.
        if time % 2 == 0 {
            server.handle().drain();
        } else {
            server.handle().stop();
        }
        server.join().unwrap();
        let (failed, told) = client.hears.next_but_failures();
        let Told::Ended { id: ended, reason } = told else { panic!("{told:?}") };
        assert_eq!((failed, ended), (0, id));
        let in_order = time % 2 == 0 || resets_can_look_like_ends();
        assert!(
            reason == "peer_reset" && time % 2 == 1 || (in_order && reason == "peer_closed"),
            "{reason}"
        );
    }
    let handle = client.handle.clone();
    let (_, rest) = client.drain();
    assert!(rest.iter().all(|told| matches!(told, Told::Failed { .. })), "{rest:?}");
    let stats = handle.stats();
    assert_eq!(stats.connected, TIMES);
    assert_eq!(stats.connect_failures, (failures + rest.len()) as u64, "each is told once");
}

fn a_target_is_given_up_after_as_many_attempts_as_it_may_have(backend: Backend) {
    let reconnect = Reconnect {
        delay_min: Duration::from_millis(10),
        delay_max: Duration::from_millis(30),
        factor: 2.0,
        jitter: 0.0,
        attempts_max: Some(4),
        ..Reconnect::default()
    };
    let nobody = free_address();
    let client = TestClient::of(backend, Target::from(nobody).reconnect(reconnect));
    let refused = format!("{nobody}: connection refused: nobody listens there");
    for (attempt, delay) in [(1, Some(10)), (2, Some(20)), (3, Some(30)), (4, None)] {
        let delay = delay.map(Duration::from_millis);
        assert_eq!(client.hears.failure(), (refused.clone(), attempt, delay));
    }
    // Its last target is over.
    assert_eq!(client.end().1, []);
}

/// Delays that would be seen to grow, and sessions that are good after so long.
fn growing(stable_after: Duration) -> Reconnect {
    Reconnect {
        delay_min: Duration::from_millis(4),
        delay_max: Duration::from_millis(400),
        factor: 10.0,
        jitter: 0.0,
        attempts_max: Some(1),
        stable_after,
    }
}

/// The delay that a client tells when its server, which has closed two sessions at once, has gone.
fn delay_behind_two_sessions(backend: Backend, stable_after: Duration) -> Option<Duration> {
    let server = Setup::new(backend).start(|_| {
        on_frame(|ctx, _| {
            ctx.close();
            Ok(())
        })
    });
    let reconnect = Reconnect { attempts_max: Some(2), ..growing(stable_after) };
    let client = TestClient::of(backend, Target::from(server.address()).reconnect(reconnect));
    client.hears.connected(0);
    client.hears.next();
    client.hears.connected(1);
    server.stop();
    loop {
        if let Told::Failed { retry_after, attempts, .. } = client.hears.next() {
            assert_eq!(attempts, 1, "those before a session do not count");
            return retry_after;
        }
    }
}

fn delays_grow_behind_sessions_that_are_over_at_once(backend: Backend) {
    let delay = delay_behind_two_sessions(backend, Duration::from_secs(3600));
    assert_eq!(delay, Some(Duration::from_millis(400)), "4 and 40 were behind the sessions");
}

fn delays_begin_again_behind_a_good_session(backend: Backend) {
    let delay = delay_behind_two_sessions(backend, Duration::ZERO);
    assert_eq!(delay, Some(Duration::from_millis(40)), "4 was behind the session");
}
