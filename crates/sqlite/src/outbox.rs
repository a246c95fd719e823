//! The courier's port: what is due, taking it, and recording what attempts came to.

use std::time::Duration;

use alertcast_core::delivery::{Delivery, DeliveryEvent, DeliveryState, MessageKind, Turn};
use alertcast_core::id::{AlertId, DeliveryId, UserId};
use alertcast_core::money::Count;
use alertcast_core::store::{
    AttemptRecord, Collection, Fence, Outbox, Outcome, Result as StoreResult, Settled, TakeResult, Taken,
};
use alertcast_core::time::Time;
use async_trait::async_trait;

use crate::documents::{bound, note_change};
use crate::ended::{Endings, Kept};
use crate::failpoints::Op;
use crate::fault::Result;
use crate::leases;
use crate::queue::Lane;
use crate::raw::{self, Edit};
use crate::rows::{Rows, blob, decode};
use crate::store::SqliteStore;
use crate::writer::Tx;
use crate::{settle, sweep};

/// Up to this many due deliveries of a lane are sorted; of more, the queue's own order is walked.
const SORTED_MAX: i64 = 1_000;

/// A sweep over many deliveries is done in slices of so many, so that intake does not wait for the whole of it.
const SLICE: usize = 500;

/// An exit waits so long for its entry that is being sent.
const WAIT_FOR_ENTRY: Duration = Duration::from_secs(1);

