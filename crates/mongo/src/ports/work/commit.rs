//! The commit of a chunk: one transaction, whose statements are as many for a thousand users as for one.
//!
//! What makes it exact although a snapshot's reads are not locked:
//! - The lease's document is written first. So the commits of one lease exclude each other, and a take-over.
//! - The alert's cursor, the quotas and the trades that end are compared and written in one update each.
//! - The set of open trades is compared by reading it. A trade of it that this chunk does not end may be ended by others
//!   (by hand, or because its entry reached nobody) between that reading and this commit. They read nothing that this
//!   chunk writes, so all is as if they had come right after it, which is an order that may happen anyway. Other chunks
//!   of the configuration, whose new trades would matter, work under the same lease.

use std::collections::{BTreeMap, HashSet};

use alertcast_core::delivery::Delivery;
use alertcast_core::delivery::consequences::UsageCorrection;
use alertcast_core::id::{ConfigId, TradeId};
use alertcast_core::store::{
    ChunkCommit, ClosedTrades, Collection, ConfigIncrement, QuotaChange, StoreError, StoreResult, UsageIncrement,
    UserSpan, document,
};
use alertcast_core::time::Time;
use alertcast_core::trade::document::{TradeEnd, TradeStatus};
use bson::{Binary, Bson, Document, doc};

use crate::engine::counters::CounterRaise;
use crate::engine::local_locks::OPERATORS;
use crate::engine::query::{MongoQuery, at_path, between, put, whole};
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::{MongoError, MongoResult};
use crate::ports::intake::pending_states;
use crate::ports::outbox::working_set::update_of;
use crate::ports::work::{open_trades, user_of};
use crate::store::MongoStore;

/// A delivery's key begins with its cause, in so many bytes.
const CAUSE_BYTES: usize = 13;

/// What the chunk rests on has changed.
const CONFLICT: MongoError = MongoError::Store(StoreError::Conflict);

/// A chunk with its documents made.
struct PreparedChunk {
    chunk: ChunkCommit,
    seen: BTreeMap<TradeId, i64>,
    decisions: Vec<Document>,
    opened: Vec<Document>,
}

pub(crate) async fn commit(store: &MongoStore, chunk: ChunkCommit) -> StoreResult<()> {
    let seen = chunk.plan.open_seen.iter().flat_map(|(_, seen)| seen.iter().copied()).collect();
    let decisions = chunk.plan.decisions.iter().map(document).collect::<StoreResult<_>>()?;
    let opened = chunk.plan.opened.iter().map(document).collect::<StoreResult<_>>()?;
    let ready = PreparedChunk { seen, decisions, opened, chunk };
    let lease = ready.chunk.fence.lease.clone();
    let locks: &[&str] = if ready.chunk.notices.is_empty() { &[&lease] } else { &[&lease, OPERATORS] };
    store.transact(locks, ready, |tx, ready| Box::pin(apply(tx, ready))).await
}

/// Checks before it writes much: a chunk that does not hold costs little.
async fn apply(tx: &mut MongoTransaction, ready: &PreparedChunk) -> MongoResult<()> {
    let chunk = &ready.chunk;
    let plan = &chunk.plan;
    tx.fence(&chunk.fence).await?;
    move_alert_on(tx, chunk).await?;
    if let Some((span, _)) = &plan.open_seen {
        check_open(tx, chunk.config, *span, &ready.seen).await?;
    }
    change_quotas(tx, &plan.quotas).await?;
    end_trades(tx, ready).await?;
    tx.insert(Collection::Trades, ready.opened.clone()).await?;
    insert_deliveries(tx, &plan.deliveries).await?;
    tx.insert(Collection::Decisions, ready.decisions.clone()).await?;
    count_usage(tx, &plan.usage, chunk.now).await?;
    count_config(tx, chunk.config, &plan.config_increment, chunk.now).await?;
    tx.give_notices(&chunk.notices).await
}

