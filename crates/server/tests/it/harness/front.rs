//! A store in front of the real one, which lets a test have its hand in every operation.

use std::ops::Deref;
use std::sync::Arc;

use alertcast_core::alert::document::{Alert, AlertError, PricePoint};
use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::{Delivery, LaneName};
use alertcast_core::id::{AlertId, ConfigId, DeliveryId, UserId};
use alertcast_core::reading::{UnreadableDocument, UnreadableLog};
use alertcast_core::store::{
    AcceptRefused, AlertAcceptance, AlertIntake, AttemptRecord, AudienceChange, BrokenLease, ChunkCommit, ChunkState,
    Collection, DeliveryOutbox, DocumentStore, DocumentWrite, EraseUser, ErasureOutcome, FileContent, FileDigest,
    FileStore, IntakeKey, Lease, LeaseFence, LeaseStore, ListPage, ListQuery, OpenTrades, OperatorActions,
    OperatorNotice, ProcessorStore, RejectedWebhook, ResendOutcome, ResendRequest, SetAsideDocuments, SettlingOutcome,
    Store, StoreError, StoreEvents, StoreResult, StoreWatch, TakeResult, TradeClose, UserSpan,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document};

/// What a test does to operations on their way to the store.
pub(crate) trait Interference: std::fmt::Debug + Send + Sync + 'static {
    /// Has the store do what it was asked for, or not, and answers.
    fn around<T: Send>(
        &self,
        operation: &'static str,
        run: impl Future<Output = StoreResult<T>> + Send,
    ) -> impl Future<Output = StoreResult<T>> + Send;

    /// An alert is about to be offered.
    fn offered(&self, _alert: &Alert) -> impl Future<Output = StoreResult<()>> + Send {
        async { Ok(()) }
    }

    /// Chunks are about to be committed.
    fn committing(&self, _store: &dyn Store, _chunks: &[ChunkCommit]) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The store, behind what interferes.
#[derive(Debug)]
pub(crate) struct Front<I> {
    store: Arc<dyn Store>,
    interference: I,
}

impl<I> Front<I> {
    pub(crate) fn of(store: Arc<dyn Store>, interference: I) -> Arc<Self> {
        Arc::new(Self { store, interference })
    }
}

impl<I> Deref for Front<I> {
    type Target = I;

    fn deref(&self) -> &I {
        &self.interference
    }
}

/// What a store that a test took away answers.
pub(crate) fn away<T>() -> StoreResult<T> {
    Err(StoreError::Unavailable("it is away for a test".to_owned()))
}

macro_rules! delegate {
    ($($port:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)+ } $({ $($more:item)+ })?)+) => {$(
        #[async_trait]
        impl<I: Interference> $port for Front<I> {
            $(async fn $name(&self, $($arg: $ty),*) -> StoreResult<$ret> {
                self.interference.around(stringify!($name), self.store.$name($($arg),*)).await
            })+
            $($($more)+)?
        }
    )+};
}

