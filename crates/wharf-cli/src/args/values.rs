//! The values that flags take: numbers, sizes, times, addresses. What is wrong with one is said in
//! words that fit behind clap's `invalid value '0' for '--sessions <N>': `.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tracing_subscriber::filter::LevelFilter;
use wharf::{Address, AddressError, IpNet, Rate, SlowReader};

/// One kibibyte.
pub(crate) const KIB: u64 = 1 << 10;
/// One mebibyte.
pub(crate) const MIB: u64 = 1 << 20;
/// The maximum of a value that has none.
pub(crate) const UNBOUNDED: u64 = u64::MAX;

/// A whole number from `min` to `max`.
pub(crate) fn number(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let range = || match max {
            UNBOUNDED => format!("give a whole number, {min} or more"),
            _ => format!("give a whole number from {min} to {max}"),
        };
        let value: u64 = text.parse().map_err(|_| range())?;
        if (min..=max).contains(&value) { Ok(value) } else { Err(range()) }
    }
}

/// A number of bytes from `min` to `max`: plain, or with the suffix `KiB` or `MiB`.
pub(crate) fn bytes(min: u64, max: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| {
        let range = || match max {
            UNBOUNDED => format!("give {} or more, such as 65536 or 64KiB", Bytes(min)),
            _ => format!("give {} to {}, such as 512 or 64KiB", Bytes(min), Bytes(max)),
        };
        let (digits, unit) = match text.strip_suffix("KiB") {
            Some(digits) => (digits, KIB),
            None => text.strip_suffix("MiB").map_or((text, 1), |digits| (digits, MIB)),
        };
        let count: u64 = digits.parse().map_err(|_| range())?;
        let value = count.checked_mul(unit).ok_or_else(range)?;
        if (min..=max).contains(&value) { Ok(value) } else { Err(range()) }
    }
}

/// A time in seconds, decimals allowed, from one millisecond to `max` seconds.
pub(crate) fn seconds(max: u32) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let range = || format!("give seconds from 0.001 to {max}, such as 2 or 0.5");
        let value: f64 = text.parse().map_err(|_| range())?;
        if (0.001..=f64::from(max)).contains(&value) {
            Ok(Duration::from_secs_f64(value))
        } else {
            Err(range())
        }
    }
}

/// A chance: above 0, and up to 1.
pub(crate) fn chance(text: &str) -> Result<f64, &'static str> {
    match text.parse() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("give a chance above 0 and up to 1, such as 0.05"),
    }
}

/// A limit, or that there is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OrOff<T> {
    /// The limit.
    On(T),
    /// `off`.
    Off,
}

impl<T> OrOff<T> {
    /// The limit, if there is one.
    pub(crate) fn on(self) -> Option<T> {
        match self {
            Self::On(limit) => Some(limit),
            Self::Off => None,
        }
    }
}

/// What `limit` takes, or `off`.
pub(crate) fn or_off<T>(
    limit: impl Fn(&str) -> Result<T, String> + Clone,
) -> impl Fn(&str) -> Result<OrOff<T>, String> + Clone {
    move |text| match text {
        "off" => Ok(OrOff::Off),
        _ => limit(text).map(OrOff::On).map_err(|range| format!("{range}, or off")),
    }
}

/// Whether something is done.
pub(super) fn switch(text: &str) -> Result<bool, &'static str> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("give on or off"),
    }
}

/// What a network looks like.
pub(super) const NETWORK_FORMS: &str =
    "give an address or a network, such as 192.0.2.1, 10.0.0.0/8 or 2001:db8::/32";

/// A network: an address, or an address and how many of its bits are the network's. What lies behind
/// them is taken for a slip; IPv4 is written as such.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse::<IpNet>()).map_err(|_| NETWORK_FORMS)?;
    let is_mapped = match network {
        IpNet::V4(_) => false,
        IpNet::V6(network) => network.addr().to_ipv4_mapped().is_some(),
    };
    if is_mapped {
        return Err("write an IPv4 address or network as such, 10.0.0.0/8".to_owned());
    }
    if network.trunc() != network {
        return Err(format!("it has bits behind its length: give {}", network.trunc()));
    }
    Ok(network)
}

/// The permission bits of a file, in octal as `chmod` takes them.
pub(super) fn mode(text: &str) -> Result<u32, String> {
    const RANGE: &str = "give permissions in octal from 000 to 777, such as 660";
    let digits = text.len() <= 4 && text.bytes().all(|digit| digit.is_ascii_digit());
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| digits && mode <= 0o777);
    mode.ok_or_else(|| RANGE.to_owned())
}

/// How often something may happen.
pub(super) fn rate(text: &str) -> Result<Rate, String> {
    text.parse()
}

/// The policies that sessions without keys and without a mind of their own can have.
pub(super) fn slow_reader(name: &str) -> Result<SlowReader, String> {
    let policy = name.parse().ok();
    let usable = |policy: &SlowReader| !matches!(policy, SlowReader::Coalesce | SlowReader::Refuse);
    policy
        .filter(usable)
        .ok_or_else(|| format!("no policy '{name}': pause, disconnect, drop-newest or drop-oldest"))
}

/// How much is logged.
pub(crate) fn log_level(text: &str) -> Result<LevelFilter, &'static str> {
    match text {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err("give off, error, warn, info, debug or trace"),
    }
}

/// Where to connect to: an address, or a name that is resolved when it is needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// An IP address and a port, or a Unix socket.
    Address(Address),
    /// A name and a port.
    Name(String, u16),
}

