//! `wharf proxy`: a TCP proxy that injects faults, for the tests of clients and servers.
//!
//! Without faults it is transparent: bytes, ends of streams and resets go through as they come, and
//! who is slow slows down who sends. With faults, all that is random follows from a seed.
//!
//! A peer that is held back is not received from, so its end or its reset is seen only when it goes on.
//! A connection that has stalled for good in both directions, with as much as may be held in each, stays
//! until the proxy ends.
//!
//! | module | what it does |
//! |---|---|
//! | [`options`] | what is asked for |
//! | [`start`] | names, addresses, limits, and what is said when it cannot start |
//! | [`dice`] | chance that repeats |
//! | [`plan`] | what happens to one direction of a connection, and where |
//! | [`queue`] | what one direction holds |
//! | [`flow`] | one direction: when what goes on |
//! | [`pairs`] | the connections |
//! | [`run`] | the loop |
//! | [`counts`] | what has been done, and how it is shown |
//!
//! The standard output gets one line, when the proxy accepts. Everything else is for people.

mod counts;
mod dice;
mod flow;
mod options;
mod pairs;
mod plan;
mod queue;
mod run;
mod start;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wharf_port::ListenOptions;

use crate::console::Console;
use crate::failure::{self, Failure};
use crate::signals;
use counts::Counts;
pub(crate) use options::{Directions, Faults, ProxyOptions, Trigger};
use pairs::Pairs;
use run::Proxy;
use start::Upstream;

/// Runs `wharf proxy` until it is told to end.
pub(crate) fn proxy(options: &ProxyOptions) -> Result<(), Failure> {
    let console = Console::start().map_err(Failure::no_thread)?;
    let outcome = proxy_on(&console, options);
    console.finish();
    outcome
}

fn proxy_on(console: &Console, options: &ProxyOptions) -> Result<(), Failure> {
    let upstream = Upstream::resolve(options)?;
    let own = start::resolve(options.listen.target())?.swap_remove(0);
    let sockets_max = start::sockets_max();
    let mut port = start::open_port(options.backend)?;
    let listener =
        port.listen(&own, &ListenOptions::default()).map_err(|error| start::no_listener(&error))?;
    let own = port.listener_address(listener).unwrap_or(own);
    if upstream.is_reached_at(&own) {
        return Err(Failure::arguments(format_args!(
            "--connect {upstream} is where the proxy itself listens: give the server's address, or \
             another one with --listen"
        )));
    }

    // Nobody has been told of the proxy yet: a signal that came before may just end the process.
    let stop = Arc::new(AtomicBool::new(false));
    let (told, waker) = (Arc::clone(&stop), port.waker());
    signals::forward(move |_| {
        told.store(true, Ordering::Release);
        waker.wake();
    })
    .map_err(Failure::no_thread)?;
    let backend = port.backend();
    if let Some(reason) = port.fallback_reason() {
        console
            .say(format_args!("backend {backend}, since the best one is not to be had: {reason}"));
    }
    let seed = options.seed.unwrap_or_else(|| port.random().max(1));
    failure::print(format_args!("listening on {own} backend={backend} seed={seed}\n"));

    let counts = Arc::new(Counts::default());
    let mut live_line = counts.live_line();
    let shown = Arc::clone(&counts);
    console.show(move || live_line(&shown));
    let proxy = Proxy {
        port,
        upstream,
        faults: Rc::new(options.faults.clone()),
        seed,
        held_max: usize::try_from(options.send_max).unwrap_or(usize::MAX),
        sockets_max,
        console,
        counts: Arc::clone(&counts),
        stop,
        pairs: Pairs::default(),
        arrived: 0,
        said: (None, None),
    };
    proxy.run()?;
    console.say(counts.passed());
    console.say(counts.injected());
    Ok(())
}
