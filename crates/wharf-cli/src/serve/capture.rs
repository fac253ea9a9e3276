//! What the sessions have received and sent, as a file when the server has ended, if there is to be one.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use wharf::ServerHandle;
use wharf::capture::{Capture, CaptureOptions, Chosen};
use wharf_capture::{Recording, What};

use crate::clock::wall;
use crate::console::Console;
use crate::counted::Counted;
use crate::failure::{Exit, Failure};

/// What is captured, and where that goes when the server has ended: nowhere, if it is asked for while it runs.
#[derive(Clone, Debug)]
pub(crate) struct CapturePlace {
    pub(crate) path: Option<PathBuf>,
    pub(crate) options: CaptureOptions,
}

/// Where a capture goes, tried before the server starts, so that a wrong path costs no capture.
#[derive(Debug)]
pub(super) struct CaptureFile {
    goal: Goal,
    name: String,
}

#[derive(Debug)]
enum Goal {
    /// A file, or none yet. A new one takes its place when that is whole: whoever could read the old one, or has
    /// it open, does not get what people say, and a full disk costs the old one nothing.
    File(PathBuf),
    /// A pipe or a device, in whose place nothing can be put.
    Stream(File),
}

impl CapturePlace {
    /// Whether sessions are captured when somebody asks for it, and given to whoever asks.
    pub(super) fn is_on_request(&self) -> bool {
        self.options.chosen == Chosen::None
    }

    pub(super) fn open(&self) -> Result<Option<CaptureFile>, Failure> {
        let Some(path) = &self.path else { return Ok(None) };
        let name = path.display().to_string();
        let goal = Goal::find(path).map_err(|error| {
            Failure::arguments(format_args!(
                "cannot write --capture {name}: {error}; give a path in a folder that can be written to"
            ))
        })?;
        Ok(Some(CaptureFile { goal, name }))
    }
}

impl CaptureFile {
    /// Writes what there is of a server that has ended.
    pub(super) fn write(self, server: &ServerHandle, console: &Console) -> Result<(), Failure> {
        let Some(captured) = server.captured() else { return Ok(()) };
        let started =
            captured.began.and_then(|began| wall().checked_sub(server.now().since(began)));
        let recording = Recording::of(&captured, started);
        let Self { goal, name } = self;
        goal.write(&recording).map_err(|problem| {
            Failure::new(Exit::Failed, format_args!("cannot write --capture {name}: {problem}"))
        })?;
        let is_frame = |what: &What| matches!(what, What::In(_) | What::Out(_));
        let frames = recording.records.iter().filter(|record| is_frame(&record.what)).count();
        let (sessions, frames) = (recording.sessions.len() as u64, frames as u64);
        console.say(format_args!(
            "captured {} with {} in {name}",
            Counted(sessions, "session"),
            Counted(frames, "frame")
        ));
        say_what_is_missing(&captured, console);
        Ok(())
    }
}

fn say_what_is_missing(captured: &Capture, console: &Console) {
    if captured.sessions_missed > 0 {
        let missed = Counted(captured.sessions_missed, "session");
        console.say(format_args!("{missed} not captured: raise --capture-sessions"));
    }
    if captured.sessions_forgotten > 0 {
        let forgotten = Counted(captured.sessions_forgotten, "session");
        console.say(format_args!(
            "{forgotten} ended and made room for others: raise --capture-sessions"
        ));
    }
}

impl Goal {
    fn find(path: &Path) -> io::Result<Self> {
        let path = match path.metadata() {
            Ok(there) if !there.is_file() => {
                return OpenOptions::new().write(true).open(path).map(Self::Stream);
            }
            // A link stays, and leads to the new file.
            Ok(_) => path.canonicalize()?,
            Err(_) => path.to_path_buf(),
        };
        // It is gone at once: this is to hear now why it cannot be done.
        drop(part_of(&path)?);
        Ok(Self::File(path))
    }

    /// Says what went wrong, and what has become of the capture.
    fn write(self, recording: &Recording) -> Result<(), String> {
        let lost = |error: io::Error| format!("{error}; what was captured is lost");
        match self {
            Self::Stream(file) => recording.write(BufWriter::new(file)).map_err(lost),
            Self::File(path) => {
                let mut part = part_of(&path).map_err(lost)?;
                recording.write(BufWriter::new(&mut part)).map_err(lost)?;
                part.as_file().sync_all().map_err(lost)?;
                put_in_place(part, &path)
            }
        }
    }
}

/// A new file beside another, which its owner alone may read (on Unix) and nobody else writes. It goes when it is
/// dropped.
fn part_of(path: &Path) -> io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    tempfile::Builder::new().prefix(&name).suffix(".part").tempfile_in(folder)
}

fn put_in_place(part: NamedTempFile, path: &Path) -> Result<(), String> {
    let Err(refused) = part.persist(path) else { return Ok(()) };
    let error = refused.error;
    Err(match refused.file.keep() {
        Ok((_, kept)) => format!("{error}; what was captured is in {}", kept.display()),
        Err(_) => format!("{error}; what was captured is lost"),
    })
}
