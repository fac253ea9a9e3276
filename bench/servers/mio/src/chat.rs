//! A chat: what a turn has brought goes to everybody at its end.

use std::io::{self, ErrorKind};

use bench_common::room::LAG_BYTES_MAX;
use mio::Token;

use crate::server::Server;

impl Server {
    /// Delivers what was spoken in this turn. Who has finished sending hears it too, and then leaves.
    pub(crate) fn deliver(&mut self) {
        if !self.spoken.is_empty() {
            let (registry, spoken) = (self.poll.registry(), &self.spoken);
            self.connections.retain(|index, member| {
                let heard = member.hear(spoken).and_then(|()| {
                    if member.output.len() > LAG_BYTES_MAX {
                        return Err(io::Error::from(ErrorKind::StorageFull));
                    }
                    member.watch_room(registry, Token(index))
                });
                heard.is_ok()
            });
            self.spoken.clear();
        }
        for index in self.ended.drain(..) {
            match self.connections.get_mut(index) {
                Some(member) if !member.output.is_empty() => member.ended = true,
                Some(_) => drop(self.connections.remove(index)),
                None => {}
            }
        }
    }
}
