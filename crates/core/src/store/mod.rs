//! The ports: what the system needs of storage, in operations that are named for what they are for. Each is atomic:
//! after a crash in its midst either all of it holds or nothing. No transaction is handed to a caller.
//!
//! An operation that answers `Ok` is durable (synced to disk; journalled by a majority). `Err(Unavailable)` says
//! nothing about whether it happened: every operation may be repeated, and the repetition changes nothing more.
//!
//! Where an operation is given `now`, that is the `updatedAt` of every document with such a field that it changes. What
//! others keep in a document stays.

pub mod actions;
pub mod collection;
pub mod listing;
pub mod validator;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document};
use serde::{Deserialize, Serialize};

use crate::alert::document::{Alert, AlertError, PricePoint};
use crate::decision::DecisionChunk;
use crate::delivery::Delivery;
use crate::id::{AlertId, ConfigId, DeliveryId, PreferenceId, SubscriptionId, TradeId, UserId};
use crate::money::Count;
use crate::quota::Quota;
use crate::time::Time;
use crate::trade::document::{Trade, TradeEnd};
pub use actions::{AcceptRefused, Actions, EraseUser, Erased, Resend, Resent, TradeClose};
pub use collection::Collection;
pub use listing::{ListPage, ListQuery};

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
pub type Result<T> = std::result::Result<T, StoreError>;

/// The whole store.
pub trait Store: Intake + Work + Outbox + Actions + Leases + Documents + Watch {}
impl<T: Intake + Work + Outbox + Actions + Leases + Documents + Watch> Store for T {}

// ---------------------------------------------------------------------------------------------------------------------
// Intake

/// A key that makes a second alert a duplicate of the first until a given moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeKey {
    /// A digest; no secret can be read from it.
    pub key: String,
    pub until: Time,
}

/// What became of an alert that was offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is kept; it will be processed once.
    Stored,
    /// One of its keys is taken; nothing was written.
    Duplicate { of: AlertId },
}

/// A request that is no alert: unreadable, or lacking what the `alerts` schema requires. The `rejected_webhooks`
/// document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedWebhook {
    #[serde(rename = "_id")]
    pub id: ObjectId,
    pub received_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The body as text, without secrets, cut to 64 KiB.
    pub body: String,
    /// The URL's query, without secrets.
    pub query: String,
    /// One line each: the field and what to change.
    pub errors: Vec<String>,
    /// The HTTP status that was answered.
    pub status: i32,
}

/// A message to the operators that is sent once, and then counted. If no delivery with `first`'s key exists, `first` is
/// inserted. Otherwise `more` is inserted unless one with its key exists, and its `facts.count` is raised by one where
/// it is still pending.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub first: Delivery,
    /// Its `facts.count` starts at 0.
    pub more: Delivery,
}

/// What the webhook needs.
#[async_trait]
pub trait Intake: Send + Sync + fmt::Debug {
    /// A mark `m` such that every alert of `config` whose acceptance was answered before this call has `seq <= m`, and
    /// every one offered after this is answered has `seq > m`. The caller keeps it in the next alert's
    /// `alertcast.after`.
    async fn receipt_mark(&self, config: ConfigId) -> Result<i64>;

    /// The BUY and SELL prices of a configuration received since `since`: newest first, at most 8. Of the refused ones
    /// only those whose only offence was their price (`alertcast.refusedFor` is `["price_tolerance"]`).
    async fn recent_prices(&self, config: ConfigId, since: Time) -> Result<Vec<PricePoint>>;

    /// The alert that holds one of these keys at `now`.
    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> Result<Option<AlertId>>;

    /// Claims the keys and stores the alert (status `received`), or neither. A key whose `until` is not after `now` is
    /// free. The store sets `alertcast.seq`, higher than that of every alert of its configuration accepted before; those
    /// of different configurations may be alike, and tell of their order only about. Exact under concurrency: of several
    /// alerts with a common key one is stored.
    ///
    /// Dropping the future before the write began cancels it; an alert whose write had begun may still be stored.
    async fn accept_alert(&self, alert: Alert, keys: Vec<IntakeKey>, now: Time) -> Result<Acceptance>;

