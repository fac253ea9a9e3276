//! Starting a server: what it listens on, and what becomes of a start that fails.

use std::net::{SocketAddr, TcpStream};

use wharf::{
    Backend, Limits, ListenError, OpenError, PortOptions, Server, ServerError, SlowReader,
};

use crate::clients::free_address;
use crate::support::child::{Holdings, in_a_child};
use crate::support::client::Client;
use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::wire::Wire;

each_backend! {
    a_server_listens_on_all_of_its_addresses,
    a_server_listens_on_ipv6,
    a_server_says_what_it_runs_on,
    a_second_server_on_the_same_address_fails,
    an_address_twice_in_one_server_fails,
    an_address_is_free_again_once_its_server_has_ended,
    options_out_of_range_fail_the_start_and_are_named,
    a_start_that_fails_leaves_nothing,
}

fn a_server_listens_on_all_of_its_addresses(backend: Backend) {
    // More listeners than workers, and more workers than listeners.
    for (workers, listeners) in [(1, 3), (2, 3), (3, 2)] {
        let server = Setup::new(backend).workers(workers).listeners(listeners).start(|_| Echo);
        let addresses = server.handle.addresses();
        assert_eq!(addresses.len(), listeners);
        for address in addresses.iter().map(|it| it.tcp().unwrap()) {
            assert_ne!(address.port(), 0, "the real port");
            Client::connect(address, Wire::U32Le).ping(b"hello");
        }
    }
    // In the order in which they were given.
    let free = |_| free_address();
    let wanted: Vec<SocketAddr> = (0..3).map(free).collect();
    let mut server = Server::bind(wanted[0].to_string()).backend(backend).workers(2);
    for address in &wanted[1..] {
        server = server.and_bind(address.to_string());
    }
    let running = server.start(|_| Echo).unwrap();
    assert_eq!(running.handle().addresses().to_vec(), wanted);
}

fn a_server_listens_on_ipv6(backend: Backend) {
    let server = Setup::new(backend).host("[::1]:0").start(|_| Echo);
    assert!(server.address().is_ipv6());
    server.connect().ping(b"hello");
}

fn a_server_says_what_it_runs_on(backend: Backend) {
    let server = Setup::new(backend).workers(3).start(|_| Echo);
    assert_eq!(server.handle.backend(), backend);
    assert_eq!(server.handle.workers(), 3);
    assert_eq!(server.handle.worker_stats().len(), 3);
    assert_eq!(server.handle.fallback_reason(), None);
    assert_eq!(server.handle.sessions(), 0);
}

fn a_second_server_on_the_same_address_fails(backend: Backend) {
    let first = Setup::new(backend).workers(2).start(|_| Echo);
    let address = first.address();
    for workers in [1, 2] {
        let second = Server::bind(address.to_string()).backend(backend).workers(workers);
        match second.start(|_| Echo) {
            Err(ServerError::Listen(ListenError::AddressInUse(named))) => {
                assert_eq!(named, address);
            }
            other => panic!("{other:?}"),
        }
    }
    // Also when it has listened on another address by then.
    let second = Server::bind("127.0.0.1:0").and_bind(address.to_string());
    let error = second.backend(backend).workers(2).start(|_| Echo).unwrap_err();
    assert!(matches!(error, ServerError::Listen(ListenError::AddressInUse(_))), "{error:?}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    for _ in 0..10 {
        first.connect().ping(b"hello");
    }
}

fn an_address_twice_in_one_server_fails(backend: Backend) {
    let address = free_address();
    for workers in [1, 2] {
        let server = Server::bind(address.to_string()).and_bind(address.to_string());
        let error = server.backend(backend).workers(workers).start(|_| Echo).unwrap_err();
        assert!(matches!(error, ServerError::Listen(ListenError::AddressInUse(_))), "{error:?}");
        assert!(TcpStream::connect(address).is_err(), "nobody listens there");
    }
}

fn an_address_is_free_again_once_its_server_has_ended(backend: Backend) {
    let first = Setup::new(backend).start(|_| Echo);
    let address = first.address();
    let mut client = first.connect();
    client.ping(b"hello");
    first.handle.drain();
    client.expect_end();
    drop(client);
    first.end();
    let again = Server::bind(address.to_string()).backend(backend).workers(1);
    let running = again.start(|_| Echo).unwrap();
    Client::connect(address, Wire::U32Le).ping(b"hello again");
    drop(running);
    assert!(TcpStream::connect(address).is_err(), "dropping it has stopped it");
}

