//! Files that results are written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Exit, Failure};

/// Where a result goes, checked before the run so that a wrong path does not cost the result. What is there stays
/// until the new result is written: a run that is broken off leaves no empty file.
#[derive(Debug)]
pub(crate) struct OutputFile {
    /// The flag that names it.
    flag: &'static str,
    path: PathBuf,
    /// What was there. A pipe must not be opened twice: its reader would see an end.
    opened: Option<File>,
}

impl OutputFile {
    pub(crate) fn open(flag: &'static str, path: &Path, advice: &str) -> Result<Self, Failure> {
        let opened = check(path).map_err(|error| {
            let path = path.display();
            Failure::arguments(format_args!("cannot write {flag} {path}: {error}; {advice}"))
        })?;
        Ok(Self { flag, path: path.to_owned(), opened })
    }

    /// Puts the result in the place of what was there.
    pub(crate) fn write(&mut self, result: &str) -> Result<(), Failure> {
        self.replace(result).map_err(|error| self.broken(error))
    }

    /// That the result is not there.
    pub(crate) fn broken(&self, why: impl std::fmt::Display) -> Failure {
        let Self { flag, path, .. } = self;
        let path = path.display();
        Failure::new(Exit::Failed, format_args!("cannot write {flag} {path}: {why}"))
    }

    fn replace(&mut self, result: &str) -> io::Result<()> {
        let mut file = match self.opened.take() {
            Some(file) => file,
            None => File::create(&self.path)?,
        };
        // Pipes and devices have no length.
        if file.metadata()?.is_file() {
            file.set_len(0)?;
        }
        file.write_all(result.as_bytes())
    }
}

/// Whether a path can be written: what is there, opened, or `None` if there is nothing.
fn check(path: &Path) -> io::Result<Option<File>> {
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => {
            drop(file);
            fs::remove_file(path)?;
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // A link may lead to where nothing is yet.
            OpenOptions::new().write(true).create(true).truncate(false).open(path).map(Some)
        }
        Err(error) => Err(error),
    }
}
