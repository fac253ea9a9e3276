//! The endpoint's thread: who comes, and the end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::{self, Runtime};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;
use wharf::{Address, ListenError, ServerHandle};

use crate::captures::CAPTURES_MAX;
use crate::connection::{CONNECTIONS_MAX, serve};
use crate::guard::Guard;
use crate::listener::{Listener, Stream};
use crate::options::{AdminOptions, AdminOptionsError, DrainHook};
use crate::questions::QUESTIONS_MAX;
use crate::routes::Routes;

/// How long accepting rests when descriptors are short.
const REST: Duration = Duration::from_millis(100);

/// An endpoint that has its address, and answers nobody yet: who connects waits.
///
/// To be had before the server starts, so that an address which is taken costs nobody a session.
#[derive(Debug)]
pub struct AdminSocket {
    listener: Listener,
    options: AdminOptions,
}

/// An endpoint that answers until it is dropped.
#[derive(Debug)]
pub struct Admin {
    address: Address,
    /// Dropped to end the thread.
    ends: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Why an endpoint did not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The options are not taken.
    #[error(transparent)]
    Options(#[from] AdminOptionsError),
    /// Its address is not to be had.
    #[error("the admin endpoint cannot listen on {address}: {source}")]
    Listen {
        /// Where it was to listen.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// Its Unix socket is not to be had.
    #[error("the admin endpoint cannot listen: {0}")]
    ListenAt(#[from] ListenError),
    /// Its thread is not to be had.
    #[error("the admin endpoint has no thread: {0}")]
    Thread(#[source] io::Error),
}

impl AdminSocket {
    /// Takes the address.
    ///
    /// # Errors
    /// [`AdminError`], if an option is not taken, or the address is not to be had.
    pub fn bind(options: AdminOptions) -> Result<Self, AdminError> {
        options.check()?;
        let listener = Listener::bind(&options.listen)?;
        Ok(Self { listener, options })
    }

    /// Where it listens, with the real port.
    pub const fn address(&self) -> &Address {
        self.listener.address()
    }

    /// Starts to answer for a server, on a thread of its own.
    ///
    /// # Errors
    /// [`AdminError::Thread`], if a thread is not to be had.
    pub fn start(self, server: ServerHandle) -> Result<Admin, AdminError> {
        let Self { listener, options } = self;
        let address = listener.address().clone();
        let guard = Guard::new(&options, address.tcp());
        let drain = DrainHook(options.drain);
        let routes = Arc::new(Routes::new(server, guard, options.worker_patience, drain));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(QUESTIONS_MAX + CAPTURES_MAX)
            .thread_name("wharf-admin-ask")
            .build()
            .map_err(AdminError::Thread)?;
        let (ends, end) = oneshot::channel();
        let thread = Builder::new()
            .name("wharf-admin".to_owned())
            .spawn(move || run(runtime, listener, routes, end))
            .map_err(AdminError::Thread)?;
        Ok(Admin { address, ends: Some(ends), thread: Some(thread) })
    }
}

impl Admin {
    /// Takes the address and starts to answer, both at once.
    ///
    /// # Errors
    /// [`AdminError`], if an option is not taken, or the address or a thread is not to be had.
    pub fn start(server: ServerHandle, options: AdminOptions) -> Result<Self, AdminError> {
        AdminSocket::bind(options)?.start(server)
    }

    /// Where it listens, with the real port.
    pub const fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Admin {
    /// Cuts what is under way.
    fn drop(&mut self) {
        self.ends = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    runtime: Runtime,
    listener: Listener,
    routes: Arc<Routes>,
    end: oneshot::Receiver<Infallible>,
) {
    runtime.block_on(async {
        tokio::select! {
            result = accept(listener, routes) => if let Err(error) = result {
                tracing::error!(%error, "the admin endpoint has ended");
            },
            _ = end => {}
        }
    });
    // A capture may be written still, which nobody gets any more.
    runtime.shutdown_background();
}

/// Accepts for as long as it is polled.
async fn accept(listener: Listener, routes: Arc<Routes>) -> io::Result<()> {
    let listener = listener.begin()?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok(Stream::Tcp(stream)) => {
                tokio::spawn(serve(stream, Arc::clone(&routes), place));
            }
            #[cfg(unix)]
            Ok(Stream::Unix(stream)) => {
                tokio::spawn(serve(stream, Arc::clone(&routes), place));
            }
            // Whoever has gone again, or a shortage that passes.
            Err(error) => {
                tracing::debug!(%error, "the admin endpoint has not accepted");
                sleep(REST).await;
            }
        }
    }
}
