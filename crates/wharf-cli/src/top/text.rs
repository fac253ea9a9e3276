//! Texts of others and numbers, as they may stand on a terminal.

use std::fmt::Write;

use super::spread::UpTo;
use crate::failure;

/// A text that a peer or a server may have chosen, as one that only shows: what controls a terminal is escaped, and
/// so is what is not seen or turns the direction of writing round.
pub(super) fn shown(text: &str, ascii: bool) -> String {
    let mut line = String::with_capacity(text.len());
    for char in failure::shown(text).chars() {
        if is_hidden(char) || (ascii && !char.is_ascii()) {
            line.extend(char.escape_unicode());
        } else {
            line.push(char);
        }
    }
    line
}

/// Marks of direction, joiners, separators of lines, tags and the like.
const fn is_hidden(char: char) -> bool {
    matches!(
        char,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// A number in at most five places, up to the largest unit: `999`, `12.3k`, `4.56M`.
pub(super) fn number(value: f64) -> String {
    scaled(value, 1000.0, &["", "k", "M", "G", "T", "P", "E"])
}

/// Bytes in at most six places, the same way: `999`, `12.3Ki`, `4.56Mi`.
pub(super) fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"])
}

fn scaled(mut value: f64, base: f64, units: &[&str]) -> String {
    let mut place = 0;
    // What would be rounded up to the next unit is shown in it.
    while value >= base - 0.5 && place + 1 < units.len() {
        value /= base;
        place += 1;
    }
    let unit = units.get(place).copied().unwrap_or_default();
    match value {
        _ if place == 0 && (value.fract() == 0.0 || value >= 9.95) => format!("{value:.0}"),
        value if value < 9.995 && place > 0 => format!("{value:.2}{unit}"),
        value if value < 99.95 => format!("{value:.1}{unit}"),
        value => format!("{value:.0}{unit}"),
    }
}

/// A time that has passed, in at most six places for some centuries: `5s`, `3m20s`, `2h05m`, `4d12h`, `365d`.
pub(super) fn age(seconds: f64) -> String {
    let whole = Whole::of(seconds);
    match (whole.days, whole.hours, whole.minutes) {
        (0, 0, 0) if seconds < 9.95 => format!("{:.1}s", seconds.max(0.0)),
        (0, 0, 0) => format!("{}s", whole.seconds),
        (0, 0, minutes) => format!("{minutes}m{:02}s", whole.seconds),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days @ ..100, hours, _) => format!("{days}d{hours:02}h"),
        (days, ..) => format!("{days}d"),
    }
}

struct Whole {
    days: u64,
    hours: u64,
    minutes: u64,
    seconds: u64,
}

impl Whole {
    fn of(seconds: f64) -> Self {
        // A time that nobody waits for is as good as the longest.
        let seconds = std::time::Duration::try_from_secs_f64(seconds.max(0.0));
        let all = seconds.map_or(0, |time| time.as_secs());
        Self {
            days: all / 86_400,
            hours: all / 3_600 % 24,
            minutes: all / 60 % 60,
            seconds: all % 60,
        }
    }
}

/// A time that is known by its bucket: `<=64us`, `<=2.05ms`, `>8.39s`.
pub(super) fn up_to(value: UpTo) -> String {
    match value {
        UpTo::Seconds(bound) => format!("<={}", short_time(bound)),
        UpTo::Beyond(bound) => format!(">{}", short_time(bound)),
    }
}

fn short_time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        seconds if seconds < 0.000_999_5 => (seconds * 1e6, "us"),
        seconds if seconds < 0.999_5 => (seconds * 1e3, "ms"),
        seconds => (seconds, "s"),
    };
    let mut text = match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    };
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + unit
}

/// With commas between the thousands.
pub(super) fn count(value: u64) -> String {
    indicatif::HumanCount(value).to_string()
}

/// Names behind each other; what is in none is a dash.
pub(super) fn list(names: &[String], ascii: bool) -> String {
    let mut text = String::new();
    for name in names {
        // To a string nothing fails to be written.
        let _ = write!(text, "{}{}", if text.is_empty() { "" } else { "," }, shown(name, ascii));
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_peers_choose_is_no_command_to_a_terminal_and_hides_nothing() {
        assert_eq!(shown("a\u{1b}[2J\r\n\u{9b}b", false), r"a\u{1b}[2J\r\n\u{9b}b");
        assert_eq!(shown("x\u{202e}y\u{200b}z\u{2066}", false), r"x\u{202e}y\u{200b}z\u{2066}");
        assert_eq!(shown("né 한", false), "né 한");
        assert_eq!(shown("né", true), r"n\u{e9}");
        assert_eq!(list(&["a\n".to_owned(), "b".to_owned()], false), r"a\n,b");
        assert_eq!(list(&[], false), "-");
        for char in (0..=0x1f).chain(0x7f..=0x9f).filter_map(char::from_u32) {
            let text = shown(&char.to_string(), true);
            assert!(text.chars().all(|char| char.is_ascii_graphic()), "{char:?} is {text:?}");
        }
    }

    #[test]
    fn numbers_keep_to_few_places() {
        let shown = |value| (number(value), bytes(value));
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(shown(0.0), pair("0", "0"));
        assert_eq!(shown(0.25), pair("0.2", "0.2"));
        assert_eq!(shown(7.0), pair("7", "7"));
        assert_eq!(shown(999.4), pair("999", "999"));
        assert_eq!(shown(999.6), pair("1.00k", "1000"));
        assert_eq!(shown(1023.7), pair("1.02k", "1.00Ki"));
        assert_eq!(shown(12_345.0), pair("12.3k", "12.1Ki"));
        assert_eq!(shown(4.56e6), pair("4.56M", "4.35Mi"));
        assert!(number(1e30).ends_with("000E"), "{}", number(1e30));
        let powers = (0..200).map(|power| 1.2f64.powi(power)).filter(|&value| value < 1e18);
        for value in powers {
            assert!(number(value).len() <= 5, "{}", number(value));
            assert!(bytes(value).len() <= 6, "{}", bytes(value));
        }
    }

    #[test]
    fn times_keep_to_two_units() {
        let shown: Vec<String> =
            [0.0, 0.04, 9.96, 59.0, 60.0, 3725.0, 90_061.0, -1.0, 1e300].map(age).into();
        let wanted = ["0.0s", "0.0s", "9s", "59s", "1m00s", "1h02m", "1d01h", "0.0s", "0.0s"];
        assert_eq!(shown[..8], wanted[..8]);
        let bounds = [1e-6, 64e-6, 1024e-6, 0.002_048, 0.131_072, 8.388_608];
        let shown = bounds.map(|bound| up_to(UpTo::Seconds(bound)));
        assert_eq!(shown, ["<=1us", "<=64us", "<=1.02ms", "<=2.05ms", "<=131ms", "<=8.39s"]);
        assert_eq!(up_to(UpTo::Beyond(8.388_608)), ">8.39s");
    }
}
