//! What is shown: made of two looks at the server, and of nothing else.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answers::{Backlog, Histogram, Server, Session, Worker};
use super::change::{Change, rate};
use super::sample::Sample;
use super::spread::Spread;

/// A server between two looks at it. Rates but those of sessions are missing where there is nothing to compare with: at
/// the first look, after a restart of the server, of a worker that is new.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Picture {
    pub(super) version: String,
    pub(super) backend: String,
    pub(super) addresses: Vec<String>,
    pub(super) uptime_seconds: f64,
    pub(super) accepting: bool,
    pub(super) draining: bool,
    pub(super) sessions: u64,
    /// As many as there may be; nothing, if the server does not tell.
    pub(super) sessions_max: Option<u64>,
    pub(super) groups: u64,
    pub(super) rooms: u64,
    pub(super) throughput: Option<Throughput>,
    /// How long turns took since the last look: all callbacks of a turn, and what wharf does around them.
    pub(super) turn: Option<Spread>,
    /// How late timers fired since the last look.
    pub(super) timer_lag: Option<Spread>,
    pub(super) workers: Vec<WorkerRow>,
    /// Why sessions ended, those reasons that there were; the most frequent first.
    pub(super) closes: Vec<ReasonRow>,
    /// Why connections were reset at once, in the same way.
    pub(super) refused: Vec<ReasonRow>,
    /// Those that were asked for, by the column that was.
    pub(super) rows: Vec<SessionRow>,
}

/// Of all workers, by the second.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub(super) struct Throughput {
    pub(super) frames_in: f64,
    pub(super) bytes_in: f64,
    pub(super) bytes_out: f64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct WorkerRow {
    pub(super) worker: usize,
    pub(super) answers: bool,
    pub(super) ended: bool,
    pub(super) sessions: u64,
    pub(super) throughput: Option<Throughput>,
    /// The share of the time that it spent in turns, from 0 to 1: an estimate, since few turns are timed.
    pub(super) load: Option<f64>,
    pub(super) timer_lag: Option<Spread>,
    /// Nothing, if it has not answered.
    pub(super) queued_bytes: Option<u64>,
    /// Nothing, if it has not answered or the system does not tell.
    pub(super) accept_backlog: Option<Backlog>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct ReasonRow {
    pub(super) reason: String,
    pub(super) count: u64,
    pub(super) rate: Option<f64>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) worker: usize,
    pub(super) peer: String,
    pub(super) age_seconds: f64,
    pub(super) silent_seconds: f64,
    pub(super) queued_bytes: u64,
    /// Bytes a second, as the server counts them.
    pub(super) received_rate: u64,
    pub(super) sent_rate: u64,
    pub(super) received_bytes: u64,
    pub(super) sent_bytes: u64,
    pub(super) held_back: bool,
    pub(super) closing: bool,
    pub(super) groups: Vec<String>,
}

impl Picture {
    /// Compares a look with the one before it.
    pub(super) fn of(before: Option<&Sample>, now: &Sample) -> Self {
        let before = before.filter(|before| now.is_of_same_run(before));
        let workers = Change::of(before, now, |sample| sample.workers_at);
        let worker_before = |worker: &Worker| {
            before?.workers.workers.iter().find(|before| before.worker == worker.worker)
        };
        let pairs: Vec<(Option<&Worker>, &Worker)> =
            now.workers.workers.iter().map(|worker| (worker_before(worker), worker)).collect();
        let rows: Vec<WorkerRow> = pairs
            .iter()
            .map(|(before, worker)| WorkerRow::of(*before, worker, workers.seconds()))
            .collect();
        let spread = |of: fn(&Worker) -> &Histogram| {
            Spread::between(pairs.iter().map(|(before, worker)| (before.map(of), of(worker))))
        };
        let Server { version, backend, addresses, .. } = &now.server;
        Self {
            version: version.clone(),
            backend: backend.clone(),
            addresses: addresses.clone(),
            uptime_seconds: now.server.uptime_seconds,
            accepting: now.server.accepting,
            draining: now.server.draining,
            sessions: now.server.sessions,
            sessions_max: now.server.sessions_max,
            groups: now.server.groups,
            rooms: now.server.rooms,
            throughput: Throughput::of_all(&rows),
            turn: spread(|worker| &worker.turns),
            timer_lag: spread(|worker| &worker.timer_lag),
            workers: rows,
            closes: reasons(before, now, workers.seconds(), |it| it.server.closes.clone()),
            refused: reasons(before, now, workers.seconds(), refused),
            rows: sessions(now),
        }
    }
}

