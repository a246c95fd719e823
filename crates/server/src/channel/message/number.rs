//! Times as a subscriber reads them. Prices and sums are `core::figures`'s.

use std::time::Duration;

use alertcast_core::time::Time;
use jiff::tz::TimeZone;

/// A length of time in its two largest units: `3 h 20 min`.
pub(super) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        small => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// A moment in the reader's zone: `22 Nov 2026, 23:50 IST`.
pub(super) fn moment(at: Time, zone: &TimeZone) -> String {
    at.to_jiff().to_zoned(zone.clone()).strftime("%-d %b %Y, %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_two_units() {
        let table = [(7, "7 s"), (60, "1 min"), (3_600, "1 h"), (12_000, "3 h 20 min"), (187_200, "2 d 4 h")];
        for (seconds, shown) in table {
            assert_eq!(span(Duration::from_secs(seconds)), shown);
        }
    }
}
