//! The deliveries and trades that an operation works on: read together at first, changed in memory in the order that the
//! port asks for, written together at the end. So an operation takes as many round trips for a hundred deliveries as for
//! one.

use std::collections::{BTreeSet, HashMap};

use alertcast_core::alert::settling::Ended;
use alertcast_core::delivery::{Around, Delivery, MessageKind, differences, exit_was_untold, wanted};
use alertcast_core::id::{AlertId, DeliveryId, TradeId};
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, UsageIncrement, read};
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;
use bson::{Bson, Document, doc};

use crate::commit::count_usage;
use crate::counters::Raise;
use crate::error::Result;
use crate::query::{Query, put};
use crate::transact::{Tx, Update};

/// A change of one delivery's fields, all of which stand at its top.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edit {
    set: Document,
    unset: BTreeSet<String>,
}

impl Edit {
    pub(crate) fn set(mut self, field: &str, value: impl Into<Bson>) -> Self {
        self.unset.remove(field);
        self.set.insert(field, value);
        self
    }

    /// Sets the field where there is a value; an absent one is not written.
    pub(crate) fn set_some(self, field: &str, value: Option<impl Into<Bson>>) -> Self {
        match value {
            Some(value) => self.set(field, value),
            None => self,
        }
    }

    pub(crate) fn unset(mut self, field: &str) -> Self {
        self.set.remove(field);
        self.unset.insert(field.to_owned());
        self
    }

    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.unset.is_empty()
    }
}

/// A delivery as it is kept, with the changes made so far.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) document: Document,
    pub(crate) delivery: Delivery,
    changes: Edit,
}

impl Kept {
    fn of(document: Document) -> Result<Self> {
        let delivery = read(Collection::Deliveries, document.clone())?;
        Ok(Self { document, delivery, changes: Edit::default() })
    }

    fn change(&mut self, edit: Edit) -> Result<()> {
        for (field, value) in edit.set {
            self.document.insert(field.clone(), value.clone());
            self.changes.unset.remove(field.as_str());
            self.changes.set.insert(field, value);
        }
        for field in edit.unset {
            self.document.remove(&field);
            self.changes = std::mem::take(&mut self.changes).unset(&field);
        }
        self.delivery = read(Collection::Deliveries, self.document.clone())?;
        Ok(())
    }
}

/// A trade as it is kept.
#[derive(Debug)]
pub(crate) struct KeptTrade {
    pub(crate) trade: Trade,
    /// Marked by this operation.
    pub(crate) is_marked: bool,
    /// How many of its announcements ended unsent in this operation.
    pub(crate) unsent: i64,
}

impl Around for Book {
    fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id).map(|kept| &kept.delivery)
    }

    fn trade(&self, id: TradeId) -> Option<&Trade> {
        self.trades.get(&id).map(|kept| &kept.trade)
    }
}

/// What an operation has read and changed.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) now: Time,
    pub(crate) deliveries: HashMap<DeliveryId, Kept>,
    pub(crate) trades: HashMap<TradeId, KeptTrade>,
    pub(crate) ended: Ended,
}

impl Book {
    pub(crate) fn new(now: Time) -> Self {
        Self { now, deliveries: HashMap::new(), trades: HashMap::new(), ended: Ended::default() }
    }

    /// Takes up deliveries that have been read. One that cannot be read is as if it were not kept any more: it is in doubt,
    /// and may have arrived.
    pub(crate) fn keep(&mut self, documents: Vec<Document>) -> Result<()> {
        for kept in documents.into_iter().filter_map(|document| Kept::of(document).ok()) {
            self.deliveries.insert(kept.delivery.id, kept);
        }
        Ok(())
    }

