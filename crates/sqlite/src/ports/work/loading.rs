//! What the processor reads: the alerts that wait, who holds open trades, and what a chunk's decisions rest on.

use std::collections::HashMap;

use alertcast_core::alert::document::Alert;
use alertcast_core::id::{ConfigId, TradeId, UserId};
use alertcast_core::money::Count;
use alertcast_core::quota::Quota;
use alertcast_core::reading::{ReadableDocuments, UnreadableDocument};
use alertcast_core::store::{ChunkState, Collection, UnreadableTrade, UserSpan};
use alertcast_core::trade::document::Trade;
use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::engine::rows::{IdBlob, RowAccess, blob, read_row, whole};
use crate::error::SqliteResult;
use crate::ports::documents::bound_limit;

/// The first of these partitions that are not excepted; and whether there are any at all.
pub(super) fn pending_alerts(
    rows: RowAccess<'_>,
    partitions: &[i32],
    except: &[ConfigId],
    limit: usize,
) -> SqliteResult<(ReadableDocuments<Alert>, bool)> {
    let mut statement = rows.conn().prepare_cached(PENDING)?;
    let mut found = statement.query([])?;
    let (mut ids, mut there_are) = (Vec::new(), false);
    while ids.len() < limit
        && let Some(row) = found.next()?
    {
        there_are = true;
        // What has no id of ours cannot be worked on. One that does not say of which configuration it is, is read all
        // the same: that is how it is found out.
        let Ok(id) = row.get::<_, IdBlob>(0) else { continue };
        let is_excepted = row.get::<_, IdBlob>(1).is_ok_and(|config| except.contains(&ConfigId(config.id())));
        let is_ours = partition(row, 2)?.is_some_and(|partition| partitions.contains(&partition));
        ids.extend((is_ours && !is_excepted).then_some(id));
    }
    let mut alerts = ReadableDocuments::default();
    for id in ids {
        if let Some(alert) = rows.find(Collection::Alerts, id.id())? {
            alerts.add(read_row(Collection::Alerts, Some(id), &alert));
        }
    }
    Ok((alerts, there_are))
}

/// A partition, whatever number it is written as.
fn partition(row: &Row<'_>, column: usize) -> SqliteResult<Option<i32>> {
    let is_number = !matches!(row.get_ref(column)?, ValueRef::Null | ValueRef::Text(_) | ValueRef::Blob(_));
    Ok(if is_number { i32::try_from(whole(row, column)?).ok() } else { None })
}

pub(crate) const PENDING: &str = r#"SELECT "_id", "processing.alertConfigId", "alertcast.partition" FROM alerts
    INDEXED BY "alerts.pending" WHERE "processing.status" IN ('received', 'processing') ORDER BY "alertcast.seq""#;

pub(crate) const HOLDERS: &str = r#"SELECT DISTINCT "userId" FROM trades
    WHERE "alertConfigId" = ?1 AND "status" = 'open' AND "userId" > ?2 AND length("userId") = 12 ORDER BY "userId" LIMIT ?3"#;

/// By their status neither open nor ended: something else came to stand there. They may be open, and count as that. There
/// are hardly any: nothing else (`+`) is to be gone by.
pub(crate) const STRAY_HOLDERS: &str = r#"SELECT "userId", "_id" FROM trades
    WHERE ("status" IS NULL OR "status" < 'closed' OR ("status" > 'closed' AND "status" < 'open')
        OR ("status" > 'open' AND "status" < 'replaced') OR "status" > 'replaced')
    AND +"alertConfigId" = ?1 AND +"userId" > ?2 AND length("userId") = 12"#;

