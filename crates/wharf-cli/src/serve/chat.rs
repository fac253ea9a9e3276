//! Sessions that hear each other.

use wharf::{Arrival, Context, Group, Outcome, SendStatus, Session};

/// Sends every frame to everybody, its own peer included.
pub(crate) struct Member {
    everybody: Group,
}

impl Member {
    pub(crate) fn new(arrival: &Arrival) -> Self {
        Self { everybody: arrival.group("everybody") }
    }
}

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.join(&self.everybody)?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match ctx.broadcast(&self.everybody, frame) {
            // Nobody got it. Who sends faster than all workers deliver is told by an end, not by a gap.
            SendStatus::Overloaded => Err("it sends faster than the members can be sent to".into()),
            _ => Ok(()),
        }
    }
}
