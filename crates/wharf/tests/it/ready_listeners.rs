//! Servers on listeners that somebody else has opened.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use wharf::{Backend, Framing, ListenError, PortOptions, Server, ServerError, sim};

use crate::support::record::Echo;
use crate::support::time::PATIENCE;

each_backend! {
    a_server_takes_each_listener_that_it_is_given,
    a_simulated_network_takes_none,
}

fn opened() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// One of its own among them; each on the worker whose turn it is, and all in the order in which they were given.
fn a_server_takes_each_listener_that_it_is_given(backend: Backend) {
    let ((one, first), (other, third)) = (opened(), opened());
    let server = Server::on(one).and_bind("127.0.0.1:0").and_on(other);
    let server = server.workers(2).backend(backend).framing(Framing::LINES);
    let running = server.start(|_| Echo).unwrap();
    let handle = running.handle();
    let addresses: Vec<_> = handle.addresses().iter().map(|it| it.tcp().unwrap()).collect();
    assert_eq!((addresses[0], addresses[2]), (first, third));
    for address in addresses {
        let mut client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"hello\n").unwrap();
        let mut back = [0; 6];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"hello\n");
    }
    handle.drain();
    running.join().unwrap();
    // Nobody else has them.
    assert!(TcpStream::connect(first).is_err());
    assert!(TcpStream::connect(third).is_err());
}

fn a_simulated_network_takes_none(_: Backend) {
    let simulated = Some(sim::Network::new(sim::NetworkOptions::default()));
    let options = PortOptions { simulated, ..PortOptions::default() };
    let refused = Server::on(opened().0).workers(1).port_options(options).start_stepped(|_| Echo);
    let error = refused.err().unwrap();
    assert!(matches!(error, ServerError::Listen(ListenError::NotAListener(_))), "{error}");
}
