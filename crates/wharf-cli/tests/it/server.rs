//! Small echo servers on `std::net`: one that is right, and others that are not.
//!
//! Each connection has a thread, which ends with its connection; the accepting thread ends with the
//! test's process.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// Longer than any peer here is silent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Serves each connection, with its number from 0, in a thread of its own.
pub(crate) fn serve<F>(serve_one: F) -> SocketAddr
where
    F: Fn(usize, TcpStream) + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    serve_at(listener, serve_one);
    address
}

/// The same at an address of one's own.
pub(crate) fn serve_at<F>(listener: TcpListener, serve_one: F)
where
    F: Fn(usize, TcpStream) + Clone + Send + 'static,
{
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            // Wine tells of a connection that was reset in the queue by a failed accept.
            let Ok(stream) = stream else { continue };
            let stream = ready(stream);
            let serve_one = serve_one.clone();
            std::thread::spawn(move || serve_one(number, stream));
        }
    });
}

fn ready(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Echoes to the end of the stream; `spoil` may change what is sent back. It gets the number of the
/// connection and the position of the bytes in the stream.
pub(crate) fn echo_spoiled<F>(spoil: F) -> SocketAddr
where
    F: Fn(usize, usize, &mut Vec<u8>) + Clone + Send + 'static,
{
    serve(move |number, stream| {
        let mut position = 0;
        pump(&stream, &stream, |bytes| {
            let start = position;
            position += bytes.len();
            spoil(number, start, bytes);
        });
    })
}

/// Echoes as it should.
pub(crate) fn echo() -> SocketAddr {
    echo_spoiled(|_, _, _| {})
}

/// Copies from one stream to another up to the end, which is passed on. A peer that resets ends it
/// too.
pub(crate) fn pump(from: &TcpStream, to: &TcpStream, mut change: impl FnMut(&mut Vec<u8>)) {
    let (mut from, mut to) = (from, to);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let mut bytes = buffer[..count].to_vec();
                change(&mut bytes);
                if to.write_all(&bytes).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// Echoes the first connection's bytes to the second one and the other way round.
pub(crate) fn echo_swapped() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let first = ready(listener.accept().unwrap().0);
        let second = ready(listener.accept().unwrap().0);
        std::thread::scope(|scope| {
            scope.spawn(|| pump(&first, &second, |_| {}));
            scope.spawn(|| pump(&second, &first, |_| {}));
        });
    });
    address
}

/// Echoes exactly so many bytes, and reads no more than them.
pub(crate) fn echo_exactly(mut stream: &TcpStream, bytes: usize) {
    let mut buffer = vec![0; bytes];
    let mut echoed = 0;
    while echoed < bytes {
        let count = stream.read(&mut buffer[echoed..]).unwrap();
        assert_ne!(count, 0, "the peer has ended its stream");
        stream.write_all(&buffer[echoed..echoed + count]).unwrap();
        echoed += count;
    }
}

/// Waits until something has come that was not read. To close then resets the connection.
pub(crate) fn wait_for_more(stream: &TcpStream) {
    assert_ne!(stream.peek(&mut [0]).unwrap(), 0, "the peer has ended its stream");
}

/// Reads to the end of the stream, and forgets what it reads.
pub(crate) fn swallow(stream: &TcpStream) {
    let mut stream = stream;
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    // Bound but not listening: nobody else gets the port, and to connect is refused. It is kept for
    // the life of the process.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}