    /// Keeps an alert that breaks a rule (status `failed`), and tells the operators. Nothing happens where an alert with
    /// its id is kept already.
    async fn refuse_alert(&self, alert: Alert, notices: Vec<Notice>) -> Result<()>;

    /// Keeps a request that is no alert, and tells the operators. Nothing happens where one with its id is kept already.
    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<Notice>) -> Result<()>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Work: from an accepted alert to trades and deliveries

/// A right to work, checked in the commit: the lease's name and the epoch under which it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Fence {
    pub lease: String,
    pub epoch: i64,
}

/// Users from one id to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserSpan {
    pub first: UserId,
    pub last: UserId,
}

/// What a chunk's decisions rest on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChunkState {
    /// The open trades of the configuration, of the users in the span; sorted by user, then trade number.
    pub open_trades: Vec<Trade>,
    /// The highest trade number of each asked user in the configuration; a user without trades is absent.
    pub last_numbers: HashMap<UserId, i64>,
    /// The quota of each asked user; a user without one is absent.
    pub quotas: HashMap<UserId, Quota>,
}

/// A user's quota after the commit. Refused (`Conflict`) unless the kept `rev` is `rev_seen` (none: no quota is kept).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaChange {
    pub rev_seen: Option<i64>,
    /// With `rev` one above `rev_seen`, or 1.
    pub after: Quota,
}

/// What a message adds to a subscriber's counters: `user_subscriptions.usage` and
/// `user_alert_preferences.statistics`. Negative where a message turns out never to have arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageIncrement {
    pub subscription: SubscriptionId,
    pub preference: Option<PreferenceId>,
    pub alerts: i64,
    pub trades: i64,
    /// For `lastActivityAt` and `lastAlertAt`, which never go back.
    pub at: Time,
}

/// What a chunk adds to `alert_configurations.statistics`; `successRate` follows from the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConfigIncrement {
    pub alerts: i64,
    pub trades: i64,
    pub closed_by_tp: i64,
    pub closed_by_sl: i64,
    /// Never goes back.
    pub last_alert_at: Option<Time>,
}

/// One chunk of one alert, applied as a whole or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkCommit {
    pub fence: Fence,
    pub alert: AlertId,
    pub config: ConfigId,
    pub now: Time,
    /// The alert's cursor as the work saw it; `Conflict` where it stands elsewhere, or the alert is not
    /// `received`/`processing` any more: a chunk is never applied twice.
    pub cursor_seen: Option<UserId>,
    /// The cursor afterwards: the chunk's last user.
    pub cursor: Option<UserId>,
    /// The span whose open trades were read, and `(trade, rev)` of each of them in any order. `Conflict` where the open
    /// trades of the configuration in that span are not exactly these.
    pub open_seen: Option<(UserSpan, Vec<(TradeId, i64)>)>,
    pub quotas: Vec<QuotaChange>,
    pub decisions: Option<DecisionChunk>,
    pub opened: Vec<Trade>,
    /// `Conflict` where one of these trades is not open.
    pub ended: Vec<TradeEnd>,
    /// One whose key exists is left out silently: it was committed before.
    pub deliveries: Vec<Delivery>,
    pub usage: Vec<UsageIncrement>,
    pub config_increment: ConfigIncrement,
    pub notices: Vec<Notice>,
    /// Set with the last chunk: status `processed`, `webhook.processedAt`, `statistics.processingTime`.
    pub finish: Option<Finish>,
}

