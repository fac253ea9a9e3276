//! How many connections a server takes, and what stops it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::Serialize;

use super::child::Server;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How far a server came.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Reach {
    /// Connections that were open and answered at the same time.
    pub(super) count: u64,
    /// What stopped it; `None` if it took as many as were asked for.
    pub(super) stopped_by: Option<String>,
}

/// Opens connections one after the other, each of which has to be answered, until `asked` are open.
pub(super) fn reach(server: &mut Server, model: &str, asked: u64) -> Reach {
    let mut open = Vec::new();
    for count in 0..asked {
        match connect(server.address) {
            Ok(stream) => open.push(stream),
            Err(error) => {
                // What the server says of it is more than its peer can see, if it says something.
                let said = server.complaint(Duration::from_secs(1));
                let said = said.map(|line| without_prefixes(&line, model).to_owned());
                return Reach { count, stopped_by: Some(said.unwrap_or_else(|| seen(&error))) };
            }
        }
    }
    Reach { count: asked, stopped_by: None }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])?;
    Ok(stream)
}

/// What a server says, without the words that its own lines begin with.
fn without_prefixes<'a>(line: &'a str, model: &str) -> &'a str {
    let mut line = line;
    for prefix in ["wharf", "error", model] {
        line = line.strip_prefix(prefix).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
    }
    line
}

fn seen(error: &io::Error) -> String {
    // EMFILE of Unix and WSAEMFILE of Windows: it is this side that can have no more.
    if matches!(error.raw_os_error(), Some(24 | 10_024)) {
        return "this side's limit of descriptors (ulimit -n)".to_owned();
    }
    format!("its peer saw: {error}")
}
