//! The endpoint's client: one request at a time, over a connection that is kept as long as the server keeps it.
//! Every wait has a bound.

use std::fmt;
use std::io;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use wharf::Address;
use wharf_admin::AdminOptions;

use super::options::TopOptions;
use crate::admin_token;
use crate::args::Target;
use crate::failure::Failure;

/// How long an answer may take. A worker that is held up delays one by a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read. A session with a few groups takes some 400 bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How much of a refusal is shown.
const LINE_CHARS_MAX: usize = 200;

/// Asks one endpoint.
#[derive(Debug)]
pub(super) struct Client {
    runtime: Runtime,
    place: Target,
    host: HeaderValue,
    authorization: Option<HeaderValue>,
    /// What the server has left open.
    open: Option<SendRequest<Empty<Bytes>>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AskError {
    /// Nobody listens there, or nobody who is reachable.
    Connect(io::Error),
    /// The connection ended without the answer.
    Broken(String),
    /// No answer in time.
    Late,
    /// Another status than was asked for, and the line that came with it.
    Refused(StatusCode, String),
    /// An answer that is not what was asked for.
    Unreadable(&'static str, String),
}

impl Client {
    /// Reads the token; nobody is asked yet.
    pub(super) fn new(options: &TopOptions) -> Result<Self, Failure> {
        let authorization = match &options.token_file {
            None => None,
            Some(path) => {
                let token = admin_token::read(path)?;
                // What no server would have been started with is a slip.
                let mut serving = AdminOptions::new(([127, 0, 0, 1], 0).into());
                serving.token = Some(token.clone());
                serving.check().map_err(|error| admin_token::refused(path, error))?;
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value.map_err(|error| admin_token::refused(path, error))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        let host = match &options.admin {
            Target::Address(Address::Unix(_)) => "localhost".to_owned(),
            place => place.to_string(),
        };
        let host = HeaderValue::from_str(&host).map_err(|error| {
            Failure::arguments(format_args!("--admin {}: {error}; give IP:PORT", options.admin))
        })?;
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(Failure::no_thread)?;
        Ok(Self { runtime, place: options.admin.clone(), host, authorization, open: None })
    }

    /// What a path answers.
    pub(super) fn get(&mut self, path: &str) -> Result<Bytes, AskError> {
        let request = || self.request(Method::GET, path);
        let (first, second) = (request()?, request()?);
        // An open connection may have been about to end; to ask twice changes nothing.
        if self.open.is_some() {
            match self.send(first) {
                Err(AskError::Broken(_)) => {}
                done => return done,
            }
        }
        self.send(second)
    }

    /// Has something done. It is asked for once, whatever comes of it.
    pub(super) fn post(&mut self, path: &str) -> Result<(), AskError> {
        self.open = None;
        let request = self.request(Method::POST, path)?;
        self.send(request).map(drop)
    }

    /// Waits, and lets the connection end meanwhile if the server wants that.
    pub(super) fn rest(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    fn request(&self, method: Method, path: &str) -> Result<Request<Empty<Bytes>>, AskError> {
        let mut request = Request::builder().uri(path).header(HOST, self.host.clone());
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value.clone());
        }
        if method == Method::POST {
            request = request.header("x-wharf-admin", "1");
        }
        let request = request.method(method).body(Empty::new());
        request.map_err(|error| AskError::Unreadable("request", error.to_string()))
    }

    fn send(&mut self, request: Request<Empty<Bytes>>) -> Result<Bytes, AskError> {
        let open = self.open.take();
        let exchange = exchange(&self.place, open, request);
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(AskError::Late))
        });
        let (sender, status, body) = answer?;
        self.open = (!sender.is_closed()).then_some(sender);
        if status.is_success() {
            return Ok(body);
        }
        let text = String::from_utf8_lossy(&body);
        let line = text.lines().next().unwrap_or_default().chars().take(LINE_CHARS_MAX).collect();
        Err(AskError::Refused(status, line))
    }
}

type Answered = (SendRequest<Empty<Bytes>>, StatusCode, Bytes);

/// One request and its answer, on the connection that is open, or a new one.
async fn exchange(
    place: &Target,
    open: Option<SendRequest<Empty<Bytes>>>,
    request: Request<Empty<Bytes>>,
) -> Result<Answered, AskError> {
    let mut sender = match open {
        Some(sender) => sender,
        None => connect(place).await?,
    };
    let broken = |error: hyper::Error| AskError::Broken(error.to_string());
    sender.ready().await.map_err(broken)?;
    let answer: Response<_> = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| AskError::Broken(error.to_string()))?.to_bytes();
    Ok((sender, status, body))
}

async fn connect(place: &Target) -> Result<SendRequest<Empty<Bytes>>, AskError> {
    let stream = match place {
        Target::Address(Address::Tcp(address)) => TcpStream::connect(*address).await,
        Target::Name(name, port) => TcpStream::connect((&**name, *port)).await,
        Target::Address(Address::Unix(socket)) => return connect_unix(socket).await,
    };
    let stream = stream.map_err(AskError::Connect)?;
    // A request is one write: there is nothing to be gathered.
    let _ = stream.set_nodelay(true);
    shake_hands(stream).await
}

#[cfg(unix)]
async fn connect_unix(
    socket: &wharf_port::UnixAddress,
) -> Result<SendRequest<Empty<Bytes>>, AskError> {
    use std::os::unix::ffi::OsStringExt;

    // A name that is no file is a path with a 0 before it, to tokio as to Linux.
    let path = match (socket.path_bytes(), socket.name()) {
        (Some(path), _) => path.to_vec(),
        (None, name) => [&[0], name.unwrap_or_default()].concat(),
    };
    let path = std::ffi::OsString::from_vec(path);
    shake_hands(tokio::net::UnixStream::connect(path).await.map_err(AskError::Connect)?).await
}

#[cfg(not(unix))]
async fn connect_unix(
    _socket: &wharf_port::UnixAddress,
) -> Result<SendRequest<Empty<Bytes>>, AskError> {
    Err(AskError::Connect(io::ErrorKind::Unsupported.into()))
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Empty<Bytes>>, AskError> {
    let shaken = handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(|error| AskError::Broken(error.to_string()))?;
    // It ends with its connection, whose errors come to the request too.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "{error}"),
            Self::Broken(problem) => write!(f, "the connection broke: {problem}"),
            Self::Late => write!(f, "no answer within {PATIENCE:?}"),
            Self::Refused(status, line) => write!(f, "{} {line}", status.as_u16()),
            Self::Unreadable(what, problem) => write!(f, "{what} makes no sense: {problem}"),
        }
    }
}
