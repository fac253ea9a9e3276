//! That no flag is forgotten, and that what is printed is read as the same.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Command as Definition;
use fastrand::Rng;

use super::schema::{Key, NOT_IN_FILES, Schema};
use super::value::Kind;
use crate::args::{Parsed, definition_of, parse_line};

const MODES: [&str; 2] = ["echo", "chat"];

/// Values of which every key takes some, as flags have them; among them what is hard to write in TOML.
const VALUES: [&str; 44] = [
    "10.0.0.0/8",
    "2001:db8::1",
    "1",
    "2",
    "007",
    "+5",
    "300",
    "0.25",
    ".5",
    "1e3",
    "31536000",
    "4096",
    "4KiB",
    "64KiB",
    "2MiB",
    "18446744073709551615",
    "10:20",
    "on",
    "off",
    "127.0.0.1:0",
    "[::1]:0",
    "localhost:80",
    "raw",
    "lines",
    "u32be",
    "fixed:16",
    r"delimiter:\r\n",
    "length:1:3:be:2",
    "auto",
    "readiness",
    "throttle",
    "disconnect",
    "pause",
    "drop-oldest",
    "warn",
    "trace",
    "all",
    "none",
    "payloads",
    r#"matches:(?i)password "\S+""#,
    "it's \"quoted\" # no comment \\ é",
    "\u{7f}\ttab\r\nand line",
    "'''",
    "",
];

fn all_of(mode: &str) -> (Definition, Schema) {
    let definition = definition_of(mode);
    let schema = Schema::of(&definition);
    (definition, schema)
}

#[test]
fn every_flag_is_a_key_and_a_variable_and_is_printed() {
    for mode in MODES {
        let (definition, schema) = all_of(mode);
        let printed = print(&["wharf", "serve", mode].map(OsString::from));
        let mut flags = 0;
        for arg in definition.get_arguments() {
            let name = arg.get_long().unwrap();
            let variable = format!("WHARF_{}", name.replace('-', "_").to_uppercase());
            assert_eq!(arg.get_env(), Some(variable.as_ref()), "the variable of --{name}");
            if NOT_IN_FILES.contains(&name) {
                continue;
            }
            flags += 1;
            let value_name =
                arg.get_value_names().map(|names| names[0].as_str()).unwrap_or_default();
            assert!(
                Kind::of(value_name).is_some(),
                "what a file has for <{value_name}> of --{name}"
            );
            assert_eq!(schema.key(name).map(Key::id), Some(arg.get_id().as_str()), "--{name}");
            let starts = [format!("{name} = "), format!("# {name}: ")];
            let line = |line: &str| starts.iter().any(|start| line.starts_with(start));
            assert!(printed.lines().any(line), "--{name} is not in:\n{printed}");
        }
        assert!(flags > 30, "{flags} flags are walked");
        assert_eq!(schema.keys.len(), flags, "each is one key");
    }
}

#[test]
fn what_is_printed_is_read_as_the_same() {
    let path = scratch();
    let choices = MODES.map(Choices::of);
    let mut plans = 0;
    for (seed, (mode, choices)) in (0..400).zip(MODES.iter().zip(&choices).cycle()) {
        let line = choices.line(mode, &mut Rng::with_seed(seed));
        let Ok(Parsed::Run(asked)) = parse_line(&line) else { continue };
        plans += 1;
        let text = print(&line);
        std::fs::write(&path, &text).unwrap();
        let from_file = with_file(mode, &path);
        let read = match parse_line(&from_file) {
            Ok(Parsed::Run(read)) => format!("{read:?}"),
            other => panic!("seed {seed}: {other:?} of\n{text}"),
        };
        assert_eq!(read, format!("{asked:?}"), "seed {seed}:\n{text}");
        assert_eq!(values(&print(&from_file)), values(&text), "seed {seed}");
    }
    assert!(plans > 100, "{plans} command lines were plans");
    std::fs::remove_file(&path).unwrap();
}

/// The flags of a mode, and what each takes of `VALUES`.
struct Choices(Vec<(String, bool, Vec<&'static str>)>);

impl Choices {
    fn of(mode: &str) -> Self {
        let (_, schema) = all_of(mode);
        let choices = schema.keys.iter().map(|key| {
            let taken: Vec<_> =
                VALUES.into_iter().filter(|value| key.check(value).is_ok()).collect();
            assert!(taken.len() > 1, "VALUES has too little for --{}", key.name);
            (key.name.clone(), key.is_list, taken)
        });
        Self(choices.collect())
    }

    /// A command line in which about every fourth flag is set.
    fn line(&self, mode: &str, rng: &mut Rng) -> Vec<OsString> {
        let mut line = vec![OsString::from("wharf"), "serve".into(), mode.into()];
        for (name, is_list, taken) in &self.0 {
            let most = if *is_list { 2 } else { 1 };
            let times = if rng.u8(0..4) == 0 { rng.usize(1..=most) } else { 0 };
            let values = (0..times).map(|_| taken[rng.usize(..taken.len())]);
            line.extend(values.map(|value| format!("--{name}={value}").into()));
        }
        line
    }
}

fn with_file(mode: &str, path: &Path) -> [OsString; 5] {
    ["wharf".into(), "serve".into(), mode.into(), "--config".into(), path.into()]
}

#[track_caller]
fn print(line: &[OsString]) -> String {
    let mut line = line.to_vec();
    line.push("--print-config".into());
    match parse_line(&line) {
        Ok(Parsed::Print(text)) => text,
        other => panic!("{line:?} gives {other:?}"),
    }
}

/// What is set, without where it came from.
fn values(printed: &str) -> Vec<&str> {
    printed.lines().filter_map(|line| line.rsplit_once("  # ")).map(|(value, _)| value).collect()
}

fn scratch() -> PathBuf {
    std::env::temp_dir().join(format!("wharf-config-{}.toml", std::process::id()))
}
