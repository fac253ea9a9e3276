//! A recording out of a file, which anybody may have written.
//!
//! Invariant: nothing is allocated for what a file says of itself, but for what it holds.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use thiserror::Error;

use crate::line::{Event, FORM, Frame, Head, LINE_BYTES_MAX, SESSIONS_MAX, checksums};
use crate::recording::{Record, RecordedSession, Recording, What};

/// Why a file is no recording.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as one does.
    #[error("it is no capture: its first line is no object with wharf_capture")]
    NotACapture,
    /// It has another form than this version knows.
    #[error(
        "its form is {0}, and this wharf reads form {FORM} alone: read it with the version that wrote it"
    )]
    Form(u64),
    /// A line of it is wrong.
    #[error("line {line}: {problem}")]
    Line {
        /// Which, from 1 on.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// It has more bytes than are read.
    #[error(
        "it has more than {} GiB: capture fewer sessions, or less of each",
        Recording::FILE_BYTES_MAX >> 30
    )]
    TooLong,
}

impl Recording {
    /// The most bytes of a file that is read: 4 GiB.
    pub const FILE_BYTES_MAX: u64 = 4 << 30;
    /// What a server may keep of all sessions together
    /// ([`sessions_max`](wharf::capture::CaptureOptions::sessions_max) times
    /// [`session_bytes_max`](wharf::capture::CaptureOptions::session_bytes_max)) so that every file of it is read:
    /// 2 GiB. A frame has less than twice as many bytes in a file as it counts there.
    pub const KEPT_BYTES_MAX: u64 = Self::FILE_BYTES_MAX / 2;

    /// Reads a file, of at most [`FILE_BYTES_MAX`](Self::FILE_BYTES_MAX). One that was cut is read up to its last
    /// whole line ([`is_cut`](Self::is_cut)).
    ///
    /// # Errors
    /// [`ReadError`] if it is no capture, is wrong within, or cannot be read.
    pub fn read(from: impl BufRead) -> Result<Self, ReadError> {
        let mut lines = Lines { from, number: 0, bytes: 0, line: Vec::new() };
        if !lines.next()? {
            return Err(ReadError::NotACapture);
        }
        let mut recording = head(&lines)?;
        while lines.next()? {
            let event = parse(&lines)?;
            if let Event::Done { records } = event {
                if records != recording.records.len() as u64 {
                    return Err(lines.wrong("the number of records is another: lines are missing"));
                }
                recording.is_cut = false;
                if lines.next()? || !lines.line.is_empty() {
                    return Err(lines.wrong("it stands behind the end"));
                }
                break;
            }
            recording.take(event).map_err(|problem| lines.wrong(problem))?;
        }
        Ok(recording)
    }

    fn take(&mut self, event: Event) -> Result<(), &'static str> {
        let (at_us, session, what) = match event {
            Event::Open { at_us, session, id, peer, whole, dropped, left_out } => {
                if session != self.sessions.len() + 1 || session > SESSIONS_MAX {
                    return Err("sessions are numbered from 1 on as they open, up to 65,536");
                }
                self.sessions.push(RecordedSession {
                    id,
                    peer,
                    is_whole: whole,
                    frames_dropped: dropped,
                    frames_left_out: left_out,
                });
                (at_us, session, What::Open)
            }
            Event::In(frame) => frame_of(frame, What::In)?,
            Event::Out(frame) => frame_of(frame, What::Out)?,
            Event::PeerEnd { at_us, session } => (at_us, session, What::PeerEnd),
            Event::End { at_us, session } => (at_us, session, What::End),
            Event::Close { at_us, session, reason, outside } => {
                (at_us, session, What::Close { reason, from_outside: outside })
            }
            Event::Done { .. } => return Err("an end is the last line"),
        };
        if !(1..=self.sessions.len()).contains(&session) {
            return Err("no session of this number is open");
        }
        let at = Duration::from_micros(at_us);
        self.records.push(Record { at, session: session - 1, what });
        Ok(())
    }
}

/// When a frame came or went, whose it is and what it is. How long the server lets frames be is not asked: what a
/// redaction has made of one may be longer, and whether it can be sent is known when it is.
fn frame_of(
    frame: Frame,
    what: impl FnOnce(Vec<u8>) -> What,
) -> Result<(u64, usize, What), &'static str> {
    let (at_us, session) = (frame.at_us, frame.session);
    Ok((at_us, session, what(frame.payload()?)))
}

/// The first line, which says what the file is before anything else is looked at.
fn head<R: BufRead>(lines: &Lines<R>) -> Result<Recording, ReadError> {
    let object: serde_json::Value =
        serde_json::from_slice(&lines.line).map_err(|_| ReadError::NotACapture)?;
    let form = object.get("wharf_capture").and_then(serde_json::Value::as_u64);
    match form {
        None => return Err(ReadError::NotACapture),
        Some(FORM) => {}
        Some(other) => return Err(ReadError::Form(other)),
    }
    let head: Head = parse(lines)?;
    Ok(Recording {
        version: head.version,
        started_unix_ms: head.started_unix_ms,
        framing: head.framing,
        frame_bytes_max: head.frame_max,
        is_redacted: head.redacted,
        sessions_missed: head.sessions_missed,
        sessions_forgotten: head.sessions_forgotten,
        sessions: Vec::new(),
        records: Vec::new(),
        is_cut: true,
    })
}

fn parse<T: serde::de::DeserializeOwned, R>(lines: &Lines<R>) -> Result<T, ReadError> {
    if checksums(&lines.line).is_some_and(|(told, real)| told != real) {
        return Err(lines.wrong(
            "its checksum is wrong: it was damaged, or edited, and then its crc is to be left out",
        ));
    }
    serde_json::from_slice(&lines.line).map_err(|error| lines.wrong(error.to_string()))
}

/// The whole lines of a file, one at a time.
struct Lines<R> {
    from: R,
    number: u64,
    bytes: u64,
    /// Without its end.
    line: Vec<u8>,
}

impl<R> Lines<R> {
    fn wrong(&self, problem: impl Into<String>) -> ReadError {
        ReadError::Line { line: self.number, problem: problem.into() }
    }
}

impl<R: BufRead> Lines<R> {
    /// Reads the next line; false if none is whole.
    fn next(&mut self) -> Result<bool, ReadError> {
        self.line.clear();
        self.number += 1;
        let most = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.from).take(most).read_until(b'\n', &mut self.line)?;
        self.bytes += read as u64;
        if self.bytes > Recording::FILE_BYTES_MAX {
            return Err(ReadError::TooLong);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            return Ok(true);
        }
        if read > LINE_BYTES_MAX {
            return Err(self.wrong("it is longer than any frame makes it"));
        }
        Ok(false)
    }
}
