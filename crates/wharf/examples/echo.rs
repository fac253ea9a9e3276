//! An echo server. Run it, then: `nc 127.0.0.1 7777`.

use wharf::{Context, Framing, Outcome, Server, Session};

struct Echo;

impl Session for Echo {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        ctx.send(frame);
        Ok(())
    }
}

fn main() -> Result<(), wharf::ServerError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    let server = Server::bind(address).framing(Framing::RAW);
    server.run(|_| Echo).map(|report| println!("{report}"))
}