/// Starts that must fail, and a part of what they say.
fn failing_starts(backend: Backend) -> Vec<(Server, &'static str)> {
    let server = || Server::bind("127.0.0.1:0").backend(backend).workers(2);
    let limited = |limits: Limits| server().limits(limits);
    let with = Limits::default;
    let zero = std::time::Duration::ZERO;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = taken.local_addr().unwrap().to_string();
    // It stays taken for the life of the process.
    std::mem::forget(taken);
    // The backend of another system, and as many sessions as no system has descriptors for.
    let foreign = if cfg!(windows) { Backend::Uring } else { Backend::Iocp };
    let too_many = Limits { sessions_max: Some(1 << 40), ..with() };
    let mut starts = vec![
        (server().workers(0), "workers is 0"),
        (server().workers(1025), "workers is 1025"),
        (limited(Limits { frame_bytes_max: 0, ..with() }), "frame_bytes_max is 0"),
        (limited(Limits { frame_bytes_max: (16 << 20) + 1, ..with() }), "frame_bytes_max is 1677"),
        (limited(Limits { send_bytes_max: 4095, ..with() }), "send_bytes_max is 4095"),
        (limited(Limits { sessions_max: Some(0), ..with() }), "sessions_max is 0"),
        (limited(Limits { per_address_max: Some(0), ..with() }), "per_address_max is 0"),
        (limited(Limits { idle: Some(zero), ..with() }), "idle is 0"),
        (limited(Limits { first_frame: Some(zero), ..with() }), "first_frame is 0"),
        (limited(Limits { frame_deadline: Some(zero), ..with() }), "frame_deadline is 0"),
        (limited(Limits { flush: zero, ..with() }), "flush is 0"),
        (limited(Limits { drain: zero, ..with() }), "drain is 0"),
        (
            limited(Limits { frame_bytes_max: 65_537, ..with() }).framing(Wire::U16Be.framing()),
            "u16be cannot express more than 65535",
        ),
        (
            limited(Limits { slow_reader: SlowReader::DropOldest, ..with() })
                .framing(Wire::Raw.framing()),
            "drop-oldest needs frames",
        ),
        (server().port_options(PortOptions { buffers: 3, backend, ..with_port() }), "buffers is 3"),
        (server().and_bind("nowhere"), "'nowhere' is no address"),
        (server().and_bind("no-such-host.invalid:80"), "no-such-host.invalid"),
        (server().and_bind("192.0.2.77:0"), "192.0.2.77:0 is not an address of this machine"),
        (server().and_bind(in_use), "is in use by another server"),
        (server().backend(foreign), foreign.name()),
    ];
    // Windows has no limit of descriptors.
    if cfg!(unix) {
        starts.push((limited(too_many), "descriptors"));
    }
    starts
}

fn with_port() -> PortOptions {
    PortOptions::default()
}

fn options_out_of_range_fail_the_start_and_are_named(backend: Backend) {
    for (server, says) in failing_starts(backend) {
        let error = server.start(|_| Echo).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(says), "{text:?} does not say {says:?}");
        let apt = match says {
            "iocp" | "uring" => matches!(error, ServerError::Port(OpenError::Unavailable { .. })),
            "buffers is 3" => matches!(error, ServerError::Port(OpenError::Options(_))),
            "descriptors" => matches!(error, ServerError::TooFewDescriptors { .. }),
            _ => true,
        };
        assert!(apt, "{error:?}");
    }
}

fn a_start_that_fails_leaves_nothing(backend: Backend) {
    in_a_child("starting", "a_start_that_fails_leaves_nothing", backend, || {
        let starts = failing_starts(backend);
        // What is looked up once per process has been, by the second time.
        let _ = failing_starts(backend).pop().unwrap().0.start(|_| Echo);
        for (server, says) in starts {
            let before = Holdings::now();
            for _ in 0..3 {
                server.clone().start(|_| Echo).unwrap_err();
                before.assert_now(says);
            }
        }
    });
}
