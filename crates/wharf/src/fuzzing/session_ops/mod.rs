//! Sequences of operations against the session layer, on a simulated network: clients come, send
//! whole frames and halves, read or do not, end, reset and vanish; other threads' handles send and close,
//! with ids that may be stale; the server drains or stops at any point. Then nothing goes wrong any
//! more, and everything must come to its end.

mod client;
mod journal;

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use arbitrary::{Result, Unstructured};

use self::client::Client;
use self::journal::{Journal, Recorder};
use crate::arrival::Arrival;
use crate::framing::Framing;
use crate::limits::Limits;
use crate::send_queue::SlowReader;
use crate::server::{Server, SteppedServer};
use crate::sim::{FaultKind, Faults, Network, NetworkOptions};
use crate::{PortOptions, SendStatus, SocketOptions};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 7777);
/// Connections of one case.
const CLIENTS_MAX: usize = 6;
/// Sessions at a time: fewer, so that some are refused and slots are used again.
const SESSIONS_MAX: usize = 4;
const SEND_BYTES_MAX: usize = Limits::SEND_BYTES_MIN;
/// Steps after the last operation within which everything ends: a long frame goes byte by byte through the
/// smallest of windows.
const STEPS_MAX: usize = 1_000_000;
/// Rounds in which nothing happens before nothing ever will.
const STILL_MAX: usize = 4;

/// How long it takes, at most, until everything that was sent has arrived: what the network has held
/// back comes some seconds late.
const QUIET: Duration = Duration::from_secs(600);

/// Carries out operations, and looks after each whether what is promised holds.
pub fn session_ops(data: &[u8]) {
    let mut input = Unstructured::new(data);
    // The input is at its end: so are the operations.
    let Ok(mut case) = Case::begin(&mut input) else { return };
    while !input.is_empty() && case.step(&mut input).is_ok() {
        case.check();
    }
    case.finish();
}

/// A server whose sessions write a journal.
type Factory = Box<dyn Fn(&Arrival) -> Recorder>;

struct Case {
    network: Network,
    server: SteppedServer<Recorder, Factory>,
    journal: Rc<RefCell<Journal>>,
    clients: Vec<Client>,
    framing: Framing,
    policy: SlowReader,
    frame_max: usize,
}

impl Case {
    fn begin(input: &mut Unstructured<'_>) -> Result<Self> {
        let framings = [Framing::LINES, Framing::U16_LE, Framing::U32_BE];
        let policies = [
            SlowReader::Pause,
            SlowReader::Disconnect,
            SlowReader::DropNewest,
            SlowReader::DropOldest,
            SlowReader::Coalesce,
            SlowReader::Refuse,
        ];
        let (framing, policy) = (input.choose(&framings)?.clone(), *input.choose(&policies)?);
        let frame_max = *input.choose(&[client::PAYLOAD_MIN, 64, 1_000, 5_000])?;
        let window_bytes = *input.choose(&[512, 4_096, 256 << 10])?;
        let seed = input.arbitrary::<u8>()?.into();
        let faults = faults(input)?;
        let network = Network::new(NetworkOptions {
            seed,
            faults,
            window_bytes,
            ..NetworkOptions::default()
        });
        let port = PortOptions {
            buffers: *input.choose(&[2, 16])?,
            buffer_bytes: *input.choose(&[64, 1_024])?,
            completion_queue: 8,
            simulated: Some(network.clone()),
            ..PortOptions::default()
        };
        let journal = Rc::<RefCell<Journal>>::default();
        journal.borrow_mut().drops_oldest = policy.needs_frames();
        let writes = Rc::clone(&journal);
        let factory: Factory = Box::new(move |arrival| Recorder::new(arrival, Rc::clone(&writes)));
        let started = Server::bind(SERVER.to_string())
            .framing(framing.clone())
            .workers(input.int_in_range(1..=2)?)
            .limits(Limits {
                sessions_max: Some(SESSIONS_MAX),
                per_address_max: Some(SESSIONS_MAX - 1),
                frame_bytes_max: frame_max,
                send_bytes_max: SEND_BYTES_MAX,
                send_burst_bytes: 0,
                send_deadline: None,
                slow_reader: policy,
                // Who was paused and is not resumed must be found as such, and not end for it.
                first_frame: None,
                idle: None,
                ..Limits::default()
            })
            .port_options(port)
            .start_stepped(factory);
        let server = started.unwrap_or_else(|error| panic!("the server does not start: {error}"));
        Ok(Self { network, server, journal, clients: Vec::new(), framing, policy, frame_max })
    }