impl Throughput {
    /// Of those workers whose rates are known, if there are any.
    fn of_all(rows: &[WorkerRow]) -> Option<Self> {
        let all = rows.iter().filter_map(|row| row.throughput);
        all.reduce(|sum, one| Self {
            frames_in: sum.frames_in + one.frames_in,
            bytes_in: sum.bytes_in + one.bytes_in,
            bytes_out: sum.bytes_out + one.bytes_out,
        })
    }
}

impl WorkerRow {
    fn of(before: Option<&Worker>, now: &Worker, seconds: Option<f64>) -> Self {
        let throughput = before.and_then(|before| {
            let (before, now) = (&before.stats, &now.stats);
            Some(Throughput {
                frames_in: rate(before.frames_in, now.frames_in, seconds)?,
                bytes_in: rate(before.bytes_in, now.bytes_in, seconds)?,
                bytes_out: rate(before.bytes_out, now.bytes_out, seconds)?,
            })
        });
        Self {
            worker: now.worker,
            answers: now.answers,
            ended: now.ended,
            sessions: now.stats.sessions,
            throughput,
            load: before.and_then(|before| load(before, now, seconds)),
            timer_lag: Spread::between([(before.map(|it| &it.timer_lag), &now.timer_lag)]),
            queued_bytes: now.report.map(|report| report.queued_bytes),
            accept_backlog: now.report.and_then(|report| report.accept_backlog),
        }
    }
}

/// The mean of the turns that were timed stands for all of them. A worker that turned without one being timed
/// cannot be told; one that did not turn did nothing.
fn load(before: &Worker, now: &Worker, seconds: Option<f64>) -> Option<f64> {
    let turns = rate(before.stats.turns, now.stats.turns, seconds)?;
    if turns == 0.0 {
        return Some(0.0);
    }
    let timed = Spread::between([(Some(&before.turns), &now.turns)])?;
    let timed_seconds = now.turns.sum_seconds - before.turns.sum_seconds;
    let mean = timed_seconds / timed.count as f64;
    (timed_seconds >= 0.0).then(|| (mean * turns).clamp(0.0, 1.0))
}

/// How often there was each reason, those that there were, and how often in a second now.
fn reasons(
    before: Option<&Sample>,
    now: &Sample,
    seconds: Option<f64>,
    counts: impl Fn(&Sample) -> BTreeMap<String, u64>,
) -> Vec<ReasonRow> {
    let before = before.map(&counts);
    let row = |(reason, count): (String, u64)| {
        let before = before.as_ref().map(|before| before.get(&reason).copied().unwrap_or(0));
        let rate = before.and_then(|before| rate(before, count, seconds));
        ReasonRow { reason, count, rate }
    };
    let mut rows: Vec<ReasonRow> =
        counts(now).into_iter().filter(|(_, count)| *count > 0).map(row).collect();
    rows.sort_by(|one, other| {
        other.count.cmp(&one.count).then_with(|| one.reason.cmp(&other.reason))
    });
    rows
}

/// Connections that all workers have reset at once, by reason.
fn refused(sample: &Sample) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for (reason, count) in sample.workers.workers.iter().flat_map(|it| it.stats.refused()) {
        let sum: &mut u64 = counts.entry(reason.to_owned()).or_default();
        *sum = sum.saturating_add(count);
    }
    counts
}

fn sessions(now: &Sample) -> Vec<SessionRow> {
    let mut rows: Vec<SessionRow> = now.page.sessions.iter().map(SessionRow::of).collect();
    let column = now.wanted.column;
    if !column.is_as_answered() {
        rows.sort_by(|one, other| column.compare(one, other));
    }
    rows
}

