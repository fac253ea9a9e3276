//! Wrong command lines: one line that says what, why and what to do, and exit code 2.

use crate::program::{Ended, run, wharf};

#[track_caller]
fn check_refused(arguments: &str, says: &[&str]) {
    check_says(&run(wharf(arguments.split_whitespace())), arguments, says);
}

#[track_caller]
fn check_says(ended: &Ended, arguments: &str, says: &[&str]) {
    let line = ended.failure_alone(2);
    for part in says {
        assert!(line.contains(part), "{arguments}: '{part}' is not in: {line}");
    }
}

#[test]
fn a_value_out_of_its_range_is_named_with_its_flag_and_its_range() {
    for (flag, wrong, says) in [
        ("--sessions", "0", "from 1 to 4194304"),
        ("--sessions", "4194305", "from 1 to 4194304"),
        ("--sessions", "many", "whole number"),
        ("--size", "0", "give 1 B to 16MiB"),
        ("--size", "17MiB", "give 1 B to 16MiB"),
        ("--size", "64kb", "such as 512 or 64KiB"),
        ("--depth", "0", "from 1 to 65536"),
        ("--depth", "65537", "from 1 to 65536"),
        ("--rate", "0", "from 1 to 100000000"),
        ("--rate", "0.5", "whole number"),
        ("--duration", "0", "seconds from 0.001"),
        ("--duration", "off", "seconds from 0.001"),
        ("--duration", "-1", "'-1'"),
        ("--patience", "0", "seconds from 0.001"),
        ("--warmup", "0", "or off"),
        ("--messages", "0", "from 1 to 4294967296"),
        ("--framing", "u64le", "raw, lines, u16le, u16be, u32le, u32be, game, fixed:N"),
        ("--framing", "fixed:0", "at least 1"),
        ("--backend", "kqueue", "auto, uring, readiness or iocp"),
        ("--server-pid", "0", "from 1 to"),
        ("--connect", "7777", "IP:PORT"),
        ("--connect", "127.0.0.1", "IP:PORT"),
        ("--connect", "127.0.0.1:0", "give a port from 1 to 65535"),
        ("--connect", "127.0.0.1:99999", "IP:PORT"),
        ("--connect", "::1:7777", "[IPV6]:PORT"),
        ("--connect", "bad host:7777", "NAME:PORT"),
    ] {
        let ended = run(wharf(["load", "echo", flag, wrong]));
        check_says(&ended, flag, &[flag, wrong, says]);
        let ended = run(wharf(["load", "echo", &format!("{flag}={wrong}")]));
        check_says(&ended, flag, &[flag, wrong, says]);

        let variable = format!("WHARF_{}", flag[2..].replace('-', "_").to_uppercase());
        let mut command = wharf(["load", "echo"]);
        command.env(&variable, wrong);
        check_says(&run(command), flag, &[flag, wrong, says, &variable]);
    }
}

#[test]
fn flags_of_the_modes_of_load_keep_to_their_ranges() {
    for (line, says) in [
        ("accept --ending maybe", "give one of [reset, close]"),
        ("accept --rate 0", "from 1 to 100000000"),
        ("accept --depth 2", "--depth"),
        ("idle --every 0", "seconds from 0.001"),
        ("idle --every off", "seconds from 0.001"),
        ("storm --seed 0", "1 or more"),
        ("storm --honest 0", "from 1 to 4194304"),
        ("slow-reader --read-rate 0", "give 1 B to 1024MiB"),
        ("slow-reader --send-rate 2000MiB", "give 1 B to 1024MiB"),
        ("slowloris --drip 0", "seconds from 0.001"),
        ("slowloris --framing fixed:32", "give 32"),
    ] {
        check_refused(&format!("load {line}"), &[says]);
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    check_refused("load echo --framing u16le --size 64KiB", &["64KiB", "u16le", "65535", "u32"]);
    check_refused("load echo --framing game --size 65532", &["65532", "game", "at most 65531"]);
    check_refused("load echo --framing fixed:32", &["--size 64 B", "fixed:32", "give 32"]);
    check_refused("load echo --framing length:0:2:be:100", &["--size 64 B", "give 100 or more"]);
    check_refused("load echo --messages 5 --duration 1", &["--messages", "--duration"]);
    check_refused("load echo --messages 5 --warmup 1", &["--messages", "--warmup"]);
    check_refused(
        "load chat --sessions 1 --echo-to-sender off",
        &["--echo-to-sender off leaves nobody", "--sessions 2"],
    );
    let mut command = wharf(["load", "chat", "--sessions", "1"]);
    command.env("WHARF_ECHO_TO_SENDER", "off");
    check_says(&run(command), "environment", &["--echo-to-sender off leaves nobody"]);
    let mut command = wharf(["load", "echo"]);
    command.env("WHARF_MESSAGES", "5").env("WHARF_DURATION", "1");
    check_says(&run(command), "environment", &["--messages", "--duration"]);
}

#[test]
fn what_is_unknown_or_missing_is_one_line_too() {
    check_refused("load", &["command is missing"]);
    check_refused("serve", &["command is missing"]);
    check_refused("serve ping", &["ping"]);
    check_refused("lod", &["lod"]);
    check_refused("load ecko", &["ecko"]);
    check_refused("load echo --session 5", &["--session", "--sessions"]);
    check_refused("load echo --sessions", &["--sessions"]);
    check_refused("load echo --sessions 1 --sessions 2", &["--sessions"]);
    check_refused("load echo stray", &["stray"]);
}

#[test]
fn a_server_or_a_file_that_is_not_there_is_refused_before_the_start() {
    check_refused("load echo --server-pid 4194304", &["--server-pid 4194304", "/proc"]);
    let why = if cfg!(unix) { "No such file" } else { "os error 3" };
    check_refused("load echo --json /no/such/directory/x.json", &["--json", why]);
}

#[test]
fn a_backend_that_is_not_to_be_had_is_a_failed_start() {
    let foreign = if cfg!(windows) { "uring" } else { "iocp" };
    let ended = run(wharf(["load", "echo", "--backend", foreign]));
    assert!(ended.failure_alone(1).contains(foreign), "{ended:?}");
}

#[test]
fn nothing_at_all_is_answered_with_what_there_is() {
    let ended = run(wharf([""; 0]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("Usage: wharf") && ended.stderr.contains("load"), "{ended:?}");
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in ["--help", "load --help", "load echo --help", "-h", "--version"] {
        let ended = run(wharf(arguments.split_whitespace()));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(ended.stderr, "");
        assert!(ended.stdout.contains("wharf"), "{ended:?}");
    }
    let help = run(wharf(["load", "echo", "--help"])).stdout;
    for flag in [
        "connect",
        "sessions",
        "size",
        "depth",
        "rate",
        "duration",
        "warmup",
        "messages",
        "patience",
        "framing",
        "backend",
        "server-pid",
        "json",
    ] {
        assert!(help.contains(&format!("--{flag}")), "--{flag} in {help}");
        let variable = format!("WHARF_{}", flag.replace('-', "_").to_uppercase());
        assert!(help.contains(&variable), "{variable} in {help}");
    }
}