/// Moves the alert's cursor from where it was seen, and ends its processing with the last chunk.
async fn move_alert_on(tx: &mut MongoTransaction, chunk: &ChunkCommit) -> MongoResult<()> {
    let as_seen = doc! {
        "_id": chunk.alert,
        "processing.status": { "$in": pending_states() },
        "alertcast.cursor": chunk.cursor_seen,
    };
    let mut update = update_of(&chunk.edit_alert());
    if let Some(finish) = chunk.finish.as_ref().filter(|finish| !finish.errors.is_empty()) {
        let errors = finish.errors.iter().map(document).collect::<StoreResult<Vec<_>>>()?;
        put(&mut update, "$push", "processing.errors", doc! { "$each": errors });
    }
    match tx.update_one(Collection::Alerts, as_seen, update).await? {
        1 => Ok(()),
        _ => Err(CONFLICT),
    }
}

/// The open trades of the span must be exactly those that were seen.
async fn check_open(
    tx: &mut MongoTransaction,
    config: ConfigId,
    span: UserSpan,
    seen: &BTreeMap<TradeId, i64>,
) -> MongoResult<()> {
    let query = open_trades(config, span).fields(doc! { "alertcast.rev": 1, "userId": 1 });
    let mut open = BTreeMap::new();
    for trade in tx.find(Collection::Trades, query).await? {
        // What is no id of ours was not seen either, nor what is of nobody.
        let (Ok(id), Some(_)) = (trade.get_object_id("_id"), user_of(&trade, "userId")) else { continue };
        open.insert(TradeId(id), at_path(&trade, "alertcast.rev").and_then(whole).unwrap_or(0));
    }
    if open == *seen { Ok(()) } else { Err(CONFLICT) }
}

async fn change_quotas(tx: &mut MongoTransaction, changes: &[QuotaChange]) -> MongoResult<()> {
    let mut changed = Vec::new();
    let mut first = Vec::new();
    for change in changes {
        let mut after = document(&change.after)?;
        if let Some(seen) = change.rev_seen {
            after.remove("_id");
            changed.push(BulkUpdate::new(doc! { "_id": change.after.user, "rev": seen }, doc! { "$set": after }));
        } else {
            first.push(after);
        }
    }
    let wanted = changed.len();
    if tx.updates(Collection::Quotas.name(), changed).await? != wanted {
        return Err(CONFLICT);
    }
    match tx.insert(Collection::Quotas, first).await {
        Err(fault) if fault.is_duplicate(Collection::Quotas, "_id") => Err(CONFLICT),
        answer => answer,
    }
}

async fn end_trades(tx: &mut MongoTransaction, ready: &PreparedChunk) -> MongoResult<()> {
    let now = ready.chunk.now;
    let ends = ready.chunk.plan.ended.iter().map(|end| {
        let open = doc! { "_id": end.trade, "status": open_status() };
        trade_end(end, now).map(|end| BulkUpdate::new(open, end))
    });
    let ends = ends.collect::<StoreResult<Vec<BulkUpdate>>>()?;
    let wanted = ends.len();
    match tx.updates(Collection::Trades.name(), ends).await? {
        ended if ended == wanted => Ok(()),
        _ => Err(CONFLICT),
    }
}

/// Nothing there is the default.
pub(crate) fn open_status() -> Document {
    doc! { "$in": [TradeStatus::Open, Bson::Null] }
}

pub(crate) fn trade_end(end: &TradeEnd, now: Time) -> StoreResult<Document> {
    let mut update = update_of(&end.edit_trade(now)?);
    put(&mut update, "$inc", "alertcast.rev", 1);
    Ok(update)
}

/// Inserts those whose keys are free. The keys of one cause stand together, so one range each tells which are not.
pub(crate) async fn insert_deliveries(tx: &mut MongoTransaction, deliveries: &[Delivery]) -> MongoResult<()> {
    if deliveries.is_empty() {
        return Ok(());
    }
    let mut ranges: BTreeMap<&[u8], (&Binary, &Binary)> = BTreeMap::new();
    for key in deliveries.iter().map(|delivery| &delivery.key) {
        let cause = &key.bytes[..key.bytes.len().min(CAUSE_BYTES)];
        let (first, last) = ranges.entry(cause).or_insert((key, key));
        *first = if key.bytes < first.bytes { key } else { first };
        *last = if key.bytes > last.bytes { key } else { last };
    }
    let ranges: Vec<Document> =
        ranges.into_values().map(|(first, last)| doc! { "key": between(first.clone(), last.clone()) }).collect();
    let query = MongoQuery::new(doc! { "$or": ranges }).fields(doc! { "_id": 0, "key": 1 });
    let kept = tx.find(Collection::Deliveries, query).await?;
    let mut taken: HashSet<&[u8]> = kept.iter().filter_map(|found| key_of(found)).collect();
    let mut free = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        if taken.insert(&delivery.key.bytes) {
            free.push(document(delivery)?);
        }
    }
    tx.insert_new_deliveries(free).await
}

