//! What a send queue may hold.

use thiserror::Error;

use super::SlowReader;

/// What the send queue of a session may hold, and what happens beyond that.
///
/// ```
/// use wharf::{SendLimits, SlowReader};
///
/// // A spectator: little, and only what is newest.
/// let limits = SendLimits { bytes_max: 16 << 10, frames_max: 64, slow_reader: SlowReader::DropOldest };
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendLimits {
    /// Bytes that may wait: 4 KiB and up.
    pub bytes_max: usize,
    /// Frames that may wait: 1 and up. With [`Framing::RAW`](crate::Framing::RAW) each send is one.
    pub frames_max: usize,
    /// What happens beyond either.
    pub slow_reader: SlowReader,
}

impl SendLimits {
    /// The smallest [`bytes_max`](Self::bytes_max).
    pub const BYTES_MIN: usize = 4 << 10;

    /// What is out of range, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.bytes_max < Self::BYTES_MIN {
            return Some(format!("send_bytes_max is {}: 4 KiB and up", self.bytes_max));
        }
        (self.frames_max == 0).then(|| "send_frames_max is 0: 1 and up".to_owned())
    }

    pub(crate) fn capacity(&self) -> Capacity {
        let at_most = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Capacity { bytes: at_most(self.bytes_max), frames: at_most(self.frames_max) }
    }
}

/// Why a session got no send limits of its own.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum SendLimitsError {
    /// A number is out of its range.
    #[error("{0}")]
    OutOfRange(String),
    /// The policy leaves out frames, and there are none.
    #[error("{} needs frames, and the framing is raw: choose pause, disconnect or refuse", .0.name())]
    NeedsFrames(SlowReader),
}

/// The maxima alone. Small, since each session has it; more than 4 GiB waits for nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Capacity {
    pub(crate) bytes: u32,
    pub(crate) frames: u32,
}

impl Capacity {
    pub(super) const fn doubled(self) -> Self {
        self.plus(self.bytes)
    }

    /// With room for so many more bytes, and as much more for frames.
    pub(crate) const fn plus(self, bytes: u32) -> Self {
        let frames = if bytes == 0 { self.frames } else { self.frames.saturating_mul(2) };
        Self { bytes: self.bytes.saturating_add(bytes), frames }
    }

    /// The low mark: a queue that was full is not any more.
    pub(crate) const fn half(self) -> Self {
        Self { bytes: self.bytes / 2, frames: self.frames / 2 }
    }
}
