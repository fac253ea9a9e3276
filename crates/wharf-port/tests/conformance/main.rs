//! The conformance suite: one set of tests, run on every backend.
//!
//! Each test shows one behaviour of the contract (the numbered rules in the documentation of
//! `wharf_port`) and begins with the number of its rule. Every test runs on a
//! [`CheckedPort`](harness::CheckedPort), which holds each completion against a model of rules 2, 4,
//! 6 and 8 and, at the end, the port's books against zero: a test needs to say only what is its own.
//!
//! ```sh
//! cargo test -p wharf-port --test conformance                             # everything
//! cargo test -p wharf-port --test conformance -- rule_08                  # one rule
//! cargo test -p wharf-port --test conformance -- ::readiness::            # one backend
//!
//! # where io_uring is denied (a container): what is left, and that the port noticed
//! WHARF_EXPECT_BACKEND=readiness cargo test -p wharf-port --test conformance -- ::auto:: ::readiness::
//!
//! # the simulator with faults, from a hundred seeds and not from one
//! WHARF_CONFORMANCE_ROUNDS=100 cargo test -p wharf-port --test conformance -- ::sim_faulty::
//! ```
//!
//! On Linux each runs once more over Unix sockets, where they have what it is about (`uring_unix`,
//! `readiness_unix`); what is theirs alone is in `tests/unix_sockets`.
//!
//! The other ends are sockets of the standard library, or the [peers](wharf_port::sim::Peer) of a
//! simulated network, behind [`Peer`](harness::Peer). No test sleeps to win a race: it waits for a
//! condition, and fails with what it waited for after ten seconds. A new backend is one line in
//! `on_every_backend!` and one in [`harness::subject`].
//!
//! On the simulator every test has a network of its own, at a real pace and with a seed that comes
//! from the test's name: `sim_uring`, `sim_iocp` and `sim_readiness` have its three personalities, and
//! `sim_faulty` has all of them with every fault that the contract hides. What is about the machine
//! (signals, streams of the standard library) is left out there; the lists of the tests say why.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails panics")]

/// Runs tests on every backend: each becomes `<file>::<backend>::<test>`.
///
/// `over_tcp:` is followed by those about what Unix sockets lack: resets, and options of TCP's.
/// `without_faults:` is followed by those that faults would change: they count waits, or need bytes to
/// come in one piece. `on_the_system:` is followed by those about what a simulated network lacks.
macro_rules! on_every_backend {
    (
        $($test:ident),* $(,)?
        $(; over_tcp: $($tcp:ident),* $(,)?)?
        $(; without_faults: $($exact:ident),* $(,)?)?
        $(; on_the_system: $($system:ident),* $(,)?)?
    ) => {
        on_the_system![$($test,)* $($($tcp,)*)? $($($exact,)*)? $($($system,)*)?];
        over_unix_sockets![$($test,)* $($($exact,)*)? $($($system,)*)?];
        on_simulated_networks![$($test,)* $($($tcp,)*)? $($($exact,)*)?];
        mod sim_faulty {
            $(on_one_backend!(sim_faulty, $test);)*
            $($(on_one_backend!(sim_faulty, $tcp);)*)?
        }
    };
}

macro_rules! on_the_system {
    ($($test:ident),* $(,)?) => {
        #[cfg(target_os = "linux")]
        mod uring {
            $(on_one_backend!(uring, $test);)*
        }
        #[cfg(target_os = "linux")]
        mod uring_stepdown {
            $(on_one_backend!(uring_stepdown, $test);)*
        }
        #[cfg(unix)]
        mod readiness {
            $(on_one_backend!(readiness, $test);)*
        }
        #[cfg(windows)]
        mod iocp {
            $(on_one_backend!(iocp, $test);)*
        }
        #[cfg(windows)]
        mod iocp_inline {
            $(on_one_backend!(iocp_inline, $test);)*
        }
        mod auto {
            $(on_one_backend!(auto, $test);)*
        }
    };
}

macro_rules! over_unix_sockets {
    ($($test:ident),* $(,)?) => {
        #[cfg(target_os = "linux")]
        mod uring_unix {
            $(on_one_backend!(uring_unix, $test);)*
        }
        #[cfg(target_os = "linux")]
        mod readiness_unix {
            $(on_one_backend!(readiness_unix, $test);)*
        }
    };
}

macro_rules! on_simulated_networks {
    ($($test:ident),* $(,)?) => {
        mod sim_uring {
            $(on_one_backend!(sim_uring, $test);)*
        }
        mod sim_iocp {
            $(on_one_backend!(sim_iocp, $test);)*
        }
        mod sim_readiness {
            $(on_one_backend!(sim_readiness, $test);)*
        }
    };
}

macro_rules! on_one_backend {
    ($backend:ident, $test:ident) => {
        #[test]
        fn $test() {
            let name = concat!(module_path!(), "::", stringify!($test));
            crate::harness::run(name, crate::harness::subject::$backend(), super::$test);
        }
    };
}

mod harness;

mod accept_pause;
mod cancel;
mod choice;
mod close;
mod connect;
mod crowd;
mod ends;
mod finals;
mod handover;
mod integrity;
mod listen;
mod one_each_way;
mod ownership;
mod pause;
#[cfg(target_os = "linux")]
mod shortage;
mod shut_down;
#[cfg(target_os = "linux")]
mod signals;
mod spin;
mod staging;
mod storm;
mod time;
#[cfg(target_os = "linux")]
mod under_way;
mod unsent;
mod wakes;
