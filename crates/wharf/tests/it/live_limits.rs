//! Limits that change while a server runs.

use wharf::{Backend, Limits, LiveLimits, Rate};

use crate::support::client::Client;
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::time::wait_until;
use crate::support::wire::Wire;

each_backend! {
    fewer_sessions_are_let_in_and_more_up_to_what_it_was_started_for,
    the_rate_of_accepting_changes,
    sessions_are_held_back_by_a_new_rate_and_go_on_without,
    what_is_out_of_range_changes_nothing,
}

fn fewer_sessions_are_let_in_and_more_up_to_what_it_was_started_for(backend: Backend) {
    let server = Setup::new(backend).limits(|limits| limits.sessions_max = Some(4)).start(|_| Echo);
    assert_eq!(server.handle.sessions_max_at_start(), 4);
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ping(b"hello"));
    let limits = server.handle.change_limits(|limits| limits.sessions_max = 2).unwrap();
    assert_eq!((limits.sessions_max, server.handle.live_limits()), (2, limits));
    server.expect_refusal();
    clients.iter_mut().for_each(|client| client.ping(b"still here"));
    server.handle.change_limits(|limits| limits.sessions_max = 4).unwrap();
    let mut fourth = server.connect();
    fourth.ping(b"hello");
    server.expect_refusal();
    wait_until("both are counted", || server.stats().refused_sessions_max == 2);
}

fn the_rate_of_accepting_changes(backend: Backend) {
    let server = Setup::new(backend).limits(|limits| limits.accept_rate = None).start(|_| Echo);
    let mut first: Vec<_> = (0..5).map(|_| server.connect()).collect();
    first.iter_mut().for_each(|client| client.ping(b"hello"));
    // One in a second, which nothing here takes.
    let rate = Some(Rate { per_second: 1, burst: 1 });
    server.handle.change_limits(|limits| limits.accept_rate = rate).unwrap();
    let refused = || server.stats().refused_accept_rate;
    let _others: Vec<_> =
        (0..20).map(|_| Client::try_connect(server.address(), Wire::U32Le)).collect();
    wait_until("most are refused", || refused() >= 10);
    server.handle.change_limits(|limits| limits.accept_rate = None).unwrap();
    let let_in = || {
        let mut last: Vec<_> = (0..5).map(|_| server.connect()).collect();
        last.iter_mut().for_each(|client| client.ping(b"hello"));
    };
    let_in();
    // All who came before those have been let in or refused by now.
    let before = refused();
    let_in();
    assert_eq!(refused(), before);
}

fn sessions_are_held_back_by_a_new_rate_and_go_on_without(backend: Backend) {
    let server = Setup::new(backend).workers(2).start(|_| Echo);
    let mut clients: Vec<_> = (0..2).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| client.ping(b"hello"));
    let rate = Some(Rate { per_second: 1, burst: 1 });
    server.handle.change_limits(|limits| limits.frames_per_second = rate).unwrap();
    for client in &mut clients {
        // It takes more than a minute at this rate.
        (0..100).for_each(|_| client.send(b"many"));
    }
    wait_until("both are held back", || server.stats().throttled >= 2);
    assert!(server.stats().frames_in < 202, "{:?}", server.stats());
    server.handle.change_limits(|limits| limits.frames_per_second = None).unwrap();
    for client in &mut clients {
        (0..100).for_each(|_| client.expect(b"many"));
    }
    let rate = Some(Rate { per_second: 1, burst: 1 });
    server.handle.change_limits(|limits| limits.bytes_per_second = rate).unwrap();
    let before = server.stats().throttled;
    wait_until("it is held back", || {
        clients[0].send(b"more");
        server.stats().throttled > before
    });
}

fn what_is_out_of_range_changes_nothing(backend: Backend) {
    let server = Setup::new(backend).limits(|limits| limits.sessions_max = Some(4)).start(|_| Echo);
    let before = server.handle.live_limits();
    let Limits { per_address_max, accept_rate, .. } = Limits::default();
    assert_eq!((before.per_address_max, before.accept_rate), (per_address_max, accept_rate));
    let rate = Some(Rate { per_second: 0, burst: 1 });
    type Change = fn(&mut LiveLimits, Option<Rate>);
    let wrong: [(Change, &str); 5] = [
        (|limits, _| limits.sessions_max = 5, "1 to the 4 that the server was started with"),
        (|limits, _| limits.sessions_max = 0, "sessions_max is 0"),
        (|limits, _| limits.per_address_max = Some(0), "per_address_max is 0"),
        (|limits, rate| limits.accept_rate = rate, "accept_rate is 0 a second"),
        (|limits, rate| limits.bytes_per_second = rate, "bytes_per_second is 0 a second"),
    ];
    for (change, says) in wrong {
        let changed = server.handle.change_limits(|limits| {
            // It is in order, and not changed either.
            limits.frames_per_second = None;
            change(limits, rate);
        });
        let said = changed.unwrap_err().to_string();
        assert!(said.contains(says), "'{says}' is not in {said}");
        assert_eq!(server.handle.live_limits(), before);
    }
}
