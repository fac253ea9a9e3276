//! `wharf serve --capture` and `wharf replay`: a chat that was captured, played again. What becomes of the file is in
//! `capturing`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::program::{Ended, count, run, run_json, wharf};
use crate::serving::{Serving, backends, serve};

/// A file that was captured.
pub(crate) struct Captured {
    pub(crate) path: PathBuf,
    _place: TempDir,
}

impl Captured {
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap()
    }

    /// The same file with other words in it, which have no checksum.
    fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{text}");
        let edited = text.lines().map(|line| {
            let is_meant = line.contains(from);
            let (body, _) = line.split_once(",\"crc\"").unwrap();
            if is_meant { body.replace(from, to) + "}\n" } else { format!("{line}\n") }
        });
        std::fs::write(&self.path, edited.collect::<String>()).unwrap();
    }
}

pub(crate) fn serve_captured(mode: &str, arguments: &str) -> (Serving, Captured) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("evening.jsonl");
    let mut command = serve(mode, arguments);
    command.arg("--capture").arg(&path);
    (Serving::spawn(command), Captured { path, _place: place })
}

pub(crate) fn say(mut member: &TcpStream, words: &str) {
    member.write_all(format!("{words}\n").as_bytes()).unwrap();
}

pub(crate) fn hear(member: &TcpStream, words: &str) {
    let mut line = String::new();
    // One line at a time is on its way, so nothing is read ahead.
    BufReader::new(member).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), words);
}

/// Four members of `wharf serve chat`: they come one by one, all speak, one leaves and one is reset.
fn chat(backend: &str) -> Captured {
    let (serving, captured) = serve_captured("chat", &format!("--workers 1 --backend {backend}"));
    let mut members: Vec<TcpStream> = Vec::new();
    for number in 0..4 {
        members.push(serving.connect());
        say(&members[number], &format!("here is {number}"));
        members.iter().for_each(|it| hear(it, &format!("here is {number}")));
    }
    for round in 0..12 {
        say(&members[round % 4], &format!("round {round}"));
        members.iter().for_each(|it| hear(it, &format!("round {round}")));
    }
    let left = members.remove(1);
    left.shutdown(std::net::Shutdown::Write).unwrap();
    hear(&left, "");
    for round in 0..3 {
        say(&members[round], &format!("without one {round}"));
        members.iter().for_each(|it| hear(it, &format!("without one {round}")));
    }
    let ended = serving.stop();
    assert!(ended.stderr.contains("captured 4 sessions with 86 frames in "), "{}", ended.stderr);
    captured
}

pub(crate) fn replay(file: &Path, arguments: &str) -> Ended {
    let mut command = wharf(["replay"]);
    command.arg(file).args(arguments.split_whitespace());
    run(command)
}

fn replay_to(file: &Path, server: SocketAddr, arguments: &str) -> Ended {
    replay(file, &format!("--connect {server} {arguments}"))
}

#[test]
fn a_chat_is_replayed_in_the_simulator_with_equal_answers_on_every_seed() {
    let captured = chat(backends()[0]);
    let mut command = wharf(["replay", "--sim", "chat", "--seeds", "25"]);
    command.arg(&captured.path);
    let (ended, json) = run_json(command);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let counts = ["sessions", "runs", "frames_sent", "frames_equal", "different"];
    assert_eq!(counts.map(|name| count(&json, name)), [4, 25, 19 * 25, 67 * 25, 0], "{json}");
    // Those who were there when the server drained were ended by nobody's frame.
    assert_eq!(count(&json, "ended_for_others"), 3 * 25, "{json}");
    let ended = replay(&captured.path, "--sim echo --seeds 1");
    let line = ended.failure(1);
    assert!(
        line.contains("the first with seed 0: session 1, frame 2: expected 'here is 1' (9 bytes)"),
        "{line}"
    );
}

#[test]
fn a_chat_is_replayed_to_a_server_of_each_backend_with_equal_answers() {
    for from in backends() {
        let captured = chat(from);
        for to in backends() {
            for speed in ["max", "10"] {
                let serving = Serving::spawn(serve("chat", &format!("--workers 1 --backend {to}")));
                let arguments = format!("--speed {speed} --backend {from}");
                let ended = replay_to(&captured.path, serving.address(), &arguments);
                assert_eq!(ended.code, Some(0), "{from} to {to}: {ended:?}");
                assert!(
                    ended.stdout.contains("19 frames sent, 67 came back equal, 0 different"),
                    "{ended:?}"
                );
                serving.stop();
            }
        }
    }
}

