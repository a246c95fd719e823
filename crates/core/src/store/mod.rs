//! The ports: what the system needs of storage, in operations that are named for what they are for. Each is atomic:
//! after a crash in its midst either all of it holds or nothing. No transaction is handed to a caller.
//!
//! An operation that answers `Ok` is durable (synced to disk; journalled by a majority). `Err(Unavailable)` says
//! nothing about whether it happened: every operation may be repeated, and the repetition changes nothing more.
//!
//! Where an operation is given `now`, that is the `updatedAt` of every document with such a field that it changes. What
//! others keep in a document stays.

pub mod actions;
mod chunk_state;
pub mod collection;
mod documents;
mod field_edits;
mod files;
mod intake;
mod leases;
pub mod listing;
mod outbox;
mod set_aside;
mod subscriptions;
mod watch;
mod work;

use bson::Document;
use bson::oid::ObjectId;
use serde::Serialize;

use crate::id::ConfigId;
use crate::reading;

pub use actions::{
    AcceptRefused, EraseUser, ErasureOutcome, OperatorActions, ResendOutcome, ResendRequest, TradeClose,
};
pub use chunk_state::{ChunkState, UnreadableTrade, UserSpan};
pub use collection::Collection;
pub use documents::{AudienceChange, DocumentStore, DocumentWrite, OpenTrades, PROFILE_FIELDS, secret, secret_key};
pub use field_edits::FieldEdits;
pub use files::{FILE_BYTES_MAX, FileContent, FileDigest, FileRefused, FileStore, NoFileDigest};
pub use intake::{AlertAcceptance, AlertIntake, INTAKE_DEADLINE, IntakeKey, OperatorNotice, RejectedWebhook, SILENCE};
pub use leases::{BrokenLease, Lease, LeaseStore};
pub use listing::{ListPage, ListQuery, list_all};
pub use outbox::{AttemptOutcome, AttemptRecord, DeathCause, DeliveryOutbox, SettlingOutcome, TakeResult, TakenEntry};
pub use set_aside::SetAsideDocuments;
pub use subscriptions::{DECIDING_FIELDS, DueSubscriptions, LoadedSubscription, SubscriptionStore, changed_fields};
pub use watch::{StoreEvent, StoreEvents, StoreWatch};
pub use work::{
    ChunkCommit, ChunkPlan, ClosedTrades, ConfigIncrement, FailedConfigurations, LeaseFence, ProcessingEnd,
    ProcessorStore, QuotaChange, UsageIncrement,
};

/// Work on alerts is shared out in this many partitions.
pub const PARTITIONS: i32 = 64;

/// The partition of a configuration's alerts.
pub fn partition_of(config: ConfigId) -> i32 {
    let sum = config.bytes().iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
    i32::try_from(sum % PARTITIONS.unsigned_abs()).unwrap_or(0)
}

/// Why an operation on the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What the caller's decision rested on has changed: read again, decide again.
    #[error("what this rested on has changed meanwhile")]
    Conflict,
    /// The lease is in other hands: stop working under it.
    #[error("the lease {lease} has been taken over")]
    Fenced { lease: String },
    /// A unique field holds that value already. `field`: its dotted path; the keys of a compound index, joined by `, `.
    #[error("{collection} has a document with this {field} already")]
    AlreadyExists { collection: Collection, field: String },
    /// A reference leads nowhere (seed 5.2).
    #[error("{collection}.{field} refers to {id}, which does not exist")]
    MissingReference { collection: Collection, field: String, id: ObjectId },
    /// Away, full, or too slow. Whether the operation happened is not known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A document is not what it should be.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// Nothing was set up, and nothing changed: what stands in the way, one line each, with what to do.
    #[error("the store cannot be set up as it is:{}", .problems.iter().map(|one| format!("\n- {one}")).collect::<String>())]
    SetupRefused { problems: Vec<String> },
}

/// The result of an operation on the store.
pub type StoreResult<T> = std::result::Result<T, StoreError>;

/// The whole store.
pub trait Store:
    AlertIntake
    + ProcessorStore
    + DeliveryOutbox
    + OperatorActions
    + LeaseStore
    + DocumentStore
    + StoreWatch
    + SetAsideDocuments
    + FileStore
{
}
impl<
    T: AlertIntake
        + ProcessorStore
        + DeliveryOutbox
        + OperatorActions
        + LeaseStore
        + DocumentStore
        + StoreWatch
        + SetAsideDocuments
        + FileStore,
> Store for T
{
}

/// Reads a document as its type, where nothing is left out that decisions rest on: see [`crate::reading`].
///
/// # Errors
/// `Corrupt`, naming the collection, the id and the fields.
pub fn read<T: serde::de::DeserializeOwned>(collection: Collection, document: Document) -> StoreResult<T> {
    Ok(reading::read_bytes(collection, &reading::pack(&document)?)?)
}

/// A document of its type.
///
/// # Errors
/// `Corrupt` where the value has no form as a document, which is a defect.
pub fn document<T: Serialize>(value: &T) -> StoreResult<Document> {
    let bytes = reading::encode(value)?;
    Document::from_reader(bytes.as_slice()).map_err(|e| StoreError::Corrupt(e.to_string()))
}
