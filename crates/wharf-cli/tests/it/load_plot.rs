//! `wharf load --plot`: what a picture has in it, and what becomes of a wrong path.

use std::path::PathBuf;

use crate::program::{load_echo, run};
use crate::server;

/// A path of this test's own.
fn path(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("wharf-load-{}-{name}.svg", std::process::id()))
}

/// The texts of a picture, in their order.
fn texts(svg: &str) -> Vec<&str> {
    let texts = svg.split("<text").skip(1).filter_map(|text| text.split_once('>'));
    texts.filter_map(|(_, text)| text.split_once("</text>")).map(|(text, _)| text.trim()).collect()
}

/// The places that the lines of a colour lead through.
fn points(svg: &str, colour: &str) -> Vec<(f64, f64)> {
    let lines = svg.split("<polyline").skip(1).filter(|line| line.contains(colour));
    let points = lines.filter_map(|line| line.split_once("points=\"")?.1.split('"').next());
    let number = |text: &str| text.parse().unwrap();
    let place = |point: &str| point.split_once(',').map(|(x, y)| (number(x), number(y)));
    points.flat_map(|points| points.split_whitespace().filter_map(place)).collect()
}

#[test]
fn a_plot_shows_latency_by_percentile_and_throughput_over_time() {
    let path = path("whole");
    std::fs::write(&path, "an old picture").unwrap();
    let server = server::echo();
    let mut command = load_echo(server, "--sessions 3 --duration 0.6 --warmup off");
    command.arg("--plot").arg(&path);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let svg = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(svg.contains("prefers-color-scheme: dark"));
    let texts = texts(&svg);
    let axes = ["percentile", "latency", "time", "messages per second"];
    for text in ["wharf load echo", "0 %", "50 %", "90 %", "99 %", "0 s"].iter().chain(&axes) {
        assert!(texts.contains(text), "{text} is not among {texts:?}");
    }
    assert!(texts[1].starts_with("3 sessions, depth 1, 64 B raw: "), "{texts:?}");
    let version = format!("; {server}, wharf {}, 2", env!("CARGO_PKG_VERSION"));
    assert!(texts[2].starts_with("latency p50 ") && texts[2].contains(&version), "{texts:?}");
    assert!(!svg.contains(" us"), "{svg}");
    // Who does not see it is told the same.
    assert!(svg.contains("role=\"img\" aria-label=\"wharf load echo: 3 sessions, "), "{svg}");
    assert!(svg.contains("<title>wharf load echo: 3 sessions, "), "{svg}");
    assert!(svg.contains("font-size=\"14\"") && svg.contains("font-size=\"24\""), "{svg}");
    // A latency of a higher percentile is never less: on the screen, never lower.
    let latency = points(&svg, "stroke=\"#0969DA\"");
    assert!(latency.len() > 100, "{latency:?}");
    assert!(latency.is_sorted_by(|a, b| a.0 <= b.0 && a.1 >= b.1), "{latency:?}");
    assert!(latency[0].1 > latency[latency.len() - 1].1, "{latency:?}");
    let throughput = points(&svg, "stroke=\"#1A7F37\"");
    assert!(throughput.len() >= 4 && throughput.is_sorted_by(|a, b| a.0 <= b.0), "{throughput:?}");
}

#[test]
fn a_picture_of_nothing_says_so() {
    let path = path("empty");
    // Nothing comes back before measuring begins, nor after.
    let server = server::serve(|_, stream| server::swallow(&stream));
    let mut command = load_echo(server, "--sessions 1 --duration 0.1");
    command.arg("--plot").arg(&path);
    run(command).failure(1);
    let svg = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(texts(&svg).contains(&"no latency was measured"), "{svg}");
}

#[test]
fn a_plot_that_cannot_be_written_ends_the_run_before_it_begins() {
    let mut command = load_echo(server::nobody(), "--sessions 1");
    command.args(["--plot", "/no/such/folder/plot.svg"]);
    let ended = run(command);
    let line = ended.failure_alone(2);
    assert!(line.contains("cannot write --plot /no/such/folder/plot.svg"), "{line}");
}
