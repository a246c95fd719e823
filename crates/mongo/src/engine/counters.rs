//! Counters in documents that others write too. One that holds something else than a number counts from zero, as the
//! embedded store has it: what a subscriber is sent does not wait for it to be mended.

use alertcast_core::money::Count;
use alertcast_core::store::Collection;
use alertcast_core::time::Time;
use bson::{Bson, Document, doc};

use crate::engine::query::put;
use crate::engine::transact::{BulkUpdate, MongoTransaction};
use crate::error::MongoResult;

/// What is added to the counters of one document.
#[derive(Debug, Clone)]
pub(crate) struct CounterRaise {
    pub(crate) of: Bson,
    /// Paths of two steps, and by how much.
    pub(crate) counters: [(&'static str, i64); 2],
    /// A moment that only moves on.
    pub(crate) latest: Option<(&'static str, Time)>,
}

impl MongoTransaction {
    /// Adds to counters. A document that is gone is left out.
    ///
    /// Where a plain increment was refused, the transaction is run again and makes them [anew](crate::engine::literal_update): so the usual
    /// case costs nothing.
    pub(crate) async fn raise(
        &mut self,
        collection: Collection,
        raises: Vec<CounterRaise>,
        now: Time,
    ) -> MongoResult<()> {
        let updates = raises.into_iter().map(|raise| {
            let update = raise.update(now);
            BulkUpdate::new(doc! { "_id": raise.of }, update)
        });
        self.updates(collection.name(), updates.collect()).await.map(drop)
    }
}

impl CounterRaise {
    fn update(&self, now: Time) -> Document {
        let mut update = Document::new();
        put(&mut update, "$set", "updatedAt", now);
        for (path, by) in self.counters {
            if by != 0 {
                put(&mut update, "$inc", path, Count(by));
            }
        }
        if let Some((path, at)) = self.latest {
            put(&mut update, "$max", path, at);
        }
        update
    }
}
