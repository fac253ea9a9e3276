//! Panics within a run: those of sessions that were asked to are silent, others are caught and told.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook};

thread_local! {
    /// What the last panic of this thread said, and where.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps panics from being printed: a run tells of them itself.
pub(super) fn keep_quiet() {
    set_hook(Box::new(|panic| {
        let text = panic.to_string().replace('\n', " ");
        SAID.with(|said| said.replace(text));
    }));
}

/// The panic of a session that was asked to.
pub(super) fn expected() -> ! {
    // Without the hook: it is no news.
    resume_unwind(Box::new("asked to"))
}

/// Runs something; the words of its panic, if it panics.
pub(super) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| SAID.with(|said| said.take()))
}