/// The end of an alert's processing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    pub processed_at: Time,
    /// Milliseconds since receipt.
    pub processing_time: Count,
    /// What the operator should know: `no_matching_trade`, say.
    pub errors: Vec<AlertError>,
    /// Whether this chunk is the alert's only one, and nobody is sent anything nor had a trade changed by it: then there
    /// is nothing to wait for, and the alert is settled with this, as `settle` would, its lists empty.
    pub settles: bool,
}

/// What the processor needs.
#[async_trait]
pub trait Work: Send + Sync + fmt::Debug {
    /// Alerts that are `received` or `processing`, of these partitions, by `seq`; those of the configurations in
    /// `except` left out (they are being worked on).
    async fn pending_alerts(&self, partitions: &[i32], except: &[ConfigId], limit: usize) -> Result<Vec<Alert>>;

    /// The next users above `after` who hold an open trade in the configuration, by id.
    async fn holders(&self, config: ConfigId, after: Option<UserId>, limit: usize) -> Result<Vec<UserId>>;

    /// What the decisions of a chunk rest on, from one snapshot. `entering`: the users whose last trade numbers and
    /// quotas are wanted.
    async fn load_chunk(&self, config: ConfigId, span: UserSpan, entering: &[UserId]) -> Result<ChunkState>;

    /// Applies a chunk: decisions, trades, deliveries, counters and the alert's cursor together. `Conflict` where an
    /// assumption of the chunk does not hold any more; `Fenced` where the lease's epoch is another. Counters are no change
    /// of the audience: the change log stays as it is.
    async fn commit(&self, chunk: ChunkCommit) -> Result<()>;

    /// Notes that processing failed; `park`: status `failed`, and nothing more is tried. Nothing happens where the alert
    /// is not `received`/`processing` any more (a commit whose answer was lost had succeeded), or where this very error
    /// (message and moment) is noted already.
    async fn record_failure(
        &self,
        fence: &Fence,
        alert: AlertId,
        error: AlertError,
        park: bool,
        notices: Vec<Notice>,
    ) -> Result<()>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Outbox: from a delivery to a sent message

/// A delivery that is now `sending`.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// As it is now; for an exit that tells its entry too, `combines` is set.
    pub delivery: Delivery,
    /// An exit's entry: to reply to where it is `sent`, to tell in the same message where it is `superseded`. A result's
    /// entry: the message to edit.
    pub entry: Option<Delivery>,
}

/// What taking brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TakeResult {
    pub taken: Vec<Taken>,
    /// Alerts one of whose deliveries ended: to be settled.
    pub settle: Vec<AlertId>,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// `entry_lapsed`: a replacement that told only of the old trade's end, because the new entry was too old.
    Sent { message_id: Option<i64>, entry_lapsed: bool },
    /// To be tried again at `due_at`; `in_doubt`: this attempt may have arrived.
    Retry { due_at: Time, error: String, in_doubt: bool },
    /// Its time is over.
    Expired,
    /// It will never be accepted. `chat_blocked`: the recipient's chat refuses us (403): noted with the user.
    Dead { error: String, chat_blocked: bool },
    /// Not to be sent: the recipient may not get it any more.
    Dropped { reason: String },
}

/// One attempt's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub delivery: DeliveryId,
    pub outcome: Outcome,
}

/// What settling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Now,
    Before,
    /// It is not processed yet, or one of its deliveries is still open.
    NotYet,
}

/// What the courier needs.
///
/// Consequences of a delivery's end, kept in the same commit wherever it ends:
/// - `alerts.statistics`: sent -> `deliveryCount`, expired or dead -> `failureCount`.
/// - An entry or replacement that ended unsent (expired, dead, dropped, or sent with `entry_lapsed`) while the trade's
///   other entry deliveries have all ended unsent too: the trade is marked `alertcast.unreached` (and its `rev` raised),
///   and the counters that its commit raised for the subscriber (`alerts` and `trades`, by one each) are taken back. An
///   entry that is superseded counts as the exit that tells it: open while that is open, sent or not sent with it. So
///   that exit's end is also an end in the entry's alert, for settling.
/// - A result is counted nowhere, settles nothing, and ends as `sent` or `dropped`: where anything else would become
///   `expired` or `dead`, it becomes `dropped`; its `last_error` is `delivery::LATE` where its time was over, else what
///   was reported.
#[async_trait]
pub trait Outbox: Send + Sync + fmt::Debug {
    /// The pending deliveries of a lane that are due, by priority, `queuedAt`, rotation, id.
    async fn due(&self, lane: &str, now: Time, limit: usize) -> Result<Vec<Delivery>>;

