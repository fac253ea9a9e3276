//! All sessions of a recording on one completion port, record by record.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use wharf::{Address, ConnectError, FrameError, Framing, SocketOptions, Time};
use wharf_port::{Completion, CompletionPort, Received, Segment, SharedBytes, SocketId};

use super::client::Client;
use super::report::Problem;
use super::world::{Done, World};
use super::{ReplayError, ReplayOptions, Report, Speed};
use crate::recording::{Record, Recording, What};

/// How long a port may take to close what is left.
const SHUT_DOWN: Duration = Duration::from_secs(5);

/// A replay on its way.
pub(super) struct Engine<'a, W> {
    recording: &'a Recording,
    options: &'a ReplayOptions,
    framing: Framing,
    address: Address,
    port: CompletionPort,
    world: W,
    /// By session; `None` for those that are not played.
    clients: Vec<Option<Client<'a>>>,
    by_socket: BTreeMap<SocketId, usize>,
    began: Time,
    done: Done,
    /// What the server may not have heard of yet: whose, and since when.
    unheard: Option<(usize, Time)>,
    failed: Option<ConnectError>,
    taken: VecDeque<Completion>,
    report: Report,
}

impl<'a, W: World> Engine<'a, W> {
    pub(super) fn new(
        recording: &'a Recording,
        framing: Framing,
        options: &'a ReplayOptions,
        address: Address,
        port: CompletionPort,
        world: W,
    ) -> Self {
        let mut expected: Vec<VecDeque<&[u8]>> = vec![VecDeque::new(); recording.sessions.len()];
        let mut causes = Causes::of(recording);
        for record in recording.records.iter().filter(|record| causes.has(record)) {
            if let What::Out(payload) = &record.what {
                expected[record.session].push_back(payload);
            }
        }
        let is_wanted =
            |number: usize| options.sessions.as_ref().is_none_or(|all| all.contains(&number));
        let client = |(number, expected)| {
            is_wanted(number)
                .then(|| Client::new(number, &framing, recording.frame_bytes_max, expected))
        };
        let clients: Vec<_> = (1..).zip(expected).map(client).collect();
        let report = Report { sessions: clients.iter().flatten().count(), ..Report::default() };
        Self {
            recording,
            options,
            framing,
            address,
            began: port.now(),
            port,
            world,
            clients,
            by_socket: BTreeMap::new(),
            done: Done::default(),
            unheard: None,
            failed: None,
            taken: VecDeque::new(),
            report,
        }
    }

    /// Plays it all.
    pub(super) fn run(mut self) -> Result<Report, ReplayError> {
        self.turn(self.port.now())?;
        self.began = self.port.now();
        // Whether one has answered is known when the next does something.
        let mut outs = vec![0; self.clients.len()];
        let mut causes = Causes::of(self.recording);
        for record in &self.recording.records {
            if causes.has(record) && self.clients[record.session].is_some() {
                self.play(record, &mut outs)?;
            }
        }
        self.finish()?;
        self.report.took = self.port.now().since(self.began);
        self.report.frames_equal =
            self.clients.iter().flatten().map(|client| client.came as u64).sum();
        // What is left is the system's to end.
        let _ = self.port.shut_down(SHUT_DOWN);
        Ok(self.report)
    }

    fn play(&mut self, record: &'a Record, outs: &mut [usize]) -> Result<(), ReplayError> {
        let session = record.session;
        match &record.what {
            What::Out(_) => {
                outs[session] += 1;
                return self.await_frame(session, outs[session]);
            }
            What::End => return self.await_end(session),
            What::Open => {
                self.await_time(record.at)?;
                self.await_hearing(None)?;
                return self.connect(session);
            }
            What::In(payload) => {
                self.await_time(record.at)?;
                self.await_hearing(Some(session))?;
                self.send(session, payload)?;
            }
            What::PeerEnd => {
                self.await_time(record.at)?;
                self.await_hearing(Some(session))?;
                self.end_stream(session);
            }
            What::Close { reason, from_outside } => {
                return self.close(record, reason, *from_outside);
            }
        }
        self.unheard = Some((session, self.port.now()));
        Ok(())
    }

    /// A session ends: by its peer, by the server, or by what is in no recording.
    fn close(
        &mut self,
        record: &Record,
        reason: &str,
        from_outside: bool,
    ) -> Result<(), ReplayError> {
        let session = record.session;
        match reason {
            "peer_closed" => self.await_end(session)?,
            "closed" | "failed" | "panicked" | "send_too_long" | "send_bad_frame"
                if !from_outside =>
            {
                self.await_end(session)?;
            }
            "peer_reset" | "connection_failed" => {
                self.await_time(record.at)?;
                // A reset throws away what is on its way, what this session has sent before it as well.
                self.await_hearing(None)?;
                self.drop_connection(session, true);
                self.unheard = Some((session, self.port.now()));
                return Ok(());
            }
            _ => {
                self.await_time(record.at)?;
                self.await_hearing(Some(session))?;
                self.report.ended_for_others += 1;
                self.end_stream(session);
                let until = self.port.now() + self.options.patience;
                self.wait_for(until, |engine| engine.has_ended(session))?;
            }
        }
        self.drop_connection(session, false);
        Ok(())
    }

