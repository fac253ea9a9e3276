//! Received bytes on loan from the pool.

use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use super::BufferPool;

/// Received bytes, on loan from the port's pool.
///
/// Derefs to the bytes. Goes back to the pool when it is dropped; [`slice`](Lease::slice) makes
/// further leases of parts, and the buffer goes back with the last of them. Not `Send`: a lease stays
/// on its port's thread. Who must keep bytes for longer than a turn copies them, since a port has few
/// buffers and its sockets share them.
pub struct Lease {
    home: Home,
    start: u32,
    len: u32,
}

/// Where the bytes of a lease lie.
enum Home {
    Pool {
        pool: Rc<BufferPool>,
        buffer: u16,
    },
    /// Bytes that came while their socket was paused, and were copied out of the pool.
    Heap(Rc<[u8]>),
}

impl Lease {
    pub(super) fn new(pool: Rc<BufferPool>, buffer: u16, len: usize) -> Self {
        Self { home: Home::Pool { pool, buffer }, start: 0, len: length(len) }
    }

    /// The same bytes outside of the pool: for those that have to wait. What lies there already is not
    /// copied again, unless it is less than half of what is kept for it: so bytes that are taken out and
    /// left to wait little by little are copied once or twice, and not each time.
    #[must_use]
    pub fn copied_out(&self) -> Self {
        match &self.home {
            Home::Heap(bytes) if self.len() >= bytes.len() / 2 => self.slice(0..self.len()),
            _ => Self::from(&**self),
        }
    }

    /// Whether it keeps a buffer of the pool.
    pub(crate) const fn keeps_a_buffer(&self) -> bool {
        matches!(self.home, Home::Pool { .. })
    }

    /// A lease of a part; the buffer stays out until both are dropped.
    ///
    /// # Panics
    /// If the range does not lie within these bytes.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len as usize,
            "{range:?} of {self:?}"
        );
        let home = match &self.home {
            Home::Pool { pool, buffer } => {
                pool.keep(*buffer);
                Home::Pool { pool: Rc::clone(pool), buffer: *buffer }
            }
            Home::Heap(bytes) => Home::Heap(Rc::clone(bytes)),
        };
        Self { home, start: self.start + length(range.start), len: length(range.len()) }
    }

    /// Leaves the first `count` bytes out.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len as usize, "advanced {self:?} by {count}");
        self.start += length(count);
        self.len -= length(count);
    }

    /// Takes a part of `whole` in, if it begins where this lease ends in the same buffer; false, and
    /// nothing done, if not. It is how parts that are taken one by one become one lease.
    ///
    /// # Panics
    /// If the range does not lie within `whole`.
    #[inline]
    pub fn extend(&mut self, whole: &Self, range: Range<usize>) -> bool {
        assert!(range.start <= range.end && range.end <= whole.len as usize, "{range:?}");
        let together = match (&self.home, &whole.home) {
            (Home::Pool { pool: a, buffer: x }, Home::Pool { pool: b, buffer: y }) => {
                x == y && Rc::ptr_eq(a, b)
            }
            (Home::Heap(a), Home::Heap(b)) => Rc::ptr_eq(a, b),
            _ => false,
        };
        let follows = together && self.start + self.len == whole.start + length(range.start);
        if follows {
            self.len += length(range.len());
        }
        follows
    }
}

impl From<&[u8]> for Lease {
    /// Copies bytes that no port has received: for tests, and for what a stage between receiving and
    /// reading has made of others. At most 4 GiB.
    fn from(bytes: &[u8]) -> Self {
        Self { home: Home::Heap(Rc::from(bytes)), start: 0, len: length(bytes.len()) }
    }
}

/// Lengths within a buffer, which the options keep below 1 MiB, and within bytes copied out of one.
#[inline]
fn length(len: usize) -> u32 {
    debug_assert!(u32::try_from(len).is_ok());
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Deref for Lease {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let (pool, buffer) = match &self.home {
            Home::Pool { pool, buffer } => (pool, *buffer),
            Home::Heap(bytes) => {
                return &bytes[self.start as usize..self.start as usize + self.len as usize];
            }
        };
        // SAFETY: `start + len` lies within the buffer: the pool checked the length when it made the
        // lease, and `slice`, `advance` and `extend` only stay within it.
        let first = unsafe { pool.start_of(buffer).add(self.start as usize) };
        // SAFETY: the bytes are initialised (the pool zeroes its memory), and nobody writes to them:
        // the pool lends a buffer to the kernel only when no lease of it is left, and this one is kept
        // for as long as the slice is borrowed.
        unsafe { std::slice::from_raw_parts(first.as_ptr(), self.len as usize) }
    }
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        if let Home::Pool { pool, buffer } = &self.home {
            pool.let_go(*buffer);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            Home::Pool { buffer, .. } => write!(f, "Lease({} bytes of buffer {buffer})", self.len),
            Home::Heap(_) => write!(f, "Lease({} bytes copied out)", self.len),
        }
    }
}
