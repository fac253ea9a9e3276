//! Wine, which is no Windows in everything.

use std::path::Path;

/// Whether a reset can be read as the end of a stream. It is under Wine, where no read waited for it; on
/// Windows never.
pub(crate) fn resets_can_look_like_ends() -> bool {
    is_wine()
}

/// Whether a reset that comes while a send waits for room can be told to nobody. It can be under Wine, if the
/// machine is busy; then only what the server times itself ends the session.
pub(crate) fn resets_can_get_lost() -> bool {
    is_wine()
}

fn is_wine() -> bool {
    // A program that every Wine has, and no Windows.
    cfg!(windows) && Path::new(r"C:\windows\system32\winecfg.exe").exists()
}