    /// The sessions that were open when the recording ended: nothing more may come from them.
    fn finish(&mut self) -> Result<(), ReplayError> {
        let until = self.port.now() + self.options.settle;
        self.wait_for(until, |_| false)?;
        for session in 0..self.clients.len() {
            self.end_stream(session);
        }
        let until = self.port.now() + self.options.patience;
        let all = 0..self.clients.len();
        self.wait_for(until, |engine| all.clone().all(|session| engine.has_ended(session)))?;
        Ok(())
    }

    fn has_ended(&self, session: usize) -> bool {
        let client = self.clients[session].as_ref();
        client.is_none_or(|it| it.server_ended || it.socket.is_none())
    }

    fn await_time(&mut self, at: Duration) -> Result<(), ReplayError> {
        let Speed::Times(times) = self.options.speed else { return Ok(()) };
        // What overflows is never reached.
        let after = Duration::try_from_secs_f64(at.as_secs_f64() / times).unwrap_or(Duration::MAX);
        let until = self.began + after;
        self.wait_for(until, |_| false)?;
        Ok(())
    }

    /// Waits until the server has heard of what another session has done.
    fn await_hearing(&mut self, session: Option<usize>) -> Result<(), ReplayError> {
        let Some((whose, since)) = self.unheard else { return Ok(()) };
        if session == Some(whose) {
            return Ok(());
        }
        let (settle, until) = (self.options.settle, self.port.now() + self.options.patience);
        self.wait_for(until, |engine| {
            let ago = engine.port.now().since(since);
            let client = engine.clients[whose].as_ref();
            let is_on_its_way = client.is_some_and(|it| it.is_sending || !it.waiting.is_empty());
            !is_on_its_way && engine.world.has_heard(engine.done, ago, settle)
        })?;
        self.unheard = None;
        Ok(())
    }

    /// Waits for a session's frame of this number. If it comes, the server has heard of what it answers; of a session
    /// that differs none is waited for, and nothing is known.
    fn await_frame(&mut self, session: usize, number: usize) -> Result<(), ReplayError> {
        let until = self.port.now() + self.options.patience;
        let is_over = |engine: &Self| {
            let client = engine.clients[session].as_ref();
            client.is_none_or(|it| it.came >= number || it.differs || it.server_ended)
        };
        self.wait_for(until, is_over)?;
        let Some(client) = &mut self.clients[session] else { return Ok(()) };
        if client.came >= number {
            self.unheard = None;
        } else if !client.differs {
            let missing = client.missing();
            self.report.differs(missing);
        }
        Ok(())
    }

    /// Waits for the server's end of a session.
    fn await_end(&mut self, session: usize) -> Result<(), ReplayError> {
        let until = self.port.now() + self.options.patience;
        self.wait_for(until, |engine| engine.has_ended(session))?;
        let Some(client) = &mut self.clients[session] else { return Ok(()) };
        if client.server_ended {
            self.unheard = None;
        } else if !client.differs {
            let difference = client.difference(Problem::NotEnded);
            self.report.differs(difference);
        }
        Ok(())
    }

    fn connect(&mut self, session: usize) -> Result<(), ReplayError> {
        let failed = |engine: &Self, error| ReplayError::Connect {
            number: session + 1,
            address: engine.address.clone(),
            error,
        };
        let connected = self.port.connect(self.address.clone(), &SocketOptions::default());
        let socket = connected.map_err(|error| failed(self, error))?;
        self.by_socket.insert(socket, session);
        if let Some(client) = &mut self.clients[session] {
            client.socket = Some(socket);
        }
        let until = self.port.now() + self.options.patience;
        let is_over = |engine: &Self| {
            let client = engine.clients[session].as_ref();
            engine.failed.is_some() || client.is_none_or(|it| it.is_connected)
        };
        if !self.wait_for(until, is_over)? {
            return Err(failed(self, ConnectError::TimedOut));
        }
        if let Some(error) = self.failed {
            return Err(failed(self, error));
        }
        let received = self.port.receive(socket);
        debug_assert!(received.is_ok(), "it has just connected");
        self.done.opened += 1;
        self.unheard = Some((session, self.port.now()));
        Ok(())
    }

