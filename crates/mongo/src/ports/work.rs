//! The processor's port: the alerts that wait, and what a chunk's decisions rest on. The commit: [`crate::ports::work::commit`].

pub(crate) mod commit;

use std::collections::{BTreeSet, HashSet};

use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::id::{AlertId, ConfigId, TradeId, UserId};
use alertcast_core::money::Count;
use alertcast_core::quota::Quota;
use alertcast_core::reading::UnreadableDocument;
use alertcast_core::store::{
    ChunkCommit, ChunkState, Collection, FailedConfigurations, LeaseFence, OperatorNotice, ProcessorStore, StoreError,
    StoreResult, UnreadableTrade, UserSpan, document,
};
use alertcast_core::trade::document::TradeStatus;
use async_trait::async_trait;
use bson::{Bson, Document, RawDocumentBuf, doc};
use futures::TryStreamExt;

use crate::engine::local_locks::OPERATORS;
use crate::engine::query::{MongoQuery, at_path, between, put, whole};
use crate::engine::transact::MongoTransaction;
use crate::error::{MongoError, MongoResult};
use crate::ports::intake::pending_states;
use crate::store::MongoStore;

#[async_trait]
impl ProcessorStore for MongoStore {
    async fn pending_alerts(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> StoreResult<Vec<Alert>> {
        let filter = doc! {
            "alertcast.partition": { "$in": partitions.to_vec() },
            "processing.status": { "$in": pending_states() },
            "processing.alertConfigId": { "$nin": except.to_vec() },
        };
        let query = MongoQuery::new(filter).sort_by(doc! { "alertcast.seq": 1 }).limit(limit);
        self.find_as(Collection::Alerts, query).await
    }

    async fn holders(&self, config: ConfigId, after: Option<UserId>, limit: usize) -> StoreResult<Vec<UserId>> {
        self.link.run_bounded(holders(self, config, after, limit)).await
    }

    async fn load_chunk(&self, config: ConfigId, span: UserSpan, entering: &[UserId]) -> StoreResult<ChunkState> {
        let asked = (config, span, entering.to_vec());
        let loaded =
            self.snapshot(asked, |tx, (config, span, entering)| Box::pin(load_chunk(tx, *config, *span, entering)));
        let (state, unreadable) = loaded.await?;
        unreadable.into_iter().for_each(|one| self.unreadables.note(one));
        Ok(state)
    }

    async fn commit_all(&self, chunks: Vec<ChunkCommit>) -> Vec<StoreResult<()>> {
        let (mut outcomes, mut failed) = (Vec::with_capacity(chunks.len()), FailedConfigurations::default());
        for chunk in chunks {
            let config = chunk.config;
            let outcome = match failed.check(config) {
                Ok(()) => commit::commit(self, chunk).await,
                passed_over => passed_over,
            };
            if outcome.is_err() {
                failed.note(config);
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn record_failure(
        &self,
        fence: &LeaseFence,
        alert: AlertId,
        error: AlertError,
        park: bool,
        notices: Vec<OperatorNotice>,
    ) -> StoreResult<()> {
        let failure = WorkFailure { fence: fence.clone(), alert, error, park, notices };
        let locks = [fence.lease.as_str(), OPERATORS];
        self.transact(&locks, failure, |tx, failure| Box::pin(record_failure(tx, failure))).await
    }
}

async fn holders(
    store: &MongoStore,
    config: ConfigId,
    after: Option<UserId>,
    limit: usize,
) -> MongoResult<Vec<UserId>> {
    let after = after.unwrap_or(UserId::MIN);
    let mut holders = plain_holders(store, config, after, limit).await?;
    let strays = stray_holders(store, config, after, limit).await?;
    if !strays.is_empty() {
        holders.extend(strays);
        holders.sort_unstable();
        holders.dedup();
        holders.truncate(limit);
    }
    Ok(holders)
}

/// Those of trades with something else for a status: there are hardly any, in any order.
async fn stray_holders(
    store: &MongoStore,
    config: ConfigId,
    after: UserId,
    limit: usize,
) -> MongoResult<BTreeSet<UserId>> {
    let filter = doc! { "alertConfigId": config, "status": no_status() };
    let trades = store.collection(Collection::Trades);
    let mut trades = trades.find(filter).projection(doc! { "_id": 0, "userId": 1 }).await?;
    let mut holders = BTreeSet::new();
    while let Some(trade) = trades.try_next().await? {
        holders.extend(user_of(&trade, "userId").filter(|user| *user > after));
        if holders.len() > limit {
            holders.pop_last();
        }
    }
    Ok(holders)
}

/// Neither open nor ended: something else came to stand there. Such a trade may be open, and counts as that.
fn no_status() -> Bson {
    let words: Vec<Bson> = TradeStatus::ALL.iter().map(|status| Bson::from(*status)).collect();
    doc! { "$nin": words }.into()
}

/// Each once, although a user may hold several trades: the index gives them side by side.
async fn plain_holders(store: &MongoStore, config: ConfigId, after: UserId, limit: usize) -> MongoResult<Vec<UserId>> {
    // By the range, none but ids of ours.
    let filter = doc! { "alertConfigId": config, "status": TradeStatus::Open, "userId": { "$gt": after } };
    let trades = store.collection(Collection::Trades);
    let found = trades.find(filter).sort(doc! { "userId": 1 });
    let mut trades = found.projection(doc! { "_id": 0, "userId": 1 }).await?;
    let mut holders: Vec<UserId> = Vec::new();
    while holders.len() < limit {
        let Some(trade) = trades.try_next().await? else { break };
        let Some(user) = user_of(&trade, "userId") else { continue };
        if holders.last() != Some(&user) {
            holders.push(user);
        }
    }
    Ok(holders)
}

/// None where it is no id alone: the server also finds a list that has the one asked for in it.
pub(crate) fn user_of(document: &Document, field: &str) -> Option<UserId> {
    document.get_object_id(field).map(UserId).ok()
}

/// The trades of a configuration that are open, of the users in a span.
pub(crate) fn open_trades(config: ConfigId, span: UserSpan) -> MongoQuery {
    let users = between(span.first, span.last);
    let of = |status: Bson| doc! { "alertConfigId": config, "status": status, "userId": users.clone() };
    MongoQuery::new(doc! { "$or": [of(no_status()), of(TradeStatus::Open.into())] })
}

async fn load_chunk(
    tx: &mut MongoTransaction,
    config: ConfigId,
    span: UserSpan,
    entering: &[UserId],
) -> MongoResult<(ChunkState, Vec<UnreadableDocument>)> {
    let sorted = open_trades(config, span).sort_by(doc! { "userId": 1, "tradeNumber": 1 });
    let mut state = ChunkState::default();
    let mut unreadable = Vec::new();
    for (raw, trade) in tx.find_each(Collection::Trades, sorted).await? {
        match trade {
            Ok(trade) => state.open_trades.push(trade),
            Err(trade) => {
                state.unreadable_trades.extend(unreadable_trade(&raw));
                unreadable.push(trade);
            }
        }
    }
    // The asked are most of those between the first and the last: a range is quicker than a list of ids.
    let (Some(first), Some(last)) = (entering.iter().min(), entering.iter().max()) else {
        return Ok((state, unreadable));
    };
    let asked: HashSet<UserId> = entering.iter().copied().collect();
    let users = between(*first, *last);
    let stages = vec![
        // What is no number, or beyond all counting, is not counted on.
        doc! { "$match": { "alertConfigId": config, "userId": users.clone(), "tradeNumber": { "$lt": Count::MAX } } },
        doc! { "$sort": { "userId": 1, "tradeNumber": -1 } },
        doc! { "$group": { "_id": "$userId", "number": { "$first": "$tradeNumber" } } },
    ];
    for last in tx.aggregate(Collection::Trades, stages).await? {
        let asked = user_of(&last, "_id").filter(|user| asked.contains(user));
        if let (Some(user), Some(number)) = (asked, last.get("number").and_then(whole)) {
            state.last_numbers.insert(user, number);
        }
    }
    for (raw, quota) in tx.find_each::<Quota>(Collection::Quotas, MongoQuery::new(doc! { "_id": users })).await? {
        match quota {
            Ok(quota) if asked.contains(&quota.user) => drop(state.quotas.insert(quota.user, quota)),
            Err(quota) if raw.get_object_id("_id").is_ok_and(|user| asked.contains(&UserId(user))) => {
                state.unreadable_quotas.push(quota);
            }
            _ => {}
        }
    }
    unreadable.extend(state.unreadable_quotas.iter().cloned());
    Ok((state, unreadable))
}

/// What is known of a trade that cannot be read: whose it is it was asked by.
fn unreadable_trade(raw: &RawDocumentBuf) -> Option<UnreadableTrade> {
    let user = UserId(raw.get_object_id("userId").ok()?);
    let own = raw.get_document("alertcast").ok();
    let rev = own.and_then(|own| own.get("rev").ok().flatten()).and_then(|rev| Bson::try_from(rev).ok());
    let id = raw.get_object_id("_id").ok().map(TradeId);
    Some(UnreadableTrade::of(id, user, rev.as_ref().and_then(whole).unwrap_or(0), raw.as_bytes()))
}

struct WorkFailure {
    fence: LeaseFence,
    alert: AlertId,
    error: AlertError,
    park: bool,
    notices: Vec<OperatorNotice>,
}

async fn record_failure(tx: &mut MongoTransaction, failure: &WorkFailure) -> MongoResult<()> {
    tx.fence(&failure.fence).await?;
    let pending = doc! { "_id": failure.alert, "processing.status": { "$in": pending_states() } };
    let Some(alert) = tx.find_one(Collection::Alerts, pending.clone()).await? else {
        return gone_or_ended(tx, failure.alert).await;
    };
    let error = document(&failure.error)?;
    let last = at_path(&alert, "processing.errors").and_then(Bson::as_array).and_then(|errors| errors.last());
    if last.and_then(Bson::as_document).is_some_and(|last| is_same(last, &error)) {
        // The caller had no answer, and says it again.
        return Ok(());
    }
    let mut update = doc! { "$inc": { "alertcast.attempts": 1 }, "$push": { "processing.errors": error } };
    put(&mut update, "$set", "updatedAt", failure.error.timestamp);
    if failure.park {
        put(&mut update, "$set", "processing.status", AlertStatus::Failed);
    }
    tx.update_one(Collection::Alerts, pending, update).await?;
    tx.give_notices(&failure.notices).await
}

async fn gone_or_ended(tx: &mut MongoTransaction, alert: AlertId) -> MongoResult<()> {
    match tx.find_one(Collection::Alerts, doc! { "_id": alert }).await? {
        Some(_) => Ok(()),
        None => Err(MongoError::Store(StoreError::Conflict)),
    }
}

fn is_same(kept: &Document, error: &Document) -> bool {
    ["message", "timestamp"].iter().all(|field| kept.get(field) == error.get(field))
}
