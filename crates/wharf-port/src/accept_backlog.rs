//! How long a listener's queue is.

/// Connections that the system has made and nobody has accepted yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AcceptBacklog {
    /// Those that wait.
    pub waiting: u32,
    /// How many may wait, by the system's count: what was [asked for](crate::ListenOptions::backlog), or less
    /// if the system allows less. Linux lets one more in.
    pub max: u32,
}