fn key_of(delivery: &Document) -> Option<&[u8]> {
    match delivery.get("key") {
        Some(Bson::Binary(key)) => Some(&key.bytes),
        _ => None,
    }
}

/// Adds to subscribers' counters. What has been deleted meanwhile is not counted.
pub(crate) async fn count_usage(tx: &mut MongoTransaction, usage: &[UsageIncrement], now: Time) -> MongoResult<()> {
    let of_subscriptions = usage.iter().map(|one| {
        let by = [one.alerts, one.trades];
        raise(one.subscription, &OF_SUBSCRIPTION, by, Some(one.at))
    });
    tx.raise(Collection::UserSubscriptions, of_subscriptions.collect(), now).await?;
    let of_preferences = usage.iter().filter_map(|one| {
        let by = [one.alerts, one.trades];
        one.preference.map(|preference| raise(preference, &OF_PREFERENCE, by, Some(one.at)))
    });
    tx.raise(Collection::UserAlertPreferences, of_preferences.collect(), now).await
}

/// Corrects what was counted before.
pub(crate) async fn correct_usage(
    tx: &mut MongoTransaction,
    corrections: &[UsageCorrection],
    now: Time,
) -> MongoResult<()> {
    let of_subscriptions = corrections.iter().map(|one| {
        let by = [one.alerts, one.trades];
        raise(one.subscription, &OF_SUBSCRIPTION, by, None)
    });
    tx.raise(Collection::UserSubscriptions, of_subscriptions.collect(), now).await?;
    let of_preferences = corrections.iter().filter_map(|one| {
        let by = [one.alerts, one.trades];
        one.preference.map(|preference| raise(preference, &OF_PREFERENCE, by, None))
    });
    tx.raise(Collection::UserAlertPreferences, of_preferences.collect(), now).await
}

/// Where documents keep a subscriber's counters: messages, trades, and when the last one was.
const OF_SUBSCRIPTION: [&str; 3] = ["usage.alertsReceived", "usage.tradesOpened", "usage.lastActivityAt"];
const OF_PREFERENCE: [&str; 3] = ["statistics.alertsReceived", "statistics.tradesOpened", "statistics.lastAlertAt"];

fn raise(of: impl Into<Bson>, paths: &[&'static str; 3], by: [i64; 2], at: Option<Time>) -> CounterRaise {
    let [alerts, trades, last_at] = *paths;
    CounterRaise { of: of.into(), counters: [(alerts, by[0]), (trades, by[1])], latest: at.map(|at| (last_at, at)) }
}

async fn count_config(tx: &mut MongoTransaction, config: ConfigId, by: &ConfigIncrement, now: Time) -> MongoResult<()> {
    if *by == ConfigIncrement::default() {
        return Ok(());
    }
    let totals = CounterRaise {
        of: config.into(),
        counters: [("statistics.totalAlerts", by.alerts), ("statistics.totalTrades", by.trades)],
        latest: by.last_alert_at.map(|at| ("statistics.lastAlertAt", at)),
    };
    tx.raise(Collection::AlertConfigurations, vec![totals], now).await?;
    if by.closed_by_tp == 0 && by.closed_by_sl == 0 {
        return Ok(());
    }
    let this = doc! { "_id": config };
    let Some(kept) = tx.find_one(Collection::AlertConfigurations, this.clone()).await? else {
        return Ok(());
    };
    let count = |path: &str| at_path(&kept, path).and_then(whole).unwrap_or(0);
    let closed = ClosedTrades { by_tp: count("alertcast.closedByTp"), by_sl: count("alertcast.closedBySl") };
    let closes = update_of(&by.count_closes(|| closed));
    tx.update_one(Collection::AlertConfigurations, this, closes).await.map(drop)
}
