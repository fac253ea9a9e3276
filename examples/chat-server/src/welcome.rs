//! What a guest reads first, from a file that may change while the server runs.

use std::fs;

use wharf::{Context, DeferError, Outcome};

use crate::guest::Guest;

impl Guest {
    pub fn welcome(&self, ctx: &mut Context<'_>) -> Outcome {
        let read = || fs::read_to_string("welcome.txt").unwrap_or_default();
        let deferred = ctx.defer(read, |_: &mut Self, ctx, text| {
            for line in text.lines() {
                ctx.send(line.as_bytes());
            }
            Ok(())
        });
        match deferred {
            // In a crowd, nobody misses it.
            Err(DeferError::Full { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}
