//! How fast connections may come and sessions may send.

use std::time::Duration;

use wharf::{Backend, Limits, OverRate, Rate};

use crate::support::client::Client;
use crate::support::record::{Echo, recording};
use crate::support::server::{Setup, TestServer};
use crate::support::time::wait_until;
use crate::support::wire::{Wire, pattern};

each_backend! {
    connections_beyond_the_accept_rate_are_reset_and_come_in_later,
    who_is_refused_for_another_reason_uses_up_no_rate,
    a_session_that_sends_too_many_frames_is_held_back_and_loses_nothing,
    a_session_that_sends_too_many_bytes_is_held_back_and_loses_nothing,
    a_session_that_is_held_back_delays_no_other,
    a_session_that_sends_too_much_can_be_closed_instead,
    the_end_of_a_session_that_is_held_back_comes_behind_its_frames,
    a_session_that_is_held_back_can_go_at_any_time,
    rates_that_make_no_sense_are_refused,
}

const NEVER: u32 = 1;

fn rated(backend: Backend, change: impl FnOnce(&mut Limits)) -> Setup {
    Setup::new(backend).limits(change)
}

fn connections_beyond_the_accept_rate_are_reset_and_come_in_later(backend: Backend) {
    let rate = Rate { per_second: 5, burst: 3 };
    let server = rated(backend, |limits| limits.accept_rate = Some(rate)).start(|_| Echo);
    let mut early: [Client; 3] = std::array::from_fn(|_| server.connect());
    early.iter_mut().for_each(|client| client.ping(b"in"));
    server.expect_refusal();
    wait_until("it is counted", || server.stats().refused_accept_rate >= 1);
    let mut late = None;
    wait_until("somebody comes in again", || {
        late = Client::try_connect(server.address(), Wire::U32Le);
        let frame = Wire::U32Le.encode(b"in");
        late.as_mut().is_some_and(|client| {
            client.try_write(&frame) && client.bytes_until_gone(frame.len()) == frame
        })
    });
    early.iter_mut().for_each(|client| client.ping(b"still in"));
}

fn who_is_refused_for_another_reason_uses_up_no_rate(backend: Backend) {
    let server = rated(backend, |limits| {
        limits.accept_rate = Some(Rate { per_second: NEVER, burst: 2 });
        limits.sessions_max = Some(1);
    })
    .start(|_| Echo);
    let mut first = server.connect();
    first.ping(b"in");
    (0..10).for_each(|_| server.expect_refusal());
    assert_eq!(server.stats().refused_accept_rate, 0);
    drop(first);
    server.wait_for_sessions(0);
    server.connect().ping(b"in");
}

/// Sends frames and reads them back.
fn echo_all(server: &TestServer, frames: u64, size: usize) -> Client {
    let mut client = server.connect();
    let mut writer = client.writer();
    let writing = std::thread::spawn(move || {
        (0..frames).for_each(|number| writer.send(&pattern(number, size)));
    });
    (0..frames).for_each(|number| client.expect(&pattern(number, size)));
    writing.join().unwrap();
    client
}

fn a_session_that_sends_too_many_frames_is_held_back_and_loses_nothing(backend: Backend) {
    let rate = Rate { per_second: 1000, burst: 20 };
    let (log, events) = recording();
    let server =
        rated(backend, |limits| limits.frames_per_second = Some(rate)).start(move |_| log.of(Echo));
    let client = echo_all(&server, 320, 50);
    assert!(server.stats().throttled > 0);
    drop(client);
    let connected = events.connected();
    let took = events.disconnected_of(connected.id).at - connected.at;
    assert!(took >= Duration::from_millis(290), "300 frames beyond the burst in {took:?}");
}

