//! How long a term is: calendar months, then days, counted in the subscriber's time zone.

use jiff::Span;
use jiff::tz::TimeZone;

use crate::plan::PlanDuration;
use crate::time::Time;

/// Why a term has no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    #[error("a term of {months} months and {days} days has no length: give the plan a duration")]
    Empty { months: i64, days: i64 },
    #[error("a term of {months} months and {days} days ends beyond the calendar: give the plan a shorter duration")]
    TooLong { months: i64, days: i64 },
}

/// The zone of this name (IANA); UTC where there is none.
pub fn zone_named(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The first moment behind a term that begins at `start`. The clock on the subscriber's wall shows the same time at both
/// ends; a day that the last month does not have is its last day. A time that the clocks leave out is read as so much
/// later, and of one that comes twice the first counts.
///
/// # Errors
/// The term has no length, or ends beyond the calendar.
pub fn term_end(start: Time, length: PlanDuration, zone: &TimeZone) -> Result<Time, TermError> {
    let (months, days) = (length.months.0, length.days.0);
    let local = zone.to_datetime(start.to_jiff());
    let added = Span::new().try_months(months).and_then(|span| span.try_days(days));
    let end = added.and_then(|span| local.checked_add(span)).and_then(|end| zone.to_timestamp(end));
    let end = end.map(Time::from).map_err(|_| TermError::TooLong { months, days })?;
    if end > start { Ok(end) } else { Err(TermError::Empty { months, days }) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::money::Count;

    const ZONES: [&str; 6] =
        ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"];

    const fn length(months: i64, days: i64) -> PlanDuration {
        PlanDuration { months: Count(months), days: Count(days) }
    }

    fn at(local: &str, zone: &TimeZone) -> Time {
        zone.to_timestamp(local.parse::<DateTime>().unwrap()).unwrap().into()
    }

    #[test]
    fn months_come_before_days_and_a_missing_day_is_the_months_last() {
        for (zone, start, (months, days), end) in [
            ("UTC", "2026-01-31T00:00", (1, 0), "2026-02-28T00:00"),
            ("UTC", "2028-01-31T00:00", (1, 0), "2028-02-29T00:00"),
            ("UTC", "2028-02-29T00:00", (12, 0), "2029-02-28T00:00"),
            ("UTC", "2026-01-31T00:00", (1, 1), "2026-03-01T00:00"),
            ("UTC", "2026-12-31T23:59:59.999", (2, 0), "2027-02-28T23:59:59.999"),
            ("UTC", "2026-11-22T10:00", (0, 7), "2026-11-29T10:00"),
            // 23:30 in Kolkata is the day before in UTC.
            ("Asia/Kolkata", "2026-01-31T23:30", (1, 0), "2026-02-28T23:30"),
            // The clocks change within the term: noon stays noon.
            ("Europe/Berlin", "2026-03-15T12:00", (1, 0), "2026-04-15T12:00"),
            ("America/New_York", "2026-10-15T12:00", (1, 0), "2026-11-15T12:00"),
            // 02:30 is left out on that day, and reads 03:30; another day's 02:30 comes twice.
            ("Europe/Berlin", "2026-02-28T02:30", (1, 1), "2026-03-29T03:30"),
            ("Europe/Berlin", "2026-09-25T02:30", (1, 0), "2026-10-25T02:30"),
        ] {
            let zone = zone_named(zone);
            let end = at(end, &zone);
            assert_eq!(term_end(at(start, &zone), length(months, days), &zone), Ok(end), "{start} {months} {days}");
        }
    }

    #[test]
    fn a_term_without_length_and_one_beyond_the_calendar_are_errors() {
        let now = Time::from_millis(1_790_000_000_000);
        for (months, days) in [(0, 0), (-1, 0), (1, -40), (0, -1)] {
            let empty = TermError::Empty { months, days };
            assert_eq!(term_end(now, length(months, days), &TimeZone::UTC), Err(empty));
        }
        for (months, days) in [(i64::MAX, 0), (0, i64::MAX), (Count::MAX, 0), (120_000, 0), (1, 4_000_000)] {
            let long = TermError::TooLong { months, days };
            assert_eq!(term_end(now, length(months, days), &TimeZone::UTC), Err(long));
        }
    }

    #[test]
    fn a_zone_that_nobody_knows_is_utc() {
        assert_eq!(zone_named("Nowhere"), TimeZone::UTC);
        assert_eq!(zone_named("asia/kolkata").iana_name(), Some("Asia/Kolkata"));
    }

    proptest! {
        #[test]
        fn the_wall_clock_shows_the_same_time_on_the_day_that_the_calendar_says(
            millis in 0_i64..4_000_000_000_000, months in 0_i64..37, days in 0_i64..400, zone in 0..ZONES.len(),
        ) {
            prop_assume!(months + days > 0);
            let (zone, start) = (zone_named(ZONES[zone]), Time::from_millis(millis));
            let end = term_end(start, length(months, days), &zone).unwrap();
            prop_assert!(end > start);
            let local = zone.to_datetime(start.to_jiff());
            let by_calendar = local.checked_add(Span::new().months(months)).unwrap();
            let by_calendar = by_calendar.checked_add(Span::new().days(days)).unwrap();
            let shown = zone.to_datetime(end.to_jiff());
            if shown != by_calendar {
                // Only a time that the clocks left out, by a day at most (Apia had no 30 December 2011).
                let moved = end.since(zone.to_timestamp(by_calendar).unwrap().into());
                prop_assert!(zone.to_ambiguous_timestamp(by_calendar).is_ambiguous(), "{shown} {by_calendar}");
                prop_assert_eq!(moved, std::time::Duration::ZERO);
            }
        }

        #[test]
        fn a_later_start_never_ends_earlier_and_a_longer_term_ends_later(
            millis in 0_i64..4_000_000_000_000, later in 0_i64..40_000_000_000, months in 1_i64..25, days in 0_i64..40,
            zone in 0..ZONES.len(),
        ) {
            let (zone, start) = (zone_named(ZONES[zone]), Time::from_millis(millis));
            let end = |start, months, days| term_end(start, length(months, days), &zone).unwrap();
            let slack = std::time::Duration::from_secs(24 * 60 * 60);
            // Where the clocks change, an hour (in Apia a day) comes twice or not at all.
            let of_later = end(Time::from_millis(millis + later), months, days);
            prop_assert!(of_later + slack >= end(start, months, days));
            prop_assert!(end(start, months, days + 2) > end(start, months, days));
            prop_assert!(end(start, months + 1, days) > end(start, months, days));
        }
    }
}
