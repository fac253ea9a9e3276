//! The flags of `wharf serve echo`: what is refused, what is taken, and starts that fail.

use std::net::TcpListener;
use std::process::Command;

use crate::program::{run, wharf};
use crate::serving::{Serving, backends, check_echo, connect, serve_echo};

/// Values that are refused, and what is said about them.
const WRONG: [(&str, &str, &str); 115] = [
    ("--admin", "7779", "IP:PORT, [IPV6]:PORT or unix:/PATH"),
    ("--admin", "localhost:7779", "IP:PORT, [IPV6]:PORT or unix:/PATH"),
    ("--admin", "::1:7779", "IP:PORT, [IPV6]:PORT or unix:/PATH"),
    ("--admin", "127.0.0.1:65536", "IP:PORT, [IPV6]:PORT or unix:/PATH"),
    ("--admin", "unix:", "a Unix socket needs a path"),
    ("--capture-chosen", "", "all or none"),
    ("--capture-chosen", "192.0.2.1", "all or none"),
    ("--capture-redact", "", "payloads, matches:REGEX or off"),
    ("--capture-redact", "password", "payloads, matches:REGEX or off"),
    ("--capture-redact", "matches:", "give matches: something to match"),
    ("--capture-redact", "matches:pass(word", "is no regular expression: unclosed group"),
    ("--capture-redact", "matches:.{1000}{1000}{1000}", "is no regular expression: "),
    ("--admin-host", "", "give a name without a port"),
    ("--admin-host", "wharf.example:7779", "give a name without a port"),
    ("--admin-host", "192.0.2.1", "give a name without a port"),
    ("--admin-host", "wharf.example,a b", "give a name without a port"),
    ("--pin", "1", "on or off"),
    ("--spin", "0", "from 1 to 1000000, or off"),
    ("--spin", "1000001", "from 1 to 1000000, or off"),
    ("--spin", "0.5", "from 1 to 1000000, or off"),
    ("--proxy-from", "10.0.0.1/24", "give 10.0.0.0/24"),
    ("--allow", "localhost", "give an address or a network"),
    ("--allow", "10.0.0.0/33", "give an address or a network"),
    ("--allow", "10.0.0.1/8", "give 10.0.0.0/8"),
    ("--deny", "", "give an address or a network"),
    ("--deny", "::ffff:10.0.0.0/104", "write an IPv4 address or network as such"),
    ("--deny", "10.0.0.0/8,", "give an address or a network"),
    ("--listen", "here", "IP:PORT, [IPV6]:PORT, NAME:PORT or unix:/path"),
    ("--listen", "7777", "IP:PORT"),
    ("--listen", ":7777", "IP:PORT"),
    ("--listen", "127.0.0.1", "IP:PORT"),
    ("--listen", "127.0.0.1:", "IP:PORT"),
    ("--listen", "127.0.0.1:65536", "IP:PORT"),
    ("--listen", "256.0.0.1:7777", "IP:PORT"),
    ("--listen", "::1:7777", "[IPV6]:PORT"),
    ("--listen", "[::1]", "[IPV6]:PORT"),
    ("--listen", "a b:7777", "NAME:PORT"),
    ("--listen", "localhost:65536", "from 0 to 65535"),
    ("--listen", "127.0.0.1:7777,", "IP:PORT"),
    ("--workers", "0", "from 1 to 1024"),
    ("--workers", "1025", "from 1 to 1024"),
    ("--workers", "-1", "from 1 to 1024"),
    ("--workers", "1.5", "from 1 to 1024"),
    ("--workers", "", "from 1 to 1024"),
    ("--dual-stack", "yes", "on or off"),
    ("--dual-stack", "", "on or off"),
    ("--backlog", "0", "from 1 to 65535"),
    ("--backlog", "65536", "from 1 to 65535"),
    ("--keepalive", "0", "from 1 to 32767, or off"),
    ("--keepalive", "32768", "from 1 to 32767, or off"),
    ("--keepalive", "1.5", "from 1 to 32767, or off"),
    ("--keepalive-interval", "off", "from 1 to 32767"),
    ("--keepalive-probes", "128", "from 1 to 127"),
    ("--user-timeout", "0", "seconds from 0.001 to 2073600"),
    ("--user-timeout", "2073601", "seconds from 0.001 to 2073600"),
    ("--send-buffer", "1023", "1KiB to 1024MiB"),
    ("--receive-buffer", "1025MiB", "1KiB to 1024MiB"),
    ("--backend", "epoll", "auto, uring, readiness or iocp"),
    ("--framing", "u64le", "raw, lines, u16le, u16be, u32le, u32be, game, fixed:N"),
    ("--framing", "RAW", "raw, lines, u16le, u16be, u32le, u32be, game, fixed:N"),
    ("--framing", "fixed", "fixed:N"),
    ("--framing", "fixed:0", "give at least 1"),
    ("--framing", "fixed:-1", "fixed:N"),
    ("--framing", "delimiter:", "give 1 to 16"),
    ("--framing", "delimiter:0123456789abcdefg", "give 1 to 16"),
    ("--framing", r"delimiter:\q", "delimiter:TEXT"),
    ("--framing", r"delimiter:\x0", "delimiter:TEXT"),
    ("--framing", "length:0:9:be", "give 1 to 8"),
    ("--framing", "length:14:4:be", "smaller offset"),
    ("--framing", "length:0:4", "length:OFFSET:WIDTH"),
    ("--framing", "length:0:4:me", "length:OFFSET:WIDTH"),
    ("--framing", "length:0:4:be:half", "length:OFFSET:WIDTH"),
    ("--framing", "length:0:4:be:whole:1:2", "length:OFFSET:WIDTH"),
    ("--framing", "length:0:1:be:-256", "nearer to 0"),
    ("--frame-max", "0", "1 B to 16MiB"),
    ("--frame-max", "16777217", "1 B to 16MiB"),
    ("--frame-max", "17MiB", "1 B to 16MiB"),
    ("--frame-max", "64K", "such as 512 or 64KiB"),
    ("--frame-max", "64 KiB", "such as 512 or 64KiB"),
    ("--frame-max", "1.5KiB", "such as 512 or 64KiB"),
    ("--frame-max", "off", "1 B to 16MiB"),
    ("--sessions-max", "0", "1 or more"),
    ("--sessions-max", "off", "1 or more"),
    ("--sessions-max", "99999999999999999999", "1 or more"),
    ("--per-address-max", "0", "1 or more, or off"),
    ("--per-address-max", "none", "1 or more, or off"),
    ("--idle", "0", "seconds from 0.001 to 31536000, such as 2 or 0.5, or off"),
    ("--idle", "0.0", "or off"),
    ("--idle", "-1", "or off"),
    ("--idle", "31536001", "or off"),
    ("--idle", "5s", "or off"),
    ("--idle", "inf", "or off"),
    ("--first-frame", "0", "or off"),
    ("--first-frame", "nan", "or off"),
    ("--frame-deadline", "0", "or off"),
    ("--frame-deadline", "Off", "or off"),
    ("--send-max", "0", "4KiB or more"),
    ("--send-max", "4095", "4KiB or more"),
    ("--send-max", "3KiB", "4KiB or more"),
    ("--send-max", "99999999999999999MiB", "4KiB or more"),
    ("--send-total", "1023KiB", "1MiB or more"),
    ("--send-frames", "0", "1 or more"),
    ("--send-burst", "0", "1 B or more"),
    ("--send-deadline", "0", "0.001 to"),
    ("--unsent-max", "1KiB", "4KiB to"),
    ("--accept-rate", "0", "N or N:BURST"),
    ("--accept-rate", "5:0", "N or N:BURST"),
    ("--frame-rate", "x", "N or N:BURST"),
    ("--byte-rate", "1000000001", "N or N:BURST"),
    ("--over-rate", "drop", "throttle or disconnect"),
    ("--slow", "coalesce", "pause, disconnect, drop-newest or drop-oldest"),
    ("--slow", "drop", "pause, disconnect, drop-newest or drop-oldest"),
    ("--drain", "0", "seconds from 0.001 to 31536000"),
    ("--drain", "off", "seconds from 0.001 to 31536000"),
    ("--log", "loud", "off, error, warn, info, debug or trace"),
];

