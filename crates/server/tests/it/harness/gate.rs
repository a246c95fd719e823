//! A store in front of the real one, in which a test can hold up what the webhook wants to store: so that several alerts
//! are under way at one instant, and not only probably. It can also take the store away, as a network does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alertcast_core::alert::document::{Alert, AlertError, PricePoint};
use alertcast_core::decision::DecisionChunk;
use alertcast_core::delivery::Delivery;
use alertcast_core::id::{AlertId, ConfigId, DeliveryId, UserId};
use alertcast_core::store::{
    AcceptRefused, Acceptance, Actions, AttemptRecord, Change, ChunkCommit, ChunkState, Collection, Documents,
    EraseUser, Erased, Fence, Intake, IntakeKey, Lease, Leases, ListPage, ListQuery, Notice, OpenTrades, Outbox,
    RejectedWebhook, Resend, Resent, Result, Settled, Stirrings, Store, StoreError, TakeResult, TradeClose, UserSpan,
    Watch, Work, Write,
};
use alertcast_core::time::Time;
use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Bson, Document};
use tokio::sync::{Semaphore, watch};

/// Passes of an open gate: more than there are ever alerts.
const OPEN: usize = 1_000_000;

/// The gate. It is open until it is closed.
#[derive(Debug)]
pub(crate) struct Gate {
    store: Arc<dyn Store>,
    passes: Semaphore,
    /// How many alerts stand before it.
    waiting: watch::Sender<usize>,
    away: AtomicBool,
}

impl Gate {
    /// An open gate before a store.
    pub(crate) fn before(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            store,
            passes: Semaphore::new(OPEN),
            waiting: watch::Sender::new(0),
            away: AtomicBool::new(false),
        })
    }

    /// Closes it: alerts are received, and wait to be stored.
    pub(crate) fn close(&self) {
        self.passes.forget_permits(OPEN);
    }

    /// Waits until so many alerts stand before it.
    pub(crate) async fn wait_for(&self, count: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting >= count).await.unwrap();
    }

    /// Lets one alert pass.
    pub(crate) fn let_one_pass(&self) {
        self.passes.add_permits(1);
    }

    /// Opens it.
    pub(crate) fn open(&self) {
        self.passes.add_permits(OPEN);
    }

    /// Takes the store away: everything but leases fails, until it comes back.
    pub(crate) fn take_away(&self) {
        self.away.store(true, Ordering::SeqCst);
    }

    /// Brings it back.
    pub(crate) fn bring_back(&self) {
        self.away.store(false, Ordering::SeqCst);
    }

    /// The store behind the gate, while it is there.
    fn store(&self) -> Result<&Arc<dyn Store>> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("taken away by the test".to_owned())),
            false => Ok(&self.store),
        }
    }
}

#[async_trait]
impl Intake for Gate {
    async fn receipt_mark(&self, config: ConfigId) -> Result<i64> {
        self.store()?.receipt_mark(config).await
    }

    async fn recent_prices(&self, config: ConfigId, since: Time) -> Result<Vec<PricePoint>> {
        self.store()?.recent_prices(config, since).await
    }

    async fn find_duplicate(&self, keys: &[IntakeKey], now: Time) -> Result<Option<AlertId>> {
        self.store()?.find_duplicate(keys, now).await
    }

    async fn accept_alert(&self, alert: Alert, keys: Vec<IntakeKey>, now: Time) -> Result<Acceptance> {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let pass = self.passes.acquire().await.unwrap();
        self.waiting.send_modify(|waiting| *waiting -= 1);
        if self.passes.available_permits() < OPEN / 2 {
            // It was for one.
            pass.forget();
        }
        self.store()?.accept_alert(alert, keys, now).await
    }

    async fn refuse_alert(&self, alert: Alert, notices: Vec<Notice>) -> Result<()> {
        self.store()?.refuse_alert(alert, notices).await
    }

    async fn reject_webhook(&self, rejected: RejectedWebhook, notices: Vec<Notice>) -> Result<()> {
        self.store()?.reject_webhook(rejected, notices).await
    }
}

