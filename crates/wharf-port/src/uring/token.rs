//! What an operation is known by in the kernel: its kind and its socket, in the 64 bits that come
//! back with every completion. Never a pointer: a stale one would be followed.

use crate::ids::SocketId;

/// What kind of operation a completion belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Wake = 0,
    Accept = 1,
    Receive = 2,
    TrySend = 3,
    Send = 4,
    Connect = 5,
    Cancel,
}

/// Set in the token of a cancel, which is otherwise that of its target.
const CANCEL: u64 = 1 << 63;
const KIND_SHIFT: u32 = 56;
const SLOT_SHIFT: u32 = 32;
const SLOT_MASK: u64 = 0xFF_FFFF;

const _: () = assert!(SocketId::SLOTS_MAX as u64 <= SLOT_MASK + 1, "a slot fits into its bits");

/// Kind (8 bits), slot (24), generation (32).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token(pub(super) u64);

impl Token {
    pub(super) const fn new(kind: Kind, id: SocketId) -> Self {
        let slot = (id.slot() as u64) << SLOT_SHIFT;
        Self((kind as u64) << KIND_SHIFT | slot | id.generation() as u64)
    }

    /// For operations that belong to no socket: the wake, and those of listeners by their number.
    pub(super) const fn numbered(kind: Kind, number: u32) -> Self {
        Self((kind as u64) << KIND_SHIFT | number as u64)
    }

    /// The token of a cancel of this operation.
    pub(super) const fn cancel(self) -> Self {
        Self(self.0 | CANCEL)
    }

    /// What a cancel was for.
    pub(super) const fn target(self) -> Self {
        Self(self.0 & !CANCEL)
    }

    pub(super) const fn kind(self) -> Kind {
        match self.0 >> KIND_SHIFT {
            0 => Kind::Wake,
            1 => Kind::Accept,
            2 => Kind::Receive,
            3 => Kind::TrySend,
            4 => Kind::Send,
            5 => Kind::Connect,
            _ => Kind::Cancel,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub(super) const fn number(self) -> u32 {
        self.0 as u32
    }

    pub(super) const fn socket(self) -> SocketId {
        SocketId::from_parts(((self.0 >> SLOT_SHIFT) & SLOT_MASK) as u32, self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        for kind in [Kind::Receive, Kind::TrySend, Kind::Send, Kind::Connect] {
            let id = SocketId::from_parts(SocketId::SLOTS_MAX - 1, u32::MAX);
            let token = Token::new(kind, id);
            assert_eq!((token.kind(), token.socket()), (kind, id));
        }
        let token = Token::numbered(Kind::Accept, 7);
        assert_eq!((token.kind(), token.number()), (Kind::Accept, 7));
        assert_eq!((token.cancel().kind(), token.cancel().target()), (Kind::Cancel, token));
    }
}
