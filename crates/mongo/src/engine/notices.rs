//! Messages to the operators that are sent once and then counted.

use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, OperatorNotice, document};
use bson::{Document, doc};

use crate::engine::local_locks::OPERATORS;
use crate::engine::query::{MongoQuery, put, whole};
use crate::engine::transact::MongoTransaction;
use crate::error::{MongoError, MongoResult};

/// The locks that a transaction with these notices passes.
pub(crate) const fn gates(notices: &[OperatorNotice]) -> &'static [&'static str] {
    if notices.is_empty() { &[] } else { &[OPERATORS] }
}

impl MongoTransaction {
    pub(crate) async fn give_notices(&mut self, notices: &[OperatorNotice]) -> MongoResult<()> {
        for notice in notices {
            self.give(notice).await?;
        }
        Ok(())
    }

    async fn give(&mut self, notice: &OperatorNotice) -> MongoResult<()> {
        let keys = [&notice.first.key, &notice.more.key].map(|key| bson::Bson::from(key.clone()));
        let query = MongoQuery::new(doc! { "key": { "$in": keys.to_vec() } }).fields(doc! { "key": 1 });
        let kept = self.find(Collection::Deliveries, query).await?;
        let is_kept = |delivery: &Delivery| {
            kept.iter().any(|found| found.get("key") == Some(&bson::Bson::from(delivery.key.clone())))
        };
        if !is_kept(&notice.first) {
            return self.insert_unseen(document(&notice.first)?).await;
        }
        let more = &notice.more;
        if is_kept(more) {
            let pending = doc! { "key": more.key.clone(), "state": DeliveryState::Pending };
            let mut raise = doc! { "$inc": { "facts.count": 1 } };
            put(&mut raise, "$set", "updatedAt", more.updated_at);
            return self.update_one(Collection::Deliveries, pending, raise).await.map(drop);
        }
        let mut first_count = document(more)?;
        if let Ok(facts) = first_count.get_document_mut("facts") {
            let begun = facts.get("count").and_then(whole).unwrap_or(0);
            facts.insert("count", Count(begun.saturating_add(1)));
        }
        self.insert_unseen(first_count).await
    }

    /// Inserts a delivery whose key was free in this transaction's snapshot.
    async fn insert_unseen(&mut self, delivery: Document) -> MongoResult<()> {
        self.insert_new_deliveries(vec![delivery]).await
    }

    /// Inserts deliveries whose keys were free in this transaction's snapshot. One that is taken since: another attempt.
    pub(crate) async fn insert_new_deliveries(&mut self, deliveries: Vec<Document>) -> MongoResult<()> {
        match self.insert(Collection::Deliveries, deliveries).await {
            Err(fault) if fault.is_duplicate(Collection::Deliveries, "key") => Err(MongoError::Again),
            answer => answer,
        }
    }
}