/// Values at the borders, all of them effective without another flag.
const RIGHT: [&str; 55] = [
    "--proxy-from 10.0.0.0/8 --proxy-from 127.0.0.1,::1",
    "--allow 0.0.0.0/0,::/0 --allow 192.0.2.1 --deny 10.0.0.0/8 --deny ::1",
    "--backlog 1",
    "--backlog 65535",
    "--keepalive 1 --keepalive-interval 1 --keepalive-probes 1",
    "--keepalive 32767 --keepalive-interval 32767 --keepalive-probes 127",
    "--send-buffer 1KiB --receive-buffer 1KiB",
    "--send-buffer 1024MiB --receive-buffer 1024MiB",
    "--keepalive off --user-timeout off --send-buffer off --receive-buffer off --dual-stack off",
    "--workers 1",
    "--framing raw",
    "--framing lines --slow drop-newest",
    "--framing lines --slow drop-oldest",
    "--framing u16le",
    "--framing u16be --frame-max 65535",
    "--framing u32le --frame-max 16MiB",
    "--framing u32be --frame-max 16777216",
    "--framing game --frame-max 65533",
    "--framing fixed:1",
    "--framing fixed:16777216",
    r"--framing delimiter:\r\n",
    r"--framing delimiter:\xFF\0:\\ --slow drop-oldest",
    "--framing length:0:1:be --frame-max 255",
    "--framing length:8:8:le:whole:-4",
    "--framing length:0:3:be:+3",
    "--framing fixed:100000",
    "--frame-max 1",
    "--frame-max 65536",
    "--sessions-max 1",
    "--per-address-max 1",
    "--per-address-max off",
    "--per-address-max 18446744073709551615",
    "--idle 0.001",
    "--idle .5",
    "--idle 31536000",
    "--idle off",
    "--first-frame 0.001",
    "--first-frame 31536000",
    "--first-frame off",
    "--frame-deadline 0.001",
    "--frame-deadline 31536000",
    "--frame-deadline off",
    "--send-max 4096",
    "--send-max 4KiB",
    "--send-max 18446744073709551615",
    "--send-total 1MiB",
    "--slow pause",
    "--slow disconnect",
    "--drain 0.001",
    "--drain 31536000",
    "--log off",
    "--log trace",
    "--backend auto",
    "--backend readiness",
    "--listen localhost:0",
];

