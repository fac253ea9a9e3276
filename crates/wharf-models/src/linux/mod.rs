//! The models of Linux, a file each.

mod epoll;
mod epoll_edge;
mod epoll_level;
mod poll;
mod select;
mod uring;
mod uring_buffers;
mod uring_multishot;
mod uring_one_shot;

use crate::Model;

/// The oldest first.
pub(crate) const MODELS: [Model; 6] = [
    select::MODEL,
    poll::MODEL,
    epoll_level::MODEL,
    epoll_edge::MODEL,
    uring_one_shot::MODEL,
    uring_multishot::MODEL,
];
