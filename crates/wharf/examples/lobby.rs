//! The chat of the README. Run it, then in two terminals: `nc 127.0.0.1 7777`.

use wharf::{CloseReason, Context, Framing, Group, Limits, Outcome, Server, Session};

struct Guest {
    room: Group,
}
impl Session for Guest {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.room)?)
    }
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let line = format!("{}: {}", ctx.id(), String::from_utf8_lossy(frame));
        ctx.broadcast(&self.room, line.as_bytes());
        Ok(())
    }
    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        ctx.broadcast(&self.room, format!("{} has left: {reason}", ctx.id()).as_bytes());
    }
}
fn main() -> Result<(), wharf::ServerError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    // Who listens need not speak.
    let limits = Limits { first_frame: None, idle: None, ..Limits::default() };
    let server = Server::bind(address).framing(Framing::LINES).limits(limits);
    server.run(|guest| Guest { room: guest.group("lobby") }).map(|report| println!("{report}"))
}