fn variable(flag: &str) -> String {
    format!("WHARF_{}", flag[2..].replace('-', "_").to_uppercase())
}

#[test]
fn a_value_out_of_its_range_is_named_with_its_flag_and_its_range() {
    for (flag, wrong, says) in WRONG {
        let check = |command: Command, parts: &[&str]| {
            let ended = run(command);
            let line = ended.failure_alone(2);
            for part in parts {
                assert!(line.contains(part), "{flag}={wrong}: '{part}' is not in: {line}");
            }
        };
        check(wharf(["serve", "echo", &format!("{flag}={wrong}")]), &[flag, says]);
        let mut command = wharf(["serve", "echo"]);
        command.env(variable(flag), wrong);
        check(command, &[flag, says, &variable(flag)]);
    }
}

#[test]
fn every_value_up_to_the_border_starts_a_server() {
    for arguments in RIGHT {
        let ended = Serving::start(arguments).stop();
        // What is logged at `--log trace` is no more to the point than the backend that was chosen.
        let beside = |line: &&str| line.contains("backend readiness") || line.contains(" wharf::");
        let said: Vec<&str> = ended.stderr.lines().filter(|line| !beside(line)).collect();
        assert_eq!(said, ["wharf: 0 sessions drained, 0 forced, 0 bytes lost"]);
        assert_eq!(ended.stdout, "", "{arguments}: one line, and nothing after it");
    }
}

#[test]
fn a_start_is_one_line_of_the_log() {
    let serving = Serving::start("--log info --workers 2");
    let address = serving.address().to_string();
    let ended = serving.stop();
    let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("started")).collect();
    let [line] = lines[..] else { panic!("{:?}", ended.stderr) };
    for part in [&*format!("addresses=\"{address}\""), " backend=", " workers=2"] {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
}

