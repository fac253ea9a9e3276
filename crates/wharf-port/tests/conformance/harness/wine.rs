//! What Wine has otherwise than Windows, and what that leaves to be asserted.

use std::path::Path;

use wharf_port::ReceiveError;

use super::{Ending, Final};

/// Whether this is Wine: no Windows has this file. Every call on a socket goes through one process there,
/// so that ten thousand sockets take a minute on a machine that does other things.
pub(super) fn on_wine() -> bool {
    cfg!(windows) && Path::new(r"C:\windows\system32\winecfg.exe").exists()
}

impl Ending {
    /// Asserts that a stream was reset. Wine calls a reset that no receive waited for the end of the
    /// stream.
    #[track_caller]
    pub(crate) fn assert_reset(self) {
        assert!(self == Self::Reset || on_wine(), "{self:?}, and not a reset");
    }
}

impl Final {
    /// The same of a receive of the port's.
    #[track_caller]
    pub(crate) fn assert_reset(self) {
        let is_reset = self == Self::Failed(ReceiveError::Reset);
        assert!(is_reset || (self == Self::End && on_wine()), "{self:?}, and not a reset");
    }
}
