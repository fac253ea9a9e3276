//! Clients of the library's own, on the same network as the server: which targets they have, when these are
//! stopped, and how the client ends.

mod caller;
mod draw;
mod targets;

use std::time::Duration;

use wharf::{
    Arrival, Backend, Client, Limits, PortOptions, ServerHandle, SteppedServer, Target, TargetRef,
};

pub(super) use self::draw::{HEARTBEAT, is_caller};
pub(super) use self::targets::Targets;

use self::caller::{Caller, Manners};
use self::targets::{Phase, TargetNumber};
use super::client::Mood;
use super::run::{Checked, Simulation, violated};

/// Targets that a client begins with, at most.
const TARGETS_FIRST: u8 = 5;
/// Nobody answers from there in the time of a run.
const FOR_LONG: Duration = Duration::from_secs(24 * 3600);

type Factory = Box<dyn Fn(&Arrival) -> Caller>;

/// The client of a run.
pub(super) struct Callers {
    server: SteppedServer<Caller, Factory>,
    workers: usize,
    /// It ends when its last target is over.
    ends_with_last: bool,
}

impl Simulation {
    /// Starts a client with some targets.
    pub(super) fn start_callers(&mut self) -> Checked {
        let workers = self.dice.usize(1..=2);
        let ends_with_last = self.dice.bool();
        let manners = Manners { wire: self.plan.wire, said_max: self.plan.said_max() };
        let limits = Limits {
            frame_bytes_max: self.plan.limits.frame_bytes_max,
            drain: self.plan.limits.drain,
            ..Limits::default()
        };
        let port = PortOptions {
            backend: Backend::Sim,
            buffers: self.plan.buffers,
            buffer_bytes: self.plan.buffer_bytes,
            simulated: Some(self.network.clone()),
            ..PortOptions::default()
        };
        let (told, network) = (self.record.clone(), self.network.clone());
        let mut client = Client::new()
            .framing(self.plan.wire.framing())
            .workers(workers)
            .limits(limits)
            .port_options(port)
            .resolver(draw::resolve)
            .on_connect_failed(move |failure| {
                told.with(|book| book.connect_failed(failure, network.now()));
            });
        self.record.with(|book| book.targets.turns = vec![0; workers]);
        client = if ends_with_last {
            let (_, first) = self.draw_target();
            client.connect(first)
        } else {
            client.keep_running()
        };
        let shared = self.record.clone();
        let factory = move |arrival: &Arrival| Caller::new(&shared, arrival, manners);
        match client.start_stepped(Box::new(factory) as Factory) {
            Ok(server) => self.callers = Some(Callers { server, workers, ends_with_last }),
            Err(error) => return violated("I8", format!("the client does not start: {error}")),
        }
        self.part_silent_host();
        (0..self.dice.u8(1..=TARGETS_FIRST)).for_each(|_| self.connect_target());
        self.mark("client");
        Ok(())
    }

    /// What no packet reaches does not answer, and refuses nobody.
    fn part_silent_host(&self) {
        for number in 0..draw::HOSTS {
            self.network.partition(draw::host(number), draw::SILENT.ip(), FOR_LONG);
        }
    }

    fn draw_target(&self) -> (TargetNumber, Target) {
        let (wire, now) = (self.plan.wire, self.network.now());
        self.record.with(|book| draw::target(book, wire, None, now))
    }

    fn connect_target(&self) {
        let Some(callers) = &self.callers else { return };
        let (number, target) = self.draw_target();
        let taken = callers.server.handle().connect(target);
        self.record.with(|book| book.target_taken(number, taken));
    }

    /// Has a target stopped, whatever it is about, or connects one more.
    pub(super) fn act_on_targets(&mut self) {
        let Some(callers) = &self.callers else { return };
        match self.dice.u8(..4) {
            // One that is over with its last target takes no other.
            0 if !callers.ends_with_last => return self.connect_target(),
            1 => {}
            _ => return,
        }
        let some = self.record.with(|book| {
            let number = book.dice.usize(..book.targets.known.len().max(1));
            Some((number, book.targets.known.get(number)?.target.clone()?))
        });
        if let Some((number, target)) = some {
            self.stop_target(number, &target);
        }
    }

    fn stop_target(&self, number: TargetNumber, target: &TargetRef) {
        target.stop();
        self.mark("target stopped");
        self.record.with(|book| book.target_stops(number));
    }

    /// Workers of the client.
    pub(super) fn caller_workers(&self) -> usize {
        self.callers.as_ref().map_or(0, |callers| callers.workers)
    }

