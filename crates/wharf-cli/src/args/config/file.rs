//! Reads a config file. What is wrong with it is one line, with the file, the line and the key.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use clap::Command;
use clap::builder::OsStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{Key, NOT_IN_FILES, Schema};
use super::value::type_of;
use crate::failure::Failure;

/// Longer than any config file is.
const BYTES_MAX: u64 = 1 << 20;

/// A config file that has been read and checked, key by key.
#[derive(Debug)]
pub(in crate::args) struct ConfigFile {
    /// As it was given.
    pub(super) name: String,
    settings: Vec<Setting>,
}

/// What a file says of one key.
#[derive(Debug)]
struct Setting {
    id: String,
    /// As the flag takes them; one, unless it takes several.
    texts: Vec<String>,
    line: usize,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// One line and exit code 2: it cannot be read, it is not TOML, it has a key that there is not, or a
    /// value that its key does not take.
    pub(in crate::args) fn read(path: &Path, schema: &Schema) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let text = text_of(path)
            .map_err(|problem| Failure::arguments(format_args!("--config {name}: {problem}")))?;
        let reader = Reader { name: &name, text: &text, schema };
        let settings = reader.settings()?;
        Ok(Self { name, settings })
    }

    /// A command whose flags have what the file says as their defaults.
    pub(in crate::args) fn as_defaults(&self, command: Command) -> Command {
        self.settings.iter().fold(command, |command, setting| {
            let values: Vec<OsStr> = setting.texts.iter().map(OsStr::from).collect();
            command.mut_arg(setting.id.as_str(), |arg| arg.default_values(values))
        })
    }

    /// The line in which a flag is set, if the file sets it.
    pub(super) fn line_of(&self, id: &str) -> Option<usize> {
        self.settings.iter().find(|setting| setting.id == id).map(|setting| setting.line)
    }
}

/// The text of a file, or what keeps it from being read.
fn text_of(path: &Path) -> Result<String, Cow<'static, str>> {
    if path.is_dir() {
        return Err("it is a directory: give a file".into());
    }
    let unreadable =
        |error: std::io::Error| format!("cannot be read: {error}; give a file that can");
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err("it is longer than 1MiB: give a config file".into());
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = line_at(error.as_bytes(), error.utf8_error().valid_up_to());
        format!("line {line} is not text in UTF-8").into()
    })
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// A file that is being read.
struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    schema: &'a Schema,
}