/// Everything else goes straight through, while the store is there.
macro_rules! straight_through {
    ($($port:ident { $(fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)* })*) => {$(
        #[async_trait]
        impl $port for Gate {
            $(async fn $name(&self, $($argument: $kind),*) -> Result<$answer> {
                self.store()?.$name($($argument),*).await
            })*
        }
    )*};
}

straight_through! {
    Work {
        fn pending_alerts(partitions: &[i32], except: &[ConfigId], limit: usize) -> Vec<Alert>;
        fn holders(config: ConfigId, after: Option<UserId>, limit: usize) -> Vec<UserId>;
        fn load_chunk(config: ConfigId, span: UserSpan, entering: &[UserId]) -> ChunkState;
        fn commit(chunk: ChunkCommit) -> ();
        fn record_failure(fence: &Fence, alert: AlertId, error: AlertError, park: bool, notices: Vec<Notice>) -> ();
    }
    Outbox {
        fn due(lane: &str, now: Time, limit: usize) -> Vec<Delivery>;
        fn next_due(lane: &str, now: Time) -> Option<Time>;
        fn take(fence: &Fence, deliveries: &[DeliveryId], now: Time) -> TakeResult;
        fn record_attempts(fence: &Fence, records: Vec<AttemptRecord>, now: Time) -> Vec<AlertId>;
        fn recover(fence: &Fence, now: Time) -> u64;
        fn defer_chat(fence: &Fence, chat: &str, until: Time) -> ();
        fn expire_overdue(now: Time, limit: usize) -> (Vec<AlertId>, bool);
        fn settle(alert: AlertId, now: Time) -> Settled;
        fn unsettled(after: Option<AlertId>, limit: usize) -> Vec<AlertId>;
        fn purge(deliveries_before: Time, rejected_before: Time, now: Time, limit: usize) -> bool;
    }
    Actions {
        fn close_trade(close: TradeClose) -> ();
        fn resend(resend: Resend) -> Resent;
        fn accept_refused(accept: AcceptRefused) -> ();
        fn has_history(user: UserId) -> bool;
        fn erase_user(erase: EraseUser) -> Erased;
    }
    Documents {
        fn setup() -> ();
        fn get(collection: Collection, ids: &[ObjectId]) -> Vec<Document>;
        fn page(collection: Collection, after: Option<ObjectId>, limit: usize) -> Vec<Document>;
        fn find_unique(collection: Collection, fields: &[(&str, Bson)]) -> Option<Document>;
        fn list(query: &ListQuery) -> ListPage;
        fn find_profile(telegram_user: &str) -> Option<Document>;
        fn open_trades_by_config(user: UserId) -> Vec<OpenTrades>;
        fn count(collection: Collection) -> u64;
        fn write(writes: Vec<Write>) -> ();
        fn changes_since(seq: i64, limit: usize) -> Vec<Change>;
        fn last_change() -> i64;
        fn decisions(alert: AlertId, after: Option<UserId>, limit_chunks: usize) -> Vec<DecisionChunk>;
        fn deliveries_of(alert: AlertId, after: Option<&[u8]>, limit: usize) -> Vec<Delivery>;
        fn signing_key(name: &str, fresh: [u8; 32]) -> [u8; 32];
    }
}

#[async_trait]
impl Leases for Gate {
    async fn leases(&self, prefix: &str) -> Result<Vec<Lease>> {
        self.store.leases(prefix).await
    }

    async fn take_lease(&self, name: &str, owner: &str, seen: Option<&Lease>) -> Result<Option<Lease>> {
        self.store.take_lease(name, owner, seen).await
    }

    async fn renew_lease(&self, lease: &Lease) -> Result<bool> {
        self.store.renew_lease(lease).await
    }

    async fn release_lease(&self, lease: &Lease) -> Result<()> {
        self.store.release_lease(lease).await
    }

    async fn forget_lease(&self, seen: &Lease) -> Result<()> {
        self.store.forget_lease(seen).await
    }

    fn is_exclusive(&self) -> bool {
        self.store.is_exclusive()
    }
}

impl Watch for Gate {
    fn watch(&self) -> Option<Box<dyn Stirrings>> {
        self.store.watch()
    }

    fn interruptions(&self) -> u64 {
        self.store.interruptions()
    }
}
