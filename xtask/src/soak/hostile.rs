//! Hostile clients, one kind each. Whatever the server does to their connections is right, as long as
//! it does it within its limits; they connect again.

use crate::client::piece;

/// What a hostile client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Hostile {
    /// Sends more than it reads.
    ReadsSlowly,
    /// Sends, and reads nothing.
    NeverReads,
    /// Sends a frame byte by byte.
    Drips,
    /// Sends half a frame and resets.
    ResetsInMidFrame,
    /// Sends what is no frame.
    Garbage,
    /// Connects and resets.
    Vanishes,
}

/// What it does next.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Act {
    Send(Vec<u8>),
    /// Takes what one receive gives.
    Read(Vec<u8>),
    Reset,
}

/// Bytes of the frames of those that read less than they send.
const LARGE: usize = 64_000;
/// How many of them at a time.
const FRAMES: usize = 6;

impl Hostile {
    pub(super) const ALL: [Self; 6] = [
        Self::ReadsSlowly,
        Self::NeverReads,
        Self::Drips,
        Self::ResetsInMidFrame,
        Self::Garbage,
        Self::Vanishes,
    ];

    /// Whether it takes what the server sends as it comes.
    pub(super) const fn reads(self) -> bool {
        !matches!(self, Self::ReadsSlowly | Self::NeverReads)
    }

    /// Whether the server has to end its connections, and nobody else does.
    pub(super) const fn is_to_be_cut(self) -> bool {
        matches!(self, Self::Drips | Self::Garbage)
    }

    /// What it does with a connection, the first time and after that.
    pub(super) fn act(self, times: u32) -> Act {
        match self {
            Self::ReadsSlowly => Act::Read(large_frames()),
            Self::NeverReads => Act::Send(large_frames()),
            Self::Drips if times == 0 => Act::Send(vec![100, 0, 0, 0]),
            Self::Drips => Act::Send(vec![b'.']),
            Self::ResetsInMidFrame if times == 0 => Act::Send(b"\xff\0\0\0half of it".to_vec()),
            Self::ResetsInMidFrame | Self::Vanishes => Act::Reset,
            // A TLS hello, of which the first four bytes are no length that is allowed.
            Self::Garbage => Act::Send([b"\x16\x03\x01\x02", piece(11, 500)].concat()),
        }
    }
}

/// As much as fills the system's buffers in some turns and then the server's queue, so that its limit is
/// met often: memory that moves once in a minute cannot be told from memory that grows.
fn large_frames() -> Vec<u8> {
    let mut frame = u32::try_from(LARGE).unwrap_or(0).to_le_bytes().to_vec();
    frame.extend_from_slice(piece(7, LARGE));
    frame.repeat(FRAMES)
}
