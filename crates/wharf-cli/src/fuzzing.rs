//! What cargo-fuzz tries with made-up command lines, and the test here replays from the corpus
//! (`fuzz/corpus/args`).

use std::ffi::{OsStr, OsString};
use std::fmt::{Debug, Display};
use std::str::FromStr;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use wharf::capture::Chosen;
use wharf::{Address, Framing, Limits, SlowReader};

use crate::args::{Command, Listen, Parsed, Target, UNBOUNDED, bytes, definition, parse_line};
use crate::failure::Exit;
use crate::load::LoadOptions;
use crate::serve::{AdminPlace, CapturePlace, ServeOptions};

/// Values that mean something to one flag or another.
const VALUES: [&str; 28] = [
    "0",
    "1",
    "65535",
    "65536",
    "18446744073709551616",
    "-1",
    "1.5",
    "1e9",
    "nan",
    "inf",
    "64KiB",
    "16MiB",
    "17MiB",
    "KiB",
    // One KiB more than 64 bits hold.
    "18014398509481985KiB",
    "off",
    "-",
    "127.0.0.1",
    "127.0.0.1:0",
    "[::1]:80",
    "localhost",
    "localhost:7777",
    "a:b:1",
    "unix",
    "unix:",
    "unix:/a b",
    "unix:@a",
    r"unix:\xff",
];

/// Reads command lines: each gives a plan that holds together, a text to print, or one line and exit
/// code 2.
pub fn args(data: &[u8]) {
    // Input that is too short for a command line is none.
    let _ = try_one(&mut Unstructured::new(data));
}

fn try_one(input: &mut Unstructured<'_>) -> Result<()> {
    let line = command_line(input)?;
    match parse_line(&line) {
        Ok(Parsed::Run(command)) => {
            check(&command);
            check_that_none_comes_twice(&line);
            let again = parse_line(&line).map(|again| format!("{again:?}")).ok();
            assert_eq!(again, Some(format!("{:?}", Parsed::Run(command))));
        }
        Ok(Parsed::Print(text)) => assert!(text.ends_with('\n'), "{text:?}"),
        Err(failure) => {
            let (exit, text) = failure.parts();
            assert_eq!(exit, Exit::Arguments);
            assert!(line.len() < 2 || is_one_line(text), "{text:?}");
        }
    }
    line.iter().filter_map(|word| word.to_str()).for_each(check_value);
    check_value(&String::from_utf8_lossy(input.bytes(input.len())?));
    Ok(())
}

/// A line of the words that the program knows, of values, and of anything.
fn command_line(input: &mut Unstructured<'_>) -> Result<Vec<OsString>> {
    let mut line = vec![OsString::from("wharf")];
    let mut command = definition();
    while command.has_subcommands() && input.ratio(9, 10)? {
        let names: Vec<&clap::Command> = command.get_subcommands().collect();
        let next = (*input.choose(&names)?).clone();
        line.push(next.get_name().into());
        command = next;
    }
    let flags: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    for _ in 0..input.int_in_range(0..=8)? {
        let value = value(input)?;
        if flags.is_empty() || input.ratio(1, 10)? {
            line.push(value);
            continue;
        }
        let mut flag = OsString::from(format!("--{}", input.choose(&flags)?));
        if input.arbitrary()? {
            flag.push("=");
            flag.push(value);
            line.push(flag);
        } else {
            line.extend([flag, value]);
        }
    }
    Ok(line)
}

/// A number, a name that some flag takes, or anything.
fn value(input: &mut Unstructured<'_>) -> Result<OsString> {
    Ok(match input.int_in_range(0..=4)? {
        0 => input.choose(&VALUES)?.into(),
        1 => input.int_in_range(0..=70_000u32)?.to_string().into(),
        2 => input
            .choose(&[
                "raw",
                "lines",
                "u16le",
                "u32be",
                "game",
                "fixed:64",
                r"delimiter:\r\n",
                "length:1:3:be:2",
            ])?
            .into(),
        3 => input
            .choose(&["pause", "disconnect", "drop-newest", "drop-oldest", "auto", "both"])?
            .into(),
        _ => {
            let len = input.int_in_range(0..=12)?;
            any_word(input.bytes(len)?)
        }
    })
}

