//! `wharf models`: what there is, one as a server, all under the same load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::program::{run, run_json, wharf};

/// Two that every system has.
const MODELS: &str = "thread-per-connection,wharf";

#[test]
fn the_list_names_each_model_with_its_pattern_and_its_limit() {
    for arguments in [&["models"][..], &["models", "list"]] {
        let ended = run(wharf(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let line = |name| ended.stdout.lines().find(|line: &&str| line.starts_with(name)).unwrap();
        assert!(line("thread-per-connection ").contains("blocking  any      threads"), "{ended:?}");
        assert!(line("wharf ").contains("proactor  any      descriptors"), "{ended:?}");
    }
}

#[test]
fn a_model_says_where_it_listens_and_serves_until_it_is_killed() {
    let mut command = wharf(["models", "run", "thread-per-connection", "--listen", "127.0.0.1:0"]);
    let mut server = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.strip_prefix("listening on ").unwrap();
    let address = address.strip_suffix(" model=thread-per-connection\n").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut echo = [0; 5];
    stream.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");
    // Its place is taken as long as it serves.
    let second = run(wharf(["models", "run", "wharf", "--listen", address]));
    let line = second.failure_alone(1);
    assert!(line.contains("wharf: ") && line.contains(address), "{line}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn a_model_that_is_to_end_with_its_input_does() {
    let mut command = wharf(["models", "run", "wharf", "--listen", "127.0.0.1:0"]);
    command.arg("--until-input-ends").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("listening on "));
    assert_eq!(server.try_wait().unwrap(), None);
    drop(server.stdin.take());
    // Its output ends with it.
    let (sender, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(lines.next().is_none()));
    let ended = ended.recv_timeout(Duration::from_secs(30));
    // Fails where it has ended.
    let _ = server.kill();
    assert_eq!((ended, server.wait().unwrap().code()), (Ok(true), Some(0)));
}

#[test]
fn a_comparison_measures_each_model_with_each_number_of_connections() {
    let folder = std::env::temp_dir().join(format!("wharf-models-{}", std::process::id()));
    let mut command = wharf(["models", "compare", "--models", MODELS, "--connections", "5,1"]);
    command.args(["--seconds", "0.2", "--rounds", "1", "--plot"]).arg(&folder);
    let (ended, json) = run_json(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(json["connections"], serde_json::json!([1, 5]));
    for (row, name) in json["models"].as_array().unwrap().iter().zip(MODELS.split(',')) {
        assert_eq!(row["model"], name);
        assert_eq!(row["reach"], serde_json::json!({ "count": 5, "stopped_by": null }));
        for (cell, connections) in row["cells"].as_array().unwrap().iter().zip([1, 5]) {
            assert_eq!(cell["connections"], connections);
            assert_eq!(cell["problem"], Value::Null, "{cell}");
            let number = |field: &str| cell[field].as_f64();
            assert!(number("per_second") > Some(0.0), "{cell}");
            assert!(number("p99_us") > Some(0.0), "{cell}");
            if cfg!(target_os = "linux") {
                assert!(number("cpu_ns_per_message") > Some(0.0), "{cell}");
            }
            check_calls(name, cell);
        }
        assert!(ended.stderr.contains(&format!("  {name} ")), "{ended:?}");
    }
    for picture in ["throughput.svg", "cpu.svg", "latency.svg"] {
        let svg = std::fs::read_to_string(folder.join(picture)).unwrap();
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
        let known = picture != "cpu.svg" || cfg!(target_os = "linux");
        assert!(!known || MODELS.split(',').all(|name| svg.contains(name)), "{picture}: {svg}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Where calls are counted at all, a thread of a connection makes two for each message. Of the others wharf makes
/// most where io_uring is denied: it waits, receives and sends, and looks at its clockwork now and then.
fn check_calls(name: &str, cell: &Value) {
    match cell["calls_per_message"].as_f64() {
        Some(calls) if name == "thread-per-connection" => {
            assert!((1.99..2.2).contains(&calls), "{cell}");
        }
        Some(calls) => assert!((0.01..4.0).contains(&calls), "{cell}"),
        None => assert!(cell["not_counted"].is_string(), "{cell}"),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_model_that_is_stopped_says_by_what_and_is_not_measured_beyond() {
    let mut command = wharf(["models", "compare", "--models", "select", "--seconds", "0.1"]);
    command.args(["--connections", "2,1100", "--rounds", "1"]);
    let (ended, json) = run_json(command);
    if json["models"][0]["reach"]["count"].as_u64() < Some(500) {
        return eprintln!("left out: this process may open too few descriptors: {json}");
    }
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let row = &json["models"][0];
    let reached = row["reach"]["count"].as_u64().unwrap();
    assert!((1_000..1_024).contains(&reached), "{row}");
    let said = row["reach"]["stopped_by"].as_str().unwrap();
    assert!(said.starts_with("a connection beside ") && said.contains("FD_SETSIZE"), "{said}");
    assert!(row["cells"][0]["per_second"].as_f64() > Some(0.0), "{row}");
    assert_eq!(row["cells"][1]["per_second"], Value::Null, "{row}");
}

#[test]
fn an_experiment_tells_what_broke_with_its_seed_and_what_did_not() {
    for name in ["io-count", "socket-number"] {
        let ended = run(wharf(["models", "experiment", name]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.stdout.contains("the first is seed "), "{ended:?}");
        assert!(ended.stdout.contains("BROKEN: "), "{ended:?}");
        let right = ended.stdout.lines().filter(|line| line.ends_with(": 0 of 200 seeds break"));
        assert_eq!(right.count(), 1, "{ended:?}");
    }
}

#[test]
fn wrong_words_are_named_with_those_that_there_are() {
    for (arguments, says) in [
        ("run iocpp", "thread-per-connection"),
        ("run wharf --listen 7777", "IP:PORT"),
        ("compare --models wharf,wharf", "names wharf twice"),
        ("compare --models wharf,", "thread-per-connection"),
        ("compare --connections 0", "from 1 to 1000000"),
        ("compare --rounds 0", "from 1 to 99"),
        ("compare --seconds 0", "seconds from 0.001"),
        ("compare --plot Cargo.toml", "cannot write --plot Cargo.toml"),
        ("experiment nothing", "give one of those"),
    ] {
        let ended = run(wharf(["models"].into_iter().chain(arguments.split_whitespace())));
        let line = ended.failure_alone(2);
        assert!(line.contains(says), "{arguments}: {says} is not in {line}");
    }
}
