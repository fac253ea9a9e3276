//! The result: JSON for scripts, a table for each number of connections for people.

use std::fmt;

use indicatif::HumanCount;
use serde::Serialize;
use wharf_models::Model;

use super::crowd::Reach;
use super::round::{CPU_TIME_MIN, Measured, PerMessage};
use crate::models::CompareOptions;

/// The JSON of `wharf models compare`. Scripts rely on the names; what is not known is null.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) seconds: f64,
    pub(super) rounds: usize,
    /// The numbers of connections; each row has a cell for each of them.
    pub(super) connections: Vec<u64>,
    pub(super) models: Vec<Row>,
}

/// What became of a model.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) model: &'static str,
    pub(super) pattern: String,
    pub(super) reach: Reach,
    pub(super) cells: Vec<Cell>,
}

/// What a model did with one number of connections: medians over the rounds.
#[derive(Debug, Serialize)]
pub(super) struct Cell {
    pub(super) connections: u64,
    pub(super) per_second: Option<f64>,
    pub(super) cpu_ns_per_message: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) calls_per_message: Option<f64>,
    pub(super) switches_per_message: Option<f64>,
    /// Why there is no figure, or not of all rounds.
    pub(super) problem: Option<String>,
    /// Why calls could not be counted; that is no fault of the model.
    pub(super) not_counted: Option<String>,
    #[serde(skip)]
    rounds: Vec<Measured>,
}

impl Report {
    pub(super) fn new(options: &CompareOptions, models: Vec<Row>) -> Self {
        Self {
            seconds: options.duration.as_secs_f64(),
            rounds: options.rounds,
            connections: options.connections.clone(),
            models,
        }
    }

    /// The first thing that went wrong.
    pub(super) fn problem(&self) -> Option<String> {
        self.models.iter().find_map(|row| {
            let cell = row.cells.iter().find(|cell| cell.problem.is_some())?;
            let problem = cell.problem.as_deref().unwrap_or_default();
            Some(format!("{} with {} connections: {problem}", row.model, cell.connections))
        })
    }
}

impl Row {
    pub(super) fn new(model: &Model, reach: Reach, cells: Vec<Cell>) -> Self {
        Self { model: model.name, pattern: model.pattern.to_string(), reach, cells }
    }
}

impl Cell {
    pub(super) const fn new(connections: u64) -> Self {
        Self {
            connections,
            per_second: None,
            cpu_ns_per_message: None,
            p99_us: None,
            calls_per_message: None,
            switches_per_message: None,
            problem: None,
            not_counted: None,
            rounds: Vec::new(),
        }
    }

    /// Adds a round, or why there is none.
    pub(super) fn add(&mut self, measured: Result<Measured, String>) {
        match measured {
            Ok(measured) => self.rounds.push(measured),
            Err(problem) => self.problem = Some(problem),
        }
        let of = |field: fn(&Measured) -> Option<f64>| median(self.rounds.iter().filter_map(field));
        self.per_second = of(|round| Some(round.per_second));
        self.cpu_ns_per_message = of(|round| round.cpu_ns_per_message);
        self.p99_us = of(|round| round.p99_us);
    }

    /// Adds what was counted, or why nothing was.
    pub(super) fn count(&mut self, counted: Result<PerMessage, String>) {
        match counted {
            Ok(PerMessage { calls, switches }) => {
                self.calls_per_message = Some(calls);
                self.switches_per_message = Some(switches);
            }
            Err(why) => self.not_counted = Some(why),
        }
    }
}

/// The one in the middle; of an even number, the higher of the two.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, connections) in self.connections.iter().enumerate() {
            let plural = if *connections == 1 { "" } else { "s" };
            writeln!(
                f,
                "{} connection{plural}, one message of 64 B at a time on each; medians of {} x {} s",
                HumanCount(*connections),
                self.rounds,
                self.seconds
            )?;
            writeln!(
                f,
                "  {:22} {:>12} {:>12} {:>10} {:>10} {:>13}",
                "model", "messages/s", "CPU ns/msg", "p99 us", "calls/msg", "switches/msg"
            )?;
            for row in &self.models {
                let Some(cell) = row.cells.get(place) else { continue };
                writeln!(
                    f,
                    "  {:22} {:>12} {:>12} {:>10} {:>10} {:>13}",
                    row.model,
                    whole(cell.per_second),
                    whole(cell.cpu_ns_per_message),
                    whole(cell.p99_us),
                    hundredths(cell.calls_per_message),
                    hundredths(cell.switches_per_message)
                )?;
            }
            writeln!(f)?;
        }
        writeln!(f, "how many connections, and what stopped it")?;
        for row in &self.models {
            let stopped = row.reach.stopped_by.as_deref().unwrap_or("no more were asked for");
            writeln!(
                f,
                "  {:22} {:>12}  {stopped}",
                row.model,
                HumanCount(row.reach.count).to_string()
            )?;
        }
        let mut cells = self.models.iter().flat_map(|row| &row.cells);
        if cells.clone().any(|cell| cell.per_second.is_some() && cell.cpu_ns_per_message.is_none())
        {
            writeln!(
                f,
                "CPU time is left out where this system told of less than {} ms, or of none, as Wine does",
                CPU_TIME_MIN.as_millis()
            )?;
        }
        match cells.find_map(|cell| cell.not_counted.as_deref()) {
            Some(why) => writeln!(f, "calls and switches were not counted everywhere: {why}"),
            None => Ok(()),
        }
    }
}

fn whole(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let rounded = value.round() as u64;
            HumanCount(rounded).to_string()
        },
    )
}

fn hundredths(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_of_the_rounds_that_there_were() {
        let mut cell = Cell::new(1);
        let round =
            |per_second, cpu| Measured { per_second, cpu_ns_per_message: cpu, p99_us: Some(7.0) };
        cell.add(Ok(round(30.0, None)));
        cell.add(Err("it fell over".to_owned()));
        cell.add(Ok(round(10.0, Some(5.0))));
        cell.add(Ok(round(20.0, None)));
        assert_eq!((cell.per_second, cell.cpu_ns_per_message), (Some(20.0), Some(5.0)));
        assert_eq!(cell.problem.as_deref(), Some("it fell over"));
        assert_eq!(Cell::new(1).per_second, None);
    }
    #[test]
    fn a_figure_that_is_left_out_has_its_reason_below_the_table() {
        let told = |cpu_ns_per_message| {
            let mut cell = Cell::new(1);
            cell.add(Ok(Measured { per_second: 1.0, cpu_ns_per_message, p99_us: None }));
            let reach = Reach { count: 1, stopped_by: None };
            let pattern = String::new();
            let models = vec![Row { model: "select", pattern, reach, cells: vec![cell] }];
            Report { seconds: 1.0, rounds: 1, connections: vec![1], models }.to_string()
        };
        assert!(told(None).contains("CPU time is left out where"), "{}", told(None));
        assert!(!told(Some(5.0)).contains("CPU time"), "{}", told(Some(5.0)));
    }
}
