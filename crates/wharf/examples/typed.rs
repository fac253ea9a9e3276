//! A typed protocol: messages with ids, each dispatched to a method with what it carries. A frame is the header
//! of game servers (a size and an id of two bytes each, little-endian) and the fields as postcard writes them.
//! `typed ADDRESS`.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use wharf::{Context, Framing, GamePacket, Group, Outcome, Server, Session};

/// What has an id of its own on the wire.
trait Message: Serialize + DeserializeOwned {
    const ID: u16;

    /// The frame: the id, then the fields.
    fn encode(&self) -> postcard::Result<Vec<u8>> {
        postcard::to_extend(self, Self::ID.to_le_bytes().to_vec())
    }

    /// The message in a body, which has to be all of it.
    fn decode(body: &[u8]) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let (message, rest) = postcard::take_from_bytes(body)?;
        if rest.is_empty() { Ok(message) } else { Err("bytes behind a message".into()) }
    }
}

/// Declares messages with their ids, and which method of a session takes those that are received.
macro_rules! protocol {
    ($($id:literal $name:ident { $($field:ident: $type:ty),* } $(=> $method:ident)?;)*) => {
        $(
            #[derive(Serialize, Deserialize)]
            struct $name { $($field: $type),* }
            impl Message for $name { const ID: u16 = $id; }
        )*

        impl Session for Player {
            fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
                let GamePacket { id, body } = GamePacket::of(frame)?;
                match id {
                    $($($id => self.$method(ctx, $name::decode(body)?),)?)*
                    unknown => Err(format!("nobody takes messages with the id {unknown}").into()),
                }
            }
        }
    };
}

protocol! {
    1 Login { name: String } => login;
    2 Move { x: i32, y: i32 } => walk;
    101 Welcome { players: u32 };
    102 Moved { name: String, x: i32, y: i32 };
}

struct Player {
    name: Option<String>,
    world: Group,
}

impl Player {
    fn login(&mut self, ctx: &mut Context<'_>, Login { name }: Login) -> Outcome {
        ctx.join_as(&self.world, &name)?;
        self.name = Some(name);
        ctx.send(&Welcome { players: u32::try_from(self.world.len())? }.encode()?);
        Ok(())
    }

    fn walk(&mut self, ctx: &mut Context<'_>, Move { x, y }: Move) -> Outcome {
        let name = self.name.clone().ok_or("a move before the login")?;
        ctx.broadcast(&self.world, &Moved { name, x, y }.encode()?);
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    let server = Server::bind(address).framing(Framing::GAME);
    server.run(|player| Player { name: None, world: player.group("world") })?;
    Ok(())
}
