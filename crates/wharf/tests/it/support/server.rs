//! A server under test, which never outlives its test.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};

use wharf::{
    Arrival, Backend, DrainReport, Incoming, IpNet, Limits, PortOptions, RunningServer, Server,
    ServerError, ServerHandle, Session, SocketOptions, Stats, Verdict,
};

use super::client::Client;
use super::time::{PATIENCE, wait_until};
use super::wire::Wire;

/// A server that is being set up.
///
/// One worker, lengths of four bytes, and no deadlines: the tests that are about those switch them on,
/// and no other fails on a machine that is too busy.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) host: &'static str,
    pub(crate) wire: Wire,
    pub(crate) workers: usize,
    pub(crate) listeners: usize,
    pub(crate) limits: Limits,
    pub(crate) port: PortOptions,
    pub(crate) socket: SocketOptions,
    dual_stack: bool,
    accept_filter: Option<Filter>,
    proxies: Vec<IpNet>,
}

type Filter = Arc<dyn Fn(&Incoming) -> Verdict + Send + Sync>;

impl Setup {
    pub(crate) fn new(backend: Backend) -> Self {
        let limits = Limits {
            // What every framing can express.
            frame_bytes_max: usize::from(u16::MAX),
            first_frame: None,
            frame_deadline: None,
            send_deadline: None,
            send_burst_bytes: 0,
            idle: None,
            ..Limits::default()
        };
        Self {
            host: "127.0.0.1:0",
            wire: Wire::U32Le,
            workers: 1,
            listeners: 1,
            limits,
            port: PortOptions { backend, ..PortOptions::default() },
            socket: SocketOptions::default(),
            dual_stack: false,
            accept_filter: None,
            proxies: Vec::new(),
        }
    }

    pub(crate) const fn host(mut self, host: &'static str) -> Self {
        self.host = host;
        self
    }

    pub(crate) const fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    pub(crate) const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub(crate) const fn listeners(mut self, listeners: usize) -> Self {
        self.listeners = listeners;
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) fn port(mut self, change: impl FnOnce(&mut PortOptions)) -> Self {
        change(&mut self.port);
        self
    }

    /// What the kernel may hold of a session's traffic, so that a peer that does not read is noticed
    /// soon. The system doubles what it is asked for.
    pub(crate) const fn kernel_buffers(mut self, send: u32, receive: u32) -> Self {
        self.socket.send_buffer_bytes = Some(send);
        self.socket.receive_buffer_bytes = Some(receive);
        self
    }

    /// IPv4 as well on an IPv6 address.
    pub(crate) const fn dual_stack(mut self) -> Self {
        self.dual_stack = true;
        self
    }

    pub(crate) fn accept_filter(
        mut self,
        filter: impl Fn(&Incoming) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        self.accept_filter = Some(Arc::new(filter));
        self
    }

    /// Where proxies are that say whose connections they forward.
    pub(crate) fn proxies(mut self, networks: &[&str]) -> Self {
        let network = |text: &&str| {
            let address = text.parse().map(|address: std::net::IpAddr| IpNet::from(address));
            address.unwrap_or_else(|_| text.parse().unwrap())
        };
        self.proxies = networks.iter().map(network).collect();
        self
    }

    pub(crate) fn server(&self) -> Server {
        let mut server = Server::bind(self.host);
        for _ in 1..self.listeners {
            server = server.and_bind(self.host);
        }
        if let Some(filter) = self.accept_filter.clone() {
            server = server.accept_filter(move |incoming| filter(incoming));
        }
        server
            .dual_stack(self.dual_stack)
            .proxies(self.proxies.iter().copied())
            .framing(self.wire.framing())
            .workers(self.workers)
            .limits(self.limits.clone())
            .port_options(self.port.clone())
            .socket_options(self.socket.clone())
    }

    #[track_caller]
    pub(crate) fn start<H, F>(&self, factory: F) -> TestServer
    where
        H: Session,
        F: Fn(&Arrival) -> H + Send + Sync + 'static,
    {
        self.start_with(|server| server, factory)
    }

    /// The same with what few tests ask of a server.
    #[track_caller]
    pub(crate) fn start_with<H, F>(
        &self,
        change: impl FnOnce(Server) -> Server,
        factory: F,
    ) -> TestServer
    where
        H: Session,
        F: Fn(&Arrival) -> H + Send + Sync + 'static,
    {
        let running = change(self.server()).start(factory).expect("the server starts");
        let handle = running.handle();
        TestServer { running: Some(running), handle, wire: self.wire }
    }
}

/// A running server. Dropping it stops it and fails the test if it does not end, or badly.
#[derive(Debug)]
pub(crate) struct TestServer {
    running: Option<RunningServer>,
    pub(crate) handle: ServerHandle,
    wire: Wire,
}

impl TestServer {
    pub(crate) fn address(&self) -> SocketAddr {
        self.handle.addresses()[0].tcp().unwrap()
    }

    /// A client of it.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address(), self.wire)
    }

    pub(crate) fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Connects and checks that the connection is reset at once.
    #[track_caller]
    pub(crate) fn expect_refusal(&self) {
        if let Some(mut client) = Client::try_connect(self.address(), self.wire) {
            assert_eq!(client.expect_reset(), b"");
        }
    }

    /// Waits until there are so many sessions.
    #[track_caller]
    pub(crate) fn wait_for_sessions(&self, count: usize) {
        let handle = &self.handle;
        wait_until(&format!("there are {count} sessions"), || handle.sessions() == count);
    }

    /// Waits until the workers have read so many bytes, all told.
    #[track_caller]
    pub(crate) fn wait_for_bytes_in(&self, bytes: u64) {
        wait_until(&format!("{bytes} bytes were received"), || self.stats().bytes_in >= bytes);
    }

    /// Drains it and waits for its end.
    #[track_caller]
    pub(crate) fn drain(self) -> DrainReport {
        self.handle.drain();
        self.end()
    }

    /// Stops it and waits for its end.
    #[track_caller]
    pub(crate) fn stop(self) -> DrainReport {
        self.handle.stop();
        self.end()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> DrainReport {
        let running = self.running.take().expect("a server ends once");
        end(running).expect("the server ends well")
    }
}

#[track_caller]
fn end(running: RunningServer) -> Result<DrainReport, ServerError> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(running.join()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(report) => report,
        Err(RecvTimeoutError::Timeout) => panic!("the server does not end"),
        Err(RecvTimeoutError::Disconnected) => panic!("waiting for the server panicked"),
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(running) = self.running.take() else { return };
        self.handle.stop();
        if std::thread::panicking() {
            // The test has failed already, and a server that hangs is not to hide why.
            std::thread::spawn(move || running.join());
            return;
        }
        end(running).expect("the server ends well");
    }
}
