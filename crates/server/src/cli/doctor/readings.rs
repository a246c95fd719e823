//! Alerts of late that would be read otherwise now: an entry that an earlier version made of an exit, say.

use std::fmt::Write as _;

use alertcast_core::alert::document::Alert;
use alertcast_core::alert::intent::Intent;
use alertcast_core::alert::payload::{ChangedReading, read_otherwise};
use alertcast_core::store::{Collection, StoreError, read};
use alertcast_core::time::Time;
use bson::oid::ObjectId;

use super::super::store::ReadOnlyStore;
use super::super::terminal::count_noun;
use super::DoctorFinding;

/// How far back alerts are looked at.
const DAYS: i64 = 30;
/// Alerts that are read at once.
const PAGE: usize = 1_000;
/// The most alerts that are looked at.
const LOOKED_AT_MAX: usize = 100_000;
/// The most that are named.
const NAMED_MAX: usize = 10;

/// What would be read otherwise, and how much was looked at.
#[derive(Debug, Default)]
struct ChangedReadings {
    looked_at: usize,
    all: bool,
    count: usize,
    /// The first of them, a line each.
    named: Vec<String>,
}

/// Tells of alerts of the last days that would be read otherwise. None where there are none.
pub(super) async fn look(store: &ReadOnlyStore, now: Time) -> Option<DoctorFinding> {
    match list_changed(store, now).await {
        Ok(changed) => changed.into_finding(),
        Err(error) => Some(DoctorFinding::attention(
            format!("The alerts of the last {DAYS} days cannot be read: {error}"),
            "mend that, then run `alertcast doctor` again: it tells which of them would be read otherwise now",
        )),
    }
}

async fn list_changed(store: &ReadOnlyStore, now: Time) -> Result<ChangedReadings, StoreError> {
    let mut changed = ChangedReadings::default();
    let since = now.millis() / 1_000 - DAYS * 86_400;
    let mut after = first_of(u32::try_from(since).unwrap_or_default());
    while changed.looked_at < LOOKED_AT_MAX {
        let page = store.page(Collection::Alerts, Some(after), PAGE).await?;
        let Some(last) = page.last().and_then(|document| document.get_object_id("_id").ok()) else {
            changed.all = true;
            break;
        };
        after = last;
        changed.looked_at += page.len();
        // One that cannot be read is told of elsewhere.
        for alert in page.into_iter().filter_map(|document| read::<Alert>(Collection::Alerts, document).ok()) {
            changed.add(&alert);
        }
    }
    Ok(changed)
}

/// The lowest id of that second.
fn first_of(seconds: u32) -> ObjectId {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

impl ChangedReadings {
    fn add(&mut self, alert: &Alert) {
        let Some(otherwise) = read_otherwise(alert) else { return };
        self.count += 1;
        if self.named.len() < NAMED_MAX {
            self.named.push(line(alert, otherwise));
        }
    }

    fn into_finding(self) -> Option<DoctorFinding> {
        if self.count == 0 {
            return None;
        }
        let alerts = count_noun(self.count, "alert", "alerts");
        let mut what =
            format!("{alerts} of the last {DAYS} days would be read otherwise now: {}", self.named.join("; "));
        let more = self.count - self.named.len();
        if more > 0 {
            let _ = write!(what, "; and {more} more");
        }
        if !self.all {
            let _ = write!(what, " (of the first {} of those days)", self.looked_at);
        }
        Some(DoctorFinding::attention(
            what,
            "see whether the trades that came of them are as they should be: one that was opened by mistake, or never \
             closed, is closed by hand in the console or with `POST /api/v1/trades/ID/close`",
        ))
    }
}

/// Its id, its symbol, what was made of it and what would be.
fn line(alert: &Alert, ChangedReading { then, now }: ChangedReading) -> String {
    let told = |intent: Option<Intent>| intent.map_or_else(|| "refused".to_owned(), |intent| intent.to_string());
    format!("{} {} {} → {}", alert.id, alert.alert_data.symbol, told(then), told(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_bounded_and_says_so() {
        assert_eq!(ChangedReadings { looked_at: 5, all: true, ..ChangedReadings::default() }.into_finding(), None);
        let named: Vec<String> = (0..NAMED_MAX).map(|n| format!("{n} BTCUSDT BUY → target 1")).collect();
        let told = ChangedReadings { looked_at: LOOKED_AT_MAX, all: false, count: 12, named }.into_finding().unwrap();
        assert!(told.what.starts_with("12 alerts of the last 30 days would be read otherwise now: 0 BTCUSDT BUY"));
        assert!(told.what.ends_with("; and 2 more (of the first 100000 of those days)"), "{}", told.what);
    }

    #[test]
    fn a_moment_has_a_lowest_id() {
        assert_eq!(first_of(0x6566_0001).to_hex(), "656600010000000000000000");
    }
}
