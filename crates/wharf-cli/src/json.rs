//! Results as JSON, for scripts.

use std::path::PathBuf;

use serde::Serialize;

use crate::failure::{self, Exit, Failure};
use crate::output_file::OutputFile;

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

/// Where the JSON goes.
#[derive(Debug)]
pub(crate) enum JsonSink {
    None,
    Stdout,
    File(OutputFile),
}

impl JsonSink {
    pub(crate) fn open(target: Option<&JsonTarget>) -> Result<Self, Failure> {
        const ADVICE: &str = "give a path that can be written, or - for the standard output";
        match target {
            None => Ok(Self::None),
            Some(JsonTarget::Stdout) => Ok(Self::Stdout),
            Some(JsonTarget::File(path)) => {
                OutputFile::open("--json", path, ADVICE).map(Self::File)
            }
        }
    }

    pub(crate) fn write(&mut self, report: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_string(report).map_err(|error| {
            Failure::new(Exit::Failed, format_args!("cannot write --json at all: {error}"))
        })?;
        line.push('\n');
        match self {
            Self::None => Ok(()),
            Self::Stdout => {
                failure::print(line);
                Ok(())
            }
            Self::File(file) => file.write(&line),
        }
    }
}
