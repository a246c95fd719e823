//! Documents as such: for the interfaces, and what is loaded as a whole.

use std::fmt;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};

use super::{Collection, ListPage, ListQuery, StoreError, StoreResult};
use crate::decision::DecisionChunk;
use crate::delivery::Delivery;
use crate::id::{AlertId, ConfigId, UserId};
use crate::reading::unpack_what_is_there;

/// One change of one document. The store sets nothing of its own accord: ids and times come with it.
#[derive(Debug, Clone, PartialEq)]
pub enum DocumentWrite {
    Insert {
        collection: Collection,
        document: Document,
    },
    /// Sets and removes fields by dotted paths; everything else in the document stays. `Conflict` where there is no
    /// such document, or where one of `expect` (field, value; null: absent or null) does not hold.
    Update {
        collection: Collection,
        id: ObjectId,
        set: Document,
        unset: Vec<String>,
        expect: Vec<(String, Bson)>,
    },
    /// Nothing happens where there is no such document. Refused where a document still refers to it
    /// (`MissingReference`, naming the collection and field that refer).
    Delete {
        collection: Collection,
        id: ObjectId,
    },
}

/// A document of a collection that the audience is made of has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudienceChange {
    pub seq: i64,
    pub collection: Collection,
    pub id: ObjectId,
}

/// What is told of a subscriber who is found by their Telegram id (seed 6.3).
pub const PROFILE_FIELDS: &[&str] = &["email", "profile", "preferences"];

/// A user's open trades in one configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenTrades {
    pub config: ConfigId,
    pub count: u64,
    /// The `alert_configurations` document.
    pub document: Option<Document>,
}

/// Documents as such: what the audience is loaded from, and what import, console and backup are made of.
#[async_trait]
pub trait DocumentStore: Send + Sync + fmt::Debug {
    /// Creates what is missing of collections, indexes and validators. Repeatable; several processes may do it at once.
    /// `SetupRefused`, and nothing is changed, where what stands there does not allow it.
    async fn setup(&self) -> StoreResult<()>;

    /// The documents with these ids, in any order; those that do not exist are left out.
    async fn get(&self, collection: Collection, ids: &[ObjectId]) -> StoreResult<Vec<Document>>;

    /// The next documents above `after`, by id; of a collection whose ids are `ObjectId`s (not of `intake_keys`,
    /// `changes`, `leases` and `secrets`).
    async fn page(&self, collection: Collection, after: Option<ObjectId>, limit: usize) -> StoreResult<Vec<Document>> {
        let page = self.page_bytes(collection, after, limit).await?;
        Ok(page.iter().map(|bytes| unpack_what_is_there(collection, bytes)).collect())
    }

    /// The same as they stand, for whoever reads them as their type.
    async fn page_bytes(
        &self,
        collection: Collection,
        after: Option<ObjectId>,
        limit: usize,
    ) -> StoreResult<Vec<Vec<u8>>>;

    /// The document that has these values in the fields of one of the collection's unique indexes, or of one that our own
    /// writes keep unique; or that has this `_id`, whatever its type.
    async fn find_unique(&self, collection: Collection, fields: &[(&str, Bson)]) -> StoreResult<Option<Document>>;

    /// The subscriber with this Telegram id: of the document only `_id` and [`PROFILE_FIELDS`] (seed 6.3).
    async fn find_profile(&self, telegram_user_id: &str) -> StoreResult<Option<Document>>;

    /// How many trades a user has open in each configuration, by its id; with the configuration, where there still is one
    /// (seed 6.3).
    async fn open_trades_by_config(&self, user: UserId) -> StoreResult<Vec<OpenTrades>>;

    /// One page of a list: see [`listing`].
    async fn list(&self, query: &ListQuery) -> StoreResult<ListPage>;

    /// How many documents there are.
    async fn count(&self, collection: Collection) -> StoreResult<u64>;

    /// Applies all or nothing. Checks unique indexes, and those that only our own writes keep unique
    /// ([`guards`](super::collection::Index::guards)) (`AlreadyExists`), and the references of seed 5.2
    /// (`MissingReference`; documents earlier in the list count), and appends to the change log where the audience is
    /// concerned.
    async fn write(&self, writes: Vec<DocumentWrite>) -> StoreResult<()>;

    /// The change log above `seq`, in order.
    async fn changes_since(&self, seq: i64, limit: usize) -> StoreResult<Vec<AudienceChange>>;

    /// The change log's end.
    async fn last_change(&self) -> StoreResult<i64>;

    /// The first entry that the change log still has; none where it is empty. Who has read up to before the one before it
    /// may have missed some.
    async fn first_change(&self) -> StoreResult<Option<i64>>;

    /// Removes entries of the change log from before `seq`, the lowest first, up to `limit`; its last one stays always.
    /// Answers whether there are more.
    async fn purge_changes(&self, seq: i64, limit: usize) -> StoreResult<bool>;

    /// The decisions on one alert, by user: the next chunks that have a user above `after`. The decision about one user
    /// is in the first chunk above the id before theirs.
    async fn decisions(
        &self,
        alert: AlertId,
        after: Option<UserId>,
        limit_chunks: usize,
    ) -> StoreResult<Vec<DecisionChunk>>;

    /// The deliveries that one alert caused, results among them, above `after`, in the order of their keys.
    async fn deliveries_of(&self, alert: AlertId, after: Option<&[u8]>, limit: usize) -> StoreResult<Vec<Delivery>>;

    /// The key kept under that name; where there is none, `fresh`, which is then kept. Exact under concurrency: of
    /// several first calls everybody is answered the same key.
    async fn signing_key(&self, name: &str, fresh: [u8; 32]) -> StoreResult<[u8; 32]>;
}

/// A key as the store keeps it: the `secrets` document.
pub fn secret(name: &str, key: [u8; 32]) -> Document {
    bson::doc! { "_id": name, "key": Binary { subtype: BinarySubtype::Generic, bytes: key.to_vec() } }
}

/// The key that a `secrets` document keeps.
///
/// # Errors
/// `Corrupt` where it keeps none; the error says nothing of what it keeps.
pub fn secret_key(document: &Document) -> StoreResult<[u8; 32]> {
    let key = document.get_binary_generic("key").ok().and_then(|key| key.as_slice().try_into().ok());
    key.ok_or_else(|| {
        let name = document.get_str("_id").unwrap_or_default();
        StoreError::Corrupt(format!("{} {name}: its key is not 32 bytes", Collection::Secrets))
    })
}
