//! A Windows that is made up, for what neither this machine nor Wine can show.
//!
//! It keeps to what Microsoft's documentation says of the calls that [`Api`] makes, with the habits that
//! a test asks of it ([`Switches`]), and it watches the driver: two receives on one socket, an operation
//! that is started twice, a socket used without the update that makes it good for use, and the like,
//! are panics. It reads from, and writes to, what an operation points at, as a kernel would, from its
//! start to its packet and at no other time.
//!
//! | file | subject |
//! |---|---|
//! | `switches` | what it may be like |
//! | `kernel` | all that it consists of; what becomes of operations |
//! | `memory` | what of the driver's it touches |
//! | `link`, `client` | connections, and the peers that tests hold |
//! | `port` | packets, and how the time passes |
//! | `accept`, `connect`, `transfer`, `sockets` | the calls |
//! | `api` | the seam to the driver |
//! | `rig` | a driver on it, as tests turn it |

mod accept;
mod api;
mod client;
mod connect;
mod kernel;
mod link;
mod memory;
mod port;
mod rig;
mod sockets;
mod switches;
mod tests;
mod transfer;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

pub(crate) use self::api::{Mock, Socket};
use self::kernel::Kernel;

/// A machine with this Windows, for the threads of one test.
#[derive(Debug)]
pub(crate) struct World {
    kernel: Mutex<Kernel>,
    changed: Condvar,
    /// The thread of the test: where nobody else could do anything, its waits take no time.
    home: ThreadId,
}

impl World {
    fn lock(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, act: impl FnOnce(&mut Kernel) -> R) -> R {
        let result = act(&mut self.lock());
        self.changed.notify_all();
        result
    }

    fn is_home(&self) -> bool {
        thread::current().id() == self.home
    }

    /// Waits until something has happened, for at most so long; whether that has passed.
    fn pause<'a>(
        &self,
        kernel: MutexGuard<'a, Kernel>,
        most: Duration,
    ) -> (MutexGuard<'a, Kernel>, bool) {
        let waited = self.changed.wait_timeout(kernel, most.min(Duration::from_secs(60)));
        let (kernel, result) = waited.unwrap_or_else(PoisonError::into_inner);
        (kernel, result.timed_out())
    }
}