    pub(crate) async fn load(&mut self, tx: &mut Tx, ids: impl IntoIterator<Item = DeliveryId> + Send) -> Result<()> {
        let missing: BTreeSet<DeliveryId> = ids.into_iter().filter(|id| !self.deliveries.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<DeliveryId> = missing.into_iter().collect();
        let found = tx.find(Collection::Deliveries, Query::new(doc! { "_id": { "$in": missing } })).await?;
        self.keep(found)
    }

    /// Reads what the ends of these deliveries may change or depend on: the entries that they tell, the trades, the
    /// trades' other announcements, and the exits that tell those.
    pub(crate) async fn load_around(&mut self, tx: &mut Tx, ids: &[DeliveryId]) -> Result<()> {
        let centre: Vec<&Delivery> = self.all(ids).collect();
        let entries: Vec<_> = centre.iter().flat_map(|one| [one.entry_delivery, one.combines]).flatten().collect();
        let mut trades: BTreeSet<TradeId> = centre.iter().filter_map(|one| one.trade_id).collect();
        self.load(tx, entries.clone()).await?;
        trades.extend(self.all(&entries).filter_map(|one| one.trade_id));
        self.load_trades(tx, trades).await?;
        let announced = self.trades.values().flat_map(|kept| &kept.trade.alertcast.entry_deliveries);
        let announced: Vec<_> = announced.map(|entry| entry.id).collect();
        self.load(tx, announced).await?;
        let told_by: Vec<_> = self.deliveries.values().filter_map(|kept| kept.delivery.superseded_by).collect();
        self.load(tx, told_by).await
    }

    /// Reads what taking these rests on, and what the ends of what waits around them may change.
    pub(crate) async fn load_near(&mut self, tx: &mut Tx, ids: &[DeliveryId]) -> Result<()> {
        let (mut deliveries, mut trades) = (BTreeSet::new(), BTreeSet::new());
        loop {
            let known = deliveries.len() + trades.len();
            for centre in self.all(ids) {
                let asked = wanted(centre, self);
                deliveries.extend(asked.deliveries);
                trades.extend(asked.trades);
            }
            if deliveries.len() + trades.len() == known {
                break;
            }
            self.load(tx, deliveries.iter().copied()).await?;
            let missing = trades.iter().copied().filter(|id| !self.trades.contains_key(id));
            self.load_trades(tx, missing.collect()).await?;
        }
        let is_over = |one: &Delivery| one.trade_id.and_then(|id| self.trade(id)).is_some_and(|trade| !trade.is_open());
        if deliveries.is_empty() && !self.all(ids).any(is_over) {
            return Ok(());
        }
        let around: Vec<DeliveryId> = ids.iter().copied().chain(deliveries).collect();
        self.load_around(tx, &around).await
    }

    /// Reads what these results wait for: their entries, and the messages that tell of the same.
    pub(crate) async fn load_before(&mut self, tx: &mut Tx, results: &[DeliveryId]) -> Result<()> {
        let before = self.all(results).flat_map(|result| [result.entry_delivery, result.follows]).flatten();
        let mut next: Vec<DeliveryId> = before.collect();
        while !next.is_empty() {
            self.load(tx, next.clone()).await?;
            let told_by: BTreeSet<DeliveryId> = self.all(&next).filter_map(|one| one.superseded_by).collect();
            next = told_by.into_iter().filter(|id| !self.deliveries.contains_key(id)).collect();
        }
        Ok(())
    }

    async fn load_trades(&mut self, tx: &mut Tx, ids: BTreeSet<TradeId>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids: Vec<TradeId> = ids.into_iter().collect();
        for trade in tx.find(Collection::Trades, Query::new(doc! { "_id": { "$in": ids } })).await? {
            // What cannot be read around a message holds it up as little as what is not there.
            let Ok(trade) = read::<Trade>(Collection::Trades, trade) else { continue };
            self.trades.insert(trade.id, KeptTrade { trade, is_marked: false, unsent: 0 });
        }
        Ok(())
    }

    fn all(&self, ids: &[DeliveryId]) -> impl Iterator<Item = &Delivery> {
        ids.iter().filter_map(|id| self.delivery(*id))
    }

    pub(crate) fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id).map(|kept| &kept.delivery)
    }

    pub(crate) fn change(&mut self, id: DeliveryId, edit: Edit) -> Result<()> {
        match self.deliveries.get_mut(&id) {
            Some(kept) => kept.change(edit),
            None => Ok(()),
        }
    }

    /// Writes what differs, and is that then.
    pub(crate) fn rewrite(&mut self, id: DeliveryId, after: &Delivery) -> Result<()> {
        let Some(kept) = self.deliveries.get_mut(&id) else { return Ok(()) };
        let changes = differences(&kept.delivery, after)?;
        if changes.is_empty() {
            return Ok(());
        }
        let edit = changes.into_iter().fold(Edit::default(), |edit, (field, value)| match value {
            Some(value) => edit.set(&field, value),
            None => edit.unset(&field),
        });
        kept.change(edit)
    }

    /// What the commits of exits counted for their subscribers, of whose messages the last is left out now because the
    /// entry never arrived.
    async fn untold(&self, tx: &mut Tx) -> Result<Vec<UsageIncrement>> {
        let left_out = |kept: &&Kept| !kept.changes.is_empty() && kept.delivery.never_entered();
        let mut seen = BTreeSet::new();
        let mut less = Vec::new();
        for exit in self.deliveries.values().filter(left_out).map(|kept| &kept.delivery) {
            let (Some(user), Some(subscription)) = (exit.user_id, exit.subscription_id) else { continue };
            if !seen.insert((exit.cause.id, user, subscription)) {
                continue;
            }
            let of_cause = doc! { "userId": user, "cause.id": exit.cause.id, "kind": MessageKind::Exit };
            let found = tx.find(Collection::Deliveries, Query::new(of_cause)).await?;
            let kept = found.into_iter().filter_map(|one| read::<Delivery>(Collection::Deliveries, one).ok());
            // As this operation leaves them.
            let same: Vec<Delivery> = kept.map(|one| self.delivery(one.id).cloned().unwrap_or(one)).collect();
            if let (Some(trade), true) = (exit.trade_id, same.len() > 1) {
                // They may end at once in transactions of different lanes: see `mark`.
                let count = doc! { "$inc": { "alertcast.unsent": 1 } };
                tx.update_one(Collection::Trades, doc! { "_id": trade }, count).await?;
            }
            if !exit_was_untold(exit, &same) {
                continue;
            }
            let trade = exit.trade_id.and_then(|id| self.trades.get(&id)).map(|kept| &kept.trade);
            less.push(UsageIncrement {
                subscription,
                preference: trade.and_then(|trade| trade.alertcast.preference_id),
                alerts: -1,
                trades: 0,
                at: exit.queued_at,
            });
        }
        Ok(less)
    }

    /// Writes all changes; answers the alerts one of whose deliveries ended.
    pub(crate) async fn write(self, tx: &mut Tx) -> Result<Vec<AlertId>> {
        let untold = self.untold(tx).await?;
        count_usage(tx, &untold, self.now).await?;
        let deliveries = self.deliveries.into_iter().filter(|(_, kept)| !kept.changes.is_empty());
        let deliveries = deliveries.map(|(id, kept)| Update::new(doc! { "_id": id }, update_of(kept.changes)));
        tx.updates(Collection::Deliveries.name(), deliveries.collect()).await?;
        let trades: Vec<_> = self.trades.values().filter_map(|kept| mark(kept, self.now)).collect();
        tx.updates(Collection::Trades.name(), trades).await?;
        let unreached = self.trades.values().filter(|kept| kept.is_marked).map(|kept| &kept.trade);
        take_back(tx, unreached.collect(), self.now).await?;
        let alerts = self.ended.outcomes().map(|(alert, outcomes)| Raise {
            of: alert.into(),
            counters: [("statistics.deliveryCount", outcomes.sent.0), ("statistics.failureCount", outcomes.failed.0)],
            latest: None,
        });
        tx.raise(Collection::Alerts, alerts.collect(), self.now).await?;
        Ok(self.ended.alerts())
    }
}