    /// When the lane's next pending delivery that is not due at `now` becomes due.
    async fn next_due(&self, lane: &str, now: Time) -> Result<Option<Time>>;

    /// Marks deliveries as `sending` under the fence's epoch, in the order given, leaving out those that are not
    /// pending any more. `attempts` is raised. For an exit whose `entry_delivery` is
    /// - pending and before its deadline: the entry becomes `superseded` (`superseded_by`), the exit `combines` it;
    /// - pending past its deadline: the entry becomes `expired`, with its consequences;
    /// - sending: the exit is left pending, its `due_at` one second later;
    /// - ended: as it is.
    ///
    /// An exit whose trade is (now) unreached becomes `dropped` and is not taken. An exit that combined its entry in an
    /// earlier attempt still does.
    ///
    /// A result goes by `Delivery::turn`, which is told its entry and the message that it follows (or the one by which
    /// that is superseded): it is taken where it is its turn; left pending, due when that says, while one of these is
    /// open; and `dropped` where its time is over or its entry has no message of its own.
    ///
    /// Where the answer was lost (`Unavailable`), take the lease again and `recover`: repeated under the same epoch, this
    /// leaves out what it has taken.
    async fn take(&self, fence: &Fence, deliveries: &[DeliveryId], now: Time) -> Result<TakeResult>;

    /// Records what attempts came to, with the consequences. A record whose delivery is not `sending` under the fence's
    /// epoch is ignored, except that `Expired` and `Dropped` also end one that is pending. Answers the alerts one of
    /// whose deliveries ended: to be settled.
    async fn record_attempts(&self, fence: &Fence, records: Vec<AttemptRecord>, now: Time) -> Result<Vec<AlertId>>;

    /// Makes deliveries of the fence's lane that are `sending` under an older epoch pending again, due at once, marked
    /// as possible repeats. Answers how many.
    async fn recover(&self, fence: &Fence, now: Time) -> Result<u64>;

    /// No pending delivery of the fence's lane to this chat is due before `until`.
    async fn defer_chat(&self, fence: &Fence, chat: &str, until: Time) -> Result<()>;

    /// Ends pending deliveries past their deadline, at most `limit`, with the consequences: entries, and what was never
    /// tried, are `expired`; what was tried in vain is `dead` (a replacement too: it tells of an end, and has an exit's
    /// deadline); results are `dropped`. Answers the alerts to settle, and whether there is more.
    async fn expire_overdue(&self, now: Time, limit: usize) -> Result<(Vec<AlertId>, bool)>;

    /// Where the alert is `processed`, not settled, and none of its deliveries is open: writes `matchedUsers` and
    /// `tradeActions` from its decisions and deliveries (or `recipientsIn`), and `settledAt`. `matchedUsers` are those
    /// whose verdict is `sent` or who have an action: `delivered` where one of their deliveries was sent (`deliveredAt`:
    /// the first's), else `error` from one of them that has an error. Results are not among these. Settled anew after a
    /// resend, the lists are made again as a whole; who had got it then still has, though the delivery may not be kept
    /// any more.
    async fn settle(&self, alert: AlertId, now: Time) -> Result<Settled>;

    /// Processed alerts that are not settled, oldest first above `after`: what a crash may have left.
    async fn unsettled(&self, after: Option<AlertId>, limit: usize) -> Result<Vec<AlertId>>;