#[test]
fn flags_that_do_not_go_together_are_refused() {
    for (arguments, says) in [
        ("--slow drop-newest", "pause or disconnect"),
        ("--slow drop-oldest --framing raw", "pause or disconnect"),
        ("--frame-max 65536 --framing u16le", "at most 65535"),
        ("--frame-max 64KiB --framing u16be", "at most 65535"),
        ("--frame-max 65534 --framing game", "at most 65533"),
        ("--frame-max 256 --framing length:0:1:le", "at most 255"),
        ("--frame-max 17 --framing fixed:16", "at most 16"),
        ("--frame-max 15 --framing fixed:16", "give 16 or more"),
        ("--framing fixed:16777217", "16MiB are the most"),
        ("--workers 1 --workers 2", "multiple times"),
        ("--listen 127.0.0.1:7999 --listen 127.0.0.1:0,127.0.0.1:7999", "given twice"),
        ("--dual-stack on", "give one, such as [::]:7777"),
        ("--dual-stack on --listen 127.0.0.1:0,0.0.0.0:7999", "give one, such as [::]:7777"),
        ("--workers", "required"),
        ("--worker 1", "--workers"),
        ("stray", "stray"),
    ] {
        let ended = run(serve_echo(arguments));
        assert!(ended.failure_alone(2).contains(says), "{arguments}: {ended:?}");
    }
}

#[test]
fn the_line_names_the_real_ports_the_backend_and_the_workers() {
    for backend in backends() {
        let serving = Serving::start(&format!("--backend {backend} --workers 3"));
        let address = serving.address();
        assert_ne!(address.port(), 0);
        let line = format!("listening on {address} backend={backend} workers=3");
        assert_eq!(serving.line, line);
        serving.stop();
    }
}

#[test]
fn auto_takes_the_best_that_works_and_says_why_it_is_not_the_best_there_is() {
    let serving = Serving::start("");
    assert!(serving.line.contains(&format!("backend={}", backends()[0])), "{}", serving.line);
    let cores = std::thread::available_parallelism().unwrap();
    assert!(serving.line.ends_with(&format!("workers={cores}")), "{}", serving.line);
    let said = serving.stop().stderr;
    let says_why = said.contains("wharf: backend readiness, since") && said.contains("io_uring");
    assert_eq!(says_why, cfg!(target_os = "linux") && backends()[0] == "readiness", "{said}");
}

#[test]
fn several_listeners_stand_in_the_line_in_their_order() {
    let has_v6 = TcpListener::bind("[::1]:0").is_ok();
    let last = if has_v6 { "[::1]:0" } else { "127.0.0.1:0" };
    for backend in backends() {
        let serving = Serving::start(&format!(
            "--backend {backend} --workers 2 --listen 127.0.0.1:0 --listen 127.0.0.2:0 --listen {last}"
        ));
        let addresses = serving.addresses();
        let hosts: Vec<String> = addresses.iter().map(|it| it.ip().to_string()).collect();
        assert_eq!(hosts[..2], ["127.0.0.1", "127.0.0.2"]);
        assert_eq!(addresses.len(), 3);
        for address in addresses {
            check_echo(&connect(address).unwrap(), b"hello");
        }
        serving.stop();
    }
}

#[test]
fn a_flag_goes_before_the_environment_and_that_before_the_default() {
    let backend = backends()[backends().len() - 1];
    let environment = [
        ("WHARF_LISTEN", "127.0.0.1:0, 127.0.0.1:0"),
        ("WHARF_WORKERS", "1"),
        ("WHARF_BACKEND", backend),
        ("WHARF_FRAMING", "u16be"),
        ("WHARF_FRAME_MAX", "8"),
        ("WHARF_SESSIONS_MAX", "4"),
        ("WHARF_PER_ADDRESS_MAX", "off"),
        ("WHARF_IDLE", "20"),
        ("WHARF_FIRST_FRAME", "20"),
        ("WHARF_FRAME_DEADLINE", "off"),
        ("WHARF_SEND_MAX", "8KiB"),
        ("WHARF_SLOW", "drop-oldest"),
        ("WHARF_DRAIN", "0.5"),
        ("WHARF_LOG", "off"),
    ];
    let serving = |arguments: &[&str]| {
        let mut command = wharf(["serve", "echo"]);
        command.args(arguments).envs(environment);
        Serving::spawn(command)
    };
    let by_environment = serving(&[]);
    assert_eq!(by_environment.addresses().len(), 2);
    assert!(by_environment.line.ends_with(&format!("backend={backend} workers=1")));
    check_echo(&by_environment.connect(), b"\0\x08exactly8");
    by_environment.stop();

    let by_flag = serving(&[
        "--listen=127.0.0.1:0",
        "--workers=2",
        "--framing=lines",
        "--frame-max=64KiB",
        "--slow=pause",
    ]);
    assert_eq!(by_flag.addresses().len(), 1);
    assert!(by_flag.line.ends_with("workers=2"));
    check_echo(&by_flag.connect(), b"more than eight bytes\n");
    by_flag.stop();

    // What stands behind a flag is not even looked at.
    let mut command = serve_echo("--workers 1");
    command.env("WHARF_WORKERS", "many");
    Serving::spawn(command).stop();
}