pub(super) fn holders(
    rows: RowAccess<'_>,
    config: ConfigId,
    after: Option<UserId>,
    limit: usize,
) -> SqliteResult<Vec<UserId>> {
    // Every id is above the empty one.
    let after = after.map_or_else(Vec::new, |user| user.bytes().to_vec());
    let user = |row: &Row<'_>| Ok(row.get::<_, IdBlob>(0).ok());
    let mut found = rows.all(HOLDERS, (IdBlob::from(config), &after, bound_limit(limit)), user)?;
    let strays = rows.all(STRAY_HOLDERS, (IdBlob::from(config), &after), user)?;
    let is_sorted = strays.is_empty();
    found.extend(strays);
    let mut holders: Vec<UserId> = found.into_iter().flatten().map(|user| UserId(user.id())).collect();
    if !is_sorted {
        holders.sort_unstable();
        holders.dedup();
        holders.truncate(limit);
    }
    Ok(holders)
}

pub(crate) const OPEN_TRADES: &str = r#"SELECT doc, "_id", "userId", "alertcast.rev" FROM trades
    WHERE "alertConfigId" = ?1 AND "status" = 'open' AND "userId" BETWEEN ?2 AND ?3 ORDER BY "userId", "tradeNumber""#;

pub(crate) const STRAY_TRADES: &str = r#"SELECT doc, "_id", "userId", "alertcast.rev" FROM trades
    WHERE ("status" IS NULL OR "status" < 'closed' OR ("status" > 'closed' AND "status" < 'open')
        OR ("status" > 'open' AND "status" < 'replaced') OR "status" > 'replaced')
    AND +"alertConfigId" = ?1 AND +"userId" BETWEEN ?2 AND ?3"#;

/// What is no number, or beyond all counting, is not counted on.
pub(crate) const LAST_NUMBER: &str = r#"SELECT "tradeNumber" FROM trades
    WHERE "alertConfigId" = ?1 AND "userId" = ?2 AND "tradeNumber" < 9007199254740991 ORDER BY "tradeNumber" DESC LIMIT 1"#;

pub(super) fn load_chunk(
    rows: RowAccess<'_>,
    config: ConfigId,
    span: UserSpan,
    entering: &[UserId],
) -> SqliteResult<(ChunkState, Vec<UnreadableDocument>)> {
    let config = IdBlob::from(config);
    let mut state = ChunkState::default();
    let mut unreadable = Vec::new();
    let mut take = |row: &Row<'_>| -> SqliteResult<()> {
        let (bytes, id) = (blob(row, 0)?, row.get::<_, IdBlob>(1).ok());
        match read_row::<Trade>(Collection::Trades, id, bytes) {
            Ok(mut trade) => {
                // What the commit compares: something else in its place reads as another number.
                trade.alertcast.rev = Count(whole(row, 3)?);
                state.open_trades.push(trade);
            }
            Err(trade) => {
                if let Ok(user) = row.get::<_, IdBlob>(2) {
                    let (id, user) = (id.map(|id| TradeId(id.id())), UserId(user.id()));
                    state.unreadable_trades.push(UnreadableTrade::of(id, user, whole(row, 3)?, bytes));
                }
                unreadable.push(trade);
            }
        }
        Ok(())
    };
    let asked = (config, IdBlob::from(span.first), IdBlob::from(span.last));
    rows.all(OPEN_TRADES, asked, &mut take)?;
    if !rows.all(STRAY_TRADES, asked, &mut take)?.is_empty() {
        state.open_trades.sort_by_key(|trade| (trade.user_id, trade.trade_number));
    }
    state.last_numbers = HashMap::with_capacity(entering.len());
    state.quotas = HashMap::with_capacity(entering.len());
    for user in entering {
        if let Some(number) = rows.one(LAST_NUMBER, (config, IdBlob::from(*user)), |row| whole(row, 0))? {
            state.last_numbers.insert(*user, number);
        }
        if let Some(quota) = rows.find(Collection::Quotas, *user)? {
            match read_row::<Quota>(Collection::Quotas, Some(IdBlob::from(*user)), &quota) {
                Ok(quota) => drop(state.quotas.insert(*user, quota)),
                Err(quota) => state.unreadable_quotas.push(quota),
            }
        }
    }
    unreadable.extend(state.unreadable_quotas.iter().cloned());
    Ok((state, unreadable))
}
