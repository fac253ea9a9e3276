//! What one send carries: usually one received piece, sometimes several, gathered.

use std::mem;
use std::rc::Rc;

use crate::buffers::{Buffers, Lease};

/// Pieces that one send gathers at most, below the kernel's limit of 1024.
const PIECES_MAX: usize = 512;

/// Bytes to send, where they lie.
#[derive(Debug)]
pub(crate) enum Piece {
    /// In the receive buffer that they came in.
    Buffer(Lease),
    /// A frame that was put together from several receives.
    Heap(Vec<u8>),
    /// What everybody gets.
    Shared(Rc<[u8]>),
}

impl Piece {
    pub(crate) fn bytes<'a>(&'a self, buffers: &'a Buffers) -> &'a [u8] {
        match self {
            Self::Buffer(lease) => buffers.bytes(lease),
            Self::Heap(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }

    pub(crate) fn release(self, buffers: &mut Buffers) {
        if let Self::Buffer(lease) = self {
            buffers.release(lease);
        }
    }
}

/// The pieces of one send, in order.
///
/// The first one lies in the connection itself: with small messages it is the only one, and then
/// a send touches no other memory.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    first: Option<Piece>,
    gather: Option<Box<Gather>>,
}

/// The pieces after the first, and what the kernel needs to find all of them.
pub(crate) struct Gather {
    rest: Vec<Piece>,
    vectors: Vec<libc::iovec>,
    header: libc::msghdr,
}

impl Default for Gather {
    fn default() -> Self {
        // SAFETY: all fields are integers and pointers, for which zero is a value.
        let header = unsafe { mem::zeroed() };
        Self { rest: Vec::new(), vectors: Vec::new(), header }
    }
}

impl std::fmt::Debug for Gather {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Gather").field("rest", &self.rest).finish_non_exhaustive()
    }
}

/// Gathers that nobody uses now: they keep their allocations.
pub(crate) type Spares = Vec<Box<Gather>>;

/// A send in the kernel's terms. The pointers are valid until the [`Outgoing`] changes.
pub(crate) enum Message {
    One { bytes: *const u8, len: u32 },
    Several(*const libc::msghdr),
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.gather.as_ref().is_some_and(|gather| gather.rest.len() + 1 >= PIECES_MAX)
    }

    /// Adds a piece behind the others.
    pub(crate) fn push(&mut self, piece: Piece, spares: &mut Spares) {
        if self.first.is_none() {
            self.first = Some(piece);
            return;
        }
        let gather = self.gather.get_or_insert_with(|| spares.pop().unwrap_or_default());
        gather.rest.push(piece);
    }

    /// The message to send, none if there are no pieces.
    pub(crate) fn message(&mut self, buffers: &Buffers) -> Option<Message> {
        let first = self.first.as_ref()?.bytes(buffers);
        let Some(gather) = &mut self.gather else {
            // No truncation: neither a buffer nor a frame comes near 4 GiB.
            return Some(Message::One { bytes: first.as_ptr(), len: first.len() as u32 });
        };
        gather.vectors.push(vector(first));
        gather.vectors.extend(gather.rest.iter().map(|piece| vector(piece.bytes(buffers))));
        gather.header.msg_iov = gather.vectors.as_mut_ptr();
        gather.header.msg_iovlen = gather.vectors.len();
        Some(Message::Several(&raw const gather.header))
    }

    /// Releases all pieces, after they have been sent or because they never will be.
    pub(crate) fn release(&mut self, buffers: &mut Buffers, spares: &mut Spares) {
        if let Some(piece) = self.first.take() {
            piece.release(buffers);
        }
        if let Some(mut gather) = self.gather.take() {
            gather.rest.drain(..).for_each(|piece| piece.release(buffers));
            gather.vectors.clear();
            spares.push(gather);
        }
    }

    /// Copies out what comes after the first `sent` bytes; empty if all of it was sent.
    pub(crate) fn unsent(&self, sent: usize, buffers: &Buffers) -> Vec<u8> {
        let mut sent = sent;
        let mut unsent = Vec::new();
        let rest = self.gather.iter().flat_map(|gather| &gather.rest);
        for piece in self.first.iter().chain(rest) {
            let bytes = piece.bytes(buffers);
            let skipped = sent.min(bytes.len());
            unsent.extend_from_slice(&bytes[skipped..]);
            sent -= skipped;
        }
        unsent
    }
}

fn vector(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
