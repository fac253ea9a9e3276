//! The flags of `wharf load`.

mod chat;
mod common;
mod connections;
mod guests;
mod messages;

use clap::Subcommand;

use super::Command;
use super::Given;
use crate::failure::Failure;
use chat::ChatArgs;
use connections::{AcceptArgs, IdleArgs};
use guests::{SlowReaderArgs, SlowlorisArgs, StormArgs};
use messages::LoadArgs;

#[derive(Debug, Subcommand)]
pub(super) enum LoadMode {
    /// Send messages, expect each of them back, and compare every byte.
    ///
    /// Exit code: 0 all is well, 1 wrong or missing bytes (or it could not start), 2 wrong arguments,
    /// 4 could not connect all sessions.
    Echo(LoadArgs),
    /// Have one session of a chat send messages, expect each of them at every session, and compare every
    /// byte. Throughput, latencies and counts are of deliveries: a message that comes to a hundred
    /// sessions is a hundred.
    ///
    /// Exit code: 0 all is well, 1 wrong or missing bytes (or it could not start, or the server is no
    /// chat), 2 wrong arguments, 4 could not connect all sessions.
    #[command(
        mut_arg("framing", |framing| framing.default_value("lines")),
        mut_arg("sessions", |sessions| sessions.help("How many sessions; one of them sends")),
        mut_arg("depth", |depth| depth.help(CHAT_DEPTH)),
        mut_arg("rate", |rate| rate.help(CHAT_RATE)),
        mut_arg("messages", |messages| messages.help(CHAT_MESSAGES)),
    )]
    Chat(ChatArgs),
    /// Connect, have a message echoed if there is a --size, and end the connection, again and again.
    ///
    /// Exit code: 0 all is well, 1 wrong or missing bytes (or it could not start), 2 wrong arguments,
    /// 4 could not connect, or not every time.
    #[command(
        mut_arg("sessions", |sessions| sessions.help("How many connections at a time"))
    )]
    Accept(AcceptArgs),
    /// Open sessions, keep them, and count those that the server loses, and when.
    ///
    /// Exit code: 0 all is well, also if sessions were lost, 1 wrong or missing bytes (or it could not start),
    /// 2 wrong arguments, 4 could not connect all sessions.
    #[command(
        mut_arg("rate", |rate| rate.help(IDLE_RATE)),
        mut_arg("duration", |duration| duration.help("How long to keep them once all are open, in seconds")),
        mut_arg("size", |size| size.help(IDLE_SIZE)),
    )]
    Idle(IdleArgs),
    /// Connect, send, send half a frame or an illegal one, reset, close, half-close and give up, as chance has it,
    /// beside honest sessions that are measured. What comes back is compared, and in the end an honest session has
    /// to be answered.
    ///
    /// Exit code: 0 all is well, 1 wrong or missing bytes, or no answer in the end (or it could not start),
    /// 2 wrong arguments, 4 could not connect the honest sessions, or none of the storm's.
    #[command(
        mut_arg("sessions", |sessions| sessions.help("How many connections of the storm at a time")),
        mut_arg("honest", |honest| honest.default_value("1")),
    )]
    Storm(StormArgs),
    /// Send and read slowly, or read nothing, beside honest sessions that are measured; tell how many the server
    /// closed, and when. What comes back is compared.
    ///
    /// Exit code: 0 all is well, 1 wrong bytes, or missing ones of honest sessions (or it could not start), 2 wrong
    /// arguments, 4 could not connect all sessions.
    #[command(mut_arg("sessions", |sessions| sessions.help("How many slow sessions")))]
    SlowReader(SlowReaderArgs),
    /// Drip frames byte by byte, beside honest sessions that are measured; tell how many the server closed, and
    /// when. What comes back is compared.
    ///
    /// Exit code: 0 all is well, 1 wrong bytes, or missing ones of honest sessions (or it could not start), 2 wrong
    /// arguments, 4 could not connect all sessions.
    #[command(
        mut_arg("sessions", |sessions| sessions.help("How many sessions that drip")),
        mut_arg("framing", |framing| framing.help(DRIP_FRAMING)),
    )]
    Slowloris(SlowlorisArgs),
}

const DRIP_FRAMING: &str = "How messages are told apart, as the server does it: raw, lines, u16le, u16be, u32le, \
                            u32be, game, fixed:N, delimiter:TEXT or \
                            length:OFFSET:WIDTH:le|be[:whole][:ADJUSTMENT]; raw has no frames, and each byte \
                            that is dripped is a message";
const IDLE_RATE: &str = "Sessions opened per second [default: as many as the server takes]";
const IDLE_SIZE: &str = "Payload of the messages of --every, up to 16MiB; framed with u16, up to 65535 \
                         [default: 64]";

impl LoadMode {
    /// Checks what clap cannot: flags against each other.
    pub(super) fn check(self, given: &Given<'_>) -> Result<Command, Failure> {
        Ok(match self {
            Self::Echo(args) => Command::LoadEcho(args.check(given)?),
            Self::Chat(args) => Command::LoadChat(Box::new(args.check(given)?)),
            Self::Idle(args) => Command::LoadIdle(Box::new(args.check()?)),
            Self::Storm(args) => Command::LoadStorm(Box::new(args.check(given)?)),
            Self::SlowReader(args) => Command::LoadSlowReader(Box::new(args.check(given)?)),
            Self::Slowloris(args) => Command::LoadSlowloris(Box::new(args.check(given)?)),
            Self::Accept(args) => Command::LoadAccept(Box::new(args.check()?)),
        })
    }
}

const CHAT_DEPTH: &str = "How many messages are in flight: sent, and not come to all sessions \
                          [default: 1; with --rate: no limit]";
const CHAT_RATE: &str = "Messages per second that are sent, due at even distances whether or not the \
                         server keeps up; latency counts from when a message was due [default: the next \
                         is sent when one has come to all]";
const CHAT_MESSAGES: &str =
    "Instead of a duration: this many messages are sent, all of them measured";
