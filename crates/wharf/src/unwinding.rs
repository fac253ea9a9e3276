//! Where panics of code that users wrote end.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Drops what the user has made. A panic in there is the session's own, too; false if there was one.
pub(crate) fn drop_quietly<T>(value: T) -> bool {
    match catch_unwind(AssertUnwindSafe(|| drop(value))) {
        Ok(()) => true,
        Err(payload) => {
            // Its own drop may panic as well; this is where it ends.
            std::mem::forget(payload);
            false
        }
    }
}

/// What `call` returns; `None` if it panics. Nothing that it changes may be used afterwards.
#[inline]
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).map_err(drop_quietly).ok()
}
