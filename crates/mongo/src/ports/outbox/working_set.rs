//! What an operation on deliveries works on: loaded as core asks for it, in as many round trips for a hundred deliveries
//! as for one, and written together as core says. What follows from an event is decided in
//! [`alertcast_core::delivery::consequences`] alone.

use std::collections::BTreeSet;

use alertcast_core::delivery::consequences::{CauseRecipient, ConsequenceEdits, WorkingSet};
use alertcast_core::delivery::{Delivery, MessageKind, NeededNeighbours};
use alertcast_core::id::{AlertId, DeliveryId, TradeId};
use alertcast_core::store::{Collection, FieldEdits};
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;
use bson::{Document, doc};

use crate::engine::counters::CounterRaise;
use crate::engine::query::{MongoQuery, put};
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::MongoResult;
use crate::ports::work::commit::correct_usage;

/// Loads what an event needs, until it needs nothing more.
pub(crate) async fn load(
    tx: &mut MongoTransaction,
    set: &mut WorkingSet,
    needed: impl Fn(&WorkingSet) -> NeededNeighbours + Send + Sync,
) -> MongoResult<()> {
    loop {
        let wanted = needed(set);
        if wanted.is_empty() {
            return Ok(());
        }
        find(tx, set, wanted).await?;
    }
}

/// What cannot be read is as if it were not there: it is in doubt, and holds nothing up.
async fn find(tx: &mut MongoTransaction, set: &mut WorkingSet, wanted: NeededNeighbours) -> MongoResult<()> {
    if !wanted.deliveries.is_empty() {
        let ids: Vec<DeliveryId> = wanted.deliveries.iter().copied().collect();
        let query = MongoQuery::new(doc! { "_id": { "$in": ids } });
        for (_, read) in tx.find_each::<Delivery>(Collection::Deliveries, query).await? {
            if let Ok(delivery) = read {
                set.add_delivery(delivery.id, Some(delivery));
            }
        }
        wanted.deliveries.into_iter().for_each(|id| set.add_delivery(id, None));
    }
    if !wanted.trades.is_empty() {
        let ids: Vec<TradeId> = wanted.trades.iter().copied().collect();
        let query = MongoQuery::new(doc! { "_id": { "$in": ids } });
        for (_, read) in tx.find_each::<Trade>(Collection::Trades, query).await? {
            if let Ok(trade) = read {
                set.add_trade(trade.id, Some(trade));
            }
        }
        wanted.trades.into_iter().for_each(|id| set.add_trade(id, None));
    }
    Ok(())
}

/// Writes what the events came to; answers it.
pub(crate) async fn write(tx: &mut MongoTransaction, mut set: WorkingSet, now: Time) -> MongoResult<ConsequenceEdits> {
    let (wanted, causes) = set.ask_for_untold();
    find(tx, &mut set, wanted).await?;
    for cause in causes {
        let found = find_siblings(tx, &cause).await?;
        set.add_siblings(found);
    }
    let edits = set.finish()?;
    let deliveries = edits.deliveries.iter().map(|(id, fields)| BulkUpdate::new(doc! { "_id": id }, update_of(fields)));
    tx.updates(Collection::Deliveries.name(), deliveries.collect()).await?;
    tx.updates(Collection::Trades.name(), update_trades(&edits)).await?;
    correct_usage(tx, &edits.usage, now).await?;
    let alerts = edits.alerts.iter().map(|(alert, outcomes)| count_ends(*alert, outcomes.sent.0, outcomes.failed.0));
    let reopened = edits.reopened.iter().map(|(alert, not_failed)| count_ends(*alert, 0, -not_failed));
    tx.raise(Collection::Alerts, alerts.chain(reopened).collect(), now).await?;
    let reopened = edits.reopened.iter().map(|(alert, _)| {
        let update = doc! { "$inc": { "alertcast.resends": 1 }, "$unset": { "alertcast.settledAt": "" } };
        BulkUpdate::new(doc! { "_id": alert }, update)
    });
    tx.updates(Collection::Alerts.name(), reopened.collect()).await?;
    Ok(edits)
}

/// Those that end because their entry never arrived are exits.
async fn find_siblings(tx: &mut MongoTransaction, of: &CauseRecipient) -> MongoResult<Vec<Delivery>> {
    let exits = doc! { "userId": of.user, "cause.id": of.cause, "kind": MessageKind::Exit };
    let found = tx.find_each::<Delivery>(Collection::Deliveries, MongoQuery::new(exits)).await?;
    Ok(found.into_iter().filter_map(|(_, read)| read.ok()).collect())
}

/// Of a trade whose messages stand in several lanes, several transactions may end the last ones at once, each of which
/// sees the others' still open. A count, which nobody reads, makes these exclude each other.
fn update_trades(edits: &ConsequenceEdits) -> Vec<BulkUpdate> {
    let changed: BTreeSet<TradeId> = edits.trades.iter().map(|(id, _)| *id).collect();
    let count = |update: &mut Document| put(update, "$inc", "alertcast.unsent", 1);
    let changes = edits.trades.iter().map(|(id, fields)| {
        let mut update = update_of(fields);
        if edits.contested.contains(id) {
            count(&mut update);
        }
        BulkUpdate::new(doc! { "_id": id }, update)
    });
    let contested = edits.contested.difference(&changed).map(|id| {
        let mut update = Document::new();
        count(&mut update);
        BulkUpdate::new(doc! { "_id": id }, update)
    });
    changes.chain(contested).collect()
}

fn count_ends(alert: AlertId, sent: i64, failed: i64) -> CounterRaise {
    let counters = [("statistics.deliveryCount", sent), ("statistics.failureCount", failed)];
    CounterRaise { of: alert.into(), counters, latest: None }
}

pub(crate) fn update_of(fields: &FieldEdits) -> Document {
    let mut update = Document::new();
    for (path, value) in &fields.set {
        put(&mut update, "$set", path, value.clone());
    }
    for path in &fields.unset {
        put(&mut update, "$unset", path, "");
    }
    update
}
