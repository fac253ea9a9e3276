//! What a server counts.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a server, or one of its workers, has counted since it started.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The counters of one worker, where other threads can read them. Only the worker writes, once
        /// per turn, so there is no contended cache line on the path of a message.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Published {
            $($name: AtomicU64,)*
        }

        impl Published {
            pub(crate) fn publish(&self, stats: &Stats) {
                $(self.$name.store(stats.$name, Ordering::Relaxed);)*
            }

            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Stats {
            /// Every counter's name and where it stands, in the order of their description.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }

        impl std::ops::AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
            }
        }
    };
}

counters! {
    /// Sessions that exist now.
    sessions,
    /// Connections that were accepted and became sessions.
    accepted,
    /// Connections that this side has made, and that became sessions.
    connected,
    /// Attempts to connect a target that have failed.
    connect_failures,
    /// Connections that were turned away because there were as many sessions as allowed.
    refused_sessions_max,
    /// Connections that were turned away because their address had as many sessions as allowed.
    refused_per_address,
    /// Connections that were turned away because their network is banned.
    refused_banned,
    /// Connections that the [accept filter](crate::Server::accept_filter) has denied, or panicked at.
    refused_by_filter,
    /// Connections that were refused since too many came at a time.
    refused_accept_rate,
    /// Connections that were turned away because too much waited to be sent to others.
    refused_send_total,
    /// Times that a listener had to rest for lack of descriptors or memory.
    accept_delays,
    /// Frames received.
    frames_in,
    /// Bytes received.
    bytes_in,
    /// Times that a session had to wait since it had sent more than its rates allow.
    throttled,
    /// Bytes given to the kernel to be sent.
    bytes_out,
    /// Sends given to the kernel, each with all that was queued for one session.
    sends,
    /// Heartbeats among the frames sent.
    heartbeats,
    /// Frames that were dropped because their receiver read too slowly.
    frames_dropped,
    /// Frames whose place a newer one with the same key has taken.
    frames_coalesced,
    /// Ticks of rooms.
    ticks,
    /// Ticks that rooms have missed, since their worker was busy for longer than a period.
    ticks_skipped,
    /// Callbacks that panicked.
    panics,
    /// Callbacks that held up their worker for longer than [`Server::watchdog`](crate::Server::watchdog)
    /// allows.
    callbacks_blocked,
    /// Bytes that were queued and were thrown away when their session ended.
    bytes_lost,
    /// Turns of the loop.
    turns,
}