#[test]
fn the_first_answer_that_differs_is_told() {
    let captured = chat(backends()[0]);
    captured.edit(r#""session":3,"text":"round 5""#, r#""session":3,"text":"round \u001b5""#);
    let serving = Serving::spawn(serve("chat", "--workers 1"));
    let ended = replay_to(&captured.path, serving.address(), "--speed max");
    let line = ended.failure(1);
    let expected = concat!(
        r"1 difference; the first: session 3, frame 8: ",
        r"expected 'round \x1b5' (8 bytes), got 'round 5' (7 bytes)"
    );
    assert!(line.contains(expected), "{line}");
    assert!(ended.stdout.contains("1 different"), "{ended:?}");
    serving.stop();
}

#[test]
fn what_is_no_capture_is_no_argument_and_no_server_is_not_connected() {
    let captured = chat(backends()[0]);
    let text = captured.text();
    let server = "--connect 127.0.0.1:1 --speed max";
    let line = replay(&captured.path, server).failure(4).to_owned();
    assert!(line.contains("cannot connect session 1 to 127.0.0.1:1"), "{line}");
    for (arguments, wanted) in [
        ("", "give either --connect"),
        ("--sim chat --connect 127.0.0.1:1", "give either --connect"),
        ("--sim tea", "invalid value 'tea'"),
        ("--sim chat --speed 0", "give a number from 0.001"),
        ("--sim chat --sessions 5", "there is no session 5"),
    ] {
        let ended = replay(&captured.path, arguments);
        assert!(ended.failure(2).contains(wanted), "{arguments}: {ended:?}");
    }
    std::fs::write(&captured.path, "hello\n").unwrap();
    let ended = replay(&captured.path, "--sim chat");
    assert!(ended.failure(2).contains("it is no capture"), "{ended:?}");
    std::fs::write(&captured.path, text.replacen("round 3", "round 4", 1)).unwrap();
    let ended = replay(&captured.path, "--sim chat");
    assert!(ended.failure(2).contains("its checksum is wrong"), "{ended:?}");
    std::fs::remove_file(&captured.path).unwrap();
    replay(&captured.path, "--sim chat").failure(2);
}

#[test]
fn a_file_that_was_cut_is_replayed_as_far_as_it_goes() {
    let captured = chat(backends()[0]);
    let text = captured.text();
    let cut = text.find("round 3").unwrap();
    std::fs::write(&captured.path, &text[..cut]).unwrap();
    let ended = replay(&captured.path, "--sim chat --seeds 1");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("was cut behind line"), "{ended:?}");
}

#[test]
fn frames_that_fell_out_are_told_and_not_compared() {
    let (serving, captured) = serve_captured("echo", "--framing lines --capture-bytes 1KiB");
    let session = serving.connect();
    for round in 0..30 {
        say(&session, &format!("{round}"));
        hear(&session, &format!("{round}"));
    }
    serving.stop();
    let ended = replay(&captured.path, "--sim echo");
    let line = ended.failure(2);
    assert!(line.contains("session 1 is not complete (its first frames)"), "{line}");
    let ended = replay(&captured.path, "--sim echo --incomplete --seeds 3");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn only_the_peers_that_are_asked_for_are_captured() {
    for (peer, sessions) in [("192.0.2.0/24", "0 sessions"), ("127.0.0.0/8", "1 session")] {
        let (serving, _captured) = serve_captured("echo", &format!("--capture-peer {peer}"));
        let session = serving.connect();
        say(&session, "hello");
        hear(&session, "hello");
        let ended = serving.stop();
        assert!(ended.stderr.contains(&format!("captured {sessions}")), "{ended:?}");
    }
    let ended = run(serve("echo", "--capture-peer 127.0.0.1"));
    assert!(ended.failure(2).contains("--capture-peer 127.0.0.1/32 is for --capture"), "{ended:?}");
    // 2 GiB, and a session more.
    let ended = run(serve("echo", "--capture x --capture-bytes 2MiB --capture-sessions 1025"));
    let line = ended.failure_alone(2);
    assert!(
        line.contains("--capture-bytes 2MiB for --capture-sessions 1025 may come to more"),
        "{line}"
    );
    let ended = run(serve("echo", "--capture /nowhere/at/all"));
    assert!(ended.failure(2).contains("cannot write --capture /nowhere/at/all"), "{ended:?}");
    let ended = run(serve("echo", "--capture /"));
    assert!(ended.failure(2).contains("cannot write --capture /"), "{ended:?}");
}

#[test]
fn sessions_that_are_not_in_the_capture_are_told_when_it_is_written_and_when_it_is_replayed() {
    let (serving, captured) =
        serve_captured("echo", "--framing lines --workers 1 --capture-sessions 1");
    let begin = || {
        let session = serving.connect();
        say(&session, "hello");
        hear(&session, "hello");
        session
    };
    let first = begin();
    first.shutdown(std::net::Shutdown::Write).unwrap();
    hear(&first, "");
    // It has made room for the second, and that leaves none for the third.
    let _others = [begin(), begin()];
    let ended = serving.stop();
    for line in [
        "captured 1 session with 2 frames in ",
        "1 session not captured: raise --capture-sessions",
        "1 session ended and made room for others: raise --capture-sessions",
    ] {
        assert!(ended.stderr.contains(line), "{line}: {ended:?}");
    }
    let ended = replay(&captured.path, "--sim echo --seeds 1");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("lacks 2 sessions"), "{ended:?}");
}
