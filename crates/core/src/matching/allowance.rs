//! The daily and the hourly allowance of entries.

use std::time::Duration;

use crate::decision::Verdict;
use crate::money::Count;
use crate::quota::{ALERTS_AN_HOUR_MAX, Quota};
use crate::store::QuotaChange;
use crate::time::Time;

use super::audience::UserView;

const HOUR: Duration = Duration::from_secs(60 * 60);

/// Counts one entry that came in at `at`, if the user's allowances leave room for it.
///
/// Neither the day nor the hour ever goes back: an alert of another configuration that came in earlier but is worked
/// out later counts toward the running ones. A negative daily maximum sets none.
///
/// # Errors
/// `DailyLimit`, `HourlyLimit`.
pub(super) fn charge(quota: Option<&Quota>, user: &UserView<'_>, at: Time) -> Result<QuotaChange, Verdict> {
    let today = at.local_date(user.zone).to_string();
    let (day, today_entries) = match quota {
        Some(quota) if quota.day >= today => (quota.day.clone(), quota.day_entries.0),
        Some(_) | None => (today, 0),
    };
    let (hour_start, hour_entries) = match quota {
        Some(quota) if at < quota.hour_start + HOUR => (quota.hour_start, quota.hour_entries.0),
        Some(_) | None => (at, 0),
    };
    if user.max_daily_alerts >= 0 && today_entries >= user.max_daily_alerts {
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
            day_entries: Count(today_entries.saturating_add(1)),
            hour_start,
            hour_entries: Count(hour_entries.saturating_add(1)),
        },
    })
}
