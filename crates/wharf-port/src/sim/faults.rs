//! What goes wrong, and how often.

use std::fmt;

use thiserror::Error;

macro_rules! fault_kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident = $name:literal, $usual:literal;)+) => {
        /// One kind of fault.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[non_exhaustive]
        pub enum FaultKind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl FaultKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The name as the command line has it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }

            /// How often it comes when it is asked for by name alone: in a million chances.
            pub const fn usual_ppm(self) -> u32 {
                match self { $(Self::$kind => $usual,)+ }
            }
        }
    };
}

fault_kinds! {
    /// An operation takes up to 20 ms to finish.
    LateCompletion = "late-completion", 50_000;
    /// The completions of one wait come in another order than they finished in.
    Reordered = "reordered", 200_000;
    /// Completions do not fit into the queue and come with a later wait.
    QueueOverflow = "queue-overflow", 30_000;
    /// What is staged is refused for the moment and submitted again.
    SubmitRefused = "submit-refused", 20_000;
    /// A wait returns with nothing.
    SpuriousWake = "spurious-wake", 20_000;
    /// The thread is held up for up to 2 s: the clock jumps.
    ThreadStall = "thread-stall", 500;
    /// A receive gives less than there is.
    PartialReceive = "partial-receive", 200_000;
    /// A receive finds no buffer, though there is one.
    BufferShortage = "buffer-shortage", 50_000;
    /// An armed accept or receive is ended by the kernel, unasked.
    MultishotEnded = "multishot-ended", 50_000;
    /// The kernel takes less of a send than it has room for.
    PartialSend = "partial-send", 200_000;
    /// A cancel does not find the operation that it is for.
    CancelMissed = "cancel-missed", 200_000;
    /// An operation succeeds after it was cancelled.
    LateSuccess = "late-success", 300_000;
    /// An aborted operation comes back with a code that names another cause.
    UnclearAbort = "unclear-abort", 500_000;
    /// Accepting fails: the process has no descriptor left.
    AcceptDescriptors = "accept-emfile", 30_000;
    /// Accepting fails: the system has no descriptor left.
    AcceptSystem = "accept-enfile", 10_000;
    /// Accepting fails: the kernel has no memory.
    AcceptMemory = "accept-enobufs", 10_000;
    /// A connection is gone before it is accepted.
    AcceptAborted = "accept-aborted", 50_000;
    /// A port has no room for a connection that was accepted.
    AdoptRefused = "adopt-refused", 10_000;
    /// A connect is refused though somebody listens.
    ConnectRefused = "connect-refused", 50_000;
    /// A connect gets no answer.
    ConnectTimeout = "connect-timeout", 20_000;
    /// Bytes are delivered in pieces of a few.
    ChoppedDelivery = "chopped-delivery", 200_000;
    /// A connection has windows and buffers of a few hundred bytes.
    SmallWindow = "small-window", 100_000;
    /// One direction of a connection stands still for up to 500 ms.
    LinkClog = "link-clog", 10_000;
    /// A connection is reset by something on its way.
    LinkReset = "link-reset", 1_000;
    /// A connection is dead in both directions, and nobody is told.
    LinkVanish = "link-vanish", 500;
    /// Two hosts cannot reach each other for up to 2 s.
    Partition = "partition", 500;
}

impl FaultKind {
    pub(super) const COUNT: usize = Self::ALL.len();

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How often each kind of fault comes, in a million chances.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    ppm: [u32; FaultKind::COUNT],
}

/// A fault that has no such name.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("no fault '{0}': all, none, or some of {list}", list = Faults::names())]
pub struct UnknownFault(String);

impl Faults {
    /// Nothing goes wrong. Operations still finish in any order.
    pub const fn none() -> Self {
        Self { ppm: [0; FaultKind::COUNT] }
    }

    /// Every kind, as often as is usual.
    pub fn all() -> Self {
        FaultKind::ALL
            .iter()
            .fold(Self::none(), |faults, &kind| faults.with(kind, kind.usual_ppm()))
    }

    /// The same, but one kind comes in `ppm` of a million chances; a million and more is always.
    #[must_use]
    pub const fn with(mut self, kind: FaultKind, ppm: u32) -> Self {
        self.ppm[kind.index()] = ppm;
        self
    }

    /// How often a kind comes, in a million chances.
    pub const fn ppm(&self, kind: FaultKind) -> u32 {
        self.ppm[kind.index()]
    }

    /// Faults by name: `all`, `none`, or names with commas between them, each as often as is usual. `none`
    /// adds nothing to others, and `all` has every other.
    ///
    /// # Errors
    /// [`UnknownFault`] with the names that there are.
    pub fn parse(list: &str) -> Result<Self, UnknownFault> {
        list.split(',').map(str::trim).try_fold(Self::none(), |faults, name| match name {
            "all" => Ok(Self::all()),
            "none" => Ok(faults),
            name => match FaultKind::ALL.iter().find(|kind| kind.name() == name) {
                Some(&kind) => Ok(faults.with(kind, kind.usual_ppm())),
                None => Err(UnknownFault(name.to_owned())),
            },
        })
    }

    fn names() -> String {
        FaultKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_is_parsed_or_refused() {
        assert_eq!(Faults::parse("none"), Ok(Faults::none()));
        assert_eq!(Faults::parse("all"), Ok(Faults::all()));
        let two = Faults::parse("link-clog, partial-send").unwrap();
        assert_eq!(two.ppm(FaultKind::LinkClog), FaultKind::LinkClog.usual_ppm());
        assert_eq!(two.ppm(FaultKind::LinkReset), 0);
        let refused = Faults::parse("link-clog,sunshine").unwrap_err().to_string();
        assert!(refused.contains("'sunshine'") && refused.contains("link-reset"), "{refused}");
    }
}
