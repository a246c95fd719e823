//! How many entries a user was sent today and this hour: what `maxDailyAlerts` and the hourly limit count.

use serde::{Deserialize, Serialize};

use crate::id::UserId;
use crate::money::{Count, read_exact_count};
use crate::time::Time;

/// Entries an hour for each user (`rate_limit` type `alerts`).
pub const ALERTS_AN_HOUR_MAX: i64 = 120;

/// The `quotas` document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quota {
    #[serde(rename = "_id")]
    pub user: UserId,
    /// Raised by each change: a decision that rested on another value is worked out again.
    #[serde(deserialize_with = "read_exact_count")]
    pub rev: Count,
    /// The user's local day, `YYYY-MM-DD`.
    pub day: String,
    /// Entries sent on that day.
    pub day_entries: Count,
    /// When the running hour began: at the first entry that counts in it.
    pub hour_start: Time,
    /// Entries sent since.
    pub hour_entries: Count,
}
