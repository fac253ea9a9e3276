//! Sessions that send everything back.

use wharf::{Context, Outcome, Session};

/// Sends every frame back to its peer.
pub(crate) struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}