impl Target {
    /// Reads an address with a port of at least `port_min`.
    fn read(text: &str, port_min: u16) -> Result<Self, String> {
        const FORMS: &str =
            "give IP:PORT, [IPV6]:PORT, NAME:PORT or unix:/path, such as 127.0.0.1:7777";
        let wrong_port = || Err(format!("give a port from {port_min} to 65535"));
        match text.parse() {
            Ok(Address::Tcp(address)) if address.port() < port_min => return wrong_port(),
            Ok(address) => return Ok(Self::Address(address)),
            Err(AddressError::Unknown(_)) => {}
            Err(problem) => return Err(problem.to_string()),
        }
        let (name, port) = text.rsplit_once(':').ok_or(FORMS)?;
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        // What is made of digits and dots alone is a broken address and no name.
        let is_name = name.chars().all(letter) && name.chars().any(|c| c.is_ascii_alphabetic());
        if !is_name {
            return Err(FORMS.to_owned());
        }
        match port.parse() {
            Ok(port) if port >= port_min => Ok(Self::Name(name.to_owned(), port)),
            _ => wrong_port(),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, 1)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
        }
    }
}

/// Where to listen: an address, or a name that is resolved at the start. Port 0 is any that is free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Listen(Target);

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Target::read(text.trim(), 0).map(Self)
    }
}

impl Listen {
    /// Whether it says which port, if it has any.
    pub(super) const fn is_fixed(&self) -> bool {
        !matches!(self.0, Target::Address(Address::Tcp(address)) if address.port() == 0)
            && !matches!(self.0, Target::Name(_, 0))
    }

    /// Whether it may be an IPv6 address.
    pub(super) const fn may_be_ipv6(&self) -> bool {
        matches!(self.0, Target::Name(..) | Target::Address(Address::Tcp(SocketAddr::V6(_))))
    }

    /// Whether it is a Unix socket.
    pub(super) const fn is_unix(&self) -> bool {
        matches!(self.0, Target::Address(Address::Unix(_)))
    }

    /// Whether it is a Unix socket at a path, which is to say a file.
    pub(super) fn is_file(&self) -> bool {
        matches!(&self.0, Target::Address(Address::Unix(at)) if at.path_bytes().is_some())
    }

    /// The address, or the name to be looked up.
    pub(crate) const fn target(&self) -> &Target {
        &self.0
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A number of bytes as people write it: in the largest unit that leaves it whole.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            count if count >= MIB && count % MIB == 0 => write!(f, "{}MiB", count / MIB),
            count if count >= KIB && count % KIB == 0 => write!(f, "{}KiB", count / KIB),
            count => write!(f, "{count} B"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_suffixes_and_keep_to_their_range() {
        let size = bytes(1, 16 * MIB);
        assert_eq!(size("64"), Ok(64));
        assert_eq!(size("64KiB"), Ok(64 << 10));
        assert_eq!(size("16MiB"), Ok(16 << 20));
        for wrong in ["0", "", "-1", "17MiB", "64kb", "KiB", "1.5KiB", "99999999999999999MiB"] {
            assert_eq!(size(wrong), Err("give 1 B to 16MiB, such as 512 or 64KiB".to_owned()));
        }
    }

    #[test]
    fn seconds_take_decimals_and_no_nonsense() {
        assert_eq!(seconds(10)("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "1e9", "10.1", "off", ""] {
            assert!(seconds(10)(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn chances_lie_above_0_and_up_to_1() {
        assert_eq!(chance("1"), Ok(1.0));
        assert_eq!(chance("1e-9"), Ok(1e-9));
        for wrong in ["0", "-0.1", "1.01", "nan", "inf", "5%", ""] {
            assert!(chance(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets_are_addresses_or_names() {
        assert_eq!("[::1]:80".parse(), Ok(Target::Address("[::1]:80".parse().unwrap())));
        assert_eq!("localhost:80".parse(), Ok(Target::Name("localhost".to_owned(), 80)));
        for wrong in [
            "",
            "7777",
            ":80",
            "127.0.0.1",
            "127.0.0.1:0",
            "1.2.3:80",
            "host:0",
            "host:x",
            "::1:80",
        ] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
        assert_eq!("unix:/a:80".parse(), Ok(Target::Address("unix:/a:80".parse().unwrap())));
        assert_eq!(
            "unix:".parse::<Target>(),
            Err("a Unix socket needs a path: unix:/path".to_owned())
        );
        assert!("127.0.0.1:0".parse::<Listen>().is_ok());
        assert!("localhost:0".parse::<Listen>().is_ok());
        assert!("127.0.0.1:65536".parse::<Listen>().is_err());
    }

    #[test]
    fn modes_are_octal_and_have_no_other_bits() {
        assert_eq!(["0", "660", "0777"].map(mode), [Ok(0), Ok(0o660), Ok(0o777)]);
        for wrong in ["", "8", "1000", "00660", "-1", "+66", "0x6", "rw"] {
            assert!(mode(wrong).unwrap_err().contains("octal"), "{wrong}");
        }
    }

    #[test]
    fn a_limit_may_be_off_and_may_have_no_maximum() {
        let limit = or_off(number(1, UNBOUNDED));
        assert_eq!(limit("off"), Ok(OrOff::Off));
        assert_eq!(limit("18446744073709551615"), Ok(OrOff::On(u64::MAX)));
        assert_eq!(limit("0"), Err("give a whole number, 1 or more, or off".to_owned()));
    }
}
