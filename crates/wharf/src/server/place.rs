//! Where a server listens.

#[cfg(unix)]
use wharf_port::ReadyListener;
use wharf_port::{Address, CompletionPort, ListenError, ListenOptions, ListenerId};

use crate::error::ServerError;

/// Where it is to listen, as it was asked for.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// Looked at when the server starts.
    Text(String),
    #[cfg(unix)]
    Ready(ReadyListener),
}

/// Where a worker is to listen.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    At(Address),
    /// Somebody else has opened it.
    #[cfg(unix)]
    On(ReadyListener),
}

impl Asked {
    pub(super) fn resolve(self) -> Result<Place, ServerError> {
        match self {
            Self::Text(address) => super::resolve(&address).map(Place::At),
            #[cfg(unix)]
            Self::Ready(listener) => Ok(Place::On(listener)),
        }
    }
}

impl Place {
    /// Has a port listen there, and gives where that is in truth.
    pub(crate) fn listen(
        &self,
        port: &mut CompletionPort,
        options: &ListenOptions,
    ) -> Result<(ListenerId, Address), ListenError> {
        let (listener, asked) = match self {
            Self::At(address) => (port.listen(address, options)?, Some(address)),
            #[cfg(unix)]
            Self::On(listener) => (port.listen_on(listener, options)?, None),
        };
        let address = port.listener_address(listener).or_else(|| asked.cloned());
        // A listener that has just begun has an address.
        let gone = ListenError::NotAListener("it is gone");
        address.map(|address| (listener, address)).ok_or(gone)
    }
}
