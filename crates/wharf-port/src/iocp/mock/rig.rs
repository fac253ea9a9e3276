//! A driver on a Windows that is made up, turned as a worker turns it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::Mock;
use super::api::Port;
use super::client::Client;
use super::switches::Switches;
use crate::buffer::Segment;
use crate::clock::Time;
use crate::completion::{Completion, Received};
use crate::ids::{ListenerId, SocketId};
use crate::iocp::{Api, Iocp};
use crate::options::{AcceptRefill, IocpOptions, PortOptions};
use crate::socket::FreshSocket;
use crate::socket_options::ListenOptions;

/// A driver, the machine that it runs on, and the time of its last turn.
pub(super) struct Rig {
    pub(super) mock: Mock,
    pub(super) port: Arc<Port>,
    pub(super) iocp: Iocp<Mock>,
    pub(super) now: Time,
}

/// Where the listeners of tests are.
pub(super) const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)), 80);

/// Bytes of one receive buffer, and how many there are.
pub(super) const BUFFER: usize = 64;
pub(super) const BUFFERS: u16 = 8;

/// Few and small buffers.
pub(super) fn options(iocp: IocpOptions) -> PortOptions {
    let buffer_bytes = u32::try_from(BUFFER).unwrap();
    PortOptions { buffers: BUFFERS, buffer_bytes, iocp, ..PortOptions::default() }
}

/// A few accepts, which the port posts itself: a test has no other threads unless it asks for them.
pub(super) fn four_accepts() -> IocpOptions {
    IocpOptions { accept_depth: 4, refill: AcceptRefill::Inline, ..IocpOptions::default() }
}

impl Rig {
    pub(super) fn new(switches: Switches) -> Self {
        Self::with(switches, four_accepts())
    }

    pub(super) fn with(switches: Switches, iocp: IocpOptions) -> Self {
        Self::on(&Mock::new(switches), &options(iocp))
    }

    /// Another port on the same machine.
    pub(super) fn on(mock: &Mock, options: &PortOptions) -> Self {
        let port = Arc::new(mock.open_port().unwrap());
        let iocp = Iocp::open(mock.clone(), Arc::clone(&port), options);
        Self { mock: mock.clone(), port, iocp, now: mock.now() }
    }

    pub(super) fn listen(&mut self) -> ListenerId {
        let listener = self.iocp.listen(&ADDRESS.into(), &ListenOptions::default()).unwrap();
        self.turn();
        listener
    }

    pub(super) fn client(&self) -> Client {
        Client::connect(&self.mock, ADDRESS).expect("somebody listens")
    }

    /// A turn that waits for no longer than so, and what it has brought.
    pub(super) fn turn_for(&mut self, most: Duration) -> Vec<Completion> {
        let timeout = match self.iocp.next_deadline() {
            _ if self.iocp.has_ready() => Duration::ZERO,
            Some(at) => most.min(at.since(self.now)),
            None => most,
        };
        self.iocp.wait(Some(timeout), self.now).unwrap();
        self.now = self.mock.now();
        self.iocp.pool().audit();
        self.iocp.tick(self.now);
        let came: Vec<_> = std::iter::from_fn(|| self.iocp.take(self.now)).collect();
        self.check_memory(&came);
        came
    }

    /// What has come back from the kernel is not the kernel's any more.
    fn check_memory(&self, completions: &[Completion]) {
        for completion in completions {
            match completion {
                Completion::Received { what: Received::Data(lease), .. } => {
                    assert!(!self.mock.has(lease), "received, and the kernel's");
                }
                Completion::Sent { segments, .. } => {
                    let free = |it: &Segment| !self.mock.has(it.as_slice());
                    assert!(segments.iter().all(free), "sent, and the kernel's");
                }
                _ => {}
            }
        }
    }

    /// A turn that takes no time.
    pub(super) fn turn(&mut self) -> Vec<Completion> {
        self.turn_for(Duration::ZERO)
    }

    /// Turns until nothing comes any more.
    pub(super) fn settle(&mut self) -> Vec<Completion> {
        let mut all = Vec::new();
        let mut quiet = 0;
        while quiet < 3 {
            let came = self.turn();
            quiet = if came.is_empty() { quiet + 1 } else { 0 };
            all.extend(came);
        }
        all
    }

