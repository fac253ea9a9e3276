//! Limits that change while the server runs, and bans.

use std::time::Duration;

use hyper::StatusCode;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use wharf::{IpNet, LiveLimits, Rate};

use crate::answer::{self, Answer};
use crate::routes::Routes;

/// Bans that are told of; `count` says how many there are.
const BANS_TOLD: usize = 1000;
/// The longest ban that ends by itself: a hundred years.
const BAN_SECONDS_MAX: f64 = 100.0 * 365.0 * 86_400.0;

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateJson {
    per_second: u32,
    burst: u32,
}

impl From<Rate> for RateJson {
    fn from(Rate { per_second, burst }: Rate) -> Self {
        Self { per_second, burst }
    }
}

impl From<RateJson> for Rate {
    fn from(RateJson { per_second, burst }: RateJson) -> Self {
        Self { per_second, burst }
    }
}

/// What is in force.
#[derive(Debug, Serialize)]
struct Limits {
    sessions_max: usize,
    /// The most that it may be.
    sessions_max_at_start: usize,
    per_address_max: Option<usize>,
    accept_rate: Option<RateJson>,
    frame_rate: Option<RateJson>,
    byte_rate: Option<RateJson>,
}

/// What is to change: what is not there stays, and `null` is off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsChange {
    #[serde(default, deserialize_with = "told")]
    sessions_max: Option<usize>,
    #[serde(default, deserialize_with = "told")]
    per_address_max: Option<Option<usize>>,
    #[serde(default, deserialize_with = "told")]
    accept_rate: Option<Option<RateJson>>,
    #[serde(default, deserialize_with = "told")]
    frame_rate: Option<Option<RateJson>>,
    #[serde(default, deserialize_with = "told")]
    byte_rate: Option<Option<RateJson>>,
}

/// A field that is there, `null` or not.
fn told<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A network to be banned, for so long or until the ban is lifted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BanChange {
    network: String,
    seconds: Option<f64>,
}

/// A network whose ban is to end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    network: String,
}

/// A network that is banned.
#[derive(Debug, Serialize)]
struct Ban {
    network: String,
    /// How long it still is; `null` is until the ban is lifted.
    seconds: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Bans {
    /// How many there are, of which not all may be told.
    count: usize,
    bans: Vec<Ban>,
}

#[derive(Debug, Serialize)]
struct Lifted {
    network: String,
    lifted: bool,
}

impl Routes {
    pub(crate) fn limits(&self) -> Answer {
        self.limits_as(self.server.live_limits())
    }

    fn limits_as(&self, limits: LiveLimits) -> Answer {
        let told = Limits {
            sessions_max: limits.sessions_max,
            sessions_max_at_start: self.server.sessions_max_at_start(),
            per_address_max: limits.per_address_max,
            accept_rate: limits.accept_rate.map(Into::into),
            frame_rate: limits.frames_per_second.map(Into::into),
            byte_rate: limits.bytes_per_second.map(Into::into),
        };
        answer::json(StatusCode::OK, &told)
    }

    /// Changes all that is asked for, or nothing.
    pub(crate) fn change_limits(&self, body: &[u8]) -> Answer {
        let change: LimitsChange = match read(body) {
            Ok(change) => change,
            Err(error) => return unreadable(&error),
        };
        tracing::info!(?change, "limits are changed at the admin endpoint");
        let rate = |rate: Option<RateJson>| rate.map(Rate::from);
        let changed = self.server.change_limits(|limits| {
            limits.sessions_max = change.sessions_max.unwrap_or(limits.sessions_max);
            limits.per_address_max = change.per_address_max.unwrap_or(limits.per_address_max);
            limits.accept_rate = change.accept_rate.map_or(limits.accept_rate, rate);
            limits.frames_per_second = change.frame_rate.map_or(limits.frames_per_second, rate);
            limits.bytes_per_second = change.byte_rate.map_or(limits.bytes_per_second, rate);
        });
        match changed {
            Ok(limits) => self.limits_as(limits),
            Err(error) => answer::text(StatusCode::BAD_REQUEST, format!("{error}\n")),
        }
    }

    pub(crate) fn bans(&self) -> Answer {
        let (bans, now) = (self.server.bans(), self.server.now());
        let told = |ban: &wharf::Ban| Ban {
            network: ban.network.to_string(),
            seconds: ban.until.map(|until| until.since(now).as_secs_f64()),
        };
        let told =
            Bans { count: bans.len(), bans: bans.iter().take(BANS_TOLD).map(told).collect() };
        answer::json(StatusCode::OK, &told)
    }

    pub(crate) fn ban(&self, body: &[u8]) -> Answer {
        let change: BanChange = match read(body) {
            Ok(change) => change,
            Err(error) => return unreadable(&error),
        };
        let Some(network) = network(&change.network) else { return no_network() };
        let is_long = |seconds: &f64| !(0.001..=BAN_SECONDS_MAX).contains(seconds);
        if change.seconds.as_ref().is_some_and(is_long) {
            return answer::text(
                StatusCode::BAD_REQUEST,
                "seconds is from 0.001 to 3153600000, or null until it is lifted\n",
            );
        }
        tracing::info!(%network, seconds = ?change.seconds, "a ban was asked for at the admin endpoint");
        let until = change.seconds.map(|it| self.server.now() + Duration::from_secs_f64(it));
        match self.server.ban(network, until) {
            Ok(()) => {
                let ban = Ban { network: network.trunc().to_string(), seconds: change.seconds };
                answer::json(StatusCode::OK, &ban)
            }
            Err(error) => answer::text(StatusCode::CONFLICT, format!("{error}\n")),
        }
    }

    pub(crate) fn lift_ban(&self, body: &[u8]) -> Answer {
        let change: Lift = match read(body) {
            Ok(change) => change,
            Err(error) => return unreadable(&error),
        };
        let Some(network) = network(&change.network) else { return no_network() };
        tracing::info!(%network, "a ban is lifted at the admin endpoint");
        let lifted = self.server.unban(network);
        answer::json(StatusCode::OK, &Lifted { network: network.trunc().to_string(), lifted })
    }
}

/// An address, or a network.
fn network(text: &str) -> Option<IpNet> {
    let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
    address.ok().or_else(|| text.parse().ok())
}

fn no_network() -> Answer {
    answer::text(
        StatusCode::BAD_REQUEST,
        "network is an address or a network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32\n",
    )
}

/// Reads a body of objects. A list would be taken for one as well, by the order of its fields.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let fields: Map<String, Value> = serde_json::from_slice(body)?;
    if fields.values().any(Value::is_array) {
        return Err(serde_json::Error::custom("no field of it is a list"));
    }
    serde_json::from_slice(body)
}

fn unreadable(error: &serde_json::Error) -> Answer {
    answer::text(StatusCode::BAD_REQUEST, format!("the body: {error}\n"))
}
