//! A recording as a file.

use std::io::{self, Write};

use crate::line::{Event, FORM, Frame, Head, sealed};
use crate::recording::{Record, Recording, What};

impl Recording {
    /// Writes it line by line. `into` is best buffered.
    ///
    /// # Errors
    /// What `into` fails with. What is there then is a file that is cut, and read up to there.
    pub fn write(&self, mut into: impl Write) -> io::Result<()> {
        into.write_all(&sealed(&Head {
            wharf_capture: FORM,
            version: self.version.clone(),
            started_unix_ms: self.started_unix_ms,
            framing: self.framing.clone(),
            frame_max: self.frame_bytes_max,
            redacted: self.is_redacted,
            sessions_missed: self.sessions_missed,
            sessions_forgotten: self.sessions_forgotten,
        })?)?;
        for record in &self.records {
            into.write_all(&sealed(&self.event(record))?)?;
        }
        if !self.is_cut {
            into.write_all(&sealed(&Event::Done { records: self.records.len() as u64 })?)?;
        }
        into.flush()
    }

    fn event(&self, record: &Record) -> Event {
        let at_us = u64::try_from(record.at.as_micros()).unwrap_or(u64::MAX);
        // People count from one.
        let session = record.session + 1;
        match &record.what {
            What::Open => {
                let known = self.sessions.get(record.session);
                Event::Open {
                    at_us,
                    session,
                    id: known.map(|it| it.id.clone()).unwrap_or_default(),
                    peer: known.map(|it| it.peer.clone()).unwrap_or_default(),
                    whole: known.is_some_and(|it| it.is_whole),
                    dropped: known.map_or(0, |it| it.frames_dropped),
                    left_out: known.map_or(0, |it| it.frames_left_out),
                }
            }
            What::In(payload) => Event::In(Frame::new(at_us, session, payload)),
            What::Out(payload) => Event::Out(Frame::new(at_us, session, payload)),
            What::PeerEnd => Event::PeerEnd { at_us, session },
            What::End => Event::End { at_us, session },
            What::Close { reason, from_outside } => {
                Event::Close { at_us, session, reason: reason.clone(), outside: *from_outside }
            }
        }
    }
}
