//! The server: as users have it, with framing, ids, limits, timers and statistics on.

use std::time::Duration;

use wharf::sim::{Network, NetworkOptions};
use wharf::{
    Address, Arrival, Backend, Context, Framing, Group, Limits, Outcome, PortOptions, Server,
    Session, SteppedServer,
};

use crate::Error;

/// Turns that any step may take. Some dozens do; beyond this the server has lost something.
const TURNS_MAX: usize = 10_000;

/// How long a turn may wait for the network. Longer than anything is on its way, and so short that no
/// session is late.
const TURN: Duration = Duration::from_millis(1);

/// What the server does with what it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// It echoes bytes.
    Raw,
    /// It echoes frames.
    Framed,
    /// It sends every frame to all.
    Chat,
}

impl Kind {
    /// So many messages, as they lie on the wire.
    pub(crate) fn burst(self, payload_bytes: usize, messages: usize) -> Vec<u8> {
        let length = u32::try_from(payload_bytes).unwrap_or(u32::MAX).to_le_bytes();
        let header = if self == Self::Raw { &[][..] } else { &length };
        let message = |number: usize| {
            let fill = b'a' + u8::try_from(number % 26).unwrap_or_default();
            [header, &vec![fill; payload_bytes]].concat()
        };
        (0..messages).flat_map(message).collect()
    }
}

/// One session of the server.
#[derive(Debug)]
pub(crate) struct Member {
    everybody: Option<Group>,
}

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        if let Some(everybody) = &self.everybody {
            ctx.join(everybody)?;
        }
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        match &self.everybody {
            Some(everybody) => drop(ctx.broadcast(everybody, frame)),
            None => drop(ctx.send(frame)),
        }
        Ok(())
    }
}

type Factory = Box<dyn Fn(&Arrival) -> Member>;

/// A server on a simulated network, turned by hand.
pub(crate) struct Serving {
    network: Network,
    server: SteppedServer<Member, Factory>,
}

impl Serving {
    pub(crate) fn start(kind: Kind) -> Result<Self, Error> {
        let network = Network::new(NetworkOptions { seed: 7, ..NetworkOptions::default() });
        let simulated = Some(network.clone());
        let port = PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
        let framing = if kind == Kind::Raw { Framing::RAW } else { Framing::U32_LE };
        let member: Factory = Box::new(move |arrival| Member {
            everybody: (kind == Kind::Chat).then(|| arrival.group("all")),
        });
        // Who listens to a chat need not speak.
        let listens = kind == Kind::Chat;
        let limits = Limits::default();
        let limits =
            if listens { Limits { first_frame: None, idle: None, ..limits } } else { limits };
        let server = Server::bind("10.0.0.1:7777").workers(1).framing(framing);
        let server = server.limits(limits).port_options(port);
        Ok(Self { network, server: server.start_stepped(member)? })
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn address(&self) -> Result<Address, Error> {
        Ok(self.server.handle().addresses().first().ok_or("the server listens nowhere")?.clone())
    }

    /// Sessions that live.
    pub(crate) fn sessions(&self) -> usize {
        self.server.worker(0).map_or(0, |view| view.sessions)
    }

    /// Lets server and network go on until `is_done`.
    pub(crate) fn turn_until(
        &mut self,
        what: &str,
        mut is_done: impl FnMut(&Self) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        for _ in 0..TURNS_MAX {
            if is_done(self)? {
                return Ok(());
            }
            // A port that is alone moves the network's clock itself, and no further than to this.
            self.server.turn(0, Some(self.network.now() + TURN))?;
        }
        Err(format!("the server does not get there: {what}").into())
    }

    /// Lets it go on until it has no session left.
    pub(crate) fn turn_until_empty(&mut self) -> Result<(), Error> {
        self.turn_until("all sessions end", |serving| Ok(serving.sessions() == 0))
    }
}
