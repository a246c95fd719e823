//! How old an alert may be (seed 5.1): at most five minutes, and at most one minute ahead of its receipt.

use std::time::Duration;

use super::super::rule_violation::{ProblemCode, RuleViolation};
use crate::market::Timeframe;
use crate::time::Time;

/// The age up to which an alert is taken.
pub const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// How far its timestamp may lie ahead, for clocks that differ.
pub const AHEAD_MAX: Duration = Duration::from_secs(60);

/// How exactly an age must match a bar's length, or a time zone's offset, to look like it.
const SLACK: Duration = Duration::from_secs(60);

const HALF_HOUR: Duration = Duration::from_secs(30 * 60);

/// The greatest distance of a time zone from UTC.
const OFFSET_MAX: Duration = Duration::from_secs(14 * 60 * 60);

/// What is wrong with a timestamp's age. One that is absent is that of the receipt.
pub(super) fn check(timestamp: Option<Time>, received_at: Time, bar: Timeframe, waived: bool) -> Option<RuleViolation> {
    let timestamp = timestamp.filter(|_| !waived)?;
    let (age, ahead) = (received_at.since(timestamp), timestamp.since(received_at));
    if age > AGE_MAX {
        let message = format!(
            "timestamp {timestamp} was {} old on receipt; 5 minutes are allowed. {}",
            spell_duration(age),
            stale_advice(timestamp, age, bar)
        );
        return Some(RuleViolation::new("timestamp", ProblemCode::Stale, message));
    }
    if ahead > AHEAD_MAX {
        let message = format!(
            "timestamp {timestamp} was {} ahead of its receipt; 1 minute is allowed. {}",
            spell_duration(ahead),
            if is_offset(ahead) { ZONE_ADVICE } else { CLOCK_ADVICE }
        );
        return Some(RuleViolation::new("timestamp", ProblemCode::Ahead, message));
    }
    None
}

const ZONE_ADVICE: &str = "This looks like local time written as UTC: use {{timenow}}, or end the time with its own \
                           offset, as in +05:30";

const CLOCK_ADVICE: &str = "Use {{timenow}}, the moment when the alert fires; or leave the timestamp out, and the moment \
                            of receipt counts";

/// `{{time}}`, which people take for `{{timenow}}`, is the start of the bar: a bar old when the alert fires at its close,
/// and on the bar's grid always.
fn stale_advice(timestamp: Time, age: Duration, bar: Timeframe) -> String {
    let length = bar.duration();
    let bars = [1, 2].into_iter().find(|bars| age.abs_diff(length * *bars) <= SLACK);
    let on_the_grid = age <= length && timestamp.millis() % i64::try_from(length.as_millis()).unwrap_or(i64::MAX) == 0;
    match bars {
        Some(1) => format!("That is the length of a {bar} bar: {TIME_ADVICE}"),
        Some(_) => format!("That is the length of two {bar} bars: {TIME_ADVICE}"),
        None if on_the_grid => format!("That is when a {bar} bar began: {TIME_ADVICE}"),
        None if is_offset(age) => ZONE_ADVICE.to_owned(),
        None => CLOCK_ADVICE.to_owned(),
    }
}

const TIME_ADVICE: &str = "{{time}} is the bar's start; use {{timenow}}, the moment when the alert fires";

/// Whether a difference looks like a time zone's: a whole number of half hours.
fn is_offset(difference: Duration) -> bool {
    let beyond = difference.as_millis() % HALF_HOUR.as_millis();
    let off = beyond.min(HALF_HOUR.as_millis() - beyond);
    difference + SLACK >= HALF_HOUR && difference <= OFFSET_MAX + SLACK && off <= SLACK.as_millis()
}

/// A duration in its two largest units.
pub(super) fn spell_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}
