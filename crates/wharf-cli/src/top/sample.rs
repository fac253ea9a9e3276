//! One look at the server: three answers, and when each came.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::answers::{Page, Server, Workers};
use super::client::{AskError, Client};
use super::columns::Column;

/// By how much the server's clock and this one's may come to differ between two looks.
const CLOCKS_APART: Duration = Duration::from_millis(500);

/// Which sessions are looked at.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Wanted {
    pub(super) column: Column,
    /// What the address of the peer has to begin with.
    pub(super) peer: String,
    /// The group that it has to be in.
    pub(super) group: String,
    /// How many, from 1 to 1,000.
    pub(super) limit: u64,
}

/// What was answered, and when, counted from any moment that is the same for all samples.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Sample {
    pub(super) server: Server,
    /// When that was asked for, and when it had come.
    pub(super) server_asked_at: Duration,
    pub(super) server_at: Duration,
    pub(super) workers: Workers,
    pub(super) workers_at: Duration,
    pub(super) page: Page,
    pub(super) page_at: Duration,
    pub(super) wanted: Wanted,
}

impl Sample {
    /// Looks; `clock` says how late it is.
    pub(super) fn take(
        client: &mut Client,
        wanted: &Wanted,
        clock: impl Fn() -> Duration,
    ) -> Result<Self, AskError> {
        let server_asked_at = clock();
        let server = read(client, "/api/v1/server")?;
        let server_at = clock();
        let workers = read(client, "/api/v1/workers")?;
        let workers_at = clock();
        let page = read(client, &wanted.path())?;
        let page_at = clock();
        let wanted = wanted.clone();
        Ok(Self { server, server_asked_at, server_at, workers, workers_at, page, page_at, wanted })
    }

    /// Whether this is of the same run of the server as a look before: then it has been up for longer by what has
    /// passed between the two at least, however long their answers took. Another run counts from the beginning.
    pub(super) fn is_of_same_run(&self, before: &Self) -> bool {
        let passed = self.server_asked_at.saturating_sub(before.server_at);
        let longer = self.server.uptime_seconds - before.server.uptime_seconds;
        longer >= passed.saturating_sub(CLOCKS_APART).as_secs_f64()
    }
}

fn read<T: DeserializeOwned>(client: &mut Client, path: &str) -> Result<T, AskError> {
    let body = client.get(path)?;
    let answer = "what it answers";
    serde_json::from_slice(&body).map_err(|error| AskError::Unreadable(answer, error.to_string()))
}

impl Wanted {
    fn path(&self) -> String {
        let Self { column, peer, group, limit } = self;
        let mut path = format!("/api/v1/sessions?order={}&limit={limit}", column.order());
        for (key, value) in [("peer", peer), ("group", group)] {
            if !value.is_empty() {
                path.push_str(&format!("&{key}={}", percent_encoded(value)));
            }
        }
        path
    }
}

/// As RFC 3986 has it: what is not unreserved, byte by byte.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_stays_within_its_value() {
        let wanted = Wanted {
            column: Column::Queue,
            peer: "[::1]:5&limit=1".to_owned(),
            group: "a b/é%".to_owned(),
            limit: 7,
        };
        assert_eq!(
            wanted.path(),
            "/api/v1/sessions?order=queue&limit=7&peer=%5B%3A%3A1%5D%3A5%26limit%3D1&group=a%20b%2F%C3%A9%25"
        );
        let all = Wanted { limit: 1, ..Wanted::default() };
        assert_eq!(all.path(), "/api/v1/sessions?order=received_rate&limit=1");
    }
}
