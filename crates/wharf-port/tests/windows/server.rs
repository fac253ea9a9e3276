//! An echo server on a thread of its own, and its clients.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;
use wharf_port::{
    Backend, Completion, CompletionPort, ListenOptions, PortOptions, Received, Segment, Stats,
    Waker,
};

/// How long anything may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A server that sends back what it receives.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    waker: Waker,
    stops: Arc<AtomicBool>,
    thread: JoinHandle<Report>,
}

/// What a server has met.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) accepted: u64,
    pub(crate) stats: Stats,
    /// Sockets that were open when it was told to stop.
    pub(crate) open: usize,
}

pub(crate) fn options() -> PortOptions {
    PortOptions { backend: Backend::Iocp, ..PortOptions::default() }
}

impl Server {
    pub(crate) fn start(options: PortOptions) -> Self {
        let (started, starts) = std::sync::mpsc::channel();
        let stops = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&stops);
        let thread = thread::spawn(move || {
            let mut port = CompletionPort::open(&options).unwrap();
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = port.listen(any, &ListenOptions::default()).unwrap();
            let address = port.listener_address(listener).and_then(|it| it.tcp()).unwrap();
            started.send((address, port.waker())).unwrap();
            let report = serve(&mut port, &its);
            port.shut_down(LIMIT).expect("nothing is left behind");
            report
        });
        let (address, waker) = starts.recv_timeout(LIMIT).unwrap();
        Self { address, waker, stops, thread }
    }

    /// Stops the server, with whatever is open.
    pub(crate) fn stop(self) -> Report {
        self.stops.store(true, Ordering::Relaxed);
        self.waker.wake();
        self.thread.join().unwrap()
    }
}

fn serve(port: &mut CompletionPort, stops: &AtomicBool) -> Report {
    let mut accepted = 0;
    loop {
        port.wait(None).unwrap();
        while let Some(completion) = port.take() {
            accepted += u64::from(matches!(completion, Completion::Accepted { .. }));
            echo(port, completion);
        }
        if stops.load(Ordering::Relaxed) {
            return Report { accepted, stats: port.stats(), open: port.sockets() };
        }
    }
}

/// One step of an echo server.
pub(crate) fn echo(port: &mut CompletionPort, completion: Completion) {
    match completion {
        Completion::Accepted { socket, .. } => {
            let socket = port.adopt(socket).unwrap();
            port.receive(socket).unwrap();
        }
        Completion::Received { socket, what: Received::Data(lease) } => {
            // One send at a time: what comes meanwhile waits.
            port.pause_receive(socket).unwrap();
            // A socket that closes takes no send.
            port.send(socket, vec![Segment::Received(lease)]).unwrap();
        }
        Completion::Received { socket, .. } => port.close(socket).unwrap(),
        Completion::Sent { socket, .. } => {
            let _ = port.resume_receive(socket);
        }
        _ => {}
    }
}

/// A client whose calls are bounded.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends bytes and asserts that they come back.
pub(crate) fn assert_echo(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut echoed = vec![0; bytes.len()];
    stream.read_exact(&mut echoed).unwrap();
    assert_eq!(echoed, bytes);
}

/// Ends the stream and waits for the other end's.
pub(crate) fn end(mut stream: TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "more than was sent");
}

/// Closes the connection so that the other end sees a reset.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}