fn a_session_that_sends_too_many_bytes_is_held_back_and_loses_nothing(backend: Backend) {
    let rate = Rate { per_second: 1 << 20, burst: 16 << 10 };
    let (log, events) = recording();
    let server =
        rated(backend, |limits| limits.bytes_per_second = Some(rate)).start(move |_| log.of(Echo));
    // Each of them is more than a burst.
    let client = echo_all(&server, 10, 32 << 10);
    assert!(server.stats().throttled > 0);
    drop(client);
    let connected = events.connected();
    let took = events.disconnected_of(connected.id).at - connected.at;
    // The last one is paid for by whoever comes behind it.
    assert!(took >= Duration::from_millis(250), "320 KiB at 1 MiB a second in {took:?}");
}

fn a_session_that_is_held_back_delays_no_other(backend: Backend) {
    let rate = Rate { per_second: NEVER, burst: 50 };
    let server = rated(backend, |limits| limits.frames_per_second = Some(rate)).start(|_| Echo);
    let mut flooder = server.connect();
    for number in 0..500 {
        flooder.send(&pattern(number, 100));
    }
    (0..50).for_each(|number| flooder.expect(&pattern(number, 100)));
    let mut other = server.connect();
    (0..40).for_each(|number| other.ping(&pattern(number, 100)));
}

fn a_session_that_sends_too_much_can_be_closed_instead(backend: Backend) {
    let (log, events) = recording();
    let server = rated(backend, |limits| {
        limits.frames_per_second = Some(Rate { per_second: NEVER, burst: 10 });
        limits.over_rate = OverRate::Disconnect;
    })
    .start(move |_| log.of(Echo));
    let mut client = server.connect();
    let id = events.connected().id;
    (0..10).for_each(|number| client.ping(&pattern(number, 10)));
    client.send(b"one too many");
    client.expect_end();
    drop(client);
    assert_eq!(events.disconnected_of(id).reason(), "rate_limited");
}

fn the_end_of_a_session_that_is_held_back_comes_behind_its_frames(backend: Backend) {
    let rate = Rate { per_second: 200, burst: 5 };
    let (log, events) = recording();
    let server =
        rated(backend, |limits| limits.frames_per_second = Some(rate)).start(move |_| log.of(Echo));
    let mut client = server.connect();
    let id = events.connected().id;
    (0..50).for_each(|number| client.send(&pattern(number, 10)));
    client.finish();
    (0..50).for_each(|number| client.expect(&pattern(number, 10)));
    client.expect_end();
    drop(client);
    assert_eq!(events.disconnected_of(id).reason(), "peer_closed");
}

fn a_session_that_is_held_back_can_go_at_any_time(backend: Backend) {
    let rate = Rate { per_second: NEVER, burst: 5 };
    let server = rated(backend, |limits| limits.frames_per_second = Some(rate)).start(|_| Echo);
    for _ in 0..3 {
        let mut client = server.connect();
        (0..50).for_each(|number| client.send(&pattern(number, 1000)));
        (0..5).for_each(|number| client.expect(&pattern(number, 1000)));
    }
    let mut client = server.connect();
    (0..50).for_each(|number| client.send(&pattern(number, 1000)));
    (0..5).for_each(|number| client.expect(&pattern(number, 1000)));
    let handle = server.handle.clone();
    wait_until("those that went are noticed or held", || handle.sessions() >= 1);
    server.stop();
}

fn rates_that_make_no_sense_are_refused(backend: Backend) {
    for rate in [Rate { per_second: 0, burst: 1 }, Rate { per_second: 1, burst: 0 }] {
        let setups: [fn(&mut Limits, Rate); 3] = [
            |limits, rate| limits.accept_rate = Some(rate),
            |limits, rate| limits.frames_per_second = Some(rate),
            |limits, rate| limits.bytes_per_second = Some(rate),
        ];
        for change in setups {
            let setup = rated(backend, |limits| change(limits, rate));
            let error = setup.server().start(|_| Echo).unwrap_err().to_string();
            assert!(error.contains("1 and up, or None"), "{error}");
        }
    }
}
