//! What sessions receive and send in a second, on a simulated network, where time passes as a test wants.

use std::time::Duration;

use wharf::sim::{Network, Peer};
use wharf::{Backend, Context, Outcome, Session, SessionReport, SessionsWanted};

use crate::support::server::Setup;
use crate::support::simulated::{self, Simulated};

/// Longer than anything takes on the network.
const MOMENT: Duration = Duration::from_millis(10);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
/// What goes before the payload of a frame.
const HEAD: u64 = 4;

/// Answers a frame with one of as many bytes as its first two say, and with none if they say 0.
struct Answers;

impl Session for Answers {
    fn on_frame(&mut self, ctx: &mut Context<'_>, frame: &[u8]) -> Outcome {
        let bytes = u16::from_le_bytes([frame[0], frame[1]]);
        if bytes > 0 {
            ctx.send(&vec![7; bytes.into()]);
        }
        Ok(())
    }
}

struct Play {
    network: Network,
    server: Simulated<Answers>,
}

impl Play {
    fn new() -> Self {
        let network = Network::new(simulated::network(5));
        let limits = Setup::new(Backend::Sim).limits;
        let server = simulated::start(&network, limits, &[], |_| Answers);
        Self { network, server }
    }

    fn turn(&mut self) {
        simulated::turn(&mut self.server, &self.network);
    }

    /// Lets everything happen that is under way, and then the time pass that is left.
    fn pass(&mut self, time: Duration) {
        for _ in 0..10 {
            self.turn();
            self.network.advance_by(MOMENT / 10);
        }
        self.network.advance_by(time - MOMENT);
        self.turn();
    }

    fn connect(&mut self) -> Peer {
        let peer = simulated::connect(&self.network, "10.0.0.2");
        self.pass(MOMENT);
        assert!(peer.is_connected());
        peer
    }

    /// The peer sends a frame with so many bytes, and is sent one with as many as it wants.
    fn say(&mut self, peer: &mut Peer, bytes: u16, wants: u16) {
        let payload = [&wants.to_le_bytes()[..], &vec![7; usize::from(bytes) - 2]].concat();
        let frame = [&u32::from(bytes).to_le_bytes()[..], &payload].concat();
        assert_eq!(peer.try_write(&frame).expect("room"), frame.len());
        self.pass(MOMENT);
        let answer = if wants == 0 { 0 } else { HEAD + u64::from(wants) };
        assert_eq!(peer.try_read(&mut [0; 1 << 16]).map_or(0, |read| read as u64), answer);
    }

    fn ask(&mut self, wanted: SessionsWanted) -> Vec<SessionReport> {
        let answers = self.server.handle().ask_workers(wanted);
        self.turn();
        answers.wait(Duration::ZERO).remove(0).sessions
    }

    /// What the only session there is receives and sends in a second.
    fn rates(&mut self) -> (u64, u64) {
        let sessions = self.ask(SessionsWanted::After(None, 2));
        let [session] = &sessions[..] else { panic!("{sessions:?}") };
        (session.received_per_second, session.sent_per_second)
    }
}

/// Rates are rounded down, and the turn in which a worker answers takes a little time as well.
#[track_caller]
fn check(rates: (u64, u64), wanted: (u64, u64)) {
    let is_so = |rate: u64, wanted: u64| {
        (wanted.saturating_sub(wanted / 1000 + 1)..=wanted).contains(&rate)
    };
    assert!(is_so(rates.0, wanted.0) && is_so(rates.1, wanted.1), "{rates:?} and not {wanted:?}");
}

fn peers(sessions: &[SessionReport]) -> Vec<wharf::Address> {
    sessions.iter().map(|session| session.peer.clone()).collect()
}

#[test]
fn who_is_new_and_busy_comes_before_those_with_the_highest_totals() {
    let mut play = Play::new();
    let mut old: Vec<_> = (0..5).map(|_| play.connect()).collect();
    for peer in &mut old {
        play.say(peer, 60_000, 60_000);
    }
    play.ask(SessionsWanted::Oldest(0));
    play.pass(SECOND);
    let (mut sends, mut is_sent) = (play.connect(), play.connect());
    play.say(&mut old[3], 10, 10);
    for _ in 0..3 {
        play.say(&mut sends, 1000, 2);
        play.say(&mut is_sent, 2, 1000);
    }
    play.pass(SECOND);
    let addresses = [&sends, &is_sent, &old[3]].map(|peer| peer.local_address().unwrap());
    let [sends, is_sent, slow] = addresses.clone();
    let fastest = play.ask(SessionsWanted::FastestReceived(3));
    assert_eq!(peers(&fastest), [sends.clone(), is_sent.clone(), slow.clone()]);
    let fastest = play.ask(SessionsWanted::FastestSent(3));
    assert_eq!(peers(&fastest), [is_sent.clone(), sends.clone(), slow]);
    let most = play.ask(SessionsWanted::MostReceived(5));
    assert!(!peers(&most).iter().any(|peer| [&sends, &is_sent].contains(&peer)), "{most:?}");
    assert!(
        most.iter().filter(|session| session.received_per_second == 0).count() == 4,
        "{most:?}"
    );
    assert_eq!(play.ask(SessionsWanted::FastestReceived(100)).len(), 7);
    assert_eq!(play.ask(SessionsWanted::FastestSent(0)), []);
}

