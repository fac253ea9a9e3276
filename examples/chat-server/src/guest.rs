//! A guest: a name, a room, and what may be said.

use std::time::Duration;

use wharf::{CloseReason, Context, Group, Outcome, Session};

/// How long a guest may take to say a name.
const NAMING: Duration = Duration::from_secs(60);

pub struct Guest {
    /// Empty until it is said.
    pub name: String,
    pub room: Group,
}

impl Guest {
    pub fn new(room: Group) -> Self {
        Self { name: String::new(), room }
    }

    fn take_name(&mut self, ctx: &mut Context<'_>, name: &str) -> Outcome {
        if !is_word(name) {
            ctx.send(b"* a name is 1 to 20 letters and digits");
            return Ok(());
        }
        self.name = name.to_owned();
        self.enter(ctx, self.room.clone())
    }

    fn enter(&mut self, ctx: &mut Context<'_>, room: Group) -> Outcome {
        self.room = room;
        ctx.join_as(&self.room, &self.name)?;
        self.say(ctx, &format!("* {} has come to {}", self.name, self.room.name()));
        Ok(())
    }

    /// Sends a line to everybody in the room.
    fn say(&self, ctx: &mut Context<'_>, line: &str) {
        ctx.broadcast(&self.room, line.as_bytes());
    }
}

impl Session for Guest {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"* your name?");
        ctx.start_timer(NAMING, 0);
        self.welcome(ctx)?;
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        // What goes to another's terminal has no control characters.
        let line = String::from_utf8_lossy(frame).replace(char::is_control, "");
        if self.name.is_empty() {
            return self.take_name(ctx, &line);
        }
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("/join", room) if is_word(room) => {
                self.say(ctx, &format!("* {} has left for {room}", self.name));
                ctx.leave(&self.room);
                self.enter(ctx, ctx.group(room))?;
            }
            ("/who", "") => drop(ctx.send(self.room.names().join(", ").as_bytes())),
            ("/tell", what) => self.tell(ctx, what)?,
            (command, _) if command.starts_with('/') => {
                ctx.send(b"* /join ROOM, /who, /tell NAME TEXT, or just talk");
            }
            _ => self.say(ctx, &format!("{}: {line}", self.name)),
        }
        Ok(())
    }

    fn on_timer(&mut self, ctx: &mut Context<'_>, _token: u64) -> Outcome {
        if self.name.is_empty() {
            ctx.send(b"* too late, goodbye");
            ctx.close();
        }
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, reason: &CloseReason) {
        if !self.name.is_empty() {
            self.say(ctx, &format!("* {} has left: {reason}", self.name));
        }
    }
}

/// Whether this will do for a name, of a guest or of a room.
fn is_word(text: &str) -> bool {
    (1..=20).contains(&text.chars().count()) && text.chars().all(char::is_alphanumeric)
}
