//! A store that counts what it is asked for, and that is away on request: an operation fails before it has happened, or
//! its answer is lost afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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

/// How an operation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It does not happen.
    Before,
    /// It happens, and nobody hears of it.
    After,
}

/// The store that fails on request.
#[derive(Debug)]
pub(super) struct Flaky {
    inner: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failing: BTreeMap<&'static str, (Failure, u32)>,
    calls: BTreeMap<&'static str, u32>,
    under_way: u32,
}

/// An operation under way, until it is dropped.
struct UnderWay<'a>(&'a Flaky);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.state.lock().unwrap().under_way -= 1;
    }
}

impl Flaky {
    pub(super) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default() })
    }

    /// The operation fails so for the next few times.
    pub(super) fn fail(&self, operation: &'static str, failure: Failure, times: u32) {
        self.state.lock().unwrap().failing.insert(operation, (failure, times));
    }

    /// How often the operation was asked for.
    pub(super) fn calls(&self, operation: &'static str) -> u32 {
        self.state.lock().unwrap().calls.get(operation).copied().unwrap_or(0)
    }

    /// What was asked for how often.
    pub(super) fn summary(&self) -> String {
        format!("{:?}", self.state.lock().unwrap().calls)
    }

    /// Whether no operation is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().unwrap().under_way == 0
    }

    fn enter(&self) -> UnderWay<'_> {
        self.state.lock().unwrap().under_way += 1;
        UnderWay(self)
    }

    fn call(&self, operation: &'static str) -> Option<Failure> {
        let mut state = self.state.lock().unwrap();
        *state.calls.entry(operation).or_default() += 1;
        let (failure, times) = state.failing.get_mut(operation).filter(|(_, times)| *times > 0)?;
        *times -= 1;
        Some(*failure)
    }
}

fn away<T>() -> Result<T> {
    Err(StoreError::Unavailable("it is away for a test".to_owned()))
}

macro_rules! delegate {
    ($port:ident { $(fn $name:ident($($arg:ident: $ty:ty),*) -> $ret:ty;)+ } $($more:item)*) => {
        #[async_trait]
        impl $port for Flaky {
            $(async fn $name(&self, $($arg: $ty),*) -> Result<$ret> {
                let _under_way = self.enter();
                let failure = self.call(stringify!($name));
                if failure == Some(Failure::Before) {
                    return away();
                }
                let answer = self.inner.$name($($arg),*).await?;
                if failure.is_some() { away() } else { Ok(answer) }
            })+
            $($more)*
        }
    };
}

delegate!(Intake {
    fn receipt_mark(config: ConfigId) -> i64;
    fn recent_prices(config: ConfigId, since: Time) -> Vec<PricePoint>;
    fn find_duplicate(keys: &[IntakeKey], now: Time) -> Option<AlertId>;
    fn accept_alert(alert: Alert, keys: Vec<IntakeKey>, now: Time) -> Acceptance;
    fn refuse_alert(alert: Alert, notices: Vec<Notice>) -> ();
    fn reject_webhook(rejected: RejectedWebhook, notices: Vec<Notice>) -> ();
});

delegate!(Work {
    fn pending_alerts(partitions: &[i32], except: &[ConfigId], limit: usize) -> Vec<Alert>;
    fn holders(config: ConfigId, after: Option<UserId>, limit: usize) -> Vec<UserId>;
    fn load_chunk(config: ConfigId, span: UserSpan, entering: &[UserId]) -> ChunkState;
    fn commit(chunk: ChunkCommit) -> ();
    fn record_failure(fence: &Fence, alert: AlertId, error: AlertError, park: bool, notices: Vec<Notice>) -> ();
});

delegate!(Outbox {
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

delegate!(Actions {
    fn close_trade(close: TradeClose) -> ();
    fn resend(resend: Resend) -> Resent;
    fn accept_refused(accept: AcceptRefused) -> ();
    fn has_history(user: UserId) -> bool;
    fn erase_user(erase: EraseUser) -> Erased;
});

delegate!(Leases {
    fn leases(prefix: &str) -> Vec<Lease>;
    fn take_lease(name: &str, owner: &str, seen: Option<&Lease>) -> Option<Lease>;
    fn renew_lease(lease: &Lease) -> bool;
    fn release_lease(lease: &Lease) -> ();
    fn forget_lease(seen: &Lease) -> ();
}
fn is_exclusive(&self) -> bool {
    self.inner.is_exclusive()
});

impl Watch for Flaky {
    fn watch(&self) -> Option<Box<dyn Stirrings>> {
        self.inner.watch()
    }

    fn interruptions(&self) -> u64 {
        self.inner.interruptions()
    }
}

delegate!(Documents {
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
