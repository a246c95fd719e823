//! Points in time, to the millisecond: what a BSON date holds. The domain knows no clock; `now` is an argument.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::de::Visitor;
use serde::{Deserialize, Serialize};

use crate::reading::DATE;

/// Milliseconds since 1970-01-01T00:00:00Z, as a BSON date holds them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(i64);

impl Time {
    /// A point in time from milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same moment for calendar arithmetic. Moments outside the calendar's range are moved to its ends.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The day that this moment falls on in `zone`.
    pub fn local_date(self, zone: &jiff::tz::TimeZone) -> jiff::civil::Date {
        zone.to_datetime(self.to_jiff()).date()
    }
}

impl From<jiff::Timestamp> for Time {
    fn from(at: jiff::Timestamp) -> Self {
        Self(at.as_millisecond())
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Time> for bson::DateTime {
    fn from(at: Time) -> Self {
        Self::from_millis(at.0)
    }
}

impl From<bson::DateTime> for Time {
    fn from(at: bson::DateTime) -> Self {
        Self(at.timestamp_millis())
    }
}

impl From<Time> for bson::Bson {
    fn from(at: Time) -> Self {
        Self::DateTime(at.into())
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bson::DateTime::from(*self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(DATE, DateVisitor)
    }
}

struct DateVisitor;

impl<'de> Visitor<'de> for DateVisitor {
    type Value = Time;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a date")
    }

    fn visit_i64<E>(self, millis: i64) -> Result<Time, E> {
        Ok(Time(millis))
    }

    /// From any other reader than ours.
    fn visit_newtype_struct<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Time, D::Error> {
        bson::DateTime::deserialize(deserializer).map(Time::from)
    }
}
