//! The courier's port: what is due, taking it, and recording what attempts came to.

use alertcast_core::delivery::{
    Around as _, Before, Delivery, DeliveryEvent, DeliveryState, MessageKind, Taking, Turn, before, taking, yielded,
};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::money::Count;
use alertcast_core::reading::Found;
use alertcast_core::store::{
    Aside, AttemptRecord, Collection, Fence, Notice, Outbox, Outcome, Result as StoreResult, Settled, TakeResult, Taken,
};
use alertcast_core::time::Time;
use alertcast_core::user::{Refuser, with_refuser};
use async_trait::async_trait;
use bson::Bson;

use crate::actions::edit_for;
use crate::documents::{bound, note_change};
use crate::ended::{Endings, Kept};
use crate::failpoints::Op;
use crate::fault::Result;
use crate::leases;
use crate::near::Nearby;
use crate::queue::Lane;
use crate::raw::Edit;
use crate::rows::{Rows, blob, read_row, unpack};
use crate::store::SqliteStore;
use crate::writer::Tx;
use crate::{notice, settle, sweep};

/// Up to this many due deliveries of a lane are sorted; of more, the queue's own order is walked.
const SORTED_MAX: i64 = 1_000;

/// A sweep over many deliveries is done in slices of so many, so that intake does not wait for the whole of it.
const SLICE: usize = 500;

#[async_trait]
impl Outbox for SqliteStore {
    async fn due(&self, lane: &str, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
        let lane = lane.to_owned();
        let found = self.read(move |rows| due(rows, &lane, now, limit)).await?;
        Ok(self.unreadables().sift(found))
    }

    async fn next_due(&self, lane: &str, now: Time) -> StoreResult<Option<Time>> {
        let lane = lane.to_owned();
        self.read(move |rows| {
            let next = rows.one(NEXT_DUE, (lane, now.millis()), |row| Ok(row.get::<_, Option<i64>>(0)?))?;
            Ok(next.flatten().map(Time::from_millis))
        })
        .await
    }

    async fn take(&self, fence: &Fence, deliveries: &[DeliveryId], now: Time) -> StoreResult<TakeResult> {
        let (fence, deliveries) = (fence.clone(), deliveries.to_vec());
        self.write(Lane::Short, Op::Take, move |tx| take(tx, &fence, &deliveries, now)).await
    }

    async fn record_attempts(
        &self,
        fence: &Fence,
        records: Vec<AttemptRecord>,
        now: Time,
    ) -> StoreResult<Vec<AlertId>> {
        let fence = fence.clone();
        self.write(Lane::Short, Op::Attempts, move |tx| {
            leases::check(tx.rows, &fence)?;
            let mut endings = Endings::new(tx.rows, now);
            for record in &records {
                record_attempt(tx, &fence, record, now, &mut endings)?;
            }
            endings.finish()
        })
        .await
    }

