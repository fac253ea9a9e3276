//! What the sessions have received and sent, as a file when the server has ended.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek};
use std::path::PathBuf;

use wharf::ServerHandle;
use wharf::capture::CaptureOptions;
use wharf_capture::{Recording, What};

use crate::clock::wall;
use crate::console::Console;
use crate::counted::Counted;
use crate::failure::{Exit, Failure};

/// What is captured, and where that goes.
#[derive(Clone, Debug)]
pub(crate) struct CapturePlace {
    pub(crate) path: PathBuf,
    pub(crate) options: CaptureOptions,
}

/// The file, opened before the server starts, so that a wrong path costs no capture. What is in it stays there
/// until there is something to take its place.
#[derive(Debug)]
pub(super) struct CaptureFile {
    file: File,
    name: String,
}

impl CapturePlace {
    pub(super) fn open(&self) -> Result<CaptureFile, Failure> {
        let name = self.path.display().to_string();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        // What people say is for nobody but who runs the server.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&self.path).map_err(|error| {
            Failure::arguments(format_args!(
                "cannot write --capture {name}: {error}; give a path that can be written"
            ))
        })?;
        Ok(CaptureFile { file, name })
    }
}

impl CaptureFile {
    /// Writes what there is of a server that has ended.
    pub(super) fn write(self, server: &ServerHandle, console: &Console) -> Result<(), Failure> {
        let Some(captured) = server.captured() else { return Ok(()) };
        let started =
            captured.began.and_then(|began| wall().checked_sub(server.now().since(began)));
        let recording = Recording::of(&captured, started);
        let Self { file, name } = self;
        let write = |mut file: File| -> io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            recording.write(BufWriter::new(&file))
        };
        write(file).map_err(|error| {
            Failure::new(
                Exit::Failed,
                format_args!("cannot write --capture {name}: {error}; what was captured is lost"),
            )
        })?;
        let is_frame = |what: &What| matches!(what, What::In(_) | What::Out(_));
        let frames = recording.records.iter().filter(|record| is_frame(&record.what)).count();
        let (sessions, frames) = (recording.sessions.len() as u64, frames as u64);
        console.say(format_args!(
            "captured {} with {} in {name}",
            Counted(sessions, "session"),
            Counted(frames, "frame")
        ));
        if captured.sessions_missed > 0 {
            let missed = Counted(captured.sessions_missed, "session");
            console.say(format_args!("{missed} not captured: raise --capture-sessions"));
        }
        Ok(())
    }
}