impl Reader<'_> {
    fn settings(&self) -> Result<Vec<Setting>, Failure> {
        let table = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().unwrap_or_default();
            let problem = error.message().replace('\n', ", ");
            let piece = self.text.get(at.clone()).unwrap_or_default();
            match piece.trim().is_empty() || piece.contains('\n') {
                true => self.failure(&at, format_args!("not TOML: {problem}")),
                false => {
                    self.failure(&at, format_args!("not TOML: {problem}, at '{}'", short(piece)))
                }
            }
        })?;
        let mut settings = Vec::new();
        for (key, value) in table.get_ref() {
            let name: &str = key.get_ref();
            match value.get_ref() {
                DeValue::Table(section) if self.schema.sections().contains(&name) => {
                    for (key, value) in section {
                        let (at, key) =
                            (key.span(), self.key(key.get_ref(), Some(name), &key.span())?);
                        settings.push(self.setting(key, &at, value)?);
                    }
                }
                DeValue::Table(_) if self.schema.key(name).is_none() => {
                    return Err(self.unknown_section(name, &key.span()));
                }
                _ => {
                    let (at, key) = (key.span(), self.key(name, None, &key.span())?);
                    settings.push(self.setting(key, &at, value)?);
                }
            }
        }
        Ok(settings)
    }

    /// The key of this name, which has to be in the section that it stands in.
    fn key(&self, name: &str, section: Option<&str>, at: &Range<usize>) -> Result<&Key, Failure> {
        let key = self.schema.key(name).ok_or_else(|| self.unknown_key(name, at))?;
        if key.section.as_deref() == section {
            return Ok(key);
        }
        let place = |section: Option<&str>| match section {
            Some(section) => format!("in [{section}]"),
            None => "at the top, before all sections".to_owned(),
        };
        Err(self.failure(
            at,
            format_args!(
                "{name} belongs {}, and stands {}",
                place(key.section.as_deref()),
                place(section)
            ),
        ))
    }

    fn setting(
        &self,
        key: &Key,
        at: &Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<Setting, Failure> {
        let (at, mut texts) = (at, Vec::new());
        match value.get_ref() {
            DeValue::Array(values) if key.is_list => {
                for value in values {
                    texts.push(self.text(key, value, &value.span())?);
                }
            }
            _ => texts.push(self.text(key, value, at)?),
        }
        if texts.is_empty() && key.has_default() {
            return Err(self.failure(at, format_args!("{} is empty: give at least one", key.name)));
        }
        Ok(Setting { id: key.id().to_owned(), texts, line: self.line(at) })
    }

    /// The text of one value, which its flag takes.
    fn text(
        &self,
        key: &Key,
        value: &Spanned<DeValue<'_>>,
        at: &Range<usize>,
    ) -> Result<String, Failure> {
        let takes_off = key.takes_off();
        let Some(text) = key.kind.text(value.get_ref(), takes_off) else {
            let list = if key.is_list { ", or a list of it" } else { "" };
            let off = if takes_off { ", or \"off\"" } else { "" };
            return Err(self.failure(
                at,
                format_args!(
                    "{} takes {}{list}{off}, and not {}",
                    key.name,
                    key.kind.expects(),
                    type_of(value.get_ref()),
                ),
            ));
        };
        key.check(&text).map_err(|range| {
            // Some say again what they refuse.
            let (text, range) = (short(&text), range.replace(&text, short(&text)));
            self.failure(at, format_args!("{} cannot be '{text}': {range}", key.name))
        })?;
        Ok(text)
    }

    fn unknown_key(&self, name: &str, at: &Range<usize>) -> Failure {
        let name = short(name);
        if NOT_IN_FILES.contains(&name) {
            return self.failure(
                at,
                format_args!("{name} is for the command line and the environment: leave it out"),
            );
        }
        if self.schema.sections().contains(&name) {
            return self.failure(at, format_args!("{name} is a section: write [{name}]"));
        }
        let names = self.schema.keys.iter().map(|key| key.name.as_str());
        match nearest(name, names) {
            Some(near) => {
                self.failure(at, format_args!("there is no key {name}: the nearest is {near}"))
            }
            None => self.failure(
                at,
                format_args!("there is no key {name}: --print-config shows all that there are"),
            ),
        }
    }

    fn unknown_section(&self, name: &str, at: &Range<usize>) -> Failure {
        let name = short(name);
        let sections = self.schema.sections();
        let all = sections.iter().map(|section| format!("[{section}]")).collect::<Vec<_>>();
        match nearest(name, sections.into_iter()) {
            Some(near) => self
                .failure(at, format_args!("there is no section [{name}]: the nearest is [{near}]")),
            None => self.failure(
                at,
                format_args!("there is no section [{name}]: give one of {}", all.join(", ")),
            ),
        }
    }

    fn line(&self, at: &Range<usize>) -> usize {
        line_at(self.text.as_bytes(), at.start)
    }

    fn failure(&self, at: &Range<usize>, problem: impl fmt::Display) -> Failure {
        Failure::arguments(format_args!("{} line {}: {problem}", self.name, self.line(at)))
    }
}

/// As much of a text as a line has room for.
fn short(text: &str) -> &str {
    const CHARS_MAX: usize = 60;
    text.char_indices().nth(CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// The name that a wrong one was most likely meant to be, if any is near.
fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this the two have little in common.
    const NEAR: f64 = 0.75;
    let wrong = wrong.to_lowercase().replace('_', "-");
    let likeness = |name: &str| strsim::jaro_winkler(&wrong, name);
    let best = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) >= NEAR).then_some(best)
}
