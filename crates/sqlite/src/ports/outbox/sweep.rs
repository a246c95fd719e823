//! What is done to many deliveries at once: after a crash, for a chat that is to be left alone, past deadlines, and when
//! they have been kept long enough.

use std::ops::ControlFlow;

use alertcast_core::delivery::{Delivery, DeliveryState, moved_to};
use alertcast_core::id::AlertId;
use alertcast_core::reading;
use alertcast_core::store::{Collection, LeaseFence};
use alertcast_core::time::Time;
use alertcast_core::user::with_chat_moved;
use rusqlite::Params;

use crate::engine::intake_log::keys;
use crate::engine::raw::{self, RawEdit, RawValue};
use crate::engine::rows::{DocumentBytes, RowAccess, unpack};
use crate::engine::sending;
use crate::engine::writer::WriterTransaction;
use crate::error::SqliteResult;
use crate::ports::documents::{bound_limit, note_change};
use crate::ports::leases;
use crate::ports::operator_actions::edit_for;
use crate::ports::outbox::working_set::LoadedRows;
use crate::ports::set_aside;

/// Documents are collected before they are changed: a query does not walk an index that is rewritten under it.
fn collect(
    rows: RowAccess<'_>,
    collection: Collection,
    sql: &str,
    params: impl Params,
) -> SqliteResult<Vec<DocumentBytes>> {
    rows.documents(collection, sql, params, |_, document| Ok(document.to_vec()))
}

