//! The models of Windows, a file each.

use crate::Model;
use crate::experiments::Experiment;

/// The oldest first.
pub(crate) const MODELS: [Model; 0] = [];

/// What can be shown on Windows alone.
pub(crate) const EXPERIMENTS: [Experiment; 0] = [];
