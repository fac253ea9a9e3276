//! What a worker holds by kind, on a simulated network, where each state lasts as long as a test wants.

use std::time::Duration;

use wharf::sim::{Network, NetworkOptions, Peer};
use wharf::{Backend, Holdings, SessionId, SessionsWanted, SlowReader, WorkerReport};

use crate::support::record::Echo;
use crate::support::server::Setup;
use crate::support::simulated::{self, Simulated};

const PROXY: &str = "10.0.0.9";
const PROXY_NETWORK: &str = "10.0.0.9/32";
/// Longer than anything takes on the network, and shorter than a session waits for its peer's end.
const MOMENT: Duration = Duration::from_millis(20);
/// What an end of a connection holds, and what a sender may have on its way.
const WINDOW: usize = 512;

struct Play {
    network: Network,
    server: Simulated<Echo>,
}

impl Play {
    fn new() -> Self {
        let options = NetworkOptions { window_bytes: WINDOW, ..simulated::network(5) };
        let network = Network::new(options);
        let setup = Setup::new(Backend::Sim).limits(|limits| {
            limits.slow_reader = SlowReader::Pause;
            limits.send_bytes_max = 1 << 20;
        });
        let server = simulated::start(&network, setup.limits, &[PROXY_NETWORK], |_| Echo);
        Self { network, server }
    }

    fn turn(&mut self) {
        simulated::turn(&mut self.server, &self.network);
    }

    fn pass(&mut self, time: Duration) {
        let until = self.network.now() + time;
        while self.network.now() < until {
            self.turn();
            self.network.advance_by(MOMENT / 100);
        }
    }

    fn connect(&mut self, from: &str) -> Peer {
        let peer = simulated::connect(&self.network, from);
        self.pass(MOMENT);
        assert!(peer.is_connected());
        peer
    }

    fn holdings(&self) -> Holdings {
        self.server.holdings(0).expect("a worker that goes on")
    }

    /// Operations, in the order of their description; and sessions.
    fn counts(&self) -> ([usize; 6], [usize; 5]) {
        let Holdings { operations: it, sessions, .. } = self.holdings();
        let view = self.server.worker(0).unwrap();
        assert_eq!((it.total(), sessions.total()), (view.operations, view.sessions), "{view:?}");
        let operations = [it.accepts, it.connects, it.receives, it.sends, it.closes, it.timers];
        let it = sessions;
        (operations, [it.announcing, it.open, it.flushing, it.half_closed, it.terminating])
    }

    /// The answer to a question, and the turn that it takes.
    fn answer(&mut self, ask: fn(&wharf::ServerHandle) -> wharf::Answers) -> WorkerReport {
        let answers = ask(&self.server.handle());
        self.turn();
        answers.wait(Duration::ZERO).remove(0)
    }

    /// The session that began last.
    fn youngest(&mut self) -> SessionId {
        let report = self.answer(|it| it.ask_workers(SessionsWanted::Oldest(9)));
        report.sessions.last().expect("a session").id
    }
}

#[test]
fn what_is_held_is_counted_by_kind_and_state() {
    let mut play = Play::new();
    play.pass(MOMENT);
    assert_eq!(play.counts(), ([1, 0, 0, 0, 0, 0], [0; 5]));
    let _proxy = play.connect(PROXY);
    let _open = play.connect("10.0.0.2");
    assert_eq!(play.counts(), ([1, 0, 2, 0, 0, 1], [1, 1, 0, 0, 0]), "a proxy has a deadline");

    let mut deaf = play.connect("10.0.0.3");
    for _ in 0..4 {
        let frame = [&500u32.to_le_bytes()[..], &[7; 500]].concat();
        assert_eq!(deaf.try_write(&frame).expect("room"), frame.len());
        play.pass(MOMENT);
    }
    assert_eq!(play.counts().0[3], 1, "a send that nobody reads");
    let deaf_session = play.youngest();
    let server = play.server.handle();
    server.session(deaf_session).close();
    play.pass(MOMENT);
    assert_eq!(play.counts().1, [1, 1, 1, 0, 0], "what is queued is still sent");

    let _polite = play.connect("10.0.0.4");
    let polite_session = play.youngest();
    server.session(polite_session).close();
    play.pass(MOMENT);
    assert_eq!(play.counts().1, [1, 1, 1, 1, 0], "its peer has not ended");

    server.session(deaf_session).reset();
    play.turn();
    let (operations, sessions) = play.counts();
    assert_eq!(sessions, [1, 1, 0, 1, 1], "its socket closes");
    assert_eq!(operations[..5], [1, 0, 4, 1, 1], "what it has to wait for is still there");
    play.pass(MOMENT);
    assert_eq!(play.counts().1, [1, 1, 0, 1, 0]);
}

#[test]
fn holdings_are_told_to_whoever_asks_for_them() {
    let mut play = Play::new();
    let _peers = ["10.0.0.2", "10.0.0.3"].map(|from| play.connect(from));
    let report = play.answer(wharf::ServerHandle::ask_workers_for_holdings);
    assert_eq!(report.holdings, Some(play.holdings()));
    let Some(Holdings { operations, sessions, .. }) = report.holdings else { panic!("{report:?}") };
    assert_eq!((operations.total(), sessions.open), (report.operations, 2));
    // Who asks for something else has no table looked at.
    let report = play.answer(|server| server.ask_workers(SessionsWanted::Oldest(9)));
    assert_eq!((report.holdings, report.sessions.len()), (None, 2));
}