/// The same for deliveries that wait.
fn collect_waiting(rows: RowAccess<'_>, sql: &str, params: impl Params) -> SqliteResult<Vec<DocumentBytes>> {
    let mut waiting = Vec::new();
    rows.each_waiting(sql, params, |_, document| {
        waiting.push(document.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(waiting)
}

pub(crate) const SENDING: &str = r#"SELECT doc FROM deliveries WHERE "lane" = ?1 AND "state" = 'sending'"#;

pub(crate) fn recover(rows: RowAccess<'_>, fence: &LeaseFence, now: Time) -> SqliteResult<u64> {
    leases::check(rows, fence)?;
    let mut recovered = sending::recover(rows, fence, now)?;
    for bytes in collect(rows, Collection::Deliveries, SENDING, [&fence.lease])? {
        if raw::lookup(&bytes, "epoch")?.and_then(RawValue::as_i64) != Some(fence.epoch) {
            recovered += u64::from(sending::recover_one(rows, &bytes, now)?);
        }
    }
    Ok(recovered)
}

/// A lane is long, a chat is not.
pub(crate) const OF_CHAT: &str = r#"SELECT doc FROM deliveries INDEXED BY "deliveries.to_1.pending"
    WHERE "to" = ?1 AND "lane" = ?2 AND "state" = 'pending' AND "dueAt" < ?3"#;

pub(crate) fn defer_chat(rows: RowAccess<'_>, fence: &LeaseFence, chat: &str, until: Time) -> SqliteResult<()> {
    leases::check(rows, fence)?;
    for bytes in collect_waiting(rows, OF_CHAT, (chat, &fence.lease, until.millis()))? {
        let mut edit = RawEdit::new();
        edit.set("dueAt", until);
        rows.edit(Collection::Deliveries, &bytes, &edit)?;
    }
    Ok(())
}

pub(crate) const USERS_OF_CHAT: &str = r#"SELECT doc FROM users WHERE "telegram.chatId" = ?1"#;

/// In the chat, or in one of its topics (`CHAT:5`): `;` is the sign after `:`.
pub(crate) const WAITING_IN_CHAT: &str = r#"
    SELECT doc FROM deliveries INDEXED BY "deliveries.to_1.pending" WHERE "state" = 'pending' AND "to" = ?1
    UNION ALL
    SELECT doc FROM deliveries INDEXED BY "deliveries.to_1.pending"
    WHERE "state" = 'pending' AND "to" > ?1 || ':' AND "to" < ?1 || ';'
    UNION ALL
    SELECT doc FROM deliveries INDEXED BY "deliveries.state_1_to_1.held" WHERE "state" = 'held' AND "to" = ?1
    UNION ALL
    SELECT doc FROM deliveries INDEXED BY "deliveries.state_1_to_1.held"
    WHERE "state" = 'held' AND "to" > ?1 || ':' AND "to" < ?1 || ';'"#;

pub(crate) fn move_chat(tx: &WriterTransaction<'_>, from: &str, to: &str, now: Time) -> SqliteResult<u64> {
    let rows = tx.rows;
    let mut moved = 0;
    for kept in collect(rows, Collection::Users, USERS_OF_CHAT, [from])? {
        let user = unpack(Collection::Users, &kept)?;
        let Some(change) = with_chat_moved(&user, from, to, now) else { continue };
        rows.edit(Collection::Users, &kept, &edit_for(change))?;
        note_change(tx, Collection::Users, user.get_object_id("_id").unwrap_or_default())?;
        moved += 1;
    }
    for kept in collect_waiting(rows, WAITING_IN_CHAT, [from])? {
        // By fields: one that cannot be read moves too.
        let Ok(Some(place)) = raw::lookup(&kept, "to").map(|place| place.and_then(RawValue::as_str)) else { continue };
        let mut edit = RawEdit::new();
        edit.set("to", moved_to(place, to));
        edit.set("updatedAt", now);
        rows.edit(Collection::Deliveries, &kept, &edit)?;
        moved += 1;
    }
    Ok(moved)
}

pub(crate) const OVERDUE: &str =
    r#"SELECT doc FROM deliveries WHERE "state" = 'pending' AND "deadlineAt" < ?1 ORDER BY "deadlineAt" LIMIT ?2"#;

pub(crate) fn expire_overdue(
    tx: &WriterTransaction<'_>,
    now: Time,
    limit: usize,
) -> SqliteResult<(Vec<AlertId>, bool)> {
    let rows = tx.rows;
    let mut loaded = LoadedRows::new(tx, now)?;
    let looked_at = limit.saturating_add(1).saturating_add(loaded.sending().len());
    let overdue = collect_waiting(rows, OVERDUE, (now.millis(), bound_limit(looked_at)))?;
    let more = overdue.len() > limit;
    for bytes in overdue.into_iter().take(limit) {
        match reading::read_bytes::<Delivery>(Collection::Deliveries, &bytes) {
            Ok(delivery) => {
                let id = delivery.id;
                loaded.add_delivery(id, delivery, bytes);
                loaded.load(|set| set.ask_for_expiry(&[id]))?;
                loaded.set.expire(id);
            }
            Err(unreadable) => set_aside::end_delivery(rows, &bytes, &unreadable, now)?,
        }
    }
    Ok((loaded.write()?.settle, more))
}

/// At most `limit` of each kind; whether there is more.
pub(crate) fn purge(
    tx: &WriterTransaction<'_>,
    deliveries_before: Time,
    rejected_before: Time,
    now: Time,
    limit: usize,
) -> SqliteResult<bool> {
    let (rows, mut room) = (tx.rows, limit);
    for state in DeliveryState::ALL.iter().filter(|state| state.is_ended()) {
        room -= rows.run(PURGE_DELIVERIES, (state.as_str(), deliveries_before.millis(), bound_limit(room)))?.min(room);
    }
    let rejected = rows.run(PURGE_REJECTED, (rejected_before.millis(), bound_limit(limit)))?;
    let over = keys::purge_claims(rows, now.millis(), bound_limit(limit))?;
    let keys = over.len();
    tx.note_effects(|effects| effects.keys.extend(over));
    let answers = rows.run(PURGE_IDEMPOTENCY, (now.millis(), bound_limit(limit)))?;
    Ok(limit > 0 && (room == 0 || [rejected, keys, answers].contains(&limit)))
}

pub(crate) const PURGE_DELIVERIES: &str = r#"DELETE FROM deliveries WHERE rowid IN (
    SELECT rowid FROM deliveries WHERE "state" = ?1 AND "endedAt" < ?2
        AND ("state" = 'sent' OR "state" = 'expired' OR "state" = 'dead' OR "state" = 'superseded' OR "state" = 'dropped')
    LIMIT ?3)"#;

pub(crate) const PURGE_REJECTED: &str = r#"DELETE FROM rejected_webhooks WHERE rowid IN (
    SELECT rowid FROM rejected_webhooks WHERE "receivedAt" < ?1 LIMIT ?2)"#;

pub(crate) const PURGE_IDEMPOTENCY: &str = r#"DELETE FROM idempotency_keys WHERE rowid IN (
    SELECT rowid FROM idempotency_keys WHERE "until" <= ?1 LIMIT ?2)"#;