    async fn note_copies(&self, copies: &[(DeliveryId, i64)], now: Time) -> StoreResult<()> {
        let copies = copies.to_vec();
        self.write(Lane::Short, Op::Attempts, move |tx| {
            for (id, message_id) in &copies {
                let Some(kept) = Kept::load(tx.rows, *id)? else { continue };
                if kept.delivery.standing().all(|known| known != *message_id) {
                    let mut edit = Edit::new();
                    let noted = kept.delivery.copies.iter().chain([message_id]);
                    edit.set("copies", noted.copied().map(Bson::from).collect::<Vec<_>>());
                    edit.set("updatedAt", now);
                    kept.edit_last(tx.rows, &edit)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn tell_operators(&self, notices: Vec<Notice>) -> StoreResult<()> {
        let notices = notice::ready(notices)?;
        self.write(Lane::Short, Op::Attempts, move |tx| notice::give(tx.rows, &notices)).await
    }

    async fn recover(&self, fence: &Fence, now: Time) -> StoreResult<u64> {
        let fence = fence.clone();
        self.write(Lane::Short, Op::Recover, move |tx| sweep::recover(tx.rows, &fence, now)).await
    }

    async fn defer_chat(&self, fence: &Fence, chat: &str, until: Time) -> StoreResult<()> {
        let (fence, chat) = (fence.clone(), chat.to_owned());
        self.write(Lane::Short, Op::Defer, move |tx| sweep::defer_chat(tx.rows, &fence, &chat, until)).await
    }

    async fn move_chat(&self, from: &str, to: &str, now: Time) -> StoreResult<u64> {
        let (from, to) = (from.to_owned(), to.to_owned());
        self.write(Lane::Short, Op::Defer, move |tx| sweep::move_chat(tx, &from, &to, now)).await
    }

    async fn expire_overdue(&self, now: Time, limit: usize) -> StoreResult<(Vec<AlertId>, bool)> {
        let (mut alerts, mut left) = (Vec::new(), limit);
        loop {
            let slice = left.min(SLICE);
            let sweep = move |tx: &Tx<'_>| sweep::expire_overdue(tx.rows, now, slice);
            let (ended, more) = self.write(Lane::Bulk, Op::Expire, sweep).await?;
            alerts.extend(ended);
            left -= slice;
            if !more || left == 0 {
                alerts.sort_unstable();
                alerts.dedup();
                return Ok((alerts, more));
            }
        }
    }

    async fn settle(&self, alert: AlertId, now: Time) -> StoreResult<Settled> {
        settle::settle(self, alert, now).await
    }

    async fn unsettled(&self, after: Option<AlertId>, limit: usize) -> StoreResult<Vec<AlertId>> {
        self.read(move |rows| settle::unsettled(rows, after, limit)).await
    }

    async fn purge(
        &self,
        deliveries_before: Time,
        rejected_before: Time,
        now: Time,
        limit: usize,
    ) -> StoreResult<bool> {
        let mut left = limit;
        loop {
            let slice = left.min(SLICE);
            let sweep = move |tx: &Tx<'_>| sweep::purge(tx.rows, deliveries_before, rejected_before, now, slice);
            let more = self.write(Lane::Bulk, Op::Purge, sweep).await?;
            left -= slice;
            if !more || left == 0 {
                return Ok(more);
            }
        }
    }
}

/// How many are due, as far as it matters.
pub(crate) const COUNT_DUE: &str = r#"SELECT count(*) FROM (
    SELECT 1 FROM deliveries INDEXED BY "deliveries.lane_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending' LIMIT ?3)"#;

/// A few that are due, found by their time and sorted.
pub(crate) const DUE_FEW: &str = r#"SELECT doc, "_id" FROM deliveries INDEXED BY "deliveries.lane_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending'
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

/// Many that are due, found in their order.
pub(crate) const DUE_MANY: &str = r#"SELECT doc, "_id" FROM deliveries
    INDEXED BY "deliveries.lane_1_priority_1_queuedAt_1_rotation_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending'
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

pub(crate) const NEXT_DUE: &str =
    r#"SELECT min("dueAt") FROM deliveries WHERE "lane" = ?1 AND "dueAt" > ?2 AND "state" = 'pending'"#;

/// In the order of sending, whether few of a long queue are due (after a pause that Telegram asked for) or nearly all.
fn due(rows: Rows<'_>, lane: &str, now: Time, limit: usize) -> Result<Found<Delivery>> {
    let due = rows.one(COUNT_DUE, (lane, now.millis(), SORTED_MAX + 1), |row| Ok(row.get::<_, i64>(0)?))?;
    let sql = if due.unwrap_or(0) > SORTED_MAX { DUE_MANY } else { DUE_FEW };
    let mut found = Found::default();
    rows.all(sql, (lane, now.millis(), bound(limit)), |row| {
        found.add(read_row(Collection::Deliveries, row.get(1).ok(), blob(row, 0)?));
        Ok(())
    })?;
    Ok(found)
}

fn take(tx: &Tx<'_>, fence: &Fence, deliveries: &[DeliveryId], now: Time) -> Result<TakeResult> {
    leases::check(tx.rows, fence)?;
    let mut endings = Endings::new(tx.rows, now);
    let mut taken = Vec::with_capacity(deliveries.len());
    for id in deliveries {
        taken.extend(take_one(tx.rows, fence, *id, now, &mut endings)?);
    }
    Ok(TakeResult { taken, settle: endings.finish()? })
}

fn take_one(
    rows: Rows<'_>,
    fence: &Fence,
    id: DeliveryId,
    now: Time,
    endings: &mut Endings<'_>,
) -> Result<Option<Taken>> {
    let Some(kept) = Kept::load(rows, id)? else {
        return Ok(None);
    };
    let Ok(state) = kept.delivery.state.after(DeliveryEvent::Take) else {
        return Ok(None);
    };
    if kept.delivery.kind == MessageKind::Result {
        let entry = load_some(rows, kept.delivery.entry_delivery)?.map(|entry| entry.delivery);
        return match in_its_turn(rows, kept, entry.as_ref(), now, endings)? {
            Some(kept) => send(rows, fence, kept, state, now).map(|delivery| Some(Taken { delivery, entry })),
            None => Ok(None),
        };
    }
    let Some((kept, near)) = clear_the_way(rows, kept, now, endings)? else {
        return Ok(None);
    };
    match taking(&kept.delivery, &near, now) {
        Taking::Goes(delivery) => {
            let entry = delivery.entry_delivery.and_then(|entry| near.delivery(entry)).cloned();
            let kept = kept.rewrite(rows, &delivery)?;
            send(rows, fence, kept, state, now).map(|delivery| Some(Taken { delivery, entry }))
        }
        Taking::Waits(due_at) => put_off(rows, kept, due_at, now),
        Taking::Ends(event, why) => {
            let mut reason = Edit::new();
            reason.set("lastError", why);
            endings.end(&kept, event, reason, false)?;
            Ok(None)
        }
    }
}

/// Ends what waits and must not be read after this one. None where this one is not sent now.
fn clear_the_way(rows: Rows<'_>, kept: Kept, now: Time, endings: &mut Endings<'_>) -> Result<Option<(Kept, Nearby)>> {
    let near = Nearby::of(rows, &kept.delivery)?;
    match before(&kept.delivery, &near, now) {
        Before::Wait(due_at) => {
            put_off(rows, kept, due_at, now)?;
            Ok(None)
        }
        Before::Ends(none) if none.is_empty() => Ok(Some((kept, near))),
        Before::Ends(overtaken) => {
            near.end(&overtaken, endings)?;
            let near = Nearby::of(rows, &kept.delivery)?;
            Ok(Some((kept, near)))
        }
        Before::Yields { to, overtaken } => {
            near.end(&overtaken, endings)?;
            if let Some(teller) = Kept::load(rows, to)? {
                let near = Nearby::of(rows, &kept.delivery)?;
                let told = yielded(&teller.delivery, &kept.delivery, &overtaken, &near);
                teller.rewrite(rows, &told)?;
            }
            Ok(None)
        }
    }
}

/// It stays pending.
fn put_off(rows: Rows<'_>, kept: Kept, due_at: Time, now: Time) -> Result<Option<Taken>> {
    let mut edit = Edit::new();
    edit.set("dueAt", due_at);
    edit.set("updatedAt", now);
    kept.edit_last(rows, &edit)?;
    Ok(None)
}

/// Records that it leaves; answers it as it is then.
fn send(rows: Rows<'_>, fence: &Fence, kept: Kept, state: DeliveryState, now: Time) -> Result<Delivery> {
    let attempts = Count(kept.delivery.attempts.0.saturating_add(1));
    let mut edit = Edit::new();
    edit.set("state", state);
    edit.set("epoch", fence.epoch);
    edit.set("attempts", attempts);
    edit.set("updatedAt", now);
    // What was just written is not read again.
    let mut delivery = kept.edit_last(rows, &edit)?;
    (delivery.state, delivery.epoch, delivery.attempts) = (state, Some(fence.epoch), attempts);
    delivery.updated_at = now;
    Ok(delivery)
}

fn load_some(rows: Rows<'_>, id: Option<DeliveryId>) -> Result<Option<Kept>> {
    Ok(id.map(|id| Kept::load(rows, id)).transpose()?.flatten())
}

/// A result that may be taken. Else it waits for what goes before it, or is dropped.
fn in_its_turn(
    rows: Rows<'_>,
    kept: Kept,
    entry: Option<&Delivery>,
    now: Time,
    endings: &mut Endings<'_>,
) -> Result<Option<Kept>> {
    let mut told = load_some(rows, kept.delivery.follows)?;
    while let Some(by) = told.as_ref().and_then(|told| told.delivery.superseded_by) {
        told = Kept::load(rows, by)?;
    }
    match kept.delivery.turn(entry, told.as_ref().map(|told| &told.delivery), now) {
        Turn::Now => return Ok(Some(kept)),
        Turn::Wait(due_at) => {
            put_off(rows, kept, due_at, now)?;
        }
        Turn::Never(why) => {
            let mut reason = Edit::new();
            reason.set("lastError", why);
            endings.end(&kept, DeliveryEvent::Drop, reason, false)?;
        }
    }
    Ok(None)
}

fn record_attempt(
    tx: &Tx<'_>,
    fence: &Fence,
    record: &AttemptRecord,
    now: Time,
    endings: &mut Endings<'_>,
) -> Result<()> {
    let Some(kept) = Kept::load(tx.rows, record.delivery)? else {
        return Ok(());
    };
    let delivery = &kept.delivery;
    let is_ours = delivery.state == DeliveryState::Sending && delivery.epoch == Some(fence.epoch);
    let may_wait = matches!(record.outcome, Outcome::Expired { .. } | Outcome::Dropped { .. });
    let is_waiting = may_wait && delivery.state == DeliveryState::Pending;
    if !is_ours && !is_waiting {
        return Ok(());
    }
    let mut edit = Edit::new();
    if record.outcome.is_in_doubt() {
        edit.set("possibleRepeat", true);
    }
    match &record.outcome {
        Outcome::Sent { message_id, entry_lapsed, topic_gone } => {
            edit.set_some("messageId", *message_id);
            if *topic_gone {
                edit.set("topicGone", true);
            } else if delivery.topic_gone {
                edit.unset("topicGone");
            }
            endings.end(&kept, DeliveryEvent::Deliver, edit, *entry_lapsed)?;
        }
        Outcome::Retry { due_at, error, .. } => {
            let Ok(state) = delivery.state.after(DeliveryEvent::Retry) else {
                return Ok(());
            };
            edit.set("state", state);
            edit.set("dueAt", *due_at);
            edit.set("lastError", error.as_str());
            edit.set("updatedAt", now);
            edit.unset("epoch");
            kept.edit_last(tx.rows, &edit)?;
        }
        Outcome::Expired { .. } => {
            endings.end(&kept, DeliveryEvent::Expire, edit, false)?;
        }
        Outcome::Dead { error, .. } => {
            edit.set("lastError", error.as_str());
            endings.end(&kept, DeliveryEvent::Die, edit, false)?;
            if let Some((refuser, user)) = record.outcome.refuser().zip(kept.delivery.user_id) {
                note_refuser(tx, user, &refuser, now)?;
            }
        }
        Outcome::Dropped { reason } => {
            edit.set("lastError", reason.as_str());
            endings.end(&kept, DeliveryEvent::Drop, edit, false)?;
        }
    }
    Ok(())
}

/// Notes with the user who will not have our messages.
fn note_refuser(tx: &Tx<'_>, user: UserId, refuser: &Refuser, now: Time) -> Result<()> {
    let Some(kept) = tx.rows.find(Collection::Users, user)? else {
        return Ok(());
    };
    let Some(change) = with_refuser(&unpack(Collection::Users, &kept)?, refuser, now) else {
        return Ok(());
    };
    tx.rows.edit(Collection::Users, &kept, &edit_for(change))?;
    note_change(tx, Collection::Users, user.0)
}
