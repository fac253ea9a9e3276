//! The file of options: `chat-server FILE`. Without one, the defaults.

use std::{fs, time::Duration};

use serde::Deserialize;
use wharf::Limits;

use crate::limits;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Options {
    pub listen: String,
    sessions_max: Option<usize>,
    lines_max: usize,
    drain_seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        let listen = "127.0.0.1:7777".to_owned();
        Self { listen, sessions_max: None, lines_max: 1_000, drain_seconds: 10 }
    }
}

impl Options {
    pub fn limits(&self) -> Limits {
        Limits {
            sessions_max: self.sessions_max,
            send_frames_max: self.lines_max,
            drain: Duration::from_secs(self.drain_seconds),
            ..limits::limits()
        }
    }
}

/// What the file says, or what is wrong with it.
pub fn read(file: Option<String>) -> Result<Options, String> {
    let Some(file) = file else { return Ok(Options::default()) };
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    toml::from_str(&text).map_err(|error| format!("{file}: {error}"))
}
