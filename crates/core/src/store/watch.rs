//! What others do to the store.

use std::fmt;

use async_trait::async_trait;
use bson::oid::ObjectId;

use super::{Collection, StoreResult};

/// Something that somebody has done to the store, this process among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreEvent {
    /// There are alerts to process.
    AlertsCame,
    /// There are deliveries to send.
    DeliveriesCame,
    /// A document of a collection that the audience is made of has changed, in more than its counters.
    Changed { collection: Collection, id: ObjectId },
    /// What has happened until now is not known: anything may have.
    Missed,
}

/// What is done to the store, as it is told: soon after it happened, each at least once, in any order.
#[async_trait]
pub trait StoreEvents: Send + fmt::Debug {
    /// Waits for the next one. After an error it may be asked again: it goes on where it was, or begins anew with
    /// [`StoreEvent::Missed`]. Dropping the future loses nothing.
    async fn next(&mut self) -> StoreResult<StoreEvent>;
}

/// Watching what others do.
pub trait StoreWatch: Send + Sync + fmt::Debug {
    /// What is done from now on, or earlier: the first answer is `Missed`, where it begins. None where nobody but this
    /// process can do anything.
    fn watch(&self) -> Option<Box<dyn StoreEvents>>;

    /// How often the store was found away, cut off or slow to answer, since it was opened. Where this has changed, other
    /// processes may have kept alerts in their spools meanwhile. 0 for ever where nobody else can do anything.
    fn interruptions(&self) -> u64 {
        0
    }
}
