//! The ways to accept: what they cost, and what they leave for others.
//!
//! Five servers, the same but for how they accept. Clients connect, say something, hear it and go, as fast as they
//! can, while others that have been there before go on talking. The table has both, since the question is not
//! only how many connections a second come in, but who pays for it:
//!
//! - *accept thread*: the main thread blocks in `accept`. One connection at a time, and nothing else is delayed by it.
//! - *inline*: accepts wait in advance, and the worker that deals with one makes the socket for the next, which takes
//!   longer than all else that it does. Messages of others wait behind it.
//! - *own thread*: a thread makes the sockets, woken by a channel. The workers are free of it; each accept costs
//!   one more change of threads.
//! - *recycled*: no socket is made, as each is disconnected and used again. It stays with its port and its key, so its
//!   session has to be used again with it. Where this end has closed first, Windows lets the disconnect wait for the
//!   whole of TIME_WAIT.
//!
//! Wine 8.0 disconnects and accepts again, and then no send works (10058): there, recycled sockets accept, and
//! their clients get no answer.

mod clients;

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use self::clients::{Outcome, load};
use super::is_wine;
use crate::experiments::{Experiment, Verdict};
use crate::windows::iocp;
use crate::windows::iocp_acceptex::{self, Accepting};
use crate::{ModelError, Observer, Refusal};

pub(super) const EXPERIMENT: Experiment = Experiment {
    name: "accept",
    system: "Windows",
    summary: "what the ways to accept cost, and what they leave for others",
    run,
};

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long, where no answer comes.
const PATIENCE_IN_VAIN: Duration = Duration::from_secs(1);

/// The ways, and their names.
const WAYS: [(&str, Option<Accepting>); 5] = [
    ("accept thread", None),
    ("AcceptEx, inline", Some(Accepting { refiller: false, recycling: false })),
    ("AcceptEx, own thread", Some(Accepting { refiller: true, recycling: false })),
    ("AcceptEx, inline, recycled", Some(Accepting { refiller: false, recycling: true })),
    ("AcceptEx, own thread, recycled", Some(Accepting { refiller: true, recycling: true })),
];

fn run(report: &mut dyn io::Write) -> io::Result<Verdict> {
    writeln!(
        report,
        "{:<32} {:>13} {:>12} {:>13}",
        "way", "connections/s", "unanswered", "messages/s"
    )?;
    let mut all_answered = true;
    for (name, how) in WAYS {
        let is_useless = is_wine() && how.is_some_and(|how| how.recycling);
        let patience = if is_useless { PATIENCE_IN_VAIN } else { PATIENCE };
        let Outcome { connections_per_s, unanswered, messages_per_s } =
            load(start(how)?, patience)?;
        writeln!(
            report,
            "{name:<32} {connections_per_s:>13.0} {unanswered:>12} {messages_per_s:>13.0}"
        )?;
        if unanswered > 0 && is_useless {
            writeln!(
                report,
                "  (this is Wine: nothing can be sent on a socket that was used before)"
            )?;
        } else {
            all_answered &= unanswered == 0;
        }
    }
    Ok(if all_answered { Verdict::Shown } else { Verdict::NotShown })
}

/// Starts a server, which ends with the process, and is idle when its clients have gone.
fn start(how: Option<Accepting>) -> io::Result<SocketAddr> {
    let (listening, address) = mpsc::channel();
    thread::spawn(move || {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ears = Ears(listening);
        match how {
            None => iocp::serve(any, &ears),
            Some(how) => iocp_acceptex::serve(any, &ears, how),
        }
        .map_err(|error: ModelError| error.to_string())
    });
    address.recv_timeout(PATIENCE).map_err(io::Error::other)
}

struct Ears(Sender<SocketAddr>);

impl Observer for Ears {
    fn listening(&self, address: SocketAddr) {
        let _ = self.0.send(address);
    }

    fn refused(&self, _: &Refusal) {}
}
