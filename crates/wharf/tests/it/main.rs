//! The session layer, seen through its public API and by clients that speak plain TCP.
//!
//! Every test runs on every backend. No test waits for ever, and none sleeps in the hope that
//! something will have happened by then: it waits for what it wants to see, or shows that something
//! does not happen by what comes after it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

/// Makes tests of functions of a module: each of them once per backend.
macro_rules! each_backend {
    ($($test:ident,)*) => {
        #[cfg(target_os = "linux")]
        each_backend!(@on uring Uring $($test)*);
        #[cfg(unix)]
        each_backend!(@on readiness Readiness $($test)*);
        #[cfg(windows)]
        each_backend!(@on iocp Iocp $($test)*);
    };
    (@on $module:ident $backend:ident $($test:ident)*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    crate::support::backend::on(wharf::Backend::$backend, super::$test);
                }
            )*
        }
    };
}

mod support;

mod accept_pauses;
mod buffers;
mod bulk;
mod calling_in_time;
mod capturing;
mod clients;
mod counting;
mod deferred;
mod draining;
mod ends;
mod failures;
mod fair_turns;
mod fairness;
mod forwarding;
mod framings;
mod gate;
mod gate_in_time;
mod groups;
mod half_closing;
mod heartbeats;
mod holding;
mod ids;
mod in_place;
mod inspecting;
mod inspecting_rates;
#[cfg(target_os = "linux")]
mod leftovers;
mod limits;
mod live_limits;
mod measuring;
mod messages;
mod order;
mod overload;
mod owned_payloads;
mod pauses;
mod proxies;
mod racing;
mod rates;
#[cfg(unix)]
mod ready_listeners;
mod reconnecting;
mod rooms;
mod rooms_in_turns;
mod send_limits;
#[cfg(target_os = "linux")]
mod shortage;
mod slow_readers;
mod spread;
mod starting;
mod stepping;
mod threads;
mod timers;
#[cfg(target_os = "linux")]
mod unanswered;
#[cfg(target_os = "linux")]
mod unix_sockets;
mod watchdog;
