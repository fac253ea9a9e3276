//! The report: tables, targets, and where it was measured.

mod cells;
mod targets;

use std::fmt::Write;

use crate::report::cells::{cell, paired, ratio, short};
use crate::results::{CaseResults, Machine, Method, Outcome, Results};
use crate::sets;

pub(crate) use targets::section as targets;

/// The servers that the others are compared with.
const BASES: [&str; 3] = ["bare", "mio", "tokio"];

/// How cells are to be read.
const LEGEND: &str = "Cells: median (smallest..largest) of the rounds. Ratio: of the medians. Paired: median \
    of the ratios within each round, and its 90 % interval; an interval that includes 1 shows no difference. \
    Compare ratios, not figures: these belong to this machine and this hour.\n";

/// What stands above the tables of a run.
pub(crate) fn header(machine: &Machine, method: &Method) -> String {
    format!("# Server CPU per message\n\n{}\n{LEGEND}", measured(machine, method))
}

/// Where, when and how something was measured.
fn measured(machine: &Machine, method: &Method) -> String {
    let versions = machine.versions.iter().map(|(name, version)| {
        if version.starts_with(name.as_str()) {
            version.clone()
        } else {
            format!("{name} {version}")
        }
    });
    let Machine { date, processor, kernel, .. } = machine;
    let Method { server_cpu, load_cpu, rounds, window_s, warmup_s, .. } = method;
    format!(
        "{date}; {processor}, {kernel}; {}. Server on CPU {server_cpu}, generator on CPU {load_cpu}; \
         {rounds} rounds of {window_s} s after {warmup_s} s of warm-up.\n",
        versions.collect::<Vec<_>>().join(", "),
    )
}

/// The report of all that was saved.
pub(crate) fn whole(all: &[Results], plots: &[(String, String)]) -> String {
    let mut report = format!(
        "# Results\n\nMade by `cargo xtask bench report` from the files in `results/`, which have every run of \
         every round. [README.md](README.md) says how this was measured.\n\n{LEGEND}\n{}",
        targets(all)
    );
    for results in all {
        let title = title(&results.area);
        let _ = writeln!(report, "\n## {title}\n\n{}", measured(&results.machine, &results.method));
        for (_, file) in plots.iter().filter(|(area, _)| *area == results.area) {
            let _ = writeln!(report, "![{title}]({file})\n");
        }
        for case in &results.cases {
            report += &table(case, &results.method);
            report.push('\n');
        }
    }
    report
}

/// What an area is called.
pub(crate) fn title(area: &str) -> &str {
    sets::all().find(|set| set.name == area).map_or("Cases by name", |set| set.title)
}

/// The place of an area in the report.
pub(crate) fn place(area: &str) -> usize {
    sets::all().position(|set| set.name == area).unwrap_or(usize::MAX)
}

/// The table of a case.
pub(crate) fn table(case: &CaseResults, method: &Method) -> String {
    let asked = case.asked_per_second.map(|rate| format!(", {rate} a second asked for"));
    let mut table = format!("### {}{}\n\n", case.case, asked.unwrap_or_default());
    table += &if case.case.starts_with("idle:") { memory(case) } else { traffic(case, method) };
    table
}

/// A column of a table: what stands at its head, and what it says of a server.
type Column<'a> = (String, Box<dyn Fn(&Outcome) -> String + 'a>);

fn traffic(case: &CaseResults, method: &Method) -> String {
    let columns = columns(case, method);
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut table = row(columns.iter().map(|(head, _)| head.clone()).collect());
    let _ = writeln!(table, "{}|", "|---".repeat(columns.len()));
    for outcome in &case.servers {
        table += &row(columns.iter().map(|(_, cell)| cell(outcome)).collect());
    }
    table
}

fn columns<'a>(case: &'a CaseResults, method: &'a Method) -> Vec<Column<'a>> {
    let unit = if case.case.starts_with("accept") { "connection" } else { "message" };
    let mut columns: Vec<Column<'a>> = Vec::new();
    let mut add = |head: &str, cell: Box<dyn Fn(&Outcome) -> String + 'a>| {
        columns.push((head.to_owned(), cell));
    };
    add("server", Box::new(|outcome| outcome.name.clone()));
    add(&format!("CPU ns per {unit}"), Box::new(|outcome| cell(outcome, |run| run.cpu_ns)));
    add("user", Box::new(|outcome| cells::median_of(outcome, |run| run.user_ns)));
    add("system", Box::new(|outcome| cells::median_of(outcome, |run| run.system_ns)));
    // Results of before it was counted do not have it.
    if case.servers.iter().any(|outcome| !outcome.values(|run| run.generator_ns).is_empty()) {
        add("generator", Box::new(|outcome| cells::median_of(outcome, |run| run.generator_ns)));
        add("generator / server", Box::new(cells::generator_ratio));
    }
    for base in BASES.iter().filter_map(|name| case.server(name)) {
        // A server by itself is no comparison.
        if case.servers.len() > 1 {
            add(&format!("/ {}", base.name), Box::new(|outcome| ratio(outcome, base)));
            add(&format!("/ {} paired", base.name), Box::new(|outcome| paired(outcome, base)));
        }
    }
    add(&format!("{unit}s/s"), Box::new(|outcome| cell(outcome, |run| run.per_second)));
    add("p50 us", Box::new(|outcome| cell(outcome, |run| run.p50_us)));
    add("p90 us", Box::new(|outcome| cell(outcome, |run| run.p90_us)));
    add("p99 us", Box::new(|outcome| cell(outcome, |run| run.p99_us)));
    add("p99.9 us", Box::new(|outcome| cell(outcome, |run| run.p999_us)));
    if case.case.contains("+unpinned") {
        add("busiest thread", Box::new(cells::busiest_thread));
    }
    add("note", Box::new(|outcome| note(outcome, method)));
    columns
}

fn memory(case: &CaseResults) -> String {
    let mut table =
        "| server | bytes per session | resident, files included | empty server, KiB | note |\n\
        |---|---|---|---|---|\n"
            .to_owned();
    for outcome in &case.servers {
        let empty = outcome.values(|run| run.empty_bytes.map(|bytes| bytes / 1024.0));
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} |",
            outcome.name,
            cell(outcome, |run| run.session_bytes),
            cell(outcome, |run| run.session_resident_bytes),
            crate::statistics::median(&empty).map_or("-".into(), short),
            outcome.failure.as_deref().unwrap_or_default(),
        );
    }
    table
}

fn note(outcome: &Outcome, method: &Method) -> String {
    let mut notes = Vec::new();
    if outcome.repeated > 0 {
        notes.push(format!("{} repeated", outcome.repeated));
    }
    if outcome.disturbed > 0 {
        let percent = method.disturbed_share * 100.0;
        notes.push(format!("{} kept with over {percent} % foreign", outcome.disturbed));
    }
    if let Some(failure) = &outcome.failure {
        let failed = outcome.runs.iter().filter(|run| run.is_none()).count();
        notes.push(format!("{failed} rounds without a result: {failure}"));
    }
    notes.join("; ")
}