    fn send(&mut self, session: usize, payload: &[u8]) -> Result<(), ReplayError> {
        let max = self.recording.frame_bytes_max;
        let frame = self.framing.encode(payload, max);
        let number = session + 1;
        let frame = frame.map_err(|error: FrameError| ReplayError::Frame { number, error })?;
        let Some(client) = &mut self.clients[session] else { return Ok(()) };
        if client.server_ended && !client.differs {
            let difference = client.difference(Problem::Ended);
            self.report.differs(difference);
        }
        if client.server_ended || frame.is_empty() {
            return Ok(());
        }
        self.report.frames_sent += 1;
        self.done.bytes += frame.len() as u64;
        client.waiting.push_back(frame);
        self.go_on_sending(session);
        Ok(())
    }

    fn go_on_sending(&mut self, session: usize) {
        let Some(client) = &mut self.clients[session] else { return };
        let Some(socket) = client.socket.filter(|_| !client.is_sending) else { return };
        if client.waiting.is_empty() {
            if client.ends && !std::mem::replace(&mut client.has_ended, true) {
                let ended = self.port.shutdown(socket);
                debug_assert!(ended.is_ok(), "the socket is open");
            }
            return;
        }
        let frames = client.waiting.drain(..).collect::<Vec<_>>().concat();
        client.is_sending = true;
        let segment = Segment::Shared(SharedBytes::from(std::sync::Arc::<[u8]>::from(frames)));
        let sent = self.port.send(socket, vec![segment]);
        debug_assert!(sent.is_ok(), "the socket is open");
    }

    fn end_stream(&mut self, session: usize) {
        let Some(client) = &mut self.clients[session] else { return };
        client.ends = true;
        self.go_on_sending(session);
    }

    fn drop_connection(&mut self, session: usize, reset: bool) {
        let Some(client) = &mut self.clients[session] else { return };
        if let Some(socket) = client.socket.take() {
            let closed = if reset { self.port.abort(socket) } else { self.port.close(socket) };
            debug_assert!(closed.is_ok(), "the socket is open");
        }
    }

    /// Waits until something holds, or `until`; whether it holds.
    fn wait_for(
        &mut self,
        until: Time,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<bool, ReplayError> {
        loop {
            if holds(self) {
                return Ok(true);
            }
            if self.port.now() >= until {
                return Ok(false);
            }
            let next =
                until.min(self.port.now() + self.options.settle.max(Duration::from_millis(1)));
            self.turn(next)?;
        }
    }

    fn turn(&mut self, until: Time) -> Result<(), ReplayError> {
        let mut taken = std::mem::take(&mut self.taken);
        self.world.wait(&mut self.port, until, &mut taken)?;
        taken.drain(..).for_each(|completion| self.take(completion));
        self.taken = taken;
        Ok(())
    }

    fn take(&mut self, completion: Completion) {
        match completion {
            Completion::Connected { socket, result } => {
                if let Err(error) = result {
                    self.failed = Some(error);
                }
                if let Some(client) = self.client(socket) {
                    client.is_connected = true;
                }
            }
            Completion::Received { socket, what } => self.received(socket, &what),
            Completion::Sent { socket, result, .. } => {
                let Some(client) = self.client(socket) else { return };
                client.is_sending = false;
                if result.is_err() {
                    client.server_ended = true;
                    client.waiting.clear();
                }
                let session = client.number - 1;
                self.go_on_sending(session);
            }
            Completion::Closed { socket } => {
                self.by_socket.remove(&socket);
            }
            _ => {}
        }
    }

    fn received(&mut self, socket: SocketId, what: &Received) {
        let Some(client) = self.client(socket) else { return };
        match what {
            Received::Data(bytes) => {
                if let Err(difference) = client.received(bytes) {
                    self.report.differs(difference);
                }
            }
            Received::End | Received::Failed(_) => client.server_ended = true,
            Received::Cancelled => {}
        }
    }

    fn client(&mut self, socket: SocketId) -> Option<&mut Client<'a>> {
        let session = *self.by_socket.get(&socket)?;
        self.clients.get_mut(session)?.as_mut()
    }
}

/// Which records can be played: not the answers in front of a session whose first frames are missing, since what
/// they answer is among those.
struct Causes(Vec<bool>);

impl Causes {
    fn of(recording: &Recording) -> Self {
        Self(recording.sessions.iter().map(|session| session.frames_dropped == 0).collect())
    }

    /// Whether the next record is one of them. To be asked in order.
    fn has(&mut self, record: &Record) -> bool {
        let has = &mut self.0[record.session];
        *has |= matches!(record.what, What::In(_));
        *has || !matches!(record.what, What::Out(_))
    }
}
