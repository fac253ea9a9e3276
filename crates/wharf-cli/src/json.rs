//! Results as JSON, for scripts.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::failure::{self, Exit, Failure};

/// Where the JSON goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum JsonTarget {
    Stdout,
    File(PathBuf),
}

impl From<PathBuf> for JsonTarget {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == "-" { Self::Stdout } else { Self::File(path) }
    }
}

/// Where the JSON goes, opened before the run so that a wrong path does not cost the result. A file
/// is emptied then: an old result is never taken for the one of a run that failed.
#[derive(Debug)]
pub(crate) enum JsonSink {
    None,
    Stdout,
    File(File, String),
}

impl JsonSink {
    pub(crate) fn open(target: Option<&JsonTarget>) -> Result<Self, Failure> {
        match target {
            None => Ok(Self::None),
            Some(JsonTarget::Stdout) => Ok(Self::Stdout),
            Some(JsonTarget::File(path)) => {
                let name = path.display().to_string();
                let file = File::create(path).map_err(|error| {
                    Failure::arguments(format_args!(
                        "cannot write --json {name}: {error}; give a path that can be written, or - \
                         for the standard output"
                    ))
                })?;
                Ok(Self::File(file, name))
            }
        }
    }

    pub(crate) fn write(&mut self, report: &impl Serialize) -> Result<(), Failure> {
        let broken = |name: &str, error: io::Error| {
            Failure::new(Exit::Failed, format_args!("cannot write --json {name}: {error}"))
        };
        let mut line =
            serde_json::to_string(report).map_err(|error| broken("at all", error.into()))?;
        line.push('\n');
        match self {
            Self::None => Ok(()),
            Self::Stdout => {
                failure::print(line);
                Ok(())
            }
            Self::File(file, name) => {
                file.write_all(line.as_bytes()).map_err(|error| broken(name, error))
            }
        }
    }
}
