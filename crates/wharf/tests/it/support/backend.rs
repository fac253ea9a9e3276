//! Every test runs on every backend that this system has.

use std::sync::{Once, OnceLock};

use wharf::{Backend, OpenError, Server, ServerError};

use super::record::Echo;

/// Runs a test on a backend, or says why it cannot be run: containers may deny `io_uring`.
pub(crate) fn on(backend: Backend, test: fn(Backend)) {
    hush_deliberate_panics();
    match missing(backend) {
        None => test(backend),
        Some(reason) => eprintln!("skipped, there is no {backend} here: {reason}"),
    }
}

fn missing(backend: Backend) -> Option<&'static str> {
    static URING: OnceLock<Option<String>> = OnceLock::new();
    if backend != Backend::Uring {
        return None;
    }
    let probe = || match Server::bind("127.0.0.1:0").workers(1).backend(backend).start(|_| Echo) {
        Ok(_) => None,
        Err(ServerError::Port(OpenError::Unavailable { reason, .. })) => Some(reason),
        Err(error) => panic!("{error}"),
    };
    URING.get_or_init(probe).as_deref()
}

/// What callbacks panic with when a test wants them to.
const DELIBERATE: &str = "a deliberate panic";

/// Panics as a callback may.
pub(crate) fn panic_on_purpose() -> ! {
    std::panic::panic_any(DELIBERATE)
}

/// Panics when it is dropped.
#[derive(Debug)]
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic_on_purpose();
    }
}

/// Keeps panics that tests want from being printed; others are.
fn hush_deliberate_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            if payload.downcast_ref() != Some(&DELIBERATE) && !payload.is::<Bomb>() {
                usual(info);
            }
        }));
    });
}
