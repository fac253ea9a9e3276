//! `wharf top` where there is no terminal.

use crate::program::{count, run, run_json, wharf};
use crate::serving::{Serving, check_echo};
use crate::topping::top;

#[test]
fn one_picture_is_plain_text() {
    let mut serving = Serving::start("--workers 2 --admin 127.0.0.1:0");
    let admin = serving.admin();
    let session = serving.connect();
    check_echo(&session, b"hello");
    let ended = run(top(admin, "--once"));
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    let is_plain = |char: char| char == '\n' || (' '..='~').contains(&char);
    assert!(ended.stdout.chars().all(is_plain), "{:?}", ended.stdout);
    let peer = session.local_addr().unwrap().to_string();
    for part in [&*peer, "  1 session  ", "accepting", "frames in/s", "WORKER", "closed: none yet"]
    {
        assert!(ended.stdout.contains(part), "'{part}' is not in {}", ended.stdout);
    }
    serving.stop();
}

#[test]
fn one_picture_as_json_has_rates_and_the_same_sessions() {
    let mut serving = Serving::start("--workers 2 --admin 127.0.0.1:0");
    let admin = serving.admin();
    let sessions = [serving.connect(), serving.connect(), serving.connect()];
    for session in &sessions {
        check_echo(session, b"hello");
    }
    // Within a second rates would be of the time since each session began.
    let admin_flag = admin.to_string();
    let flags = ["top", "--once", "--limit", "2", "--interval", "1.5", "--admin", &admin_flag];
    let (ended, json) = run_json(wharf(flags));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(json["mode"], "top");
    assert_eq!(json["admin"], admin.to_string());
    assert_eq!(count(&json, "sessions"), 3);
    assert_eq!(json["rows"].as_array().unwrap().len(), 2, "{json}");
    assert_eq!(count(&json["rows"][0], "received_bytes"), 5);
    assert_eq!(json["rows"][0]["received_rate"], 0, "{json}");
    assert_eq!(json["throughput"]["bytes_in"], 0.0, "{json}");
    assert_eq!(json["workers"].as_array().unwrap().len(), 2, "{json}");
    serving.stop();
}

#[test]
fn an_endpoint_at_a_unix_socket_is_asked_as_well() {
    let place = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", place.path().join("admin").display());
    let mut serving = Serving::start(&format!("--admin {socket}"));
    serving.wait_for("admin");
    let ended = run(wharf(["top", "--once", "--interval", "0.1", "--admin", &socket]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(&format!("{socket}  accepting")), "{ended:?}");
    serving.stop();
    let ended = run(wharf(["top", "--once", "--admin", &socket]));
    assert!(ended.failure_alone(4).contains(&socket), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_endpoint_under_an_abstract_name_is_asked_as_well() {
    let place = tempfile::tempdir().unwrap();
    let token = place.path().join("token");
    std::fs::write(&token, "a-token-of-some-length").unwrap();
    let socket = format!("unix:@{}", place.path().display());
    let flags = format!("--admin {socket} --admin-token-file {}", token.display());
    let mut serving = Serving::start(&flags);
    serving.wait_for("admin");
    let flags = format!("top --once --interval 0.1 {flags}");
    let ended = run(wharf(flags.split(' ')));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(&format!("{socket}  accepting")), "{ended:?}");
    serving.stop();
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let ended = run(wharf(["top", "--admin", "127.0.0.1:1"]));
    let line = ended.failure_alone(2);
    assert!(line.contains("no terminal") && line.contains("--once"), "{line}");
}

#[test]
fn flags_keep_to_their_ranges() {
    for (arguments, says) in [
        ("--interval 0.05", "from 0.1 to 60"),
        ("--interval 61", "from 0.1 to 60"),
        ("--interval nan", "from 0.1 to 60"),
        ("--interval -1", "from 0.1 to 60"),
        ("--limit 0", "from 1 to 1000"),
        ("--limit 1001", "from 1 to 1000"),
        ("--admin 127.0.0.1:0", "give a port"),
        ("--admin nonsense", "IP:PORT"),
        ("--json -", "--once"),
        ("--once --admin-token-file /nothing/there", "cannot be read"),
    ] {
        let ended = run(wharf(["top"].into_iter().chain(arguments.split(' '))));
        let line = ended.failure_alone(2);
        assert!(line.contains(says), "{arguments}: '{says}' is not in {line}");
    }
}
