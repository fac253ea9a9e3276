//! A client that finds its server again, however often that goes. Run it beside `echo`, and kill that.

use std::time::Duration;

use wharf::{Arrival, Client, CloseReason, Context, Framing, Outcome, Reconnect, Session, Target};

/// One connection. The next one is another session, which the factory makes anew.
struct Link {
    reconnects: u64,
}

impl Link {
    fn new(arrival: &Arrival) -> Self {
        let reconnects = arrival.outgoing().map_or(0, wharf::Outgoing::reconnects);
        println!("connected to {}, reconnect {reconnects}", arrival.peer());
        Self { reconnects }
    }
}

impl Session for Link {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(format!("hello {}", self.reconnects).as_bytes());
        Ok(())
    }

    fn on_frame(&mut self, _: &mut Context<'_>, frame: &[u8]) -> Outcome {
        println!("heard {}", String::from_utf8_lossy(frame));
        Ok(())
    }

    fn on_disconnected(&mut self, _: &mut Context<'_>, reason: &CloseReason) {
        println!("lost: {reason}");
    }
}

fn main() -> Result<(), wharf::ServerError> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7777".to_owned());
    // For a server in the same room. Across the world, or with thousands of clients, leave the defaults.
    let reconnect = Reconnect {
        delay_min: Duration::from_millis(10),
        delay_max: Duration::from_millis(50),
        ..Reconnect::default()
    };
    // A server that is silent for half a minute is taken for gone; the heartbeat makes this one answer.
    let target = Target::new(address)
        .reconnect(reconnect)
        .heartbeat(Duration::from_secs(10), b"still here")
        .idle(Some(Duration::from_secs(30)));
    let client = Client::new().connect(target).framing(Framing::LINES).workers(1);
    client
        .on_connect_failed(|failure| eprintln!("{failure}"))
        .run(Link::new)
        .map(|report| println!("{report}"))
}
