//! Running out of descriptors: those who are there are served, the others wait and are served later.

use std::fs::File;
use std::time::Duration;

use wharf::{Backend, ServerError};

use crate::support::child::in_a_child_with_descriptors;
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::time::{SLACK, Stopwatch, let_pass, wait_until};

each_backend! {
    a_server_that_cannot_accept_rests_and_goes_on,
    sessions_without_descriptors_fail_the_start,
}

/// Opens as many files as the process may.
fn all_descriptors() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn a_server_that_cannot_accept_rests_and_goes_on(backend: Backend) {
    let test = "a_server_that_cannot_accept_rests_and_goes_on";
    in_a_child_with_descriptors(150, "shortage", test, backend, || {
        let server = Setup::new(backend).workers(2).start(|_| Echo);
        let mut early = server.connect();
        early.ping(b"hello");
        let mut files = all_descriptors();
        // Enough for the client's end of a connection, and not for the server's.
        files.pop();
        let mut late = server.connect();
        wait_until("the listener rests", || server.stats().accept_delays > 0);
        // It does not spin, and those who are there do not notice.
        let turns = server.stats().turns;
        let_pass(Duration::from_millis(300));
        assert!(server.stats().turns - turns < 100, "it spins");
        early.ping(b"still here");
        drop(files);
        let watch = Stopwatch::start();
        late.ping(b"at last");
        assert!(watch.elapsed() < Duration::from_secs(1) + SLACK, "{:?}", watch.elapsed());
    });
}

fn sessions_without_descriptors_fail_the_start(backend: Backend) {
    let test = "sessions_without_descriptors_fail_the_start";
    in_a_child_with_descriptors(150, "shortage", test, backend, || {
        let with = |sessions_max| {
            Setup::new(backend).limits(|limits| limits.sessions_max = sessions_max).server()
        };
        let error = with(Some(100)).start(|_| Echo).unwrap_err();
        let ServerError::TooFewDescriptors { needed, limit, possible, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!((limit, needed - 100), (150, 150 - possible));
        let possible = usize::try_from(possible).unwrap();
        assert!(with(Some(possible + 1)).start(|_| Echo).is_err());
        drop(with(Some(possible)).start(|_| Echo).unwrap());
        // As many as there can be, and the start does not fail.
        drop(with(None).start(|_| Echo).unwrap());
    });
}
