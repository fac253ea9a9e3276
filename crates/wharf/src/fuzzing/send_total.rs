//! What waits on all workers together, against a model: it lags behind by no more than it may, and tells
//! how near the ceiling is, whatever the ceiling and however many workers.

use arbitrary::{Result, Unstructured};

use crate::send_total::{Load, SendTotal};

/// What workers have, at most: so that no sum overflows, which no memory could hold.
const HAS_MAX: usize = 1 << 50;
/// Rounds within which closing is over, each worker doing its part in each.
const ROUNDS_MAX: usize = 64;

/// Has workers queue bytes and get rid of them, and closes sessions at the ceiling.
pub fn send_total(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(mut case) = Case::begin(&mut input) else { return };
    while !input.is_empty() && case.step(&mut input).is_ok() {
        case.check();
    }
}

#[derive(Clone, Copy, Default)]
struct Worker {
    has: usize,
    told: usize,
}

struct Case {
    total: SendTotal,
    max: usize,
    workers: Vec<Worker>,
    /// Whether 100% were reached since there were less than 90%.
    closing: bool,
    rises: usize,
}

impl Case {
    fn begin(input: &mut Unstructured<'_>) -> Result<Self> {
        let drawn = input.arbitrary::<u32>()? as usize;
        let max = *input.choose(&[100, 1_000, 1 << 20, 1 << 30, usize::MAX, drawn.max(100)])?;
        let workers = *input.choose(&[1, 2, 3, 8, 1_024])?;
        let total = SendTotal::new(max, workers);
        let (workers, closing, rises) = (vec![Worker::default(); workers], false, 0);
        Ok(Self { total, max, workers, closing, rises })
    }

    fn step(&mut self, input: &mut Unstructured<'_>) -> Result<()> {
        // Few of them, so that they meet: the others have what they had.
        let worker = input.choose_index(self.workers.len().min(4))?;
        let has = self.workers[worker].has;
        match input.int_in_range(0..=7)? {
            0..=2 => {
                let percent = input.int_in_range(0..=130)?;
                let about = self.part(percent).min(HAS_MAX);
                self.tell(worker, about.saturating_add_signed(input.int_in_range(-1..=1)?), false);
            }
            3..=4 => {
                let more = self.part(input.int_in_range(1..=20)?).min(HAS_MAX);
                self.tell(worker, has.saturating_add(more).min(HAS_MAX), false);
            }
            5 => {
                let by = isize::from(input.arbitrary::<i16>()?);
                self.tell(worker, has.saturating_add_signed(by).min(HAS_MAX), false);
            }
            6 => self.tell(worker, 0, true),
            _ => self.close(input.int_in_range(1..=1 << 20)?),
        }
        Ok(())
    }

    fn part(&self, percent: usize) -> usize {
        let part = self.max as u128 * percent as u128 / 100;
        usize::try_from(part).unwrap_or(usize::MAX)
    }

    fn told(&self) -> usize {
        self.workers.iter().map(|worker| worker.told).sum()
    }

    /// The end of a worker's turn: it says what it has if that has changed by a step, or in any case.
    fn tell(&mut self, worker: usize, has: usize, in_any_case: bool) {
        let before = self.told();
        let it = &mut self.workers[worker];
        it.has = has;
        let told = it.told;
        if !in_any_case && has.abs_diff(told) < self.total.step() {
            return;
        }
        it.told = has;
        let after = self.told();
        let rises = before < self.part(90) && after >= self.part(90);
        let fills = after >= self.max && !self.closing;
        self.rises += usize::from(rises);
        self.closing = after >= self.part(90) && (self.closing || after >= self.max);
        let others_must_hear = self.total.change(told, has);
        assert_eq!(others_must_hear, rises || fills, "{before} to {after} of {}", self.max);
    }

    /// Each worker closes sessions of this size, by its part in what is too much, until that is over.
    fn close(&mut self, session_bytes: usize) {
        for _ in 0..ROUNDS_MAX {
            if self.total.load() != Load::Closing {
                return;
            }
            self.check_parts();
            for worker in 0..self.workers.len() {
                let Worker { has, told } = self.workers[worker];
                let excess = self.total.excess_of(told);
                let sessions = excess.div_ceil(session_bytes);
                let closed = sessions.saturating_mul(session_bytes).min(has);
                self.tell(worker, has - closed, true);
                if self.total.load() != Load::Closing {
                    break;
                }
            }
        }
        panic!("{} of {} after {ROUNDS_MAX} rounds of closing", self.total.bytes(), self.max);
    }

    /// What all workers are to close is enough, and no worker is to close more than it has.
    fn check_parts(&self) {
        let parts = self.workers.iter().map(|worker| self.total.excess_of(worker.told));
        let excess: usize = parts.clone().sum();
        assert!(self.told().saturating_sub(excess) < self.part(90), "{excess} of {}", self.told());
        for (part, worker) in parts.zip(&self.workers) {
            assert!(part <= worker.told.max(1), "{part} of {}", worker.told);
        }
    }

    fn check(&self) {
        let (told, has): (usize, usize) =
            (self.told(), self.workers.iter().map(|worker| worker.has).sum());
        assert_eq!((self.total.bytes(), self.total.rises()), (told, self.rises));
        let lag = self.workers.len() * (self.total.step() - 1);
        assert!(has.abs_diff(told) <= lag, "{has} and {told}, and {lag} at most");
        assert!(lag <= self.max / 16, "{lag} are more than a sixteenth of {}", self.max);
        let expected = match told {
            told if told < self.part(75) => Load::Normal,
            told if told < self.part(90) => Load::Refusing,
            _ if self.closing => Load::Closing,
            _ => Load::Shedding,
        };
        assert_eq!(self.total.load(), expected, "{told} of {}", self.max);
    }
}
