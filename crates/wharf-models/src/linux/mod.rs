//! The models of Linux, a file each.

mod epoll;
mod epoll_edge;
mod epoll_level;
mod poll;

use crate::Model;

/// The oldest first.
pub(crate) const MODELS: [Model; 3] = [poll::MODEL, epoll_level::MODEL, epoll_edge::MODEL];