    /// Turns until nothing comes any more; how many bytes a socket has received.
    pub(super) fn settle_and_drop(&mut self, socket: SocketId) -> usize {
        let mut count = 0;
        loop {
            let came = self.turn();
            if came.is_empty() {
                return count;
            }
            count += received(&came, socket).0.len();
        }
    }

    /// Turns for as long as that, of this machine's time.
    pub(super) fn run(&mut self, time: Duration) -> Vec<Completion> {
        let until = self.mock.now() + time;
        let mut all = Vec::new();
        while self.now < until {
            all.extend(self.turn_for(until.since(self.now)));
        }
        all
    }

    /// Turns, up to a second, until a completion is what the test waits for.
    pub(super) fn until(&mut self, what: impl Fn(&Completion) -> bool) -> Vec<Completion> {
        let mut all = Vec::new();
        for _ in 0..100 {
            all.extend(self.turn_for(Duration::from_millis(10)));
            if all.iter().any(&what) {
                return all;
            }
        }
        panic!("it does not come: {all:?}");
    }

    /// A client, and the fresh socket that was accepted of it.
    pub(super) fn accept(&mut self) -> (Client, FreshSocket) {
        let client = self.client();
        let socket = fresh(self.until(|it| matches!(it, Completion::Accepted { .. })));
        assert_eq!(*socket.peer(), client.address());
        (client, socket)
    }

    /// A client, and the socket that it is connected to.
    pub(super) fn connection(&mut self) -> (Client, SocketId) {
        let (client, socket) = self.accept();
        (client, self.iocp.adopt(socket).unwrap())
    }

    /// The same, with its receive started.
    pub(super) fn receiving(&mut self) -> (Client, SocketId) {
        let (client, socket) = self.connection();
        self.iocp.receive(socket).unwrap();
        assert!(self.settle().is_empty());
        (client, socket)
    }

    pub(super) fn send(&mut self, socket: SocketId, bytes: &[u8]) {
        self.iocp.send(socket, vec![Segment::Owned(bytes.to_vec().into())]).unwrap();
    }

    /// Closes a socket and waits for it.
    pub(super) fn close(&mut self, socket: SocketId) -> Vec<Completion> {
        self.iocp.close(socket, false).unwrap();
        self.until(|it| matches!(it, Completion::Closed { socket: closed } if *closed == socket))
    }

    /// Shuts down: nothing may be left anywhere.
    pub(super) fn finish(mut self) -> Mock {
        self.iocp.shut_down(Duration::from_secs(5)).unwrap();
        assert_eq!(self.iocp.operations(), 0);
        assert_eq!(self.iocp.operations.pending(), 0);
        let ledger = self.iocp.pool().ledger();
        assert_eq!(ledger.free, ledger.total);
        drop(self.iocp);
        drop(self.port);
        self.mock
    }
}

/// A machine on which nothing runs any more.
pub(super) fn assert_clean(mock: &Mock) {
    assert_eq!(mock.offences(), [""; 0]);
    assert_eq!(mock.sockets(), 0, "sockets are left");
    assert_eq!(mock.operations(), 0, "operations are left");
}

/// The fresh socket among completions.
pub(super) fn fresh(completions: Vec<Completion>) -> FreshSocket {
    let mut accepted = completions.into_iter().filter_map(|it| match it {
        Completion::Accepted { socket, .. } => Some(socket),
        _ => None,
    });
    let socket = accepted.next().expect("nobody was accepted");
    assert!(accepted.next().is_none(), "more than one was accepted");
    socket
}

/// The bytes that a socket has received, and how it has ended, if it has.
pub(super) fn received(
    completions: &[Completion],
    socket: SocketId,
) -> (Vec<u8>, Option<&Received>) {
    let (mut bytes, mut end) = (Vec::new(), None);
    for completion in completions {
        match completion {
            Completion::Received { socket: its, what } if *its == socket => match what {
                Received::Data(lease) => {
                    assert!(end.is_none(), "bytes behind the end");
                    assert!(!lease.is_empty(), "a receive of nothing");
                    bytes.extend_from_slice(lease);
                }
                what => assert!(end.replace(what).is_none(), "two ends"),
            },
            _ => {}
        }
    }
    (bytes, end)
}
