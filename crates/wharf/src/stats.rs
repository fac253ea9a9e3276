//! What a server counts.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    (
        often { $($(#[$often_doc:meta])* $often:ident,)* }
        seldom { $($(#[$seldom_doc:meta])* $seldom:ident,)* }
    ) => {
        /// What a server, or one of its workers, has counted since it started.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$often_doc])* pub $often: u64,)*
            $($(#[$seldom_doc])* pub $seldom: u64,)*
        }

        /// The counters of one worker, where other threads can read them. Only the worker writes, once
        /// per turn, so there is no contended cache line on the path of a message.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(crate) struct Published {
            $($often: AtomicU64,)*
            $($seldom: AtomicU64,)*
        }

        impl Published {
            /// Most turns count few things, and only those are written in every one of them.
            pub(crate) fn publish(&self, counters: &mut Counters) {
                let Counters { stats, has_seldom } = counters;
                $(self.$often.store(stats.$often, Ordering::Relaxed);)*
                if std::mem::take(has_seldom) {
                    $(self.$seldom.store(stats.$seldom, Ordering::Relaxed);)*
                }
                debug_assert_eq!(self.read(), *stats, "what is counted seldom is counted by `seldom`");
            }

            pub(crate) fn read(&self) -> Stats {
                Stats {
                    $($often: self.$often.load(Ordering::Relaxed),)*
                    $($seldom: self.$seldom.load(Ordering::Relaxed),)*
                }
            }
        }

        impl Stats {
            /// Every counter's name and where it stands, in the order of their description.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [
                    $((stringify!($often), self.$often),)*
                    $((stringify!($seldom), self.$seldom),)*
                ].into_iter()
            }
        }

        impl std::ops::AddAssign for Stats {
            fn add_assign(&mut self, other: Self) {
                $(self.$often += other.$often;)*
                $(self.$seldom += other.$seldom;)*
            }
        }
    };
}

/// The counters of a worker as it has them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    stats: Stats,
    /// Something was counted that most turns do not count, and has not been published.
    has_seldom: bool,
}

impl Counters {
    /// For counting what most turns do not count.
    #[inline]
    pub(crate) const fn seldom(&mut self) -> &mut Stats {
        self.has_seldom = true;
        &mut self.stats
    }
}

impl Deref for Counters {
    type Target = Stats;

    fn deref(&self) -> &Stats {
        &self.stats
    }
}

/// For counting what every turn may count.
impl DerefMut for Counters {
    fn deref_mut(&mut self) -> &mut Stats {
        &mut self.stats
    }
}

counters! {
    often {
        /// Sessions that exist now.
        sessions,
        /// Frames received.
        frames_in,
        /// Bytes received.
        bytes_in,
        /// Bytes given to the kernel to be sent.
        bytes_out,
        /// Sends given to the kernel, each with all that was queued for one session.
        sends,
        /// Turns of the loop.
        turns,
    }
    seldom {
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
        /// Times that a session had to wait since it had sent more than its rates allow.
        throttled,
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
    }
}
