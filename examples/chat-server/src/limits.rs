//! What a guest may do, and for how long.

use std::time::Duration;

use wharf::{Limits, Rate, SlowReader, SocketOptions};

pub fn limits() -> Limits {
    Limits {
        frame_bytes_max: 1 << 10,
        frames_per_second: Some(Rate { per_second: 5, burst: 20 }),
        send_bytes_max: 64 << 10,
        slow_reader: SlowReader::Disconnect,
        // Who listens need not speak.
        first_frame: None,
        idle: None,
        ..Limits::default()
    }
}

pub fn sockets() -> SocketOptions {
    SocketOptions {
        // What the system has taken is out of the policy's reach.
        unsent_bytes_max: Some(64 << 10),
        // A guest whose machine has lost its power confirms nothing. Only Linux has this option.
        user_timeout: cfg!(target_os = "linux").then_some(Duration::from_secs(60)),
        ..SocketOptions::default()
    }
}
