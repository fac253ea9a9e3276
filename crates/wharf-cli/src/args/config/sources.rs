//! Where the values that are in force come from.

use std::fmt::Write;

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::file::ConfigFile;
use super::schema::{Key, Schema};
use crate::failure::shown;

/// The values of a command line that has been read, with its environment and its file.
#[derive(Debug)]
pub(in crate::args) struct Sources<'a> {
    /// Of the innermost command.
    pub(in crate::args) matches: &'a ArgMatches,
    pub(in crate::args) schema: &'a Schema,
    pub(in crate::args) file: Option<&'a ConfigFile>,
}

impl Sources<'_> {
    /// Where a value comes from, for people.
    fn of(&self, key: &Key) -> String {
        let line = self.file.and_then(|file| Some((file, file.line_of(key.id())?)));
        match (self.matches.value_source(key.id()), line) {
            (Some(ValueSource::CommandLine), _) => "flag".to_owned(),
            (Some(ValueSource::EnvVariable), _) => format!("environment {}", key.variable()),
            (_, Some((file, line))) => format!("{} line {line}", shown(&file.name)),
            _ => "default".to_owned(),
        }
    }

    /// What follows a complaint about values: where those come from that do not stand on the command
    /// line and that it names. Empty if all do.
    pub(in crate::args) fn behind(&self, complaint: &str) -> String {
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '-';
        let mut told: Vec<String> = Vec::new();
        let mut elsewhere = false;
        for word in complaint.split(|char| !is_word(char)) {
            let Some(key) = word.strip_prefix("--").and_then(|name| self.schema.key(name)) else {
                continue;
            };
            let source = self.of(key);
            let source = match source.as_str() {
                "flag" => "the command line",
                "default" => "the default",
                source => {
                    elsewhere = true;
                    source
                }
            };
            let line = format!("--{} from {source}", key.name);
            if !told.contains(&line) {
                told.push(line);
            }
        }
        if elsewhere { format!(" ({})", told.join(", ")) } else { String::new() }
    }

    /// A config file that has every value, and behind each where it came from.
    pub(in crate::args) fn print(&self) -> String {
        let mut text = String::new();
        for section in std::iter::once(None).chain(self.schema.sections().into_iter().map(Some)) {
            if let Some(section) = section {
                let _ = write!(text, "\n[{section}]\n");
            }
            for key in self.schema.keys_of(section) {
                let _ = writeln!(text, "{}  # {}", self.setting(key), self.of(key));
            }
        }
        text
    }

    fn setting(&self, key: &Key) -> String {
        let raw = self.matches.get_raw(key.id()).into_iter().flatten();
        // What is not UTF-8 has no parser that takes it.
        let texts: Vec<String> = raw.map(|text| key.kind.toml(&text.to_string_lossy())).collect();
        match &texts[..] {
            [] if key.is_list => format!("{} = []", key.name),
            [] => format!("# {}: {}", key.name, key.unset()),
            [one] if !key.is_list => format!("{} = {one}", key.name),
            many => format!("{} = [{}]", key.name, many.join(", ")),
        }
    }
}
