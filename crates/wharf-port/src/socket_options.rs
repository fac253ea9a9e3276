//! How a listener and a socket are set up, and what can be set.

use std::net::SocketAddr;
use std::time::Duration;

/// How a listener is set up.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Connections that may wait to be accepted: 0 to 65,535; default 4,096. The system may cap it
    /// (Linux: `net.core.somaxconn`).
    pub backlog: u32,
    /// Whether a listener on an IPv6 address takes IPv4 as well (`IPV6_V6ONLY` is off); default false. It
    /// changes nothing for an IPv4 address. Not on OpenBSD.
    pub dual_stack: bool,
    /// The permission bits of the file of a Unix socket: 0 to 0o777; default those that the process's mask
    /// leaves. Who is to connect needs the right to write. It changes nothing for other listeners.
    pub unix_mode: Option<u32>,
    /// What accepted sockets are set to.
    pub accepted: SocketOptions,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            backlog: 4096,
            dual_stack: false,
            unix_mode: None,
            accepted: SocketOptions::default(),
        }
    }
}

/// How a socket is set up. Unix sockets have only `send_buffer_bytes`; what is TCP's changes nothing for them.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// `TCP_NODELAY`; default true: the session layer gathers what belongs together itself.
    pub no_delay: bool,
    /// Probes on an idle connection; default none.
    pub keepalive: Option<Keepalive>,
    /// How long bytes that were sent may stay without an acknowledgement before the connection is given
    /// up, `TCP_USER_TIMEOUT`: 1 ms to 24 days; default the system's own time, often a quarter of an hour.
    /// It also bounds keepalive: Linux then gives up at this time and not after so many probes. On Linux
    /// only: elsewhere it is an error.
    pub user_timeout: Option<Duration>,
    /// `SO_SNDBUF` in bytes: 1 to 1 GiB; default the system's own sizing. Linux doubles it, and cuts it
    /// down to `net.core.wmem_max` first.
    pub send_buffer_bytes: Option<u32>,
    /// Bytes that the kernel may hold for a socket and not have sent, `TCP_NOTSENT_LOWAT`: what it has
    /// taken is out of reach of whoever watches how much waits for a slow reader. It may take one piece
    /// more, of some 64 KiB. Default 1 MiB; 1 byte and up; `None` is the system's own setting, usually no
    /// bound. On Linux only: on other systems this changes nothing, and `send_buffer_bytes` bounds what
    /// is hidden.
    pub unsent_bytes_max: Option<u32>,
    /// `SO_RCVBUF` in bytes: 1 to 1 GiB; default the system's own sizing, which grows with what a peer
    /// sends. Linux doubles it, and cuts it down to `net.core.rmem_max` first.
    pub receive_buffer_bytes: Option<u32>,
    /// The local address of a connecting socket; default any.
    pub bind: Option<SocketAddr>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            no_delay: true,
            keepalive: None,
            user_timeout: None,
            send_buffer_bytes: None,
            unsent_bytes_max: Some(1 << 20),
            receive_buffer_bytes: None,
            bind: None,
        }
    }
}

/// When the kernel asks a silent peer whether it is still there. The times are the whole system's on
/// OpenBSD, where this only switches the probes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// Silence before the first probe; whole seconds, 1 to 32,767.
    pub idle: Duration,
    /// Time between probes; whole seconds, 1 to 32,767.
    pub interval: Duration,
    /// Probes without an answer after which the connection is gone; 1 to 127.
    pub probes: u32,
}

/// The most bytes of a buffer: what systems take without counting over.
const BUFFER_BYTES_MAX: u32 = 1 << 30;
/// The most seconds that Linux takes for either time of keepalive.
const KEEPALIVE_SECONDS_MAX: u64 = 32_767;

impl ListenOptions {
    /// What is out of range, or not to be had on this system; `None` if nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        if self.backlog > u32::from(u16::MAX) {
            return Some("backlog is out of range: 0 to 65,535");
        }
        if self.dual_stack && cfg!(target_os = "openbsd") {
            return Some("this system has no dual_stack: listen on an IPv4 address as well");
        }
        if self.unix_mode.is_some_and(|mode| mode > 0o777) {
            return Some("unix_mode is out of range: 0 to 0o777");
        }
        self.accepted.problem()
    }
}

