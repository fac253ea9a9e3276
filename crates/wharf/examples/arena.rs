//! A game: a room that ticks 30 times a second, and dummy players that move in it.
//! `arena ADDRESS [DUMMIES]`; once a second it says how many play and how late its ticks were.

use std::collections::HashMap;
use std::{sync::Arc, sync::OnceLock, time::Duration};

use wharf::{
    Client, Context, Framing, Outcome, Room, RoomContext, RoomOptions, RoomRef, Server, Session,
    SessionId, Tick,
};

#[derive(Default)]
struct Arena {
    players: HashMap<SessionId, i64>,
    latest: Duration,
}

impl Room for Arena {
    fn on_enter(&mut self, _: &mut RoomContext<'_>, player: SessionId) {
        self.players.insert(player, 0);
    }

    fn on_frame(&mut self, _: &mut RoomContext<'_>, player: SessionId, frame: &[u8]) {
        let steps = str::from_utf8(frame).ok().and_then(|steps| steps.parse().ok());
        *self.players.entry(player).or_default() += steps.unwrap_or(0_i64).clamp(-1, 1);
    }

    fn on_leave(&mut self, _: &mut RoomContext<'_>, player: SessionId) {
        self.players.remove(&player);
    }

    fn on_tick(&mut self, ctx: &mut RoomContext<'_>, tick: &Tick) {
        let (count, steps) = (self.players.len(), self.players.values().sum::<i64>());
        ctx.broadcast(format!("tick {}: {count} players, {steps} steps", tick.number).as_bytes());
        self.latest = self.latest.max(tick.late);
        if tick.number.is_multiple_of(30) {
            println!("{count} players, {steps} steps, latest tick {:?} late", self.latest);
            self.latest = Duration::ZERO;
        }
    }
}

struct Player(Arc<OnceLock<RoomRef<Arena>>>);

impl Session for Player {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        Ok(ctx.enter(self.0.wait())?)
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send_to_room(self.0.wait(), frame);
        Ok(())
    }
}

/// Takes a step whenever it hears of the world.
struct Dummy;

impl Session for Dummy {
    fn on_frame(&mut self, ctx: &mut Context<'_>, _: &[u8]) -> Outcome {
        ctx.send(b"1");
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let address = words.next().unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    let dummies = words.next().map_or(Ok(200), |count| count.parse())?;
    let arena = Arc::new(OnceLock::new());
    let theirs = Arc::clone(&arena);
    let server = Server::bind(&address).framing(Framing::LINES);
    let server = server.start(move |_| Player(Arc::clone(&theirs)))?;
    let options = RoomOptions { ticks_per_second: Some(30), ..RoomOptions::default() };
    let _ = arena.set(server.handle().open_room(options, Arena::default())?);
    let client = Client::new().framing(Framing::LINES).workers(1);
    (0..dummies).fold(client, |all, _| all.connect(address.as_str())).run(|_| Dummy)?;
    server.join()?;
    Ok(())
}
