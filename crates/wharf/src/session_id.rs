//! The name of a session.

use std::fmt;

use wharf_port::SocketId;

const WORKER_SHIFT: u32 = 54;
const SLOT_SHIFT: u32 = 32;

/// The name of one session: 64 bits, never used again while the process lives.
///
/// Worker (10 bits), slot (22) and generation (32) of the session. A slot is used again, with the next
/// generation; a slot whose generations are used up is retired. So an id that was kept for too long
/// names nobody, and never somebody else. A socket number would: the system hands it out again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// Workers that ids can tell apart.
    pub const WORKERS_MAX: usize = 1 << (64 - WORKER_SHIFT);

    pub(crate) fn new(worker: u16, socket: SocketId) -> Self {
        debug_assert!(usize::from(worker) < Self::WORKERS_MAX);
        let slot = u64::from(socket.slot()) << SLOT_SHIFT;
        Self(u64::from(worker) << WORKER_SHIFT | slot | u64::from(socket.generation()))
    }

    /// The id as a number, to be stored or sent.
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// An id from its number. One that was made up names nobody.
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The worker that the session lives on.
    pub const fn worker(self) -> usize {
        (self.0 >> WORKER_SHIFT) as usize
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves are masked")]
    pub(crate) const fn socket(self) -> SocketId {
        let slot = (self.0 >> SLOT_SHIFT) as u32 & (SocketId::SLOTS_MAX - 1);
        SocketId::from_parts(slot, self.0 as u32)
    }
}

impl fmt::Display for SessionId {
    /// Worker, slot and generation: `0-17-3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let socket = self.socket();
        write!(f, "{}-{}-{}", self.worker(), socket.slot(), socket.generation())
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let socket = SocketId::from_parts(SocketId::SLOTS_MAX - 1, u32::MAX);
        let id = SessionId::new(1023, socket);
        assert_eq!((id.worker(), id.socket()), (1023, socket));
        assert_eq!(SessionId::from_u64(id.as_u64()), id);
        assert_eq!(id.to_string(), "1023-4194303-4294967295");
    }
}
