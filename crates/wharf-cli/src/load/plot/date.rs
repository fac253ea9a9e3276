//! The date under a picture.

use std::time::{Duration, SystemTime};

/// Days of 400 years, after which the calendar repeats.
const ERA: u64 = 146_097;

/// A moment as `2026-11-22 12:50 UTC`.
pub(super) fn date(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (minutes, days) = (since / 60 % 1_440, since / 86_400);
    // Years that begin in March: the leap day is the last of them. From the 1st of March of the year 0 on.
    let days = days + 719_468;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let said = |seconds| date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(said(0), "1970-01-01 00:00 UTC");
        assert_eq!(said(951_782_400 + 3_599), "2000-02-29 00:59 UTC");
        assert_eq!(said(951_868_800), "2000-03-01 00:00 UTC");
        assert_eq!(said(1_798_761_599), "2026-12-31 23:59 UTC");
        assert_eq!(said(1_798_761_600), "2027-01-01 00:00 UTC");
    }
}
