//! Which backend a port runs on.

use std::time::Duration;

use wharf_port::{Backend, CompletionPort, OpenError, PortOptions};

use crate::harness::Subject;

on_every_backend![
    choice_a_backend_that_was_named_is_taken,
    choice_a_lesser_backend_says_why,
    choice_a_backend_of_another_system_is_an_error,
    choice_options_out_of_range_are_an_error,
    choice_options_at_the_edge_of_their_range_work,
];

fn choice_a_backend_that_was_named_is_taken(subject: &Subject) {
    let named = subject.options().backend;
    let mut port = subject.open();
    let taken = port.raw().backend();
    assert_ne!(taken, Backend::Auto);
    assert!(named == Backend::Auto || taken == named, "{named} was named, {taken} was taken");
    port.finish();
}

fn choice_a_lesser_backend_says_why(subject: &Subject) {
    let named = subject.options().backend;
    let mut port = subject.open();
    let is_lesser = cfg!(target_os = "linux") && port.raw().backend() == Backend::Readiness;
    let reason = port.raw().fallback_reason();
    if named == Backend::Auto && is_lesser {
        assert!(reason.is_some_and(|reason| reason.contains("io_uring")), "it says {reason:?}");
    } else {
        assert_eq!(reason, None);
    }
    port.finish();
}

fn choice_a_backend_of_another_system_is_an_error(subject: &Subject) {
    let foreign = if cfg!(windows) { Backend::Uring } else { Backend::Iocp };
    let options = PortOptions { backend: foreign, ..subject.options() };
    let opened = CompletionPort::open(&options);
    assert!(
        matches!(&opened, Err(OpenError::Unavailable { backend, reason })
            if *backend == foreign && !reason.is_empty()),
        "{opened:?}"
    );
}

fn choice_options_out_of_range_are_an_error(subject: &Subject) {
    let changes: [fn(&mut PortOptions); 9] = [
        |options| options.buffers = 0,
        |options| options.buffers = 1,
        |options| options.buffers = 100,
        |options| options.buffers = 1 << 15 | 1,
        |options| options.buffer_bytes = 63,
        |options| options.buffer_bytes = (1 << 20) + 1,
        |options| options.completion_queue = 7,
        |options| options.completion_queue = (1 << 16) + 1,
        |options| options.spin = Duration::from_nanos(1_000_000_001),
    ];
    for change in changes {
        let mut options = subject.options();
        change(&mut options);
        let opened = CompletionPort::open(&options);
        assert!(matches!(opened, Err(OpenError::Options(_))), "{options:?} gave {opened:?}");
    }
}

fn choice_options_at_the_edge_of_their_range_work(subject: &Subject) {
    let changes: [fn(&mut PortOptions); 4] = [
        |options| (options.buffers, options.buffer_bytes) = (2, 64),
        |options| (options.buffers, options.buffer_bytes) = (1 << 15, 64),
        |options| (options.buffers, options.buffer_bytes) = (2, 1 << 20),
        |options| (options.completion_queue, options.buffer_bytes) = (1 << 16, 64),
    ];
    for change in changes {
        let mut port = subject.open_with(change);
        let (socket, mut peer) = port.pair();
        port.receive(socket);
        peer.write(b"hello");
        assert_eq!(port.read(socket, 5), b"hello");
        port.finish();
    }
}
