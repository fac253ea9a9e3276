//! `wharf models compare`: each model as a process of its own, under the same load.
//!
//! | module | what it does |
//! |---|---|
//! | [`child`] | a server and a load generator as processes |
//! | [`crowd`] | how many connections a server takes |
//! | [`round`] | one measurement, and one count of calls |
//! | [`report`] | the medians, as JSON and as a table |
//! | [`plot`] | the pictures |
//!
//! Time and calls are taken in different rounds: to count the calls costs some of the time.

mod child;
mod crowd;
mod plot;
mod report;
mod round;

use super::options::CompareOptions;
use crate::failure::{self, Exit, Failure};
use crate::json::{JsonSink, JsonTarget};
use child::Server;
use plot::Plots;
use report::{Cell, Report, Row};

/// Runs `wharf models compare`.
pub(crate) fn compare(options: &CompareOptions) -> Result<(), Failure> {
    let mut json = JsonSink::open(options.json.as_ref())?;
    let plots = Plots::open(options.plot.as_deref())?;
    wharf_port::raise_descriptor_limit();
    let mut rows = Vec::new();
    for model in &options.models {
        let asked = options.connections.last().copied().unwrap_or(1);
        eprintln!("wharf: {}: opening {asked} connections", model.name);
        let mut server = Server::start(model.name)?;
        let reach = crowd::reach(&mut server, model.name, asked);
        let cells = options.connections.iter().map(|&connections| Cell::new(connections)).collect();
        rows.push(Row::new(model, reach, cells));
    }
    measure(options, &mut rows)?;
    let report = Report::new(options, rows);
    if options.json == Some(JsonTarget::Stdout) {
        eprint!("{report}");
    } else {
        failure::print(&report);
    }
    json.write(&report)?;
    plots.write(&report)?;
    match report.problem() {
        None => Ok(()),
        Some(problem) => Err(Failure::new(Exit::Failed, problem)),
    }
}

/// Fills the cells. Within a round the models take turns, so that a change of the machine's mood meets all of them.
fn measure(options: &CompareOptions, rows: &mut [Row]) -> Result<(), Failure> {
    for (place, connections) in options.connections.iter().copied().enumerate() {
        for round in 1..=options.rounds {
            for row in rows.iter_mut().filter(|row| row.reach.count >= connections) {
                eprintln!(
                    "wharf: {}: {connections} connections, round {round} of {}",
                    row.model, options.rounds
                );
                let server = Server::start(row.model)?;
                let measured = round::measure(&server, connections, options.duration);
                row.cells[place].add(measured);
            }
        }
        for row in rows.iter_mut().filter(|row| row.reach.count >= connections) {
            eprintln!("wharf: {}: {connections} connections, counting calls", row.model);
            let server = Server::start(row.model)?;
            row.cells[place].count(round::count(&server, connections));
        }
    }
    Ok(())
}
