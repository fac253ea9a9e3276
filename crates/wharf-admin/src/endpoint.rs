//! The endpoint's thread: connections, their bounds, and the end.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::runtime::{self, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};
use wharf::ServerHandle;

use crate::guard::Guard;
use crate::options::{AdminOptions, AdminOptionsError, DrainHook};
use crate::routes::{Routes, Then};

/// Connections at a time. Who comes then waits in the system's queue.
const CONNECTIONS_MAX: usize = 32;
/// How long the headers of a request may take to come.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may last: one request, and its answer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers of a request, and the bytes of them all.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Threads that wait for answers of workers, each for [`AdminOptions::worker_patience`] at most.
const WAITING_THREADS_MAX: usize = 4;
/// How long accepting rests when descriptors are short.
const REST: Duration = Duration::from_millis(100);

/// An endpoint that answers until it is dropped.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
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
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Its thread is not to be had.
    #[error("the admin endpoint has no thread: {0}")]
    Thread(#[source] io::Error),
}

impl Admin {
    /// Starts an endpoint for a server, on a thread of its own.
    ///
    /// # Errors
    /// [`AdminError`], if an option is not taken, or the address or a thread is not to be had.
    pub fn start(server: ServerHandle, options: AdminOptions) -> Result<Self, AdminError> {
        options.check()?;
        let failed = |source| AdminError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let guard = Guard::new(&options, address);
        let drain = DrainHook(options.drain);
        let routes = Arc::new(Routes::new(server, guard, options.worker_patience, drain));
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(WAITING_THREADS_MAX)
            .thread_name("wharf-admin-ask")
            .build()
            .map_err(AdminError::Thread)?;
        let (ends, end) = oneshot::channel();
        let thread = Builder::new()
            .name("wharf-admin".to_owned())
            .spawn(move || run(&runtime, listener, routes, end))
            .map_err(AdminError::Thread)?;
        Ok(Self { address, ends: Some(ends), thread: Some(thread) })
    }

    /// Where it listens, with the real port.
    pub const fn address(&self) -> SocketAddr {
        self.address
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
    runtime: &Runtime,
    listener: TcpListener,
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
}

/// Accepts for as long as it is polled.
async fn accept(listener: TcpListener, routes: Arc<Routes>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
        match listener.accept().await {
            Ok((stream, _)) => {
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

/// Answers one request, and then does what it has left to be done. What goes wrong is the client's, and closes its
/// connection.
async fn serve(stream: TcpStream, routes: Arc<Routes>, place: OwnedSemaphorePermit) {
    let drains = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| {
        let (routes, drains) = (Arc::clone(&routes), Arc::clone(&drains));
        async move {
            let (answer, then) = routes.answer(&request).await;
            drains.store(then == Then::Drain, Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .keep_alive(false)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let _ = timeout(CONNECTION_TIMEOUT, connection).await;
    drop(place);
    // The answer is with the system, or nobody wants it: whoever ends this endpoint now takes it from nobody.
    if drains.load(Ordering::Relaxed) {
        routes.begin_drain();
    }
}
