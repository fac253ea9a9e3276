//! `wharf serve --capture-redact`: what is in a capture, and what is not; and what comes of a replay.

use std::net::Shutdown;

use crate::program::run;
use crate::replaying::{Captured, hear, replay, say, serve_captured};
use crate::serving::serve;

/// What two members say to each other in a chat, captured with more flags.
fn chat(flags: &str) -> (Captured, String) {
    let (serving, captured) = serve_captured("chat", &format!("--workers 1 {flags}"));
    let first = serving.connect();
    say(&first, "hello");
    hear(&first, "hello");
    let second = serving.connect();
    for words in ["password sesame", "Gr\u{fc}\u{df}e", "PASSWORD open, please"] {
        say(&second, words);
        [&first, &second].iter().for_each(|member| hear(member, words));
    }
    second.shutdown(Shutdown::Write).unwrap();
    hear(&second, "");
    serving.stop();
    let text = captured.text();
    (captured, text)
}

/// The texts of a file, in order.
fn texts(file: &str) -> Vec<String> {
    let lines = file.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.filter_map(|line| Some(line["text"].as_str()?.to_owned())).collect()
}

#[test]
fn without_it_everything_is_there_and_the_file_says_so() {
    let (_captured, text) = chat("");
    assert!(text.lines().next().unwrap().contains("\"redacted\":false"), "{text}");
    assert!(text.contains("sesame") && text.contains("open, please"), "{text}");
}

#[test]
fn of_payloads_their_lengths_are_left() {
    let (captured, text) = chat("--capture-redact payloads");
    let lens = [5, 5, 15, 15, 15, 7, 7, 7, 21, 21, 21];
    let wanted: Vec<String> = lens.iter().map(|&len| "*".repeat(len)).collect();
    assert_eq!(texts(&text), wanted);
    assert!(text.lines().next().unwrap().contains("\"redacted\":true"), "{text}");
    // A chat gives back what it gets, whatever that is.
    let ended = replay(&captured.path, "--sim chat --seeds 5");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("is redacted, and sent as it is"), "{ended:?}");
    // Another service is told from it by how much it says, and when.
    let ended = replay(&captured.path, "--sim echo --seeds 1");
    assert!(ended.failure(1).contains("expected '***************' (15 bytes)"), "{ended:?}");
}

#[test]
fn what_a_pattern_matches_never_gets_into_the_file() {
    let (captured, text) = chat(r"--capture-redact=matches:(?i)password\s\S+");
    let covered = ["***************", "************** please"];
    let wanted: Vec<&str> =
        [vec!["hello"; 2], vec![covered[0]; 3], vec!["Gr\u{fc}\u{df}e"; 3], vec![covered[1]; 3]]
            .concat();
    assert_eq!(texts(&text), wanted);
    assert!(!text.to_lowercase().contains("password") && !text.contains("sesame"), "{text}");
    let ended = replay(&captured.path, "--sim chat --seeds 5");
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn what_would_miss_something_or_has_nothing_to_redact_is_refused() {
    for (flags, says) in [
        ("--capture x --capture-redact matches:a", "--framing raw has no frames"),
        ("--capture-redact payloads", "--capture-redact payloads is for --capture"),
        ("--capture-redact=matches:a --framing lines", "matches:a is for --capture"),
    ] {
        let line = run(serve("echo", flags)).failure_alone(2).to_owned();
        assert!(line.contains(says), "'{says}' is not in {line}");
    }
}