#[cfg(unix)]
fn any_word(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn any_word(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn is_one_line(text: &str) -> bool {
    let line = text.strip_prefix("wharf: error: ").and_then(|line| line.strip_suffix('\n'));
    line.is_some_and(|line| !line.is_empty() && !line.chars().any(char::is_control))
}

/// What a command is given is what it can do.
fn check(command: &Command) {
    match command {
        Command::ServeEcho(options) | Command::ServeChat(options) => check_serve(options),
        Command::LoadEcho(options) => check_load(options),
        Command::LoadChat(options) => check_load(&options.load),
        Command::LoadAccept(options) => check_load(&options.load),
        Command::LoadIdle(options) => check_load(&options.load),
        Command::LoadStorm(options) => check_load(&options.guests.honest),
        Command::LoadSlowReader(options) | Command::LoadSlowloris(options) => {
            check_load(&options.guests.honest);
        }
        Command::Proxy(options) => {
            comes_back::<Listen>(&options.listen.to_string());
            comes_back::<Target>(&options.connect.to_string());
        }
        Command::Top(options) => {
            assert!(
                (Duration::from_millis(100)..=Duration::from_secs(60)).contains(&options.interval)
            );
            assert!((1..=1000).contains(&options.limit));
            assert!(options.once || options.json.is_none());
        }
        Command::Sim(options) => {
            assert!(options.seeds.count > 0 && options.jobs > 0 && options.replays_percent <= 100);
            assert!(!options.trace || options.seeds.count == 1);
        }
        Command::ModelsCompare(options) => {
            assert!(options.rounds > 0 && !options.duration.is_zero());
            assert!(!options.models.is_empty() && !options.connections.is_empty());
            assert!(options.connections.is_sorted_by(|one, next| 0 < *one && one < next));
        }
        Command::Replay(_)
        | Command::ModelsList
        | Command::ModelsRun(_)
        | Command::ModelsExperiment(_) => {}
    }
}

fn check_load(options: &LoadOptions) {
    let framing = &options.framing;
    assert!(options.size <= framing.payload_max() && options.size >= framing.payload_min());
    assert!(options.sessions > 0 && options.size > 0);
    comes_back::<Target>(&options.connect.to_string());
}

fn check_serve(options: &ServeOptions) {
    let ServeOptions { listen, workers, framing, limits, .. } = options;
    assert!(!listen.is_empty());
    assert!(workers.is_none_or(|workers| (1..=1_024).contains(&workers)));
    assert!((1..=framing.payload_max()).contains(&limits.frame_bytes_max));
    assert!((framing.payload_min()..=Limits::FRAME_BYTES_MAX).contains(&limits.frame_bytes_max));
    let drops = matches!(limits.slow_reader, SlowReader::DropNewest | SlowReader::DropOldest);
    assert!(*framing != Framing::RAW || !drops);
    let times = [limits.idle, limits.first_frame, limits.frame_deadline, Some(limits.drain)];
    assert!(times.iter().flatten().all(|time| !time.is_zero()));
    assert!(limits.send_bytes_max >= 4 << 10);
    let is_safe = |admin: &AdminPlace| match &admin.listen {
        Address::Tcp(address) => address.ip().is_loopback() || admin.token_file.is_some(),
        Address::Unix(at) => at.path_bytes().is_some() || admin.token_file.is_some(),
    };
    assert!(options.admin.as_ref().is_none_or(is_safe));
    let is_on_request = |capture: &CapturePlace| capture.options.chosen == Chosen::None;
    if options.capture.as_ref().is_some_and(is_on_request) {
        assert!(options.admin.as_ref().is_some_and(AdminPlace::is_private));
    } else {
        assert!(options.capture.as_ref().is_none_or(|capture| capture.path.is_some()));
    }
    for address in listen {
        comes_back::<Listen>(&address.to_string());
    }
}

/// What is said twice is refused, and neither taken nor left to a default.
fn check_that_none_comes_twice(line: &[OsString]) {
    let is_flag = |word: &OsStr| word.as_encoded_bytes().starts_with(b"--");
    // There may be many addresses to listen on, networks and names.
    let repeats = |word: &OsStr| {
        let many: [&[u8]; 6] = [
            b"--listen",
            b"--allow",
            b"--deny",
            b"--proxy-from",
            b"--admin-host",
            b"--capture-peer",
        ];
        many.iter().any(|flag| word.as_encoded_bytes().starts_with(flag))
    };
    for (at, word) in line.iter().enumerate().filter(|(_, word)| is_flag(word) && !repeats(word)) {
        let value = line.get(at + 1).filter(|value| !is_flag(value));
        let twice: Vec<OsString> = line.iter().chain([word]).chain(value).cloned().collect();
        assert!(parse_line(&twice).is_err(), "{twice:?}");
    }
}

/// A word, or what a flag is set to in it, as every kind of value that does not depend on its flag.
fn check_value(word: &str) {
    let value = word.split_once('=').map_or(word, |(_, value)| value);
    comes_back::<Target>(value);
    comes_back::<Listen>(value);
    check_framing(value);
    check_size(value);
}

/// What is printed of a value that was read is read as the same value. Both are of Unix sockets, or end in
/// a port, the same.
fn comes_back<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    let port = |text: &str| text.trim().rsplit_once(':')?.1.parse::<u16>().ok();
    if let Ok(value) = text.parse::<T>() {
        let printed = value.to_string();
        let are_unix = [text.trim(), &printed].map(|text| text.starts_with("unix:"));
        let same_port = port(text).is_some() && port(text) == port(&printed);
        assert!(are_unix == [true; 2] || same_port, "{text:?} is {printed:?}");
        assert_eq!(printed.parse().ok(), Some(value), "{text:?}");
    }
}

/// A framing is printed as it is read, and the two that read it mean the same.
fn check_framing(text: &str) {
    let (server, client) = (text.parse::<Framing>(), text.parse::<crate::load::Framing>());
    assert_eq!(server.is_ok(), client.is_ok(), "{text:?}");
    if let (Ok(server), Ok(client)) = (server, client) {
        assert_eq!(server.to_string().parse().as_ref(), Ok(&server), "{text:?}");
        let shortest = client.payload_min();
        let header = client.header(shortest);
        assert!(header.len() <= 16 && client.trailer().len() <= 16, "{text:?}");
    }
}

/// A size is its digits times its unit, or it is refused.
fn check_size(text: &str) {
    let units = [("KiB", 1u128 << 10), ("MiB", 1 << 20)];
    let with_unit = units.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit)));
    let (digits, unit) = with_unit.unwrap_or((text, 1));
    let exact = digits.parse::<u64>().ok().map(|count| u128::from(count) * unit);
    let expected = exact.filter(|size| (1..=u128::from(UNBOUNDED)).contains(size));
    assert_eq!(bytes(1, UNBOUNDED)(text).ok().map(u128::from), expected, "{text:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_line_is_a_plan_or_one_line_and_exit_code_2() {
        let corpus = format!("{}/../../fuzz/corpus/args", env!("CARGO_MANIFEST_DIR"));
        let mut files = 0;
        for entry in std::fs::read_dir(&corpus).unwrap() {
            let path = entry.unwrap().path();
            // What is printed is shown if the run panics.
            println!("{}", path.display());
            args(&std::fs::read(&path).unwrap());
            files += 1;
        }
        assert!(files > 0, "{corpus} is empty");
    }
}
