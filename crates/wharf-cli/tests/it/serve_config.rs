//! `wharf serve --config`: what a file can say, what goes before it, and what is said of a wrong one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Ended, run, wharf};
use crate::serving::{Serving, Signal, check_echo, check_receives, serve_echo};

/// A file that is gone when the test is over.
struct Config(PathBuf);

impl Config {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// `wharf serve echo` with it.
    fn serve(&self) -> Command {
        wharf(["serve", "echo", "--config", self.path()])
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What is wrong in a file: its text, the line that is named, the key, and what would be right.
const WRONG: [(&str, usize, &str, &str); 27] = [
    // A key that there is not.
    ("workers = 1\nwrokers = 2", 2, "no key wrokers", "the nearest is workers"),
    ("[limits]\nframe_max = 1", 2, "no key frame_max", "the nearest is frame-max"),
    ("[sockets]\n\nKeepAlive = 1", 3, "no key KeepAlive", "the nearest is keepalive"),
    ("xyzzy = 1", 1, "no key xyzzy", "--print-config shows all"),
    ("config = \"x\"", 1, "config", "leave it out"),
    // A value of another type.
    ("workers = \"2\"", 1, "workers takes a whole number without quotes", "and not text"),
    ("workers = 2.0", 1, "workers takes a whole number", "and not a number with decimals"),
    ("listen = 7777", 1, "listen takes text in quotes, or a list", "and not a whole number"),
    ("listen = [\"127.0.0.1:0\",\n 1]", 2, "listen takes text", "and not a whole number"),
    ("[limits]\nidle = true", 2, "idle takes seconds", "or \"off\", and not true or false"),
    ("[limits]\nidle = 10:00:00", 2, "idle takes seconds", "and not a date"),
    ("[sockets]\ndual-stack = \"on\"", 2, "dual-stack takes true or false", "and not text"),
    ("drain = [1]", 1, "drain takes seconds", "and not a list"),
    // A value out of its range.
    ("workers = 1025", 1, "workers cannot be '1025'", "from 1 to 1024"),
    ("workers = -1", 1, "workers cannot be '-1'", "from 1 to 1024"),
    ("[limits]\nframe-max = 0x2000000", 2, "frame-max cannot be '33554432'", "1 B to 16MiB"),
    ("[limits]\nidle = nan", 2, "idle cannot be 'nan'", "seconds from 0.001 to 31536000"),
    ("backend = \"epoll\"", 1, "backend cannot be 'epoll'", "auto, uring, readiness or iocp"),
    ("listen = []", 1, "listen is empty", "at least one"),
    // The same key twice.
    ("workers = 1\n\n\nworkers = 2", 4, "duplicate key", "workers"),
    // No TOML.
    ("workers = 1\nlisten 127.0.0.1:7777", 2, "not TOML", "expected `=`"),
    ("farewell = \"bye", 1, "invalid basic string", "expected `\"`"),
    // The wrong section, and none.
    ("workers = 1\nidle = 3", 2, "idle belongs in [limits]", "stands at the top"),
    ("[limits]\nworkers = 1", 2, "workers belongs at the top", "stands in [limits]"),
    ("[sockets]\nsend-max = 4096", 2, "send-max belongs in [limits]", "stands in [sockets]"),
    ("\n[limit]\nidle = 3", 2, "no section [limit]", "the nearest is [limits]"),
    ("limits = 3", 1, "limits is a section", "write [limits]"),
];

#[test]
fn a_mistake_is_one_line_with_file_line_key_and_what_would_be_right() {
    for (text, line, key, right) in WRONG {
        let config = Config::new("mistake", text);
        let ended = run(config.serve());
        let said = ended.failure_alone(2);
        for part in [&format!("{} line {line}: ", config.path()), key, right] {
            assert!(said.contains(part), "'{part}' is not said of {text:?}: {said}");
        }
    }
}

#[test]
fn a_mistake_of_any_length_is_a_short_line() {
    let long = "é".repeat(100_000);
    for (text, says) in [
        (format!("{long}x = 1"), "not TOML"),
        (format!("\"{long}\" = 1"), "no key éé"),
        (format!("[\"{long}\"]\nworkers = 1"), "no section [éé"),
        (format!("backend = \"{long}\""), "backend cannot be 'éé"),
        (format!("listen = {}", "[".repeat(300_000)), "not TOML"),
        (format!("workers = {}", "9".repeat(300_000)), "workers cannot be '99"),
        ("a.".repeat(200_000) + "b = 1", "line 1"),
    ] {
        let config = Config::new("length", &text);
        let ended = run(config.serve());
        let said = ended.failure_alone(2);
        let start: String = text.chars().take(20).collect();
        assert!(said.contains(says), "{says} is not said of {start}: {said}");
        assert!(said.len() < 1_000, "{} bytes of {start}", said.len());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_the_reason() {
    let target = env!("CARGO_TARGET_TMPDIR");
    let missing = format!("{target}/there-is-none.toml");
    let config = |path: &str| run(wharf(["serve", "echo", "--config", path]));
    let check = |path: &str, says: &str| {
        let ended = config(path);
        let said = ended.failure_alone(2);
        assert!(said.contains(path) && said.contains(says), "{says} is not said: {said}");
    };
    check(&missing, "No such file or directory");
    check(target, "it is a directory: give a file");
    let latin1 = Config::new("latin1", b"workers = 1\nfarewell = \"\xe9\"");
    check(latin1.path(), "line 2 is not text in UTF-8");
    let long = Config::new("long", "#".repeat((1 << 20) + 1));
    check(long.path(), "longer than 1MiB");
    // It may be opened by its own process, and has nothing at its beginning that can be read.
    #[cfg(target_os = "linux")]
    check("/proc/self/mem", "cannot be read");
}

#[test]
fn values_that_contradict_each_other_are_told_with_where_each_comes_from() {
    let config =
        Config::new("contradiction", "[limits]\nslow = \"drop-newest\"\nframe-max = 65536");
    let ended = run(config.serve());
    let said = ended.failure_alone(2);
    let file = config.path();
    let from = format!("--slow from {file} line 2, --framing from the default");
    assert!(said.contains(&from), "{said}");
    let mut command = config.serve();
    command.args(["--slow", "pause"]).env("WHARF_FRAMING", "u16le");
    let ended = run(command);
    let from = format!("--frame-max from {file} line 3, --framing from environment WHARF_FRAMING");
    assert!(ended.failure_alone(2).contains(&from), "{ended:?}");
    // Who has given both knows where they are.
    let ended = run(serve_echo("--slow drop-newest --framing raw"));
    assert!(ended.failure_alone(2).ends_with("another framing"), "{ended:?}");
}

/// What is printed of a key.
#[track_caller]
fn printed<'a>(ended: &'a Ended, key: &str) -> &'a str {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let start = format!("{key} = ");
    ended.stdout.lines().find_map(|line| line.strip_prefix(&start)).unwrap()
}

#[test]
fn a_flag_goes_before_the_environment_the_file_and_the_default() {
    let config = Config::new("order", "drain = 1\nworkers = 1\n\n[limits]\nidle = 1\n");
    let file = config.path();
    let mut command = config.serve();
    command
        .env("WHARF_DRAIN", "2")
        .env("WHARF_WORKERS", "2")
        .args(["--workers=3", "--print-config"]);
    let ended = run(command);
    assert_eq!(printed(&ended, "workers"), "3  # flag");
    assert_eq!(printed(&ended, "drain"), "2  # environment WHARF_DRAIN");
    assert_eq!(printed(&ended, "idle"), format!("1  # {file} line 5"));
    assert_eq!(printed(&ended, "frame-deadline"), "10  # default");
    // The file itself may be named by the environment, and be asked for there.
    let mut command = wharf(["serve", "chat"]);
    command.env("WHARF_CONFIG", file).env("WHARF_PRINT_CONFIG", "true");
    let ended = run(command);
    assert_eq!(printed(&ended, "idle"), format!("1  # {file} line 5"));
    assert_eq!(printed(&ended, "framing"), "\"lines\"  # default");
}

#[test]
fn a_server_is_what_its_file_says() {
    let text = "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nworkers = 3\nbackend = \"readiness\"\n\
                framing = \"lines\"\nfarewell = \"it's \\\"over\\\"\"\n[limits]\nsessions-max = 1\n";
    let config = Config::new("server", text);
    let serving = Serving::spawn(config.serve());
    assert!(serving.line.ends_with("backend=readiness workers=3"), "{}", serving.line);
    assert_eq!(serving.addresses().len(), 2);
    let client = serving.connect();
    check_echo(&client, b"a session\n");
    serving.signal(Signal::TERM);
    check_receives(&client, b"it's \"over\"\n");
    drop(client);
    // What is printed of it makes the same server.
    let mut command = config.serve();
    command.arg("--print-config");
    let again = Config::new("server-again", run(command).stdout);
    let serving = Serving::spawn(again.serve());
    assert!(serving.line.ends_with("backend=readiness workers=3"), "{}", serving.line);
    serving.stop();
}
