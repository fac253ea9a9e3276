//! wharf itself: completion ports, one per worker thread, on the best that the system has.
//!
//! The other models are what such a server has to choose between; this is what the choice looks like to those who use
//! it. It has what the others lack: limits, timeouts, a queue for each slow reader, an end without a loss.

use std::convert::Infallible;
use std::net::SocketAddr;

use wharf::{Context, Framing, Limits, Outcome, Server, Session, SlowReader};

use crate::{Limit, Model, ModelError, Observer, Pattern};

pub(crate) const MODEL: Model = Model {
    name: "wharf",
    pattern: Pattern::Proactor,
    system: "any",
    summary: "this project's server, as its users write one",
    limit: Limit::Descriptors,
    calls_per_message: if cfg!(windows) {
        "3: GetQueuedCompletionStatusEx, WSARecv, WSASend; of many, 2 and a part of a wait"
    } else {
        "with io_uring 2 of one connection; of many, 1 per turn"
    },
    serve,
};

struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

/// One worker, since the other models that have a loop have one, too.
fn serve(address: SocketAddr, observer: &dyn Observer) -> Result<Infallible, ModelError> {
    let server = Server::bind(address.to_string()).framing(Framing::RAW).workers(1);
    let running = server.limits(as_few_limits_as_the_others()).start(|_| Echo)?;
    for address in running.handle().addresses().iter().filter_map(wharf::Address::tcp) {
        observer.listening(address);
    }
    running.join()?;
    Err(ModelError::Ended)
}

/// A peer may be silent, fast or slow; one that does not read is not read from, as everywhere here.
fn as_few_limits_as_the_others() -> Limits {
    Limits {
        accept_rate: None,
        frames_per_second: None,
        bytes_per_second: None,
        first_frame: None,
        frame_deadline: None,
        idle: None,
        send_deadline: None,
        slow_reader: SlowReader::Pause,
        ..Limits::default()
    }
}
