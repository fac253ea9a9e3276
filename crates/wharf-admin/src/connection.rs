//! One connection: how long it may last, and for how many requests.
//!
//! Views ask again each second, so the connection of who looks is kept for the next request: one for each would have to
//! be opened every time, and stand in TIME_WAIT behind it. It must not keep others out: as many are kept as leave half
//! of the places to those who come and go, each for a bounded time, and none whose request was refused or changed
//! something. What is waited for has the same bounds on a connection that is kept as on one that is not.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, sleep};

use crate::answer::Answer;
use crate::routes::{Routes, Then};

/// Connections at a time. Who comes then waits in the system's queue.
pub(crate) const CONNECTIONS_MAX: usize = 32;
/// As many of them as there may be when one of them is kept for another request.
const KEPT_MAX: usize = CONNECTIONS_MAX / 2;
/// For how long a connection is kept: who asks after that is answered, and closed.
const KEPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest answer behind which a connection is kept. Who has to take more gets all the time of an exchange for it,
/// which ends with it, and not what is left for the headers of the next.
const KEPT_BYTES_MAX: u64 = 1 << 20;
/// How long the headers of a request may take to come, from the beginning of the connection or from the answer before.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long all of it may take: a request, and then its answer.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers of a request, and the bytes of them all.
const HEADERS_MAX: usize = 64;
const HEADER_BYTES_MAX: usize = 16 << 10;

/// What the requests of one connection share.
#[derive(Debug)]
struct Visit {
    since: Instant,
    place: OwnedSemaphorePermit,
    /// Told of each request that comes, and of each answer that another may follow.
    begins: Notify,
    /// Whether the server is to drain behind the answer.
    drains: AtomicBool,
}