delegate! {
    AlertIntake {
        fn receipt_mark(config: ConfigId) -> i64;
        fn recent_prices(config: ConfigId, since: Time) -> Vec<PricePoint>;
        fn find_duplicate(keys: &[IntakeKey], now: Time) -> Option<AlertId>;
        fn refuse_alert(alert: Alert, notices: Vec<OperatorNotice>) -> ();
        fn reject_webhook(rejected: RejectedWebhook, notices: Vec<OperatorNotice>) -> ();
    } {
        async fn accept_alert(&self, alert: Alert, keys: Vec<IntakeKey>, now: Time) -> StoreResult<AlertAcceptance> {
            self.interference.offered(&alert).await?;
            self.interference.around("accept_alert", self.store.accept_alert(alert, keys, now)).await
        }
    }
    ProcessorStore {
        fn pending_alerts(partitions: &[i32], except: &[ConfigId], limit: usize) -> Vec<Alert>;
        fn holders(config: ConfigId, after: Option<UserId>, limit: usize) -> Vec<UserId>;
        fn load_chunk(config: ConfigId, span: UserSpan, entering: &[UserId]) -> ChunkState;
        fn record_failure(fence: &LeaseFence, alert: AlertId, error: AlertError, park: bool, notices: Vec<OperatorNotice>) -> ();
    } {
        async fn commit_all(&self, chunks: Vec<ChunkCommit>) -> Vec<StoreResult<()>> {
            let count = chunks.len();
            self.interference.committing(&*self.store, &chunks).await;
            let commit = async { Ok(self.store.commit_all(chunks).await) };
            let committed = self.interference.around("commit_all", commit).await;
            committed.unwrap_or_else(|error| vec![Err(error); count])
        }
    }
    DeliveryOutbox {
        fn due(lane: &LaneName, now: Time, limit: usize) -> Vec<Delivery>;
        fn next_due(lane: &LaneName, now: Time) -> Option<Time>;
        fn take(fence: &LeaseFence, deliveries: &[DeliveryId], now: Time) -> TakeResult;
        fn record_attempts(fence: &LeaseFence, records: Vec<AttemptRecord>, now: Time) -> Vec<AlertId>;
        fn tell_operators(notices: Vec<OperatorNotice>) -> ();
        fn note_copies(copies: &[(DeliveryId, i64)], now: Time) -> ();
        fn recover(fence: &LeaseFence, now: Time) -> u64;
        fn defer_chat(fence: &LeaseFence, chat: &str, until: Time) -> ();
        fn move_chat(from: &str, to: &str, now: Time) -> u64;
        fn expire_overdue(now: Time, limit: usize) -> (Vec<AlertId>, bool);
        fn settle(alert: AlertId, now: Time) -> SettlingOutcome;
        fn unsettled(after: Option<AlertId>, limit: usize) -> Vec<AlertId>;
        fn purge(deliveries_before: Time, rejected_before: Time, now: Time, limit: usize) -> bool;
    }
    OperatorActions {
        fn close_trade(close: TradeClose) -> ();
        fn resend(resend: ResendRequest) -> ResendOutcome;
        fn accept_refused(accept: AcceptRefused) -> ();
        fn has_history(user: UserId) -> bool;
        fn erase_user(erase: EraseUser) -> ErasureOutcome;
    }
    LeaseStore {
        fn leases(prefix: &str) -> Vec<Lease>;
        fn broken_leases() -> Vec<BrokenLease>;
        fn free_lease(seen: &BrokenLease, epoch_min: i64) -> bool;
        fn remove_broken_lease(seen: &BrokenLease) -> ();
        fn take_lease(name: &str, owner: &str, seen: Option<&Lease>) -> Option<Lease>;
        fn renew_lease(lease: &Lease) -> bool;
        fn release_lease(lease: &Lease) -> ();
        fn forget_lease(seen: &Lease) -> ();
    } {
        fn is_exclusive(&self) -> bool {
            self.store.is_exclusive()
        }
    }
    DocumentStore {
        fn setup() -> ();
        fn get(collection: Collection, ids: &[ObjectId]) -> Vec<Document>;
        fn page(collection: Collection, after: Option<ObjectId>, limit: usize) -> Vec<Document>;
        fn page_bytes(collection: Collection, after: Option<ObjectId>, limit: usize) -> Vec<Vec<u8>>;
        fn find_unique(collection: Collection, fields: &[(&str, Bson)]) -> Option<Document>;
        fn list(query: &ListQuery) -> ListPage;
        fn find_profile(telegram_user: &str) -> Option<Document>;
        fn open_trades_by_config(user: UserId) -> Vec<OpenTrades>;
        fn count(collection: Collection) -> u64;
        fn write(writes: Vec<DocumentWrite>) -> ();
        fn changes_since(seq: i64, limit: usize) -> Vec<AudienceChange>;
        fn last_change() -> i64;
        fn first_change() -> Option<i64>;
        fn purge_changes(seq: i64, limit: usize) -> bool;
        fn decisions(alert: AlertId, after: Option<UserId>, limit_chunks: usize) -> Vec<DecisionChunk>;
        fn deliveries_of(alert: AlertId, after: Option<&[u8]>, limit: usize) -> Vec<Delivery>;
        fn signing_key(name: &str, fresh: [u8; 32]) -> [u8; 32];
    }
    FileStore {
        fn put_file(content: FileContent) -> FileDigest;
        fn read_file(digest: FileDigest) -> Option<Vec<u8>>;
        fn has_file(digest: FileDigest) -> bool;
        fn files(after: Option<FileDigest>, limit: usize) -> Vec<FileDigest>;
        fn delete_file(digest: FileDigest) -> ();
        fn remove_unfinished_files(begun_before: Time) -> u64;
    }
}

#[async_trait]
impl<I: Interference> SetAsideDocuments for Front<I> {
    fn unreadables(&self) -> &UnreadableLog {
        self.store.unreadables()
    }

    async fn stray_alerts(&self, limit: usize) -> StoreResult<Vec<UnreadableDocument>> {
        self.interference.around("stray_alerts", self.store.stray_alerts(limit)).await
    }

    async fn set_aside(&self, what: &UnreadableDocument, at: Time, tell: Vec<Delivery>) -> StoreResult<()> {
        self.interference.around("set_aside", self.store.set_aside(what, at, tell)).await
    }
}

impl<I: Interference> StoreWatch for Front<I> {
    fn watch(&self) -> Option<Box<dyn StoreEvents>> {
        self.store.watch()
    }

    fn interruptions(&self) -> u64 {
        self.store.interruptions()
    }
}
