//! The admin endpoint of a server.

use std::path::PathBuf;
use std::sync::Arc;

use wharf::{Address, ListenError};
use wharf_admin::{AdminError, AdminOptions, AdminSocket};

use crate::admin_token;
use crate::failure::{Exit, Failure};

/// Where the endpoint is to be; a loopback address or a file if there is no token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct AdminPlace {
    pub(crate) listen: Address,
    pub(crate) token_file: Option<PathBuf>,
    /// Names by which it may be called, besides `localhost`.
    pub(crate) hosts: Vec<String>,
}

impl AdminPlace {
    /// Whether more is needed to ask than to be a user of this machine.
    pub(crate) const fn is_private(&self) -> bool {
        self.token_file.is_some() || self.listen.is_unix()
    }

    /// Reads the token.
    fn options(&self) -> Result<AdminOptions, Failure> {
        let mut options = AdminOptions::at(self.listen.clone());
        options.hosts.clone_from(&self.hosts);
        if let Some(path) = &self.token_file {
            options.token = Some(admin_token::read(path)?);
            options.check().map_err(|error| admin_token::refused(path, error))?;
        }
        Ok(options)
    }
}

/// Takes the address of an endpoint that has its server drained by `drain`, and may give captures. To be called before
/// the server starts, so that a wrong token or an address that is taken costs nobody a session.
pub(super) fn bind(
    place: &AdminPlace,
    captures: bool,
    drain: impl Fn() + Send + Sync + 'static,
) -> Result<AdminSocket, Failure> {
    let mut options = place.options()?;
    options.captures = captures;
    options.drain = Some(Arc::new(drain));
    AdminSocket::bind(options).map_err(|error| failure(&error))
}

/// Why there is no endpoint, and what to do.
pub(super) fn failure(error: &AdminError) -> Failure {
    let advice = match error {
        AdminError::Options(_) => return Failure::arguments(error),
        AdminError::ListenAt(ListenError::Shortage { .. }) => {
            "; raise the limit of descriptors (ulimit -n)"
        }
        AdminError::Listen { .. } | AdminError::ListenAt(_) => {
            "; give another address with --admin"
        }
        _ => "; raise the limits of threads and descriptors (ulimit -u, ulimit -n)",
    };
    Failure::new(Exit::Failed, format_args!("{error}{advice}"))
}