/// Answers the requests of a connection, and then does what they have left to be done. What goes wrong is the
/// client's, and closes its connection.
pub(crate) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    routes: Arc<Routes>,
    place: OwnedSemaphorePermit,
) {
    let visit = Arc::new(Visit {
        since: Instant::now(),
        place,
        begins: Notify::new(),
        drains: AtomicBool::new(false),
    });
    let service = service_fn(|request| {
        let (routes, visit) = (Arc::clone(&routes), Arc::clone(&visit));
        async move { Ok::<_, Infallible>(visit.answer(request, &routes).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    {
        let (mut connection, mut end) = (pin!(connection), pin!(sleep(EXCHANGE_TIMEOUT)));
        loop {
            tokio::select! {
                _ = connection.as_mut() => break,
                () = visit.begins.notified() => end.as_mut().reset(Instant::now() + EXCHANGE_TIMEOUT),
                () = end.as_mut() => break,
            }
        }
    }
    let drains = visit.drains.load(Ordering::Relaxed);
    drop(visit);
    // The answer is with the system, or nobody wants it: whoever ends this endpoint now takes it from nobody.
    if drains {
        routes.begin_drain();
    }
}

impl Visit {
    async fn answer(&self, request: Request<Incoming>, routes: &Routes) -> Answer {
        self.begins.notify_one();
        // Nobody reads the body of a request that only looks.
        let is_look = request.method() == Method::GET && request.body().is_end_stream();
        let (mut answer, then) = routes.answer(request).await;
        self.drains.fetch_or(then == Then::Drain, Ordering::Relaxed);
        let is_short = answer.body().size_hint().upper().is_some_and(|it| it <= KEPT_BYTES_MAX);
        if is_look && is_short && answer.status().is_success() && self.may_be_kept() {
            self.begins.notify_one();
        } else {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    fn may_be_kept(&self) -> bool {
        // The one that comes next has its place already.
        let taken = CONNECTIONS_MAX - self.place.semaphore().available_permits() - 1;
        taken <= KEPT_MAX && self.since.elapsed() < KEPT_TIMEOUT
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::Semaphore;
    use tokio::task::JoinHandle;
    use tokio::time::timeout;
    use wharf::{Context, Outcome, RunningServer, Server, Session};

    use super::*;
    use crate::guard::Guard;
    use crate::options::{AdminOptions, DrainHook};

    const REQUEST: &[u8] = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const BODY: &str = "connections are accepted\n";
    /// Longer than any connection may last, of a clock that is moved on when nothing else is to be done.
    const LONG: Duration = Duration::from_secs(1000);

    struct Nothing;

    impl Session for Nothing {
        fn on_frame(&mut self, _: &mut Context<'_>, _: &[u8]) -> Outcome {
            Ok(())
        }
    }

    /// A server, the client's end of a connection to its endpoint that holds so many bytes each way, and what ends
    /// with that.
    fn connected(bytes: usize) -> (RunningServer, DuplexStream, JoinHandle<()>) {
        let running = Server::bind("127.0.0.1:0").workers(1).start(|_: &_| Nothing).unwrap();
        let address = ([127, 0, 0, 1], 1).into();
        let guard = Guard::new(&AdminOptions::new(address), Some(address));
        let routes = Routes::new(running.handle(), guard, LONG, DrainHook(None));
        let (client, ours) = duplex(bytes);
        let place = Arc::new(Semaphore::new(CONNECTIONS_MAX)).try_acquire_owned().unwrap();
        let served = tokio::spawn(serve(ours, Arc::new(routes), place));
        (running, client, served)
    }

    /// Asks, and gives the answer; nothing if the connection has ended.
    async fn ask(client: &mut DuplexStream) -> Option<String> {
        client.write_all(REQUEST).await.ok()?;
        let mut answer = Vec::new();
        while !answer.ends_with(BODY.as_bytes()) {
            let read = timeout(LONG, client.read_buf(&mut answer)).await.unwrap();
            if read.ok()? == 0 {
                return None;
            }
        }
        Some(String::from_utf8(answer).unwrap())
    }

    /// How long a connection still lasts, in whole seconds.
    async fn lasts(served: JoinHandle<()>) -> u64 {
        let since = Instant::now();
        timeout(LONG, served).await.unwrap().unwrap();
        since.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_each_second_is_answered_on_one_connection_for_a_minute() {
        let (_running, mut client, served) = connected(1 << 16);
        for second in 0..60 {
            let answer = ask(&mut client).await.unwrap();
            assert!(!answer.contains("connection: close"), "{second}: {answer}");
            sleep(Duration::from_secs(1)).await;
        }
        let last = ask(&mut client).await.unwrap();
        assert!(last.contains("connection: close"), "{last}");
        assert_eq!(ask(&mut client).await, None);
        assert_eq!(lasts(served).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_nothing_any_more_is_let_go() {
        let (_running, mut client, served) = connected(1 << 16);
        assert!(ask(&mut client).await.is_some());
        assert_eq!(lasts(served).await, HEADERS_TIMEOUT.as_secs());
        let (_running, mut client, served) = connected(1 << 16);
        assert!(ask(&mut client).await.is_some());
        client.write_all(&REQUEST[..20]).await.unwrap();
        assert_eq!(lasts(served).await, HEADERS_TIMEOUT.as_secs(), "in the middle of the next");
    }

    /// Those who ask for more and take nothing of it.
    #[tokio::test(start_paused = true)]
    async fn who_reads_no_answer_is_let_go() {
        for each in [1, 4] {
            let (_running, mut client, served) = connected(REQUEST.len());
            let since = Instant::now();
            while !served.is_finished() && since.elapsed() < LONG {
                let _ = timeout(Duration::from_secs(each), client.write_all(REQUEST)).await;
                sleep(Duration::from_secs(each)).await;
            }
            let most = KEPT_TIMEOUT + EXCHANGE_TIMEOUT + Duration::from_secs(2 * each);
            assert!(since.elapsed() <= most, "{:?} with one each {each} s", since.elapsed());
        }
    }
}
