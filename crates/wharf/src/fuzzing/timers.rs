//! Timers against a sorted map: those of a port fire in the order of their deadlines, and of their starts
//! where these are equal, none early, none twice and none that was stopped; and the lists in which a
//! worker keeps those of its users count what they hold.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use wharf_port::{Backend, Completion, CompletionPort, PortOptions, SocketId, Time, TimerId};

use crate::sim::{Network, NetworkOptions};
use crate::timer::TimerName;
use crate::worker::{Owner, TimerList, TimerTable};

/// Owners of timers, and timers that run at a time.
const OWNERS: usize = 3;
const TIMERS_MAX: usize = 256;
/// The clock is moved on by some days at most.
const STEP_BITS_MAX: u32 = 40;

/// Starts and stops timers, moves the clock on, and looks who fires.
pub fn timers(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let mut case = Case::begin();
    while !input.is_empty() && case.step(&mut input).is_ok() {
        case.check();
    }
}

struct Case {
    network: Network,
    port: CompletionPort,
    table: TimerTable,
    lists: [TimerList; OWNERS],
    /// By deadline and number: what runs.
    running: BTreeMap<(Time, u64), Running>,
    started: u64,
    /// Timers that have fired or were stopped: their names mean nothing any more.
    gone: Vec<Running>,
}

#[derive(Clone, Copy)]
struct Running {
    name: TimerName,
    owner: usize,
}

impl Case {
    #[expect(clippy::expect_used, reason = "without a port there is no case")]
    fn begin() -> Self {
        let network = Network::new(NetworkOptions::default());
        let simulated = Some(network.clone());
        let options = PortOptions { backend: Backend::Sim, simulated, ..PortOptions::default() };
        let port = CompletionPort::open(&options).expect("a simulated port opens");
        let (table, lists) = (TimerTable::default(), [TimerList::default(); OWNERS]);
        let (running, gone) = (BTreeMap::new(), Vec::new());
        Self { network, port, table, lists, running, started: 0, gone }
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        match input.int_in_range(0..=9)? {
            0..=3 => {
                let owner = input.choose_index(OWNERS)?;
                // Of every order of magnitude, and now and then in the past.
                let nanos = u64::from(input.arbitrary::<u8>()?) << input.int_in_range(0..=55)?;
                let now = self.port.now().as_nanos();
                let is_past = input.ratio(1, 8)?;
                let at = if is_past { now.saturating_sub(nanos) } else { now + nanos };
                self.start(owner, Time::from_nanos(at));
            }
            4..=5 if !self.running.is_empty() => {
                let at = input.choose_index(self.running.len())?;
                let key = self.running.keys().nth(at).copied();
                key.into_iter().for_each(|key| self.stop(key));
            }
            6 if !self.gone.is_empty() => {
                let stale = *input.choose(&self.gone)?;
                self.stop_stale(stale);
            }
            7 => {
                let owner = input.choose_index(OWNERS)?;
                self.stop_all_of(owner);
            }
            _ => {
                let shift = input.int_in_range(0..=STEP_BITS_MAX)?;
                let nanos = u64::from(input.arbitrary::<u8>()?) << shift;
                // To a deadline, to some time before it, or anywhere.
                let next = self.running.keys().next().map_or(Time::ZERO, |(deadline, _)| *deadline);
                let left = next.as_nanos().saturating_sub(self.network.now().as_nanos());
                let left = left.min(1 << STEP_BITS_MAX);
                let by = *input.choose(&[nanos, left, left.saturating_sub(nanos)])?;
                self.network.advance_by(Duration::from_nanos(by));
            }
        }
        self.fire();
        Ok(())
    }

    fn start(&mut self, owner: usize, deadline: Time) {
        if self.running.len() == TIMERS_MAX {
            return;
        }
        let number = self.started;
        self.started += 1;
        let index = self.table.next_index();
        let timer = self.port.start_timer(deadline, number);
        let (Some(index), Some(timer)) = (index, timer) else { panic!("so few timers fit") };
        assert_eq!(timer.deadline(), deadline);
        let name = TimerName { index, timer };
        let socket = SocketId::from_parts(1, 1);
        self.table.add(&mut self.lists[owner], name, Owner::Session(socket), number);
        self.running.insert((deadline, number), Running { name, owner });
    }

    fn stop(&mut self, key: (Time, u64)) {
        let Some(it) = self.running.remove(&key) else { return };
        assert!(self.port.cancel_timer(it.name.timer), "a timer that runs is stopped");
        self.take_out(it, key.1);
    }

    /// Takes a timer out of its owner's list.
    fn take_out(&mut self, it: Running, number: u64) {
        assert_eq!(self.table.get(it.name).map(|entry| entry.token), Some(number));
        let taken = self.table.remove(&mut self.lists[it.owner], it.name);
        assert_eq!(taken.map(|entry| entry.token), Some(number));
        self.gone.push(it);
    }

    fn stop_stale(&mut self, it: Running) {
        assert!(!self.port.cancel_timer(it.name.timer), "a stale name stops a timer");
        assert!(self.table.get(it.name).is_none(), "a stale name finds a timer");
        assert!(self.table.remove(&mut self.lists[it.owner], it.name).is_none());
    }

    fn stop_all_of(&mut self, owner: usize) {
        while let Some(name) = self.table.first(self.lists[owner]) {
            let found = self.running.iter().find(|(_, it)| it.name == name);
            let Some((&key, it)) = found else { panic!("a list has a timer that does not run") };
            assert_eq!(it.owner, owner, "a list has another one's timer");
            self.stop(key);
        }
        assert!(!self.running.values().any(|it| it.owner == owner), "a list has lost a timer");
    }

    /// Takes what is due from the port.
    fn fire(&mut self) {
        let waited = self.port.wait(Some(self.network.now()));
        assert!(waited.is_ok(), "{waited:?}");
        let now = self.port.now();
        let mut fired: Vec<(TimerId, u64)> = Vec::new();
        while let Some(completion) = self.port.take() {
            let Completion::Timer { timer, token } = completion else { continue };
            fired.push((timer, token));
        }
        let later = self.running.split_off(&(Time::from_nanos(now.as_nanos() + 1), 0));
        let due = std::mem::replace(&mut self.running, later);
        let expected: Vec<_> = due.iter().map(|((_, token), it)| (it.name.timer, *token)).collect();
        assert_eq!(fired, expected, "at {now:?}");
        due.into_iter().for_each(|((_, number), it)| self.take_out(it, number));
    }

    fn check(&self) {
        for (owner, list) in self.lists.iter().enumerate() {
            let running = self.running.values().filter(|it| it.owner == owner).count();
            assert_eq!(self.table.count(*list) as usize, running, "timers of {owner}");
        }
        assert_eq!(self.table.is_empty(), self.running.is_empty());
        assert_eq!(self.port.operations(), self.running.len());
    }
}
