//! Every maximum of a server, in one place.

use std::time::Duration;

use crate::rate::{OverRate, Rate};
use crate::send_queue::{SendLimits, SlowReader};

/// Every maximum of a server. All are on; what can be switched off is an `Option`, and `None` spells
/// it out.
///
/// ```
/// use std::time::Duration;
/// use wharf::Limits;
///
/// let limits = Limits { idle: Some(Duration::from_secs(60)), ..Limits::default() };
/// ```
#[derive(Clone, Debug)]
pub struct Limits {
    /// Sessions at a time, on all workers together. `None`: as many as there are descriptors, less a
    /// reserve. Beyond it a connection is accepted and reset at once. A connection that this side makes
    /// counts from its first attempt on.
    pub sessions_max: Option<usize>,
    /// Sessions from one address at a time; default 64. Loopback is exempt; IPv6 addresses count by
    /// their /64. Beyond it a connection is accepted and reset at once.
    pub per_address_max: Option<usize>,
    /// Connections that are accepted, of the whole server; default 10,000 a second and 20,000 at once.
    /// Beyond it a connection is accepted and reset at once: a queue full of those who gave up long ago
    /// never recovers.
    pub accept_rate: Option<Rate>,
    /// Frames that one session may send; default 100,000 a second and as many at once, which no session
    /// reaches by accident. With [`Framing::RAW`](crate::Framing::RAW) each piece is one.
    pub frames_per_second: Option<Rate>,
    /// Bytes that one session may send, headers included; default 1 GB a second and as much at once.
    pub bytes_per_second: Option<Rate>,
    /// What happens beyond either; default [`OverRate::Throttle`].
    pub over_rate: OverRate,
    /// Bytes of payload in one frame, inclusive: 1 to 16 MiB; default 64 KiB, or the 65,535 that a length
    /// of two bytes can express. Checked before anything is allocated.
    pub frame_bytes_max: usize,
    /// How long a session may take until its first frame is complete; default 5 s. Those that this side
    /// has connected may be silent.
    pub first_frame: Option<Duration>,
    /// How long a frame may take from its first byte to its last; default 10 s. It is not extended by
    /// further bytes, so a peer that drips is cut off.
    pub frame_deadline: Option<Duration>,
    /// How long nothing may be received; default 60 s. It does not run while a session is throttled or its
    /// [user has paused it](crate::Context::pause_receiving), which this side wants; it does while a slow
    /// reader is paused, which the peer could end.
    pub idle: Option<Duration>,
    /// Bytes that may wait to be sent to one session; 4 KiB and up, default 256 KiB. One frame more is
    /// taken, so that a frame longer than this can be sent at all.
    pub send_bytes_max: usize,
    /// Frames that may wait to be sent to one session; 1 and up, default 65,536.
    pub send_frames_max: usize,
    /// Bytes by which a queue may be fuller than `send_bytes_max` for no longer than `send_burst_time`,
    /// before its policy acts; default 256 KiB. A reader that keeps up meanwhile is no slow one: a spike is
    /// over when the queue has fallen to half of its limit. With [`SlowReader::Pause`] there is none: the
    /// session is not received from as long as its queue is full.
    pub send_burst_bytes: usize,
    /// How long a burst may take; default 1 s.
    pub send_burst_time: Duration,
    /// How long the kernel may take for what it was given of a session's queue at one time, and one second
    /// for each 16 KiB more; default 30 s. Beyond it the session is reset as [`SlowReader`] is. A stopped
    /// peer is seen by this even if too little is sent to it to fill its queue, once the system has taken
    /// all that it takes: [`SocketOptions::unsent_bytes_max`](crate::SocketOptions) bounds that.
    pub send_deadline: Option<Duration>,
    /// Bytes that may wait to be sent to all sessions together; 1 MiB and up, default 1 GiB. A frame that
    /// is shared counts for each session that it waits for. Near it, the server sheds load in this order:
    /// from 75% new connections are refused; from 90% sessions without a first frame are closed
    /// ([`CloseReason::Overload`](crate::CloseReason::Overload)); from 100% until it is below 90% those
    /// with the fullest queues are closed ([`CloseReason::SlowReader`](crate::CloseReason::SlowReader)).
    /// It is looked at once per turn: it may be exceeded by what each worker queues in one turn, and by a
    /// sixteenth.
    pub send_total_max: usize,
    /// What happens to a session that reads too slowly; default [`SlowReader::Disconnect`].
    pub slow_reader: SlowReader,
    /// Groups that one session may be in; 0 and up, default 256.
    pub groups_per_session_max: usize,
    /// Timers that one session may have started and not heard of; 0 and up, default 256.
    pub timers_per_session_max: usize,
    /// Rooms that are open at a time; 0 and up, default 65,536.
    pub rooms_max: usize,
    /// Jobs that sessions have [deferred](crate::Context::defer) and not heard of, all together; 1 and up,
    /// default 1,024. Beyond it they are refused.
    pub deferred_max: usize,
    /// How long a session that is closing may take until everything that was queued for it is with the
    /// kernel; default 60 s.
    pub flush: Duration,
    /// How long a drain waits for sessions; default 10 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: None,
            per_address_max: Some(64),
            accept_rate: Some(Rate { per_second: 10_000, burst: 20_000 }),
            frames_per_second: Some(Rate { per_second: 100_000, burst: 100_000 }),
            bytes_per_second: Some(Rate { per_second: 1_000_000_000, burst: 1_000_000_000 }),
            over_rate: OverRate::Throttle,
            frame_bytes_max: 64 << 10,
            first_frame: Some(Duration::from_secs(5)),
            frame_deadline: Some(Duration::from_secs(10)),
            idle: Some(Duration::from_secs(60)),
            send_bytes_max: 256 << 10,
            send_frames_max: 1 << 16,
            send_burst_bytes: 256 << 10,
            send_burst_time: Duration::from_secs(1),
            send_deadline: Some(Duration::from_secs(30)),
            send_total_max: 1 << 30,
            slow_reader: SlowReader::Disconnect,
            groups_per_session_max: 256,
            timers_per_session_max: 256,
            rooms_max: 1 << 16,
            deferred_max: 1_024,
            flush: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// The largest [`frame_bytes_max`](Self::frame_bytes_max).
    pub const FRAME_BYTES_MAX: usize = 16 << 20;
    /// The smallest [`send_bytes_max`](Self::send_bytes_max).
    pub const SEND_BYTES_MIN: usize = SendLimits::BYTES_MIN;

