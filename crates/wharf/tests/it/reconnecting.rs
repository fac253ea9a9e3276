//! Targets whose servers go and come back, and what is told of it.

use std::net::SocketAddr;
use std::time::Duration;

use wharf::{Backend, Reconnect, Server, SessionId, Target};

use crate::clients::{free_address, soon};
use crate::support::caller::{TestClient, Told};
use crate::support::record::{Echo, on_frame};
use crate::support::server::Setup;
use crate::support::time::{PATIENCE, Stopwatch};

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

/// What a target's client tells, checked as it comes: connections in their order, each told once and ended
/// once, and none beside another.
#[derive(Debug, Default)]
struct Checked {
    connections: u64,
    failures: u64,
    open: Option<SessionId>,
}

impl Checked {
    #[track_caller]
    fn check(&mut self, told: &Told) {
        match told {
            Told::Connected { reconnects, id, .. } => {
                assert_eq!((self.open.replace(*id), *reconnects), (None, self.connections));
                self.connections += 1;
            }
            Told::Frame(id, _) => assert_eq!(self.open, Some(*id)),
            Told::Ended { id, .. } => assert_eq!(self.open.take(), Some(*id)),
            Told::Failed { .. } => {
                assert_eq!(self.open, None);
                self.failures += 1;
            }
        }
    }

    #[track_caller]
    fn until(&mut self, client: &TestClient, wanted: impl Fn(&Told) -> bool) {
        let watch = Stopwatch::start();
        loop {
            assert!(watch.elapsed() < PATIENCE, "{self:?}");
            let told = client.hears.next();
            self.check(&told);
            if wanted(&told) {
                return;
            }
        }
    }
}

fn a_server_that_comes_back_a_hundred_times_is_found_each_time(backend: Backend) {
    const TIMES: u64 = 100;
    let address = free_address();
    let client = TestClient::of(backend, Target::from(address).reconnect(soon()));
    let mut checked = Checked::default();
    for time in 0..TIMES {
        // Nobody is there. A server that drains may have accepted once more before.
        checked.until(&client, |told| matches!(told, Told::Failed { .. }));
        let server = again(backend, address);
        checked.until(&client, |told| matches!(told, Told::Frame(_, frame) if frame == b"hello"));
        // Half of them end in order, half at once.
        if time % 2 == 0 {
            server.handle().drain();
        } else {
            server.handle().stop();
        }
        server.join().unwrap();
    }
    let handle = client.handle.clone();
    let (_, rest) = client.drain();
    rest.iter().for_each(|told| checked.check(told));
    assert_eq!(checked.open, None);
    assert!(checked.connections >= TIMES, "{checked:?}");
    let stats = handle.stats();
    assert_eq!((stats.connected, stats.connect_failures), (checked.connections, checked.failures));
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
