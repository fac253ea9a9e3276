//! What `wharf models` is asked for.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wharf_models::Model;

use crate::json::JsonTarget;

/// What `wharf models run` is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunOptions {
    pub(crate) model: Model,
    pub(crate) listen: SocketAddr,
    /// Whether it ends when its standard input does.
    pub(crate) until_input_ends: bool,
}

/// What `wharf models compare` is asked for.
#[derive(Clone, Debug)]
pub(crate) struct CompareOptions {
    pub(crate) models: Vec<Model>,
    /// Numbers of connections, each once, the smallest first.
    pub(crate) connections: Vec<u64>,
    /// How long each round is measured.
    pub(crate) duration: Duration,
    pub(crate) rounds: usize,
    /// The folder that the pictures go to.
    pub(crate) plot: Option<PathBuf>,
    pub(crate) json: Option<JsonTarget>,
}
