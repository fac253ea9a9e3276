//! What one guest says to another alone.

use wharf::{Context, OnMessage, Outcome};

use crate::guest::Guest;

pub struct Whisper {
    from: String,
    text: String,
}

impl OnMessage<Whisper> for Guest {
    fn on_message(&mut self, ctx: &mut Context<'_>, whisper: Whisper) -> Outcome {
        ctx.send(format!("{} whispers: {}", whisper.from, whisper.text).as_bytes());
        Ok(())
    }
}

impl Guest {
    /// `/tell NAME TEXT`.
    pub fn tell(&self, ctx: &mut Context<'_>, what: &str) -> Outcome {
        let (name, text) = what.split_once(' ').unwrap_or((what, ""));
        let members = self.room.members();
        let Some(other) = members.iter().find(|it| it.name.as_deref() == Some(name)) else {
            ctx.send(format!("* there is no {name} here").as_bytes());
            return Ok(());
        };
        let other = ctx.session_ref(other.session).typed::<Self>()?;
        ctx.post(&other, Whisper { from: self.name.clone(), text: text.to_owned() });
        Ok(())
    }
}
