//! The line to the store: it can be cut, and then every operation fails, hangs, or happens without an answer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alertcast::clock::Clock;
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
use tokio::sync::watch;

/// How it stands with the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Well,
    /// Nothing happens, and that is said.
    Gone,
    /// It happens, and nobody hears of it.
    Lost,
    /// Nothing happens, and nothing is said.
    Silent,
    /// It takes so long.
    Slow(Duration),
    /// So does the acceptance of an alert; all else is done at once.
    Busy(Duration),
}

/// A store behind a line.
#[derive(Debug)]
pub(super) struct Line {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    weather: watch::Sender<Weather>,
    /// An alert that the store will never have.
    poison: Mutex<Option<String>>,
}

impl Line {
    pub(super) fn to(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { store, clock, weather: watch::Sender::new(Weather::Well), poison: Mutex::default() })
    }

    pub(super) fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// The store will not have alerts with this comment.
    pub(super) fn poison(&self, comment: Option<&str>) {
        *self.poison.lock().unwrap() = comment.map(str::to_owned);
    }

    fn refuses(&self, alert: &Alert) -> bool {
        alert.alertcast.comment.is_some() && alert.alertcast.comment == *self.poison.lock().unwrap()
    }

    async fn carry<T>(&self, operation: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let weather = *self.weather.borrow();
        let away = || StoreError::Unavailable("it is away for a test".to_owned());
        match weather {
            Weather::Well | Weather::Busy(_) => operation.await,
            Weather::Gone => Err(away()),
            Weather::Lost => operation.await.and(Err(away())),
            Weather::Silent => {
                self.weather.subscribe().wait_for(|now| *now != weather).await.unwrap();
                Err(away())
            }
            Weather::Slow(by) => {
                self.clock.sleep(by).await;
                operation.await
            }
        }
    }
}

macro_rules! carry {
    ($port:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)+ } $($more:item)*) => {
        #[async_trait]
        impl $port for Line {
            $(async fn $name(&self, $($arg: $ty),*) -> Result<$ret> {
                self.carry(self.store.$name($($arg),*)).await
            })+
            $($more)*
        }
    };
}

carry!(Intake {
    fn receipt_mark(config: ConfigId) -> i64;
    fn recent_prices(config: ConfigId, since: Time) -> Vec<PricePoint>;
    fn find_duplicate(keys: &[IntakeKey], now: Time) -> Option<AlertId>;
    fn refuse_alert(alert: Alert, notices: Vec<Notice>) -> ();
    fn reject_webhook(rejected: RejectedWebhook, notices: Vec<Notice>) -> ();
}
async fn accept_alert(&self, alert: Alert, keys: Vec<IntakeKey>, now: Time) -> Result<Acceptance> {
    if self.refuses(&alert) {
        return Err(StoreError::Corrupt("it is poison".to_owned()));
    }
    let weather = *self.weather.borrow();
    if let Weather::Busy(by) = weather {
        self.clock.sleep(by).await;
    }
    self.carry(self.store.accept_alert(alert, keys, now)).await
});

carry!(Work {
    fn pending_alerts(partitions: &[i32], except: &[ConfigId], limit: usize) -> Vec<Alert>;
    fn holders(config: ConfigId, after: Option<UserId>, limit: usize) -> Vec<UserId>;
    fn load_chunk(config: ConfigId, span: UserSpan, entering: &[UserId]) -> ChunkState;
    fn commit(chunk: ChunkCommit) -> ();
    fn record_failure(fence: &Fence, alert: AlertId, error: AlertError, park: bool, notices: Vec<Notice>) -> ();
});

carry!(Outbox {
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
});

carry!(Actions {
    fn close_trade(close: TradeClose) -> ();
    fn resend(resend: Resend) -> Resent;
    fn accept_refused(accept: AcceptRefused) -> ();
    fn has_history(user: UserId) -> bool;
    fn erase_user(erase: EraseUser) -> Erased;
});

carry!(Leases {
    fn leases(prefix: &str) -> Vec<Lease>;
    fn take_lease(name: &str, owner: &str, seen: Option<&Lease>) -> Option<Lease>;
    fn renew_lease(lease: &Lease) -> bool;
    fn release_lease(lease: &Lease) -> ();
    fn forget_lease(seen: &Lease) -> ();
}
fn is_exclusive(&self) -> bool {
    self.store.is_exclusive()
});

impl Watch for Line {
    fn watch(&self) -> Option<Box<dyn Stirrings>> {
        self.store.watch()
    }

    fn interruptions(&self) -> u64 {
        self.store.interruptions()
    }
}

carry!(Documents {
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
});
