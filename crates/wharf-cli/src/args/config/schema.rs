//! What may stand in a config file, made of the definition of the command line.

use std::error::Error;

use clap::{Arg, ArgAction, Command};

use super::value::Kind;

/// Flags that are about the file itself, and cannot stand in it.
pub(super) const NOT_IN_FILES: [&str; 2] = ["config", "print-config"];

/// All keys, in the order in which the help shows their flags.
#[derive(Debug)]
pub(in crate::args) struct Schema {
    pub(super) keys: Vec<Key>,
}

/// A key of the file, which is a flag of the command line.
#[derive(Debug)]
pub(super) struct Key {
    arg: Arg,
    /// The flag without its dashes.
    pub(super) name: String,
    /// The heading in the help, in small letters; `None` for keys that stand before all sections.
    pub(super) section: Option<String>,
    pub(super) kind: Kind,
    pub(super) is_list: bool,
}

impl Schema {
    /// The keys of a command.
    pub(in crate::args) fn of(command: &Command) -> Self {
        let keys = command.get_arguments().filter_map(Key::of).collect();
        Self { keys }
    }

    /// The sections, each once.
    pub(super) fn sections(&self) -> Vec<&str> {
        let mut sections: Vec<&str> = Vec::new();
        for section in self.keys.iter().filter_map(|key| key.section.as_deref()) {
            if !sections.contains(&section) {
                sections.push(section);
            }
        }
        sections
    }

    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The keys of a section, or those before all sections.
    pub(super) fn keys_of(&self, section: Option<&str>) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.section.as_deref() == section)
    }
}

impl Key {
    fn of(arg: &Arg) -> Option<Self> {
        let name = arg.get_long()?;
        if NOT_IN_FILES.contains(&name) || ["help", "version"].contains(&name) {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            section: arg.get_help_heading().map(str::to_lowercase),
            kind: arg
                .get_value_names()
                .and_then(|names| Kind::of(names.first()?))
                .unwrap_or(Kind::Text),
            is_list: matches!(arg.get_action(), ArgAction::Append),
            arg: arg.clone(),
        })
    }

    /// What clap calls it.
    pub(super) fn id(&self) -> &str {
        self.arg.get_id().as_str()
    }

    /// The variable of the environment that sets it too.
    pub(super) fn variable(&self) -> String {
        format!("WHARF_{}", self.name.replace('-', "_").to_uppercase())
    }

    /// What it is if nothing sets it, as the help has it; for one that has no default value.
    pub(super) fn unset(&self) -> String {
        let help = self.arg.get_help().map(ToString::to_string).unwrap_or_default();
        let said = help.rsplit_once("[default: ").and_then(|(_, rest)| rest.split_once(']'));
        said.map_or_else(|| "none".to_owned(), |(default, _)| default.to_owned())
    }

    pub(super) fn has_default(&self) -> bool {
        !self.arg.get_default_values().is_empty()
    }

    /// Whether it can be switched off.
    pub(super) fn takes_off(&self) -> bool {
        !matches!(self.kind, Kind::Switch | Kind::Text) && self.check("off").is_ok()
    }

    /// What is wrong with a value, in the words of its flag.
    pub(super) fn check(&self, text: &str) -> Result<(), String> {
        let alone = Command::new("wharf").no_binary_name(true).disable_help_flag(true);
        let line = [format!("--{}={text}", self.name)];
        let read = alone.arg(self.arg.clone()).try_get_matches_from(line);
        let said = |error: &clap::Error| {
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        };
        read.map(drop).map_err(|error| said(&error))
    }

    #[cfg(test)]
    pub(super) const fn arg(&self) -> &Arg {
        &self.arg
    }
}
