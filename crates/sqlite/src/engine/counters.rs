//! A subscriber's counters: `user_subscriptions.usage` and `user_alert_preferences.statistics`. There are two documents
//! for each recipient of an alert, so they are changed where they lie, by a function inside the statement, instead of
//! being read first.

use alertcast_core::delivery::consequences::UsageCorrection;
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, UsageIncrement};
use alertcast_core::time::Time;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Statement};

use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, IdBlob, RowAccess};
use crate::error::{SqliteError, SqliteResult};

/// Where a document keeps a subscriber's counters.
#[derive(Debug, Clone, Copy)]
struct CounterPaths {
    collection: Collection,
    /// The function that raises them.
    function: &'static str,
    alerts: &'static str,
    trades: &'static str,
    last_at: &'static str,
}

const OF_SUBSCRIPTION: CounterPaths = CounterPaths {
    collection: Collection::UserSubscriptions,
    function: "raise_usage",
    alerts: "usage.alertsReceived",
    trades: "usage.tradesOpened",
    last_at: "usage.lastActivityAt",
};

const OF_PREFERENCE: CounterPaths = CounterPaths {
    collection: Collection::UserAlertPreferences,
    function: "raise_statistics",
    alerts: "statistics.alertsReceived",
    trades: "statistics.tradesOpened",
    last_at: "statistics.lastAlertAt",
};

/// What is added, as the function is given it.
#[derive(Debug, Clone, Copy)]
struct CounterIncrement {
    alerts: i64,
    trades: i64,
    /// None where something is taken back, or that again, which is no activity.
    at: Option<Time>,
    now: Time,
}

/// Makes the functions known to the writer's connection.
pub(crate) fn define(conn: &Connection) -> SqliteResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    for counters in [OF_SUBSCRIPTION, OF_PREFERENCE] {
        conn.create_scalar_function(counters.function, 5, flags, move |context| {
            let raise = CounterIncrement {
                alerts: context.get(1)?,
                trades: context.get(2)?,
                at: context.get::<Option<i64>>(3)?.map(Time::from_millis),
                now: Time::from_millis(context.get(4)?),
            };
            let document = context.get_raw(0).as_blob()?;
            counters.raise(document, raise).map_err(damage_error)
        })?;
    }
    Ok(())
}

/// A document that cannot be read, as SQLite says it of its own pages.
fn damage_error(fault: SqliteError) -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(fault.0.to_string()))
}

impl CounterPaths {
    /// No column is concerned.
    fn statement(&self) -> String {
        let (table, function) = (self.collection.name(), self.function);
        format!(r#"UPDATE {table} SET doc = {function}(doc, ?2, ?3, ?4, ?5) WHERE "_id" = ?1"#)
    }

    fn raise(&self, document: &[u8], by: CounterIncrement) -> SqliteResult<DocumentBytes> {
        let mut edit = RawEdit::new();
        for (path, by) in [(self.alerts, by.alerts), (self.trades, by.trades)] {
            if by != 0 {
                edit.set(path, Count(raw::counter(document, path)? + by));
            }
        }
        let last = raw::lookup(document, self.last_at)?.and_then(RawValue::as_time);
        // The last activity never goes back.
        edit.set_some(self.last_at, by.at.filter(|at| last.is_none_or(|last| last < *at)));
        edit.set("updatedAt", by.now);
        edit.apply(document)
    }
}

/// Adds to subscribers' counters. What has been deleted meanwhile is not counted.
pub(crate) fn count(rows: RowAccess<'_>, usage: &[UsageIncrement], now: Time) -> SqliteResult<()> {
    let mut subscriptions = rows.conn().prepare_cached(&OF_SUBSCRIPTION.statement())?;
    let mut preferences = rows.conn().prepare_cached(&OF_PREFERENCE.statement())?;
    for usage in usage {
        let raise = CounterIncrement { alerts: usage.alerts, trades: usage.trades, at: Some(usage.at), now };
        run(&mut subscriptions, usage.subscription.into(), raise)?;
        if let Some(preference) = usage.preference {
            run(&mut preferences, preference.into(), raise)?;
        }
    }
    Ok(())
}

/// Corrects what was counted before.
pub(crate) fn correct(rows: RowAccess<'_>, corrections: &[UsageCorrection], now: Time) -> SqliteResult<()> {
    for one in corrections {
        let raise = CounterIncrement { alerts: one.alerts, trades: one.trades, at: None, now };
        run(&mut *rows.conn().prepare_cached(&OF_SUBSCRIPTION.statement())?, one.subscription.into(), raise)?;
        if let Some(preference) = one.preference {
            run(&mut *rows.conn().prepare_cached(&OF_PREFERENCE.statement())?, preference.into(), raise)?;
        }
    }
    Ok(())
}

fn run(statement: &mut Statement<'_>, id: IdBlob, raise: CounterIncrement) -> SqliteResult<()> {
    let at = raise.at.map(Time::millis);
    statement.execute((id, raise.alerts, raise.trades, at, raise.now.millis()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::schema::table;

    #[test]
    fn no_column_holds_a_counter() {
        for counters in [OF_SUBSCRIPTION, OF_PREFERENCE] {
            let mut edit = RawEdit::new();
            for path in [counters.alerts, counters.trades, counters.last_at, "updatedAt"] {
                edit.set(path, 1);
            }
            assert!(!edit.may_meet(&table(counters.collection).paths), "{}", counters.collection);
        }
    }
}
