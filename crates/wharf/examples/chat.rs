//! A chat with names and rooms. Run it, then: `nc 127.0.0.1 7777`.

use wharf::{CloseReason, Context, Framing, Group, Limits, Outcome, Server, ServerError, Session};

struct Guest {
    name: String,
    room: Group,
}

impl Guest {
    fn enter(&mut self, ctx: &mut Context<'_>, room: Group) -> Outcome {
        self.room = room;
        ctx.join_as(&self.room, &self.name)?;
        self.tell(ctx, &format!("has come to {}", self.room.name()))
    }

    fn tell(&self, ctx: &mut Context<'_>, what: &str) -> Outcome {
        ctx.broadcast(&self.room, format!("* {} {what}", self.name).as_bytes());
        Ok(())
    }
}

impl Session for Guest {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"* /name NAME, /join ROOM, /who, or just talk");
        self.enter(ctx, self.room.clone())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let line = String::from_utf8_lossy(frame);
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("/name", name) => {
                self.tell(ctx, &format!("is {name} now"))?;
                self.name = name.to_owned();
                ctx.join_as(&self.room, name)?;
            }
            ("/join", room) => {
                self.tell(ctx, "has left")?;
                ctx.leave(&self.room);
                self.enter(ctx, ctx.group(room))?;
            }
            ("/who", _) => drop(ctx.send(self.room.names().join(", ").as_bytes())),
            _ => drop(ctx.broadcast(&self.room, format!("{}: {line}", self.name).as_bytes())),
        }
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        let _ = self.tell(ctx, &format!("has left: {reason}"));
    }
}

fn main() -> Result<(), ServerError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    // Who listens need not speak.
    let limits = Limits { first_frame: None, idle: None, ..Limits::default() };
    let server = Server::bind(address).framing(Framing::LINES).limits(limits);
    let guest = |it: &wharf::Arrival| Guest { name: it.id().to_string(), room: it.group("lobby") };
    server.run(guest).map(|report| println!("{report}"))
}
