//! Where the endpoint listens: a port, or a Unix socket.

use std::io;
use std::net::TcpListener;

use wharf::Address;
#[cfg(unix)]
use wharf::LocalListener;

use crate::endpoint::AdminError;
#[cfg(not(unix))]
use crate::options::AdminOptionsError;

/// The permissions of the file: those of its owner, who may do to the process what it likes anyway.
#[cfg(unix)]
const MODE: u32 = 0o600;

/// What listens.
#[derive(Debug)]
pub(crate) struct Listener {
    address: Address,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(LocalListener),
}

/// A listener of the runtime's.
#[derive(Debug)]
pub(crate) enum Accepting {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix {
        /// Removed first: nobody is to find it and be refused.
        _file: LocalListener,
        listener: tokio::net::UnixListener,
    },
}

/// Who has connected.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(tokio::net::TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

impl Listener {
    pub(crate) fn bind(address: &Address) -> Result<Self, AdminError> {
        match address {
            Address::Tcp(_) => {
                let failed = |source| AdminError::Listen { address: address.clone(), source };
                let listener = TcpListener::bind(address).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?.into();
                Ok(Self { address, socket: Socket::Tcp(listener) })
            }
            #[cfg(unix)]
            Address::Unix(at) => {
                let listener = LocalListener::bind(at, Some(MODE))?;
                Ok(Self { address: address.clone(), socket: Socket::Unix(listener) })
            }
            #[cfg(not(unix))]
            Address::Unix(_) => Err(AdminOptionsError::NoUnixSockets(address.clone()).into()),
        }
    }

    /// With the real port.
    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }

    /// Has the runtime accept, within which this must be called.
    pub(crate) fn begin(self) -> io::Result<Accepting> {
        Ok(match self.socket {
            Socket::Tcp(listener) => Accepting::Tcp(tokio::net::TcpListener::from_std(listener)?),
            #[cfg(unix)]
            Socket::Unix(local) => {
                let listener = local.listener()?;
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                Accepting::Unix { _file: local, listener }
            }
        })
    }
}

impl Accepting {
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().await?.0),
            #[cfg(unix)]
            Self::Unix { listener, .. } => Stream::Unix(listener.accept().await?.0),
        })
    }
}