#[async_trait]
impl Outbox for SqliteStore {
    async fn due(&self, lane: &str, now: Time, limit: usize) -> StoreResult<Vec<Delivery>> {
        let lane = lane.to_owned();
        self.read(move |rows| due(rows, &lane, now, limit)).await
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

    async fn recover(&self, fence: &Fence, now: Time) -> StoreResult<u64> {
        let fence = fence.clone();
        self.write(Lane::Short, Op::Recover, move |tx| sweep::recover(tx.rows, &fence, now)).await
    }

    async fn defer_chat(&self, fence: &Fence, chat: &str, until: Time) -> StoreResult<()> {
        let (fence, chat) = (fence.clone(), chat.to_owned());
        self.write(Lane::Short, Op::Defer, move |tx| sweep::defer_chat(tx.rows, &fence, &chat, until)).await
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
pub(crate) const DUE_FEW: &str = r#"SELECT doc FROM deliveries INDEXED BY "deliveries.lane_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending'
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

/// Many that are due, found in their order.
pub(crate) const DUE_MANY: &str = r#"SELECT doc FROM deliveries
    INDEXED BY "deliveries.lane_1_priority_1_queuedAt_1_rotation_1_dueAt_1.pending"
    WHERE "lane" = ?1 AND "dueAt" <= ?2 AND "state" = 'pending'
    ORDER BY "priority", "queuedAt", "rotation", "_id" LIMIT ?3"#;

pub(crate) const NEXT_DUE: &str =
    r#"SELECT min("dueAt") FROM deliveries WHERE "lane" = ?1 AND "dueAt" > ?2 AND "state" = 'pending'"#;

/// In the order of sending, whether few of a long queue are due (after a pause that Telegram asked for) or nearly all.
fn due(rows: Rows<'_>, lane: &str, now: Time, limit: usize) -> Result<Vec<Delivery>> {
    let due = rows.one(COUNT_DUE, (lane, now.millis(), SORTED_MAX + 1), |row| Ok(row.get::<_, i64>(0)?))?;
    let sql = if due.unwrap_or(0) > SORTED_MAX { DUE_MANY } else { DUE_FEW };
    rows.all(sql, (lane, now.millis(), bound(limit)), |row| decode(Collection::Deliveries, blob(row, 0)?))
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
    let kept = match kept.delivery.kind {
        MessageKind::Result => match in_its_turn(rows, kept, now, endings)? {
            Some(kept) => kept,
            None => return Ok(None),
        },
        _ => kept,
    };
    let mut edit = Edit::new();
    edit.set("updatedAt", now);
    let entry = load_some(rows, kept.delivery.entry_delivery)?;
    let mut combined = None;
    if let Some(entry) = &entry {
        match entry.delivery.state {
            DeliveryState::Sending => {
                edit.set("dueAt", now + WAIT_FOR_ENTRY);
                kept.edit_last(rows, &edit)?;
                return Ok(None);
            }
            DeliveryState::Pending if now <= entry.delivery.deadline_at => {
                let mut by = Edit::new();
                by.set("supersededBy", id);
                endings.end(entry, DeliveryEvent::Supersede, by, false)?;
                edit.set("combines", entry.delivery.id);
                edit.set_some("combinesAlert", entry.delivery.alert_id);
                combined = Some(entry.delivery.clone());
            }
            DeliveryState::Pending => {
                endings.end(entry, DeliveryEvent::Expire, Edit::new(), false)?;
            }
            _ => {}
        }
    }
    if kept.delivery.kind == MessageKind::Exit
        && let Some(trade) = kept.delivery.trade_id
        && endings.is_unreached(trade)?
    {
        let mut reason = Edit::new();
        reason.set("lastError", "the entry never arrived");
        endings.end(&kept, DeliveryEvent::Drop, reason, false)?;
        return Ok(None);
    }
    let attempts = Count(kept.delivery.attempts.0 + 1);
    edit.set("state", state);
    edit.set("epoch", fence.epoch);
    edit.set("attempts", attempts);
    // What was just written is not read again.
    let mut delivery = kept.edit_last(rows, &edit)?;
    (delivery.state, delivery.epoch, delivery.attempts) = (state, Some(fence.epoch), attempts);
    delivery.updated_at = now;
    if let Some(entry) = combined {
        delivery.combines = Some(entry.id);
        delivery.combines_alert = entry.alert_id.or(delivery.combines_alert);
    }
    let was_pending = entry.as_ref().is_some_and(|entry| entry.delivery.state == DeliveryState::Pending);
    let entry = if was_pending { load_some(rows, delivery.entry_delivery)? } else { entry };
    Ok(Some(Taken { delivery, entry: entry.map(|entry| entry.delivery) }))
}

fn load_some(rows: Rows<'_>, id: Option<DeliveryId>) -> Result<Option<Kept>> {
    Ok(id.map(|id| Kept::load(rows, id)).transpose()?.flatten())
}

/// A result that may be taken. Else it waits for what goes before it, or is dropped.
fn in_its_turn(rows: Rows<'_>, kept: Kept, now: Time, endings: &mut Endings<'_>) -> Result<Option<Kept>> {
    let load = |id| load_some(rows, id).map(|kept| kept.map(|kept| kept.delivery));
    let entry = load(kept.delivery.entry_delivery)?;
    let followed = load(kept.delivery.follows)?;
    let told = load(followed.as_ref().and_then(|followed| followed.superseded_by))?.or(followed);
    match kept.delivery.turn(entry.as_ref(), told.as_ref(), now) {
        Turn::Now => return Ok(Some(kept)),
        Turn::Wait(due_at) => {
            let mut edit = Edit::new();
            edit.set("dueAt", due_at);
            edit.set("updatedAt", now);
            kept.edit_last(rows, &edit)?;
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
    let may_wait = matches!(record.outcome, Outcome::Expired | Outcome::Dropped { .. });
    let is_waiting = may_wait && delivery.state == DeliveryState::Pending;
    if !is_ours && !is_waiting {
        return Ok(());
    }
    let mut edit = Edit::new();
    match &record.outcome {
        Outcome::Sent { message_id, entry_lapsed } => {
            edit.set_some("messageId", *message_id);
            endings.end(&kept, DeliveryEvent::Deliver, edit, *entry_lapsed)?;
        }
        Outcome::Retry { due_at, error, in_doubt } => {
            let Ok(state) = delivery.state.after(DeliveryEvent::Retry) else {
                return Ok(());
            };
            edit.set("state", state);
            edit.set("dueAt", *due_at);
            edit.set("lastError", error.as_str());
            edit.set("possibleRepeat", delivery.possible_repeat || *in_doubt);
            edit.set("updatedAt", now);
            edit.unset("epoch");
            kept.edit_last(tx.rows, &edit)?;
        }
        Outcome::Expired => {
            endings.end(&kept, DeliveryEvent::Expire, edit, false)?;
        }
        Outcome::Dead { error, chat_blocked } => {
            edit.set("lastError", error.as_str());
            endings.end(&kept, DeliveryEvent::Die, edit, false)?;
            if let (true, Some(user)) = (*chat_blocked, kept.delivery.user_id) {
                block_chat(tx, user, now)?;
            }
        }
        Outcome::Dropped { reason } => {
            edit.set("lastError", reason.as_str());
            endings.end(&kept, DeliveryEvent::Drop, edit, false)?;
        }
    }
    Ok(())
}

/// Notes since when the user's chat refuses us.
fn block_chat(tx: &Tx<'_>, user: UserId, now: Time) -> Result<()> {
    let Some(document) = tx.rows.find(Collection::Users, user)? else {
        return Ok(());
    };
    if raw::lookup(&document, "alertcast.chatBlockedAt")?.is_some_and(|at| at.as_time().is_some()) {
        return Ok(());
    }
    let mut edit = Edit::new();
    edit.set("alertcast.chatBlockedAt", now);
    edit.set("updatedAt", now);
    tx.rows.edit(Collection::Users, &document, &edit)?;
    note_change(tx, Collection::Users, user.0)
}