#[test]
fn a_rate_is_what_was_added_since_the_last_question_by_the_time_since() {
    let mut play = Play::new();
    let mut peer = play.connect();
    play.say(&mut peer, 50_000, 60_000);
    play.rates();
    // However long nobody has asked.
    for time in [SECOND, SECOND * 9 / 10, SECOND * 7, HOUR, SECOND] {
        play.say(&mut peer, 9_000, 900);
        play.pass(time - MOMENT);
        let millis = u64::try_from(time.as_millis()).unwrap();
        let wanted = ((9_000 + HEAD) * 1000 / millis, (900 + HEAD) * 1000 / millis);
        check(play.rates(), wanted);
    }
    play.pass(SECOND);
    assert_eq!(play.rates(), (0, 0), "it was silent");
}

/// In the millisecond between the two nothing may have come, or a burst.
#[test]
fn who_asks_right_after_somebody_else_is_told_the_same() {
    let mut play = Play::new();
    let mut peer = play.connect();
    play.rates();
    for round in 0..20 {
        for _ in 0..10 {
            play.say(&mut peer, 96, 6);
            play.pass(MOMENT * 9);
        }
        let rates =
            [SessionsWanted::After(None, 9), SessionsWanted::FastestSent(9)].map(|wanted| {
                let rates = play.ask(wanted)[0].clone();
                play.network.advance_by(Duration::from_millis(1));
                (rates.received_per_second, rates.sent_per_second)
            });
        for (received, sent) in rates {
            assert!((950..=1050).contains(&received), "{received} in round {round}: {rates:?}");
            assert!((95..=105).contains(&sent), "{sent} in round {round}: {rates:?}");
        }
    }
}

#[test]
fn what_began_since_is_counted_from_its_beginning_over_a_second_at_least() {
    for (age, wanted) in [(MOMENT, 1004), (SECOND / 2, 1004), (SECOND * 4, 251)] {
        let mut play = Play::new();
        let mut peer = play.connect();
        play.say(&mut peer, 1000, 0);
        let opened = play.network.now();
        play.pass(age);
        let (received, _) = play.rates();
        let passed = play.network.now() - opened;
        assert!((wanted * 95 / 100..=wanted).contains(&received), "{received} in {passed:?}");
    }
    // Of a session that was not there at the question before, too.
    let mut play = Play::new();
    play.ask(SessionsWanted::Oldest(1));
    play.pass(SECOND * 100);
    let mut peer = play.connect();
    play.say(&mut peer, 1000, 0);
    play.pass(SECOND / 2);
    assert_eq!(play.rates(), (1004, 0));
}

#[test]
fn who_has_the_slot_of_another_is_not_counted_from_what_that_one_had() {
    let mut play = Play::new();
    let mut first = play.connect();
    let _other = play.connect();
    play.say(&mut first, 60_000, 60_000);
    let slot =
        |session: &SessionReport| session.id.to_string().split('-').nth(1).map(str::to_owned);
    let address = first.local_address().unwrap();
    let was = play.ask(SessionsWanted::FastestReceived(1)).remove(0);
    assert_eq!(was.peer, address);
    first.reset();
    play.pass(SECOND / 2);
    let mut next = play.connect();
    play.say(&mut next, 1000, 500);
    play.pass(SECOND / 2);
    let is = play.ask(SessionsWanted::FastestReceived(1)).remove(0);
    assert_eq!((slot(&is), &is.peer), (slot(&was), &next.local_address().unwrap()));
    assert_ne!(is.id, was.id);
    assert_eq!((is.received_per_second, is.sent_per_second), (1004, 504), "{is:?}");
}

#[test]
fn every_answer_about_sessions_has_rates_and_no_other_begins_them_anew() {
    let mut play = Play::new();
    let mut peer = play.connect();
    let id = play.ask(SessionsWanted::Oldest(1))[0].id;
    play.say(&mut peer, 2496, 1496);
    play.pass(SECOND * 5 / 2 - MOMENT);
    for wanted in [
        SessionsWanted::One(id),
        SessionsWanted::After(None, 1),
        SessionsWanted::FullestQueues(1),
        SessionsWanted::Oldest(1),
        SessionsWanted::LongestSilent(1),
        SessionsWanted::MostReceived(1),
        SessionsWanted::MostSent(1),
        SessionsWanted::FastestReceived(1),
        SessionsWanted::FastestSent(1),
    ] {
        let told = play.ask(wanted).remove(0);
        check((told.received_per_second, told.sent_per_second), (1000, 600));
    }
    assert_eq!(play.ask(SessionsWanted::None), []);
    // Who asks for none does not renew what rates are counted from.
    play.pass(SECOND);
    play.ask(SessionsWanted::None);
    play.pass(SECOND / 4);
    play.say(&mut peer, 2496, 1496);
    play.pass(SECOND * 3 / 2 - SECOND / 4 - MOMENT);
    check(play.rates(), (1000, 600));
}
