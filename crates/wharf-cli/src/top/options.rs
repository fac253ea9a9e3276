//! What `wharf top` is asked for.

use std::path::PathBuf;
use std::time::Duration;

use crate::args::Target;
use crate::json::JsonTarget;

/// The options of `wharf top`; they have been checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TopOptions {
    /// Where the endpoint is.
    pub(crate) admin: Target,
    /// The file with its token.
    pub(crate) token_file: Option<PathBuf>,
    /// How often to ask.
    pub(crate) interval: Duration,
    /// How many sessions to ask for, from 1 to 1,000.
    pub(crate) limit: u64,
    /// One picture as text, and no terminal.
    pub(crate) once: bool,
    /// Where that picture goes as JSON instead.
    pub(crate) json: Option<JsonTarget>,
    /// Whether nothing but ASCII is drawn.
    pub(crate) ascii: bool,
}