fn update_of(changes: Edit) -> Document {
    let mut update = Document::new();
    if !changes.set.is_empty() {
        update.insert("$set", changes.set);
    }
    for field in changes.unset {
        put(&mut update, "$unset", &field, "");
    }
    update
}

/// The change of a trade one of whose announcements ended unsent. Where it has several, they may end at once in
/// transactions of different lanes, each of which sees the other one still open; the count, which nobody reads, makes
/// these exclude each other.
fn mark(kept: &KeptTrade, now: Time) -> Option<Update> {
    let mut update = Document::new();
    if kept.unsent > 0 && kept.trade.alertcast.entry_deliveries.len() > 1 {
        put(&mut update, "$inc", "alertcast.unsent", Count(kept.unsent));
    }
    if kept.is_marked {
        put(&mut update, "$inc", "alertcast.rev", 1);
        put(&mut update, "$set", "alertcast.unreached", true);
        put(&mut update, "$set", "updatedAt", now);
    }
    (!update.is_empty()).then(|| Update::new(doc! { "_id": kept.trade.id }, update))
}

/// Takes back what the commits of these trades counted for their subscribers.
async fn take_back(tx: &mut Tx, trades: Vec<&Trade>, now: Time) -> Result<()> {
    let less = |trade: &&Trade| UsageIncrement {
        subscription: trade.subscription_id,
        preference: trade.alertcast.preference_id,
        alerts: -1,
        trades: -1,
        at: trade.created_at,
    };
    let usage: Vec<UsageIncrement> = trades.iter().map(less).collect();
    count_usage(tx, &usage, now).await
}
