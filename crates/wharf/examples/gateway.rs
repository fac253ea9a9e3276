//! A gateway: each client gets a connection of its own to another server. `gateway ADDRESS UPSTREAM`. Whoever
//! reads slowly slows down its own sender and nobody else, and no more waits here than one queue each way.

use std::sync::Arc;
use wharf::{
    Arrival, CloseReason, ConnectFailure, Context, Framing, Limits, OnMessage, Outcome, SendStatus,
    Server, Session, SessionId, SlowReader, TargetRef,
};

/// A client's connection, or the one that was made for it.
struct Half {
    upstream: Arc<str>,
    target: Option<TargetRef>,
    other: Option<SessionId>,
}

impl Session for Half {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.pause_receiving(); // Until both halves know each other.
        match self.other {
            Some(client) => drop(ctx.session_ref(client).typed::<Self>()?.post(ctx.id())),
            None => self.target = Some(ctx.connect(&*self.upstream)?),
        }
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, bytes: &[u8]) -> Outcome {
        let other = self.other.ok_or("nothing is received without another half")?;
        let status = ctx.send_to(other, bytes);
        if !ctx.is_writable(other) {
            ctx.pause_receiving(); // What was sent last is taken, and nothing comes behind it.
        }
        if status == SendStatus::Full { Err("bytes were not taken".into()) } else { Ok(()) }
    }

    fn on_end_of_stream(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.other.map(|other| ctx.finish_sending_to(other)); // What it sends may go on.
        Ok(())
    }

    fn on_writable(&mut self, ctx: &mut Context<'_>) -> Outcome {
        self.other.map(|other| ctx.resume_receiving_of(other));
        Ok(())
    }

    fn on_connect_failed(&mut self, ctx: &mut Context<'_>, failure: &ConnectFailure) -> Outcome {
        ctx.reset_session(ctx.id());
        Err(failure.to_string().into())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        match (self.other, reason) {
            (Some(other), CloseReason::PeerClosed | CloseReason::Drain) => ctx.close_session(other),
            (Some(other), _) => ctx.reset_session(other), // What it was sent is not all.
            (None, _) => drop(self.target.take().map(|target| target.stop())),
        }
    }
}

impl OnMessage<SessionId> for Half {
    fn on_message(&mut self, ctx: &mut Context<'_>, other: SessionId) -> Outcome {
        self.other = Some(other); // The half that was made for this client.
        ctx.resume_receiving_of(other);
        ctx.resume_receiving();
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, upstream] = &words[..] else { return Err("gateway ADDRESS UPSTREAM".into()) };
    let (upstream, slow_reader) = (Arc::<str>::from(&**upstream), SlowReader::Refuse);
    let limits = Limits { slow_reader, first_frame: None, idle: None, ..Limits::default() };
    let server = Server::bind(address).framing(Framing::RAW).limits(limits);
    let half = move |arrival: &Arrival| {
        let other = arrival.outgoing().and_then(wharf::Outgoing::opener);
        Half { upstream: Arc::clone(&upstream), target: None, other }
    };
    Ok(server.run(half).map(|report| println!("{report}"))?)
}