impl SocketOptions {
    /// What is out of range, or not to be had on this system; `None` if nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        let is_size =
            |bytes: Option<u32>| bytes.is_none_or(|bytes| (1..=BUFFER_BYTES_MAX).contains(&bytes));
        if !is_size(self.send_buffer_bytes) {
            return Some("send_buffer_bytes is out of range: 1 to 1 GiB");
        }
        if !is_size(self.receive_buffer_bytes) {
            return Some("receive_buffer_bytes is out of range: 1 to 1 GiB");
        }
        if self.unsent_bytes_max == Some(0) {
            return Some("unsent_bytes_max is out of range: 1 byte and up");
        }
        if let Some(timeout) = self.user_timeout {
            if !cfg!(target_os = "linux") {
                return Some("this system has no user_timeout, which Linux alone has");
            }
            if user_timeout_ms(timeout).is_none() {
                return Some("user_timeout is out of range: 1 ms to 24 days");
            }
        }
        self.keepalive.as_ref().and_then(Keepalive::problem)
    }
}

impl Keepalive {
    fn problem(&self) -> Option<&'static str> {
        let is_time = |time: Duration| {
            time.subsec_nanos() == 0 && (1..=KEEPALIVE_SECONDS_MAX).contains(&time.as_secs())
        };
        if !is_time(self.idle) {
            return Some("the idle time of keepalive is out of range: whole seconds, 1 to 32,767");
        }
        if !is_time(self.interval) {
            return Some("the interval of keepalive is out of range: whole seconds, 1 to 32,767");
        }
        if !(1..=127).contains(&self.probes) {
            return Some("the probes of keepalive are out of range: 1 to 127");
        }
        None
    }
}

/// As Linux takes it: milliseconds, of which 0 would mean the system's own time.
pub(crate) fn user_timeout_ms(timeout: Duration) -> Option<u32> {
    let millis = i32::try_from(timeout.as_millis()).ok().filter(|&millis| millis > 0)?;
    Some(millis.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const KEEPALIVE: Keepalive = Keepalive { idle: SECOND, interval: SECOND, probes: 1 };

    fn problem(change: impl FnOnce(&mut SocketOptions)) -> &'static str {
        let mut options = ListenOptions::default();
        change(&mut options.accepted);
        options.problem().unwrap_or("")
    }

    #[test]
    fn options_keep_to_their_ranges() {
        assert_eq!(ListenOptions::default().problem(), None);
        let long = ListenOptions { backlog: 65_536, ..ListenOptions::default() };
        assert!(long.problem().unwrap().contains("backlog"));
        let mode = ListenOptions { unix_mode: Some(0o1000), ..ListenOptions::default() };
        assert!(mode.problem().unwrap().contains("unix_mode"));
        for bytes in [0, (1 << 30) + 1] {
            assert!(problem(|o| o.send_buffer_bytes = Some(bytes)).contains("send_buffer"));
            assert!(problem(|o| o.receive_buffer_bytes = Some(bytes)).contains("receive_buffer"));
        }
        assert!(problem(|o| o.unsent_bytes_max = Some(0)).contains("unsent"));
        let last = Duration::from_secs(32_767);
        for (keepalive, says) in [
            (KEEPALIVE, ""),
            (Keepalive { idle: last, interval: last, probes: 127 }, ""),
            (Keepalive { idle: SECOND / 2, ..KEEPALIVE }, "idle"),
            (Keepalive { idle: last + SECOND, ..KEEPALIVE }, "idle"),
            (Keepalive { interval: Duration::ZERO, ..KEEPALIVE }, "interval"),
            (Keepalive { interval: SECOND * 3 / 2, ..KEEPALIVE }, "interval"),
            (Keepalive { probes: 0, ..KEEPALIVE }, "probes"),
            (Keepalive { probes: 128, ..KEEPALIVE }, "probes"),
        ] {
            let said = problem(|options| options.keepalive = Some(keepalive));
            assert_eq!(said.is_empty(), says.is_empty(), "{keepalive:?}: {said}");
            assert!(said.contains(says), "{keepalive:?}: {said}");
        }
    }

    #[test]
    fn a_user_timeout_is_in_range_or_not_to_be_had() {
        let day = SECOND * 24 * 60 * 60;
        let says = |linux| if cfg!(target_os = "linux") { linux } else { "Linux alone" };
        for (timeout, linux) in [
            (Duration::from_millis(1), ""),
            (day * 24, ""),
            (Duration::from_micros(999), "out of range"),
            (day * 25, "out of range"),
        ] {
            let said = problem(|options| options.user_timeout = Some(timeout));
            assert_eq!(said.is_empty(), says(linux).is_empty(), "{timeout:?}: {said}");
            assert!(said.contains(says(linux)), "{timeout:?}: {said}");
        }
    }
}