impl SessionRow {
    fn of(now: &Session) -> Self {
        Self {
            id: now.id.clone(),
            name: now.name.clone(),
            worker: now.worker,
            peer: now.peer.clone(),
            age_seconds: now.age_seconds,
            silent_seconds: now.silent_seconds,
            queued_bytes: now.queued_bytes,
            received_rate: now.received_per_second,
            sent_rate: now.sent_per_second,
            received_bytes: now.received_bytes,
            sent_bytes: now.sent_bytes,
            held_back: now.held_back,
            closing: now.closing,
            groups: now.groups.clone(),
        }
    }

    /// Its id, for comparing.
    pub(super) fn key(&self) -> (u64, &str) {
        (self.id.parse().unwrap_or(0), &self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::answers::{Page, Report, Stats, Workers};
    use super::super::columns::Column;
    use super::super::sample::Wanted;
    use super::*;

    fn histogram(counts: [u64; 3], sum_seconds: f64) -> Histogram {
        Histogram { bounds_seconds: vec![0.001, 0.002], counts: counts.to_vec(), sum_seconds }
    }

    fn worker(worker: usize, frames: u64, turns: u64, timed: u64, sum_seconds: f64) -> Worker {
        let (frames_in, bytes_in, bytes_out) = (frames, frames * 10, frames * 20);
        Worker {
            worker,
            answers: true,
            ended: false,
            stats: Stats { sessions: 1, frames_in, bytes_in, bytes_out, turns, ..Stats::default() },
            turns: histogram([timed, 0, 0], sum_seconds),
            timer_lag: histogram([0, timed, 0], 0.0),
            report: Some(Report { queued_bytes: 5, accept_backlog: None }),
        }
    }

    fn session(id: u64, received_bytes: u64) -> Session {
        Session {
            id: id.to_string(),
            name: format!("0-{id}-1"),
            worker: 0,
            peer: format!("192.0.2.1:{id}"),
            age_seconds: 1.0,
            silent_seconds: 0.0,
            queued_bytes: 0,
            received_bytes,
            sent_bytes: received_bytes * 2,
            received_per_second: received_bytes * 3,
            sent_per_second: received_bytes * 4,
            held_back: false,
            closing: false,
            groups: Vec::new(),
        }
    }

    /// A look after so many seconds of the server and of the one who looks.
    fn sample(seconds: u64, workers: Vec<Worker>, sessions: Vec<Session>) -> Sample {
        let at = Duration::from_secs(100 + seconds);
        Sample {
            server: Server {
                version: "1".to_owned(),
                backend: "uring".to_owned(),
                addresses: Vec::new(),
                uptime_seconds: seconds as f64,
                accepting: true,
                draining: false,
                sessions: 2,
                sessions_max: None,
                groups: 0,
                rooms: 0,
                closes: [("idle".to_owned(), seconds * 3), ("drain".to_owned(), 0)].into(),
            },
            server_asked_at: at,
            server_at: at,
            workers: Workers { workers },
            workers_at: at,
            page: Page { sessions },
            page_at: at,
            wanted: Wanted { column: Column::ReceivedRate, limit: 10, ..Wanted::default() },
        }
    }

    #[test]
    fn rates_are_what_was_added_by_the_time_that_it_took() {
        let before = sample(10, vec![worker(0, 100, 1700, 100, 0.05)], vec![session(1, 50)]);
        let now = sample(12, vec![worker(0, 300, 5100, 300, 0.15)], vec![session(1, 150)]);
        let picture = Picture::of(Some(&before), &now);
        let wanted = Throughput { frames_in: 100.0, bytes_in: 1000.0, bytes_out: 2000.0 };
        assert_eq!(picture.throughput, Some(wanted));
        assert_eq!(picture.workers[0].throughput, Some(wanted));
        // 1,700 turns in a second, of half a millisecond each.
        let load = picture.workers[0].load.unwrap();
        assert!((load - 0.85).abs() < 1e-9, "{load}");
        assert_eq!(picture.turn.map(|turn| turn.count), Some(200));
        let closes = ReasonRow { reason: "idle".to_owned(), count: 36, rate: Some(3.0) };
        assert_eq!(picture.closes, [closes]);
        let row = &picture.rows[0];
        assert_eq!((row.received_rate, row.sent_rate), (450, 600), "the server's own");
    }

    #[test]
    fn refused_connections_are_those_of_all_workers_by_reason() {
        let look = |seconds, counts: [u64; 2]| {
            let mut workers = vec![worker(0, 0, 0, 0, 0.0), worker(1, 0, 0, 0, 0.0)];
            for (worker, banned) in workers.iter_mut().zip(counts) {
                let others = [("refused_banned", banned), ("refused_filter", 1), ("sends", 9)];
                let others = others.map(|(name, count)| (name.to_owned(), count.into()));
                worker.stats.others = others.into();
            }
            sample(seconds, workers, Vec::new())
        };
        let picture = Picture::of(Some(&look(1, [3, 4])), &look(3, [5, 8]));
        let row = |reason: &str, count, rate| ReasonRow {
            reason: reason.to_owned(),
            count,
            rate: Some(rate),
        };
        assert_eq!(picture.refused, [row("banned", 13, 3.0), row("filter", 2, 0.0)]);
        assert_eq!(Picture::of(None, &look(3, [5, 8])).refused[0].rate, None);
    }

    #[test]
    fn the_first_look_has_totals_and_no_rates_but_of_sessions() {
        let now = sample(12, vec![worker(0, 300, 5100, 300, 0.15)], vec![session(1, 150)]);
        for before in [None, Some(&now)] {
            // No time has passed since itself.
            let picture = Picture::of(before, &now);
            assert_eq!(picture.throughput, None);
            assert_eq!((picture.turn, picture.timer_lag), (None, None));
            assert_eq!(picture.workers[0].load, None);
            assert_eq!(picture.workers[0].queued_bytes, Some(5));
            assert_eq!(picture.closes[0].rate, None);
            assert_eq!((picture.rows[0].received_rate, picture.rows[0].received_bytes), (450, 150));
        }
    }

    #[test]
    fn a_server_that_was_started_again_is_not_compared_with_the_one_before() {
        let before = sample(10, vec![worker(0, 100, 1700, 100, 0.05)], vec![session(1, 50)]);
        // It counts further than the other did, and its session has the same id.
        let mut now = sample(12, vec![worker(0, 300, 5100, 300, 0.15)], vec![session(1, 150)]);
        // Also if it has been up for longer than the other had: by less than the time between the looks.
        for uptime_seconds in [0.1, 1.0, 10.0, 10.1, 11.4] {
            now.server.uptime_seconds = uptime_seconds;
            assert_eq!(Picture::of(Some(&before), &now), Picture::of(None, &now));
        }
    }

    /// How long answers take says nothing of the server's run, nor does a clock that goes a little slower.
    #[test]
    fn a_server_whose_answers_were_late_is_compared_all_the_same() {
        let before = sample(10, vec![worker(0, 100, 1700, 100, 0.05)], vec![session(1, 50)]);
        let late = Duration::from_secs(5);
        for (uptime_seconds, asked_late, answered_late) in
            [(11.6, 0, 0), (12.0, 0, 1), (17.0, 1, 1), (12.5, 0, 1)]
        {
            let workers = vec![worker(0, 300, 5100, 300, 0.15)];
            let mut now = sample(12, workers, vec![session(1, 150)]);
            now.server.uptime_seconds = uptime_seconds;
            now.server_asked_at += late * asked_late;
            now.server_at += late * answered_late;
            let throughput = Picture::of(Some(&before), &now).throughput;
            assert_eq!(throughput.map(|it| it.frames_in), Some(100.0), "{uptime_seconds}");
        }
        let mut before = before;
        before.server_at += late;
        let now = sample(13, vec![worker(0, 400, 5100, 300, 0.15)], vec![session(1, 150)]);
        assert!(Picture::of(Some(&before), &now).throughput.is_some(), "the first was late");
    }

    #[test]
    fn whatever_counter_goes_back_the_rest_is_shown_and_nothing_is_negative() {
        let before = sample(10, vec![worker(0, 100, 1700, 100, 0.05)], vec![session(1, 50)]);
        let values = [0, 1, 99, 100, 101, 1700, 1701, u64::MAX >> 8];
        for frames in values {
            for turns in values {
                for timed in values {
                    for sum in [0.0, 0.04, 0.06, 1e300, -1.0] {
                        let workers = vec![worker(0, frames, turns, timed, sum)];
                        let now = sample(12, workers, vec![session(1, frames)]);
                        let picture = Picture::of(Some(&before), &now);
                        let row = &picture.workers[0];
                        assert_eq!(row.throughput.is_some(), frames >= 100, "{frames}");
                        assert_eq!(picture.turn.is_some(), timed > 100, "{timed}");
                        let load = row.load.unwrap_or(0.0);
                        assert!((0.0..=1.0).contains(&load), "{turns} {timed} {sum}: {load}");
                    }
                }
            }
        }
    }

    #[test]
    fn workers_and_sessions_come_and_go() {
        let two = |seconds, frames| {
            let workers = vec![worker(0, frames, 10, 1, 0.0), worker(1, frames, 10, 1, 0.0)];
            sample(seconds, workers, vec![session(1, frames), session(2, frames)])
        };
        let one = |seconds, frames| {
            let workers = vec![worker(1, frames, 10, 1, 0.0)];
            sample(seconds, workers, vec![session(3, frames), session(2, frames)])
        };
        let frames = |picture: &Picture| picture.throughput.map(|it| it.frames_in);
        let gone = Picture::of(Some(&two(1, 100)), &one(2, 110));
        assert_eq!(frames(&gone), Some(10.0), "of the one that is left");
        let come = Picture::of(Some(&one(1, 100)), &two(2, 110));
        assert_eq!(frames(&come), Some(10.0), "of the one that was there");
        assert_eq!(come.workers[0].throughput, None);
        let rates: Vec<_> =
            gone.rows.iter().map(|row| (row.id.as_str(), row.received_rate)).collect();
        assert_eq!(rates, [("2", 330), ("3", 330)], "who is new has a rate as well");
        let mut silent = two(2, 110);
        silent.workers.workers[0].answers = false;
        silent.workers.workers[0].report = None;
        let picture = Picture::of(Some(&two(1, 100)), &silent);
        assert_eq!(picture.workers[0].queued_bytes, None);
        assert_eq!(frames(&picture), Some(20.0), "what it counts is known all the same");
    }

    /// By an age in seconds the two would change places; the server knows better.
    #[test]
    fn who_is_the_oldest_is_left_to_the_server() {
        let mut sessions = vec![session(1, 0), session(2, 0)];
        sessions[1].age_seconds = 1.001;
        for (column, first) in [(Column::Age, "1"), (Column::Silent, "1"), (Column::Queue, "2")] {
            sessions[1].queued_bytes = 1;
            sessions[1].silent_seconds = 0.001;
            let mut now = sample(2, Vec::new(), sessions.clone());
            now.wanted.column = column;
            assert_eq!(Picture::of(None, &now).rows[0].id, first, "{column:?}");
        }
    }

    #[test]
    fn every_column_has_an_order_of_its_own() {
        let mut rows: Vec<SessionRow> = (0..6u32)
            .map(|number| {
                let mut row = SessionRow::of(&session(u64::from(number), 0));
                // A number of its own in each column, none in the order of another.
                let value = |factor: u32| f64::from(number * factor % 7);
                row.peer = (number ^ 1).to_string();
                row.worker = usize::from(number == 3);
                (row.age_seconds, row.silent_seconds) = (value(1), value(2));
                row.received_rate = u64::from(number * 3 % 7);
                row.sent_rate = u64::from(number * 4 % 7);
                row.queued_bytes = u64::from(number * 5 % 7);
                row.received_bytes = u64::from(number * 6 % 7);
                row.sent_bytes = u64::from((number * 2 + 3) % 7);
                (row.held_back, row.closing) = (number == 2, number == 5);
                row.groups = if number == 4 { vec!["a".to_owned()] } else { Vec::new() };
                row
            })
            .collect();
        let mut orders = Vec::new();
        for column in Column::ALL {
            rows.sort_by(|one, other| column.compare(one, other));
            let order: String = rows.iter().map(|row| &*row.id).collect();
            assert!(!orders.contains(&order), "{column:?} is as another: {order}");
            rows.reverse();
            rows.sort_by(|one, other| column.compare(one, other));
            let again: String = rows.iter().map(|row| &*row.id).collect();
            assert_eq!(order, again, "{column:?} depends on what was before");
            orders.push(order);
        }
        assert_eq!(orders[0], "103254", "peers from the least");
        assert_eq!(orders[2], "543210", "ages from the most");
    }
}