    /// One operation.
    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=15)? {
            0..=1 if self.clients.len() < CLIENTS_MAX => self.connect(input.arbitrary()?),
            0..=3 => drop(self.run(input.int_in_range(1..=8)?)),
            4 => self.turn(input.arbitrary()?),
            5 => drop(self.network.advance()),
            6..=11 => self.act(input)?,
            12 => self.post(input)?,
            13 => self.journal.borrow_mut().set_mood(input)?,
            14 => self.network.advance_by(Duration::from_millis(input.int_in_range(1..=9_999)?)),
            _ => match input.int_in_range(0..=9)? {
                0 => self.server.handle().stop(),
                1 => self.server.handle().drain(),
                _ => self.network.heal(),
            },
        }
        Ok(())
    }

    fn connect(&mut self, same_host: bool) {
        let number = self.clients.len();
        let host = if same_host { 1 } else { 2 };
        let port = 1_000 + u16::try_from(number).unwrap_or_default();
        let local = SocketAddr::new(Ipv4Addr::new(10, 0, 1, host).into(), port);
        let options = SocketOptions { bind: Some(local), ..SocketOptions::default() };
        let peer = self.network.connect_with(SERVER, &options);
        self.clients.push(Client::new(number, peer, local, self.framing.clone()));
    }

    fn turn(&mut self, second: bool) {
        let worker = usize::from(second) % self.server.workers();
        let now = self.network.now();
        // A worker that is done does nothing.
        let turned = self.server.turn(worker, Some(now));
        assert!(turned.is_ok(), "{turned:?}");
    }

    /// Turns of all workers, and what happens on the network between them; false if nothing did.
    fn run(&mut self, turns: usize) -> bool {
        let mut happened = false;
        for _ in 0..turns {
            for worker in 0..self.server.workers() {
                self.turn(worker == 1);
            }
            happened |= self.network.advance();
        }
        happened
    }

    /// A client does something.
    fn act(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        if self.clients.is_empty() {
            return Ok(());
        }
        let which = input.choose_index(self.clients.len())?;
        let frame_max = self.frame_max;
        self.clients[which].act(input, frame_max)
    }

    /// Another thread sends to a session, or closes it; it may have ended long ago.
    fn post(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        let mut journal = self.journal.borrow_mut();
        let Some(id) = journal.any_id(input)? else { return Ok(()) };
        let session = self.server.handle().session(id);
        if input.ratio(1, 4)? {
            session.close();
            return Ok(());
        }
        let payload = journal.address(id);
        let status = session.send(&payload);
        assert!(matches!(status, SendStatus::Queued | SendStatus::Closed), "{status:?}");
        Ok(())
    }

    fn check(&self) {
        // What a policy allows, and one frame with its envelope.
        let queue_max = match self.policy {
            SlowReader::Pause | SlowReader::DropOldest | SlowReader::Coalesce => 2 * SEND_BYTES_MAX,
            SlowReader::Disconnect | SlowReader::DropNewest | SlowReader::Refuse => SEND_BYTES_MAX,
        } + 2 * (self.frame_max.max(client::PAYLOAD_MIN) + 4);
        for worker in 0..self.server.workers() {
            // To look at it checks that the ledger of its buffers balances.
            let Some(view) = self.server.worker(worker) else { continue };
            assert!(view.queued_bytes_max <= queue_max, "{view:?}");
            if view.sessions == 0 {
                // A listener may accept, and the worker may be about to tidy up.
                assert!(view.operations <= 2 && view.ledger.leased == 0, "{view:?}");
            }
        }
        let handle = self.server.handle();
        assert!(handle.sessions() <= SESSIONS_MAX);
    }

    /// Nothing goes wrong any more: what was sent arrives, and then everything ends.
    fn finish(mut self) {
        self.network.set_faults(Faults::none());
        self.network.heal();
        self.journal.borrow_mut().calm_down();
        let until = self.network.now() + QUIET;
        let mut still = 0;
        for _ in 0..STEPS_MAX {
            self.clients.iter_mut().for_each(Client::go_on);
            // The clock jumps to what comes next: clients act before each step, or it jumps too far. The
            // last event may have happened within a turn, and a client has still to see it.
            still = if self.run(1) { 0 } else { still + 1 };
            if still > STILL_MAX || self.network.now() >= until {
                break;
            }
        }
        self.clients.iter_mut().for_each(Client::go_on);
        for client in &self.clients {
            self.journal.borrow().check_delivered(client);
        }
        self.server.handle().drain();
        for _ in 0..STEPS_MAX {
            if self.server.is_done() {
                break;
            }
            self.clients.iter_mut().for_each(Client::read_to_end);
            self.run(1);
        }
        assert!(self.server.is_done(), "the server has not ended: {:?}", self.server);
        assert_eq!(self.server.handle().sessions(), 0);
        for client in &self.clients {
            self.journal.borrow().compare(client);
        }
        self.journal.borrow().check_end();
        drop(self.clients);
        while self.network.advance() {}
        assert_eq!(self.network.open_ends(), 0, "an end of a connection is left");
        assert_eq!(self.network.descriptors(), 0, "a descriptor is left");
    }
}

/// Any kinds of faults, as often as is usual.
fn faults(input: &mut Unstructured<'_>) -> Result<Faults> {
    let chosen = input.arbitrary::<u32>()?;
    let on = |(bit, _): &(usize, &FaultKind)| chosen >> bit & 1 == 1;
    let kinds = FaultKind::ALL.iter().enumerate().filter(on).map(|(_, kind)| *kind);
    Ok(kinds.fold(Faults::none(), |faults, kind| faults.with(kind, kind.usual_ppm())))
}