    /// Removes ended deliveries that ended before `deliveries_before`, rejected webhooks received before
    /// `rejected_before`, and intake keys and idempotency keys that are over at `now`; at most `limit` of each. Whether
    /// there is more.
    async fn purge(&self, deliveries_before: Time, rejected_before: Time, now: Time, limit: usize) -> Result<bool>;
}

// ---------------------------------------------------------------------------------------------------------------------
// Leases

/// A lease as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    #[serde(rename = "_id")]
    pub name: String,
    /// Who holds it; empty where it was given back.
    pub owner: String,
    /// Raised by each take-over, never lowered.
    pub epoch: i64,
    /// Raised by each renewal. Observers compare it over time by their own clock; it is no point in time.
    pub renewal: i64,
}

impl Lease {
    /// The right to work that it gives.
    pub fn fence(&self) -> Fence {
        Fence { lease: self.name.clone(), epoch: self.epoch }
    }
}

/// Who does which share of the work.
#[async_trait]
pub trait Leases: Send + Sync + fmt::Debug {
    /// All leases whose names begin so.
    async fn leases(&self, prefix: &str) -> Result<Vec<Lease>>;

    /// Takes a lease, raising its epoch, if it still stands as `seen` (none: it does not exist). None where it does
    /// not. Whether it may be taken is the caller's judgement: its own, given back, or not renewed for one TTL on the
    /// caller's monotonic clock.
    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> Result<Option<Lease>>;

    /// Renews; false where the lease is in other hands.
    async fn renew_lease(&self, lease: &Lease) -> Result<bool>;

    /// Gives back; nothing happens where the lease is in other hands.
    async fn release_lease(&self, lease: &Lease) -> Result<()>;

    /// Removes a lease that still stands as `seen`; nothing happens where it does not. Only for leases by which nothing is
    /// fenced: taken again, it begins with the first epoch.
    async fn forget_lease(&self, seen: &Lease) -> Result<()>;

    /// Whether this process alone can reach the store (the embedded one locks its folder): then no lease of another
    /// owner can be alive.
    fn is_exclusive(&self) -> bool;
}

// ---------------------------------------------------------------------------------------------------------------------
// What others do

/// Something that somebody has done to the store, this process among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stirring {
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
pub trait Stirrings: Send + fmt::Debug {
    /// Waits for the next one. After an error it may be asked again: it goes on where it was, or begins anew with
    /// [`Stirring::Missed`]. Dropping the future loses nothing.
    async fn next(&mut self) -> Result<Stirring>;
}

/// Watching what others do.
pub trait Watch: Send + Sync + fmt::Debug {
    /// What is done from now on, or earlier: the first answer is `Missed`, where it begins. None where nobody but this
    /// process can do anything.
    fn watch(&self) -> Option<Box<dyn Stirrings>>;

    /// How often the store was found away, cut off or slow to answer, since it was opened. Where this has changed, other
    /// processes may have kept alerts in their spools meanwhile. 0 for ever where nobody else can do anything.
    fn interruptions(&self) -> u64 {
        0
    }
}

// ---------------------------------------------------------------------------------------------------------------------
// Documents

/// One change of one document. The store sets nothing of its own accord: ids and times come with it.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
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
pub struct Change {
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
pub trait Documents: Send + Sync + fmt::Debug {
    /// Creates what is missing of collections, indexes and validators. Repeatable; several processes may do it at once.
    /// `SetupRefused`, and nothing is changed, where what stands there does not allow it.
    async fn setup(&self) -> Result<()>;

    /// The documents with these ids, in any order; those that do not exist are left out.
    async fn get(&self, collection: Collection, ids: &[ObjectId]) -> Result<Vec<Document>>;

    /// The next documents above `after`, by id; of a collection whose ids are `ObjectId`s (not of `intake_keys`,
    /// `changes`, `leases` and `secrets`).
    async fn page(&self, collection: Collection, after: Option<ObjectId>, limit: usize) -> Result<Vec<Document>>;

