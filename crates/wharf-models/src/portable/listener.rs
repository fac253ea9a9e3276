//! The listening socket of those models that take an ordinary one.

use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::{ModelError, Observer};

/// Listens, and says so. The queue of connections that wait to be accepted is as long as the standard library has it.
pub(crate) fn listen(
    address: SocketAddr,
    observer: &dyn Observer,
) -> Result<TcpListener, ModelError> {
    let listener = TcpListener::bind(address).map_err(ModelError::of("bind"))?;
    let bound = listener.local_addr().map_err(ModelError::of("getsockname"))?;
    observer.listening(bound);
    Ok(listener)
}

/// The next connection, with small messages sent at once; `None` if none waits on a listener that does not block, or
/// if the one that waited has gone.
pub(crate) fn accept(listener: &TcpListener) -> Result<Option<TcpStream>, ModelError> {
    match listener.accept() {
        Ok((stream, _)) => {
            // Refused only where the connection is over already, which the next call on it tells.
            let _ = stream.set_nodelay(true);
            Ok(Some(stream))
        }
        Err(error) if passes(&error) => Ok(None),
        Err(error) => Err(ModelError::of("accept")(error)),
    }
}

/// Whether an error of `accept` is about one connection, or about the moment, and not about the server.
pub(crate) fn passes(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, NotConnected, WouldBlock,
    };
    // Not connected is what Wine says of one that was reset while it waited.
    let gone = matches!(error.kind(), ConnectionAborted | ConnectionReset | NotConnected);
    gone || matches!(error.kind(), Interrupted | WouldBlock)
}
