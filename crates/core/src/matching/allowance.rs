//! The daily and the hourly allowance of entries.

use std::time::Duration;

use jiff::Span;

use crate::decision::Verdict;
use crate::money::Count;
use crate::quota::{ALERTS_AN_HOUR_MAX, Quota};
use crate::store::QuotaChange;
use crate::time::Time;

use super::audience::UserView;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// How far ahead of the calendar a user's local day can lie: a change of zone moves it by up to 26 hours.
const DAYS_AHEAD_MAX: i64 = 2;

/// Counts one entry that came in at `at`, if the user's allowances leave room for it.
///
/// Neither the day nor the hour goes back: an alert that came in earlier but is worked out later counts toward the
/// running ones. Only what lies ahead of `now` (the clock was wrong) is not believed. A negative daily maximum sets
/// none.
///
/// # Errors
/// `DailyLimit`, `HourlyLimit`.
pub(super) fn charge(quota: Option<&Quota>, user: &UserView<'_>, at: Time, now: Time) -> Result<QuotaChange, Verdict> {
    let today = at.local_date(user.zone).to_string();
    let latest = now.local_date(user.zone).saturating_add(Span::new().days(DAYS_AHEAD_MAX)).to_string();
    let (day, day_entries) = match quota {
        Some(quota) if quota.day >= today && quota.day <= latest => (quota.day.clone(), quota.day_entries.0),
        Some(_) | None => (today, 0),
    };
    let (hour_start, hour_entries) = match quota {
        Some(quota) if at < quota.hour_start + HOUR && quota.hour_start <= now + HOUR => {
            (quota.hour_start, quota.hour_entries.0)
        }
        Some(_) | None => (at, 0),
    };
    if user.max_daily_alerts >= 0 && day_entries >= user.max_daily_alerts {
        return Err(Verdict::DailyLimit);
    }
    if hour_entries >= ALERTS_AN_HOUR_MAX {
        return Err(Verdict::HourlyLimit);
    }
    let rev_seen = quota.map(|quota| quota.rev.0);
    Ok(QuotaChange {
        rev_seen,
        after: Quota {
            user: user.id,
            rev: Count(rev_seen.map_or(1, |rev| rev.saturating_add(1))),
            day,
            day_entries: Count(day_entries.saturating_add(1)),
            hour_start,
            hour_entries: Count(hour_entries.saturating_add(1)),
        },
    })
}
