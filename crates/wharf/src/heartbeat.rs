//! Showing a peer that this side is there.

use std::fmt;
use std::time::Duration;

use crate::framing::FrameError;
use crate::shared_frame::SharedFrame;

/// The shortest time between two.
const EVERY_MIN: Duration = Duration::from_millis(1);

/// What a user has asked for.
#[derive(Clone, Debug)]
pub(crate) struct HeartbeatTerms {
    pub(crate) every: Duration,
    pub(crate) payload: Box<[u8]>,
}

/// A frame that is sent to a session that has been sent nothing else for so long.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    pub(crate) every: Duration,
    pub(crate) frame: SharedFrame,
}

/// Why there is no such heartbeat.
#[derive(Debug)]
pub(crate) enum HeartbeatProblem {
    TooOften(Duration),
    /// The framing puts nothing around an empty payload: there is nothing to send.
    Nothing,
    NoFrame(FrameError),
}

impl HeartbeatTerms {
    /// Encodes its frame, once for all.
    pub(crate) fn check(
        &self,
        encode: impl Fn(&[u8]) -> Result<SharedFrame, FrameError>,
    ) -> Result<Heartbeat, HeartbeatProblem> {
        if self.every < EVERY_MIN {
            return Err(HeartbeatProblem::TooOften(self.every));
        }
        let frame = encode(&self.payload).map_err(HeartbeatProblem::NoFrame)?;
        if frame.as_bytes().is_empty() {
            return Err(HeartbeatProblem::Nothing);
        }
        Ok(Heartbeat { every: self.every, frame })
    }
}

impl fmt::Display for HeartbeatProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooOften(every) => write!(f, "heartbeat is every {every:?}: 1 ms and up"),
            Self::Nothing => {
                f.write_str("heartbeat is empty, and this framing sends nothing for it")
            }
            Self::NoFrame(error) => write!(f, "heartbeat is no frame: {error}"),
        }
    }
}