    /// The smallest [`send_total_max`](Self::send_total_max).
    pub const SEND_TOTAL_MIN: usize = 1 << 20;

    /// What each session begins with.
    pub(crate) const fn send(&self) -> SendLimits {
        SendLimits {
            bytes_max: self.send_bytes_max,
            frames_max: self.send_frames_max,
            slow_reader: self.slow_reader,
        }
    }

    /// What is out of range, if anything is.
    pub(crate) fn problem(&self) -> Option<String> {
        if !(1..=Self::FRAME_BYTES_MAX).contains(&self.frame_bytes_max) {
            return Some(format!("frame_bytes_max is {}: 1 to 16 MiB", self.frame_bytes_max));
        }
        let rates = [
            ("accept_rate", self.accept_rate),
            ("frames_per_second", self.frames_per_second),
            ("bytes_per_second", self.bytes_per_second),
        ];
        if let Some(problem) = rates.iter().find_map(|(name, rate)| Rate::problem(*rate, name)) {
            return Some(problem);
        }
        if let Some(problem) = self.send().problem() {
            return Some(problem);
        }
        if self.send_total_max < Self::SEND_TOTAL_MIN {
            return Some(format!("send_total_max is {}: 1 MiB and up", self.send_total_max));
        }
        if self.sessions_max == Some(0) {
            return Some("sessions_max is 0: 1 and up".to_owned());
        }
        if self.per_address_max == Some(0) {
            return Some("per_address_max is 0: 1 and up, or None".to_owned());
        }
        if self.deferred_max == 0 {
            return Some("deferred_max is 0: 1 and up".to_owned());
        }
        let durations = [
            ("first_frame", self.first_frame),
            ("frame_deadline", self.frame_deadline),
            ("idle", self.idle),
            ("send_burst_time", Some(self.send_burst_time)),
            ("send_deadline", self.send_deadline),
            ("flush", Some(self.flush)),
            ("drain", Some(self.drain)),
        ];
        let zero = durations.iter().find(|(_, duration)| *duration == Some(Duration::ZERO));
        zero.map(|(name, _)| format!("{name} is 0: any longer time, or None where it can be off"))
    }
}