#[test]
fn a_second_server_on_the_same_address_fails() {
    for backend in backends() {
        let first = Serving::start(&format!("--backend {backend}"));
        let address = first.address();
        let ended = run(serve_echo(&format!("--backend {backend} --listen {address}")));
        let line = ended.failure_alone(1);
        assert!(line.contains(&address.to_string()) && line.contains("in use"), "{line}");
        check_echo(&first.connect(), b"still here");
        first.stop();
    }
}

#[test]
fn a_start_that_fails_says_why_and_leaves_nothing() {
    for backend in backends() {
        for (arguments, says) in [
            ("--listen 192.0.2.1:7777", "not an address of this machine"),
            ("--listen no-such-host.invalid:7777", "'no-such-host.invalid' does not resolve"),
            ("--sessions-max 1000000000", "--sessions-max"),
            ("--sessions-max 18446744073709551615", "descriptors"),
        ] {
            let ended = run(serve_echo(&format!("--backend {backend} --workers 2 {arguments}")));
            assert!(ended.failure_alone(1).contains(says), "{arguments}: {ended:?}");
        }
        // The listener that could start is gone with the one that could not.
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let listen = format!("--backend {backend} --listen {free} --listen 192.0.2.1:7777");
        run(serve_echo(&listen)).failure_alone(1);
        TcpListener::bind(free).unwrap();
    }
}

#[test]
fn a_backend_of_another_system_is_a_failed_start() {
    let ended = run(serve_echo("--backend iocp"));
    assert!(ended.failure_alone(1).contains("iocp is not available"), "{ended:?}");
}

#[test]
fn too_few_descriptors_name_the_limit_and_what_to_do() {
    let limited = |descriptors: u32, arguments: &str| {
        let mut command = Command::new("/bin/sh");
        let program = env!("CARGO_BIN_EXE_wharf");
        command.env_clear().arg("-c").arg(format!(
            "ulimit -n {descriptors} && exec '{program}' serve echo --listen 127.0.0.1:0 {arguments}"
        ));
        command
    };
    let ended = run(limited(500, "--workers 2 --sessions-max 450"));
    let line = ended.failure_alone(1);
    for part in ["450 sessions", "500", "ulimit -Hn", "--sessions-max 427"] {
        assert!(line.contains(part), "'{part}' is not in: {line}");
    }
    Serving::spawn(limited(500, "--workers 2 --sessions-max 427")).stop();
    let ended = run(limited(60, "--workers 2"));
    assert!(ended.failure_alone(1).contains("--workers"), "{ended:?}");
    Serving::spawn(limited(500, "--workers 2")).stop();
}

#[test]
fn the_help_shows_every_flag_and_how_to_begin() {
    let ended = run(wharf(["serve", "echo", "--help"]));
    for (flag, _, _) in WRONG {
        assert!(ended.stdout.contains(&format!("{flag} <")), "{flag} in {}", ended.stdout);
    }
    for part in ["nc 127.0.0.1 7777", "WHARF_FRAME_MAX", "Exit code", "Ctrl-C"] {
        assert!(ended.stdout.contains(part), "{part} in {}", ended.stdout);
    }
    let widest = ended.stdout.lines().map(str::len).max();
    assert!(widest <= Some(100), "{}", ended.stdout);
}