    /// The document that has these values in the fields of one of the collection's unique indexes.
    async fn find_unique(&self, collection: Collection, fields: &[(&str, Bson)]) -> Result<Option<Document>>;

    /// The subscriber with this Telegram id: of the document only `_id` and [`PROFILE_FIELDS`] (seed 6.3).
    async fn find_profile(&self, telegram_user_id: &str) -> Result<Option<Document>>;

    /// How many trades a user has open in each configuration, by its id; with the configuration, where there still is one
    /// (seed 6.3).
    async fn open_trades_by_config(&self, user: UserId) -> Result<Vec<OpenTrades>>;

    /// One page of a list: see [`listing`].
    async fn list(&self, query: &ListQuery) -> Result<ListPage>;

    /// How many documents there are.
    async fn count(&self, collection: Collection) -> Result<u64>;

    /// Applies all or nothing. Checks unique indexes (`AlreadyExists`) and the references of seed 5.2
    /// (`MissingReference`; documents earlier in the list count), and appends to the change log where the audience is
    /// concerned.
    async fn write(&self, writes: Vec<Write>) -> Result<()>;

    /// The change log above `seq`, in order.
    async fn changes_since(&self, seq: i64, limit: usize) -> Result<Vec<Change>>;

    /// The change log's end.
    async fn last_change(&self) -> Result<i64>;

    /// The decisions on one alert, by user: the next chunks that have a user above `after`. The decision about one user
    /// is in the first chunk above the id before theirs.
    async fn decisions(&self, alert: AlertId, after: Option<UserId>, limit_chunks: usize)
    -> Result<Vec<DecisionChunk>>;

    /// The deliveries that one alert caused, results among them, above `after`, in the order of their keys.
    async fn deliveries_of(&self, alert: AlertId, after: Option<&[u8]>, limit: usize) -> Result<Vec<Delivery>>;

    /// The key kept under that name; where there is none, `fresh`, which is then kept. Exact under concurrency: of
    /// several first calls everybody is answered the same key.
    async fn signing_key(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32]>;
}

/// A key as the store keeps it: the `secrets` document.
pub fn secret(name: &str, key: [u8; 32]) -> Document {
    bson::doc! { "_id": name, "key": Binary { subtype: BinarySubtype::Generic, bytes: key.to_vec() } }
}

/// The key that a `secrets` document keeps.
///
/// # Errors
/// `Corrupt` where it keeps none; the error says nothing of what it keeps.
pub fn secret_key(document: &Document) -> Result<[u8; 32]> {
    let key = document.get_binary_generic("key").ok().and_then(|key| key.as_slice().try_into().ok());
    key.ok_or_else(|| {
        let name = document.get_str("_id").unwrap_or_default();
        StoreError::Corrupt(format!("{} {name}: its key is not 32 bytes", Collection::Secrets))
    })
}

/// How long an operation on the intake path may take before the sender is told to come again.
pub const INTAKE_DEADLINE: Duration = Duration::from_secs(2);

/// A store that answers nothing at all for so long is away, and what comes in is kept elsewhere. Whoever shares the store
/// has to notice in less.
pub const SILENCE: Duration = Duration::from_secs(1);

/// Reads a document as its type.
///
/// # Errors
/// `Corrupt`, naming the collection, the id and the field.
pub fn read<T: serde::de::DeserializeOwned>(collection: Collection, document: Document) -> Result<T> {
    let id = document.get("_id").cloned();
    bson::deserialize_from_document(document).map_err(|e| {
        StoreError::Corrupt(format!("{collection} {}: {e}", id.map_or_else(String::new, |id| id.to_string())))
    })
}

/// A document of its type.
///
/// # Errors
/// `Corrupt` where the value has no form as a document, which is a defect.
pub fn document<T: Serialize>(value: &T) -> Result<Document> {
    bson::serialize_to_document(value).map_err(|e| StoreError::Corrupt(e.to_string()))
}
