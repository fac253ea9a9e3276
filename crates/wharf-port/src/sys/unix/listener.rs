//! Sockets that listen.

use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::net::{SocketType, bind, listen, sockopt};

use super::addresses::{is_somewhere, local_address, to_system};
use super::fresh::open;
use super::socket::set_options;
use super::socket_file::SocketFile;
use super::{Socket, accept_now, credentials, peer_address};
use crate::address::{Address, UnixAddress};
use crate::error::ListenError;
use crate::ready_listener::ReadyListener;
use crate::socket::FreshSocket;
use crate::socket_options::ListenOptions;

/// A socket that listens, and its file if it is at a path.
#[derive(Debug)]
pub(crate) struct ListeningSocket {
    /// Removed before the socket closes: nobody is to find it and be refused.
    file: Option<SocketFile>,
    pub(crate) socket: Socket,
    is_unix: bool,
    /// What Linux does not have accepted Unix sockets inherit.
    send_buffer_bytes: Option<u32>,
}

/// Opens a socket that listens. Those that it accepts inherit its options, which Linux and the BSDs do for
/// all that are set here but the buffer of a Unix socket, so that an accept needs no further call there.
pub(crate) fn open_listener(
    address: &Address,
    options: &ListenOptions,
) -> Result<ListeningSocket, ListenError> {
    let failed = |errno| ListenError::new(address, errno);
    let listener = match address {
        Address::Tcp(_) => open_tcp(address, options).map_err(failed)?,
        Address::Unix(at) => open_unix(address, at, options)?,
    };
    let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
    listen(&listener.socket, backlog).map_err(failed)?;
    Ok(listener)
}

fn open_tcp(address: &Address, options: &ListenOptions) -> Result<ListeningSocket, Errno> {
    let socket = open(address)?;
    // On Unix this lets a server start while connections of the last one are in TIME_WAIT; two
    // listeners on one address still exclude each other.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.tcp().is_some_and(|address| address.is_ipv6()) {
        sockopt::set_ipv6_v6only(&socket, !options.dual_stack)?;
    }
    set_options(&socket, address, &options.accepted)?;
    bind(&socket, &to_system(address)?)?;
    Ok(ListeningSocket { file: None, socket, is_unix: false, send_buffer_bytes: None })
}

fn open_unix(
    address: &Address,
    at: &UnixAddress,
    options: &ListenOptions,
) -> Result<ListeningSocket, ListenError> {
    let failed = |errno| ListenError::new(address, errno);
    if !is_somewhere(address) {
        return Err(ListenError::Unsupported(address.clone()));
    }
    let socket = open(address).map_err(failed)?;
    let file = match at.path() {
        Some(path) => Some(SocketFile::bind(&socket, address, path, options.unix_mode)?),
        None => {
            let at = to_system(address).map_err(failed)?;
            bind(&socket, &at).map_err(failed)?;
            None
        }
    };
    let send_buffer_bytes = options.accepted.send_buffer_bytes;
    Ok(ListeningSocket { file, socket, is_unix: true, send_buffer_bytes })
}

/// Takes over a socket that somebody else has opened, and where it is. Its queue is not touched, nor its file:
/// both are theirs.
pub(crate) fn take_over(
    ready: &ReadyListener,
    options: &ListenOptions,
) -> Result<(ListeningSocket, Address), ListenError> {
    let none = ListenError::NotAListener;
    let short = || none("there is no descriptor left for it");
    let socket = fcntl_dupfd_cloexec(ready, 0).map_err(|_| short())?;
    let address = local_address(&socket);
    let address = address.ok_or_else(|| none("it is no socket of TCP or of the Unix domain"))?;
    let failed = |errno| ListenError::new(&address, errno);
    let is_stream = sockopt::socket_type(&socket).map_err(failed)? == SocketType::STREAM;
    if !is_stream || !listens(&socket).map_err(failed)? {
        return Err(none("it does not listen for streams"));
    }
    set_options(&socket, &address, &options.accepted).map_err(failed)?;
    let is_unix = address.is_unix();
    let send_buffer_bytes = options.accepted.send_buffer_bytes.filter(|_| is_unix);
    Ok((ListeningSocket { file: None, socket, is_unix, send_buffer_bytes }, address))
}

/// Whether a socket listens; of Apple's systems it is believed, since they do not tell.
#[cfg(not(target_vendor = "apple"))]
fn listens(socket: &Socket) -> Result<bool, Errno> {
    sockopt::socket_acceptconn(socket)
}

#[cfg(target_vendor = "apple")]
const fn listens(_: &Socket) -> Result<bool, Errno> {
    Ok(true)
}

impl ListeningSocket {
    /// Takes a connection that waits; the listener must not block.
    pub(crate) fn accept_now(&self, nonblocking: bool) -> Result<Socket, Errno> {
        accept_now(&self.socket, nonblocking)
    }

    /// What is known of a connection that was accepted; `None` if it is gone already.
    pub(crate) fn fresh(&self, socket: Socket, nonblocking: bool) -> Option<FreshSocket> {
        // Of a Unix socket that is gone only the name is: what it has sent is there.
        let unnamed = || self.is_unix.then(|| UnixAddress::unnamed().into());
        let peer = peer_address(&socket).or_else(unnamed)?;
        if !peer.is_unix() {
            return Some(FreshSocket::new(socket, nonblocking, peer));
        }
        if let Some(bytes) = self.send_buffer_bytes {
            // It fails only on what is no socket.
            let _ = sockopt::set_socket_send_buffer_size(&socket, bytes as usize);
        }
        let credentials = credentials(&socket);
        Some(FreshSocket::new(socket, nonblocking, peer).with_credentials(credentials))
    }

    /// Has nobody find it any more; who has connected waits in its queue.
    pub(crate) fn remove_file(&mut self) {
        self.file = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket_options::SocketOptions;
    use crate::sys::{open_stream, start_connect};

    /// Linux gives an accepted Unix socket the system's own size, whatever its listener has.
    #[test]
    fn both_ends_have_the_send_buffer_that_they_were_given() {
        let directory = tempfile::tempdir().unwrap();
        let address = UnixAddress::at(directory.path().join("socket")).unwrap().into();
        let accepted = SocketOptions { send_buffer_bytes: Some(20_000), ..Default::default() };
        let options = ListenOptions { accepted: accepted.clone(), ..Default::default() };
        let listener = open_listener(&address, &options).unwrap();
        let client = open_stream(&address, &accepted).unwrap();
        start_connect(&client, &address).unwrap();
        let socket = listener.accept_now(false).unwrap();
        let fresh = listener.fresh(socket, false).unwrap();
        let server = fresh.into_system(false).unwrap();
        let [client, server] = [client, server].map(|it| sockopt::socket_send_buffer_size(&it));
        // Linux doubles it.
        assert!(client.is_ok_and(|bytes| (20_000..=40_000).contains(&bytes)), "{client:?}");
        assert_eq!(client, server);
    }
}
