//! What a Windows may be like: each test says which one it is on.

use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_HANDLES_CLOSED, ERROR_INVALID_HANDLE, ERROR_NETNAME_DELETED, ERROR_OPERATION_ABORTED,
};

/// The habits of the Windows that a test runs on. By default it is a quick and a simple one.
#[derive(Clone, Debug)]
pub(crate) struct Switches {
    /// It says that it is Wine.
    pub(crate) wine: bool,
    /// Providers have real handles, so that packets may be skipped.
    pub(crate) skips: bool,
    /// It has high-resolution timers that post to a port.
    pub(crate) fine_timer: bool,
    /// What timeouts are rounded up to.
    pub(crate) tick: Duration,
    /// `AcceptEx` is done at once if somebody waits.
    pub(crate) accepts_at_once: bool,
    /// An accept that another thread posts does not return before its packet has been dequeued.
    pub(crate) accepts_late: bool,
    /// How an accept ends that meets a client which is gone already.
    pub(crate) gone: Gone,
    /// Receives pend, though there is something to receive.
    pub(crate) receives_pend: bool,
    pub(crate) connects_at_once: bool,
    pub(crate) cancel: Cancel,
    /// What operations end with when their socket is closed; taken in turn.
    pub(crate) closed: Vec<u32>,
    /// How long a disconnect takes when this end has ended first.
    pub(crate) time_wait: Duration,
    pub(crate) disconnect: Disconnecting,
    /// Bytes that one direction of a connection holds.
    pub(crate) window: usize,
    /// Sockets that may be open.
    pub(crate) sockets_max: usize,
    /// Pages can be locked: without, an accept and a receive with a buffer fail for lack of memory.
    pub(crate) locks_pages: bool,
    /// What every plain `accept` fails with.
    pub(crate) plain_accepts_fail: Option<u32>,
    /// Polling a listener says that somebody waits, whoever does.
    pub(crate) polls_wrong: bool,
    /// Taking packets from a port panics, as a bug would.
    pub(crate) panics: bool,
    /// Packets come later than the operations end, by up to a millisecond: the seed of that.
    pub(crate) delays: Option<u64>,
    /// The next so many packets of operations come twice.
    pub(crate) doubles: u32,
    /// Operations are never given back once they are cancelled or their socket is closed.
    pub(crate) keeps: bool,
    /// Other threads run, so that the time is real while there is no packet.
    pub(crate) threads: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            wine: false,
            skips: true,
            fine_timer: true,
            tick: Duration::from_micros(15_625),
            accepts_at_once: false,
            accepts_late: false,
            gone: Gone::Packet(ERROR_NETNAME_DELETED),
            receives_pend: false,
            connects_at_once: false,
            cancel: Cancel::AtOnce,
            closed: vec![
                ERROR_NETNAME_DELETED,
                ERROR_HANDLES_CLOSED,
                ERROR_INVALID_HANDLE,
                ERROR_OPERATION_ABORTED,
            ],
            time_wait: Duration::from_secs(120),
            disconnect: Disconnecting::After(Duration::from_millis(1)),
            window: 1 << 16,
            sockets_max: usize::MAX,
            locks_pages: true,
            plain_accepts_fail: None,
            polls_wrong: false,
            panics: false,
            delays: None,
            doubles: 0,
            keeps: false,
            threads: false,
        }
    }
}

/// How an accept ends that meets a client which has reset already.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gone {
    /// The call fails with this code.
    Call(u32),
    /// The packet brings this code.
    Packet(u32),
}

/// What becomes of an operation that is cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cancel {
    AtOnce,
    /// It may still succeed for so long.
    After(Duration),
}

/// How a disconnect goes whose peer has ended first.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disconnecting {
    AtOnce,
    After(Duration),
    Fails(u32),
}