    /// Makes one turn of a worker of the client, and looks at it.
    pub(super) fn turn_caller(&mut self, worker: usize) -> Checked {
        let Some(callers) = &mut self.callers else { return Ok(()) };
        self.record.with(super::record::Book::begin_turn);
        let now = self.network.now();
        if let Err(error) = callers.server.turn(worker, Some(now)) {
            return violated("I8", format!("worker {worker} of the client cannot wait: {error}"));
        }
        let leaked = callers.server.leaked_operations();
        if leaked > 0 {
            return violated("I1", format!("{leaked} operations of the client never came back"));
        }
        if let Some(view) = callers.server.worker(worker).filter(|view| view.ledger.kernel != 0) {
            return violated(
                "I4",
                format!("the client's {worker}: {:?} between turns", view.ledger),
            );
        }
        self.record.with(|book| book.settle_targets(worker, now));
        self.check_record()
    }

    /// Whether a worker of the client has something left to do.
    pub(super) fn is_any_caller_busy(&self) -> bool {
        let Some(callers) = &self.callers else { return false };
        let mut views = (0..callers.workers).filter_map(|worker| callers.server.worker(worker));
        views.any(|view| view.is_busy)
    }

    /// Everybody who may connect does, and then the client ends.
    pub(super) fn let_callers_connect_and_end(&mut self) -> Checked {
        let Some(callers) = &self.callers else { return Ok(()) };
        let (handle, ends_with_last) = (callers.server.handle(), callers.ends_with_last);
        // The end of all partitions was the end of this one as well.
        self.part_silent_host();
        let calm = self.network.now();
        let may_connect = !self.ending && !self.plan.has_few_seats();
        let patience = super::calm::PATIENCE * 2;
        self.go_on("targets are connected", Mood::Finishing, patience, |run| {
            !may_connect
                || run.record.with(|book| {
                    book.targets.known.iter().all(|known| known.has_come_through(calm))
                })
        })?;
        if may_connect {
            self.mark("all targets have come through");
        }
        self.check_open_targets(&handle)?;
        self.end_callers(&handle, ends_with_last);
        let patience = self.plan.limits.drain + super::calm::PATIENCE;
        self.go_on("the client ends", Mood::Finishing, patience, |run| {
            run.callers.as_ref().is_none_or(|callers| callers.server.is_done())
        })?;
        self.check_that_callers_are_gone(&handle)
    }

    /// How many targets are open, of which a few may be about to be over.
    fn check_open_targets(&self, handle: &ServerHandle) -> Checked {
        let (least, most) = self.record.with(|book| {
            let open = |over: &dyn Fn(&targets::Known) -> bool| {
                book.targets.known.iter().filter(|known| !over(known)).count()
            };
            (open(&|known| known.is_over()), open(&|known| known.phase == Phase::Over))
        });
        let open = handle.targets();
        if !(least..=most).contains(&open) {
            return violated("I12", format!("{open} targets are open, and {least} to {most} are"));
        }
        Ok(())
    }

    /// Ends the client, in one of the ways that there are.
    fn end_callers(&mut self, handle: &ServerHandle, ends_with_last: bool) {
        match self.dice.u8(..3) {
            0 => handle.drain(),
            1 => handle.stop(),
            _ => {
                let targets = self.record.with(|book| {
                    let known = book.targets.known.iter().enumerate();
                    let targets = known.filter(|(_, known)| !known.is_over());
                    targets
                        .filter_map(|(number, known)| Some((number, known.target.clone()?)))
                        .collect::<Vec<_>>()
                });
                targets.iter().for_each(|(number, target)| self.stop_target(*number, target));
                // One that nothing was told of cannot be stopped.
                let all =
                    self.record.with(|book| book.targets.known.iter().all(targets::Known::is_over));
                if ends_with_last && all {
                    self.mark("client ends with its last target");
                } else {
                    handle.drain();
                }
            }
        }
        self.record.with(super::record::Book::all_targets_stop);
    }

    fn check_that_callers_are_gone(&mut self, handle: &ServerHandle) -> Checked {
        let left = (handle.targets(), handle.sessions());
        if left != (0, 0) {
            let (targets, sessions) = left;
            return violated("I12", format!("{targets} targets, {sessions} sessions are left"));
        }
        let connected = self.record.with(|book| {
            book.targets.is_over = true;
            let is_connected =
                |known: &targets::Known| matches!(known.phase, Phase::Connected { .. });
            book.targets.known.iter().position(is_connected)
        });
        if let Some(number) = connected {
            return violated("I12", format!("the end of a session of target {number} is not told"));
        }
        let (stats, counted) = (handle.stats(), self.record.with(|book| book.targets.counted()));
        if (stats.connected, stats.connect_failures) != counted {
            return violated(
                "I12",
                format!("{counted:?} are told, and not as many as in {stats:?}"),
            );
        }
        self.callers = None;
        Ok(())
    }
}
