//! A chat, and what has been said in it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use wharf::capture::CaptureOptions;
use wharf::{
    Arrival, Backend, CloseReason, Context, Framing, Group, Outcome, Server, Session, SessionId,
};
use wharf_capture::Recording;

/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A member of a chat: it takes a name, and then what it says is said to everybody.
pub(crate) struct Member {
    id: SessionId,
    chat: Group,
    name: String,
    /// What the chat says beside a name, so that another chat is another one.
    says: &'static str,
}

impl Member {
    pub(crate) fn new(arrival: &Arrival) -> Self {
        Self::who_says(arrival, "says")
    }

    pub(crate) fn who_says(arrival: &Arrival, says: &'static str) -> Self {
        Self { id: arrival.id(), chat: arrival.group("chat"), name: String::new(), says }
    }

    fn tell(&self, ctx: &mut Context<'_>, what: &str) {
        ctx.broadcast(&self.chat, format!("{} {what}", self.name).as_bytes());
    }
}

impl Session for Member {
    fn on_connected(&mut self, ctx: &mut Context<'_>) -> Outcome {
        ctx.send(b"who are you?");
        Ok(())
    }

    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let words = std::str::from_utf8(frame)?;
        match words.split_once(' ').unwrap_or((words, "")) {
            ("name", name) => {
                self.name = name.to_owned();
                ctx.join_as(&self.chat, name)?;
                self.tell(ctx, "has come");
            }
            ("kick", whom) => {
                let member =
                    self.chat.members().into_iter().find(|it| it.name.as_deref() == Some(whom));
                if let Some(member) = member {
                    self.tell(ctx, &format!("kicks {whom}"));
                    ctx.close_session(member.session);
                }
            }
            ("rest", _) => {}
            _ => self.tell(ctx, &format!("{} {words}", self.says)),
        }
        Ok(())
    }

    fn on_disconnected(&mut self, ctx: &mut Context<'_>, _: &CloseReason) {
        let _ = self.id;
        self.tell(ctx, "has gone");
    }
}

/// Waits until it is so.
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "no test waits for ever")]
    let now = std::time::Instant::now;
    let began = now();
    while !is_so() {
        assert!(now().duration_since(began) < PATIENCE, "it is never so");
        std::thread::yield_now();
    }
}

/// A client that reads and writes lines.
pub(crate) struct Lines(BufReader<TcpStream>);

impl Lines {
    pub(crate) fn connect(server: &wharf::ServerHandle) -> Self {
        let stream = TcpStream::connect(server.addresses()[0].to_string()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    pub(crate) fn say(&mut self, words: &str) {
        self.0.get_mut().write_all(format!("{words}\n").as_bytes()).unwrap();
    }

    pub(crate) fn hear(&mut self, words: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), words);
    }

    pub(crate) fn leave(&mut self) {
        self.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    }
}

pub(crate) fn server(at: &str) -> Server {
    Server::bind(at).framing(Framing::LINES).workers(1)
}

/// An evening of three members, of whom one leaves and one is kicked.
pub(crate) fn evening(backend: Backend) -> Recording {
    let options = CaptureOptions::default();
    let server =
        server("127.0.0.1:0").backend(backend).capture(options).start(Member::new).unwrap();
    let handle = server.handle();
    let mut members: Vec<Lines> = Vec::new();
    for name in ["anna", "ben", "cleo"] {
        let mut member = Lines::connect(&handle);
        member.hear("who are you?");
        member.say(&format!("name {name}"));
        members.push(member);
        members.iter_mut().for_each(|it| it.hear(&format!("{name} has come")));
    }
    for round in 0..20 {
        members[round % 3].say(&format!("hello {round}"));
        let name = ["anna", "ben", "cleo"][round % 3];
        members.iter_mut().for_each(|it| it.hear(&format!("{name} says hello {round}")));
    }
    members[0].say("kick ben");
    members.iter_mut().for_each(|it| it.hear("anna kicks ben"));
    let mut ben = members.remove(1);
    ben.hear("");
    drop(ben);
    members.iter_mut().for_each(|it| it.hear("ben has gone"));
    members[1].say("rest");
    members[1].leave();
    members[1].hear("");
    members[0].hear("cleo has gone");
    members[0].say("it is quiet");
    members[0].hear("anna says it is quiet");
    let captured = handle.captured().unwrap();
    handle.stop();
    server.join().unwrap();
    Recording::of(&captured, None)
}
