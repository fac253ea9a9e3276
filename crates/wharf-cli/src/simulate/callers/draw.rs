//! What a target may be like: where it leads, how long it is waited for, and how it is tried again.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use fastrand::Rng;
use wharf::{Address, Reconnect, SessionId, Target, TargetError, TargetRef, Time};

use super::super::record::Book;
use super::super::run::SERVER;
use super::super::wire::Wire;
use super::targets::{Known, Phase, TargetNumber, Terms};

/// Where nobody listens, and where nobody answers.
const REFUSING: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)), 7777);
pub(super) const SILENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 8)), 7777);

/// The names that there are: one of these addresses answers, if one does.
const NAMES: [(&str, &[SocketAddr], bool); 4] = [
    ("second.example", &[REFUSING, SERVER], true),
    ("first.example", &[SERVER, REFUSING], true),
    ("late.example", &[SILENT, SERVER], true),
    ("empty.example", &[], false),
];

/// What a session says that has nothing to say. The server's side does not answer it.
pub(in crate::simulate) const HEARTBEAT: &[u8] = b"i";

/// Looks a name up.
pub(super) fn resolve(host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
    let found = NAMES.iter().find(|(name, ..)| *name == host);
    let found = found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"))?;
    Ok(found.1.to_vec())
}

/// Hosts that targets are connected from.
pub(super) const HOSTS: TargetNumber = 40;

/// The host that a target is connected from: each has its own, so that each may have a session there.
pub(super) fn host(number: TargetNumber) -> IpAddr {
    let last = u8::try_from(number % HOSTS).unwrap_or_default();
    IpAddr::V4(Ipv4Addr::new(10, 0, 2, last))
}

/// Whether an address is one of theirs.
pub(in crate::simulate) fn is_caller(address: &Address) -> bool {
    matches!(address.ip(), Some(IpAddr::V4(host)) if host.octets()[..3] == [10, 0, 2])
}

/// Draws one more target.
pub(super) fn target(
    book: &mut Book,
    wire: Wire,
    opener: Option<SessionId>,
    now: Time,
) -> (TargetNumber, Target) {
    let number = book.targets.known.len();
    let dice = &mut book.dice;
    let (address, leads_somewhere) = draw_address(dice);
    // One whose first address is silent needs the time in which the next one is tried.
    let timeout = Duration::from_millis(dice.u64(400..=3_000));
    let reconnect = (dice.u8(..4) > 0).then(|| draw_reconnect(dice));
    let idle = dice.bool().then(|| Duration::from_millis(dice.u64(300..=3_000)));
    let mut target = Target::new(address)
        .tag(number as u64)
        .timeout(timeout)
        .idle(idle)
        .bind(SocketAddr::new(host(number), 0));
    if let Some(reconnect) = reconnect {
        target = target.reconnect(reconnect);
    }
    // Without frames it would be anywhere in the stream.
    if wire.has_frames() && dice.u8(..4) == 0 {
        let every = Duration::from_millis(dice.u64(20..=200));
        target = target.heartbeat(every, &wire.payload(HEARTBEAT));
    }
    let terms = Terms { timeout, reconnect, idle, opener, leads_somewhere };
    book.targets.known.push(Known::new(terms, now));
    (number, target)
}

fn draw_address(dice: &mut Rng) -> (String, bool) {
    match dice.u8(..16) {
        0..9 => (SERVER.to_string(), true),
        9..13 => {
            let (name, _, leads) = NAMES[dice.usize(..NAMES.len())];
            (format!("{name}:7777"), leads)
        }
        13 => (REFUSING.to_string(), false),
        14 => (SILENT.to_string(), false),
        _ => ("unknown.example:7777".to_owned(), false),
    }
}

fn draw_reconnect(dice: &mut Rng) -> Reconnect {
    let delay_min = Duration::from_millis(dice.u64(1..=100));
    Reconnect {
        delay_min,
        delay_max: delay_min * dice.u32(1..=10),
        factor: [1.0, 1.5, 2.0, 7.0][dice.usize(..4)],
        jitter: [0.0, 0.5, 1.0][dice.usize(..3)],
        attempts_max: (dice.u8(..4) == 0).then(|| dice.u32(1..=4)),
        stable_after: [Duration::ZERO, Duration::from_millis(20), Duration::from_secs(5)]
            [dice.usize(..3)],
    }
}

impl Book {
    /// The client has taken a target, or not.
    pub(super) fn target_taken(
        &mut self,
        number: TargetNumber,
        taken: Result<TargetRef, TargetError>,
    ) {
        let known = &mut self.targets.known[number];
        match taken {
            Ok(target) => known.target = Some(target),
            Err(TargetError::Ended) => known.phase = Phase::Over,
            Err(error) => self.violate("I12", || format!("target {number} is refused: {error}")),
        }
    }

    /// A session was closed since it heard nothing.
    pub(super) fn target_is_idle(&mut self, tag: u64, now: Time) {
        let number = usize::try_from(tag).unwrap_or(usize::MAX);
        let Some(known) = self.targets.known.get(number) else { return };
        let (idle, since) = (known.terms.idle, known.connected_at);
        self.marks.count("caller idle");
        let is_due = idle.zip(since).is_some_and(|(idle, since)| now >= since + idle);
        if !is_due {
            self.violate("I12", || format!("target {number} is idle at {now:?}, since {since:?}"));
        }
    }
}
