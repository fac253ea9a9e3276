//! Pictures of the results: a bar for each server in each case, one colour for each server in all pictures.

mod draw;

use std::fs;
use std::path::Path;

use crate::Result;
use crate::report;
use crate::results::{CaseResults, Outcome, Results, Run, write};
use crate::statistics::{interval_90, median};
use draw::{Bar, Block, Picture};

/// The server whose cost is 1.
const ANCHOR: &str = "bare";

/// Draws all that was saved into a folder. Returns the area and the file name of each picture.
pub(crate) fn all(all: &[Results], folder: &Path) -> Result<Vec<(String, String)>> {
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut drawn = Vec::new();
    for results in all {
        for (name, picture) in pictures(results) {
            let file = format!("{name}.svg");
            let svg = picture.svg().map_err(|error| format!("cannot draw {file}: {error}"))?;
            write(&folder.join(&file), &svg)?;
            drawn.push((results.area.clone(), file));
        }
    }
    Ok(drawn)
}

/// The pictures of an area, with their names.
fn pictures(results: &Results) -> Vec<(String, Picture)> {
    // The anchor by itself is no comparison.
    let alone = |case: &CaseResults| matches!(&case.servers[..], [one] if one.name == ANCHOR);
    if results.cases.iter().all(alone) {
        return Vec::new();
    }
    let area = &results.area;
    let title = report::title(area).to_owned();
    let mut pictures = Vec::new();
    let mut add = |name: String, axis: &str, subtitle: &str, blocks: Vec<Block>| {
        if blocks.iter().any(|block| !block.bars.is_empty()) {
            let (axis, subtitle) = (axis.to_owned(), subtitle.to_owned());
            pictures.push((name, Picture { title: title.clone(), subtitle, axis, blocks }));
        }
    };
    let over = |blocks: &dyn Fn(&CaseResults) -> Vec<Bar>| {
        let cases = results.cases.iter();
        cases.map(|case| Block { title: case.case.clone(), bars: blocks(case) }).collect::<Vec<_>>()
    };
    let ratios = over(&|case| relative(case));
    if ratios.iter().all(|block| block.bars.is_empty()) {
        let cpu = over(&|case| absolute(case, |run| run.cpu_ns));
        add(area.clone(), "CPU time of the server per message, ns", CPU_SUBTITLE, cpu);
    } else {
        let axis = "CPU time of the server per message, as a multiple of bare's";
        add(area.clone(), axis, RATIO_SUBTITLE, ratios);
    }
    if ["half-load", "rates"].contains(&area.as_str()) {
        let p99 = over(&|case| absolute(case, |run| run.p99_us));
        add(format!("{area}-p99"), "99th percentile of the latency, us", CPU_SUBTITLE, p99);
    }
    let memory = over(&|case| absolute(case, |run| run.session_bytes));
    add(format!("{area}-memory"), "memory of the server per session, bytes", CPU_SUBTITLE, memory);
    pictures
}

const RATIO_SUBTITLE: &str =
    "median of the ratios within each round; the line is its 90 % interval";
const CPU_SUBTITLE: &str = "median of the rounds; the line is its 90 % interval";

/// Each server's cost for one of the anchor's; nothing without the anchor.
fn relative(case: &CaseResults) -> Vec<Bar> {
    let Some(anchor) = case.server(ANCHOR) else { return Vec::new() };
    let cost = |run: &Run| run.cpu_ns;
    case.servers.iter().filter_map(|outcome| bar(outcome, &outcome.paired(anchor, cost))).collect()
}

fn absolute(case: &CaseResults, figure: fn(&Run) -> Option<f64>) -> Vec<Bar> {
    case.servers.iter().filter_map(|outcome| bar(outcome, &outcome.values(figure))).collect()
}

fn bar(outcome: &Outcome, values: &[f64]) -> Option<Bar> {
    Some(Bar {
        server: outcome.name.clone(),
        value: median(values)?,
        interval: interval_90(values)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Machine, Method};

    fn results(servers: &[(&str, f64)]) -> Results {
        let outcome = |(name, cpu): &(&str, f64)| Outcome {
            name: (*name).to_owned(),
            runs: vec![Some(Run { cpu_ns: Some(*cpu), ..Run::default() }); 3],
            ..Outcome::default()
        };
        let servers = servers.iter().map(outcome).collect();
        let method = Method {
            server_cpu: 0,
            load_cpu: 1,
            rounds: 3,
            window_s: 1.0,
            warmup_s: 1.0,
            disturbed_share: 0.06,
        };
        let case = CaseResults { case: "1x1x1:raw".into(), asked_per_second: None, servers };
        Results { area: "echo".into(), machine: Machine::default(), method, cases: vec![case] }
    }

    #[test]
    fn costs_are_multiples_of_the_anchors() {
        let pictures = pictures(&results(&[("bare", 200.0), ("tokio", 300.0)]));
        let bars = &pictures[0].1.blocks[0].bars;
        assert_eq!(bars.iter().map(|bar| bar.value).collect::<Vec<_>>(), [1.0, 1.5]);
        assert_eq!(pictures.len(), 1);
    }

    #[test]
    fn without_the_anchor_they_are_what_they_are() {
        let pictures = pictures(&results(&[("tokio", 300.0)]));
        assert!((pictures[0].1.blocks[0].bars[0].value - 300.0).abs() < 1e-9);
        assert!(pictures[0].1.axis.ends_with(", ns"));
    }

    #[test]
    fn a_picture_names_its_servers_and_its_axis() {
        let svg = pictures(&results(&[("bare", 200.0), ("tokio", 300.0)]))[0].1.svg().unwrap();
        for word in ["tokio", "1.50", "as a multiple of bare", "1x1x1:raw", "prefers-color-scheme"]
        {
            assert!(svg.contains(word), "{word}");
        }
    }
}
