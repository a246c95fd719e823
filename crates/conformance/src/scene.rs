//! A store with people in it, and the steps that most rules begin with.

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bson::Document;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::StoreHarness;
use super::dump::{self, StoreDump};
use alertcast_core::alert::document::{Alert, TradeAction};
use alertcast_core::decision::{DecidedAction, Decision, DecisionChunk, Verdict};
use alertcast_core::delivery::{Channel, Delivery, EndedTrade, MessageFacts, MessageKind};
use alertcast_core::fixtures::*;
use alertcast_core::id::DeliveryId;
use alertcast_core::market::ExitReason;
use alertcast_core::money::Count;
use alertcast_core::reading::unpack;
use alertcast_core::store::{
    AlertAcceptance, AttemptOutcome, AttemptRecord, ChunkCommit, ChunkPlan, Collection, ConfigIncrement, DocumentWrite,
    LeaseFence, ProcessingEnd, Store, TakenEntry, UsageIncrement, UserSpan, document,
};
use alertcast_core::subscription::Subscription;
use alertcast_core::trade::document::{EntryDelivery, Trade, TradeEnd, TradeStatus};

/// Telegram alone.
pub const TELEGRAM: &[Channel] = &[Channel::Telegram];
/// Both channels.
pub const BOTH: &[Channel] = &[Channel::Telegram, Channel::Email];

/// A store with configurations 1 and 2, one plan that has both, users from 1 who subscribe to it and have preferences
/// for each configuration, and the leases of the work, the bot and the mail in our hands.
#[derive(Debug, Clone)]
pub struct TestScene {
    pub store: Arc<dyn Store>,
    pub work: LeaseFence,
    pub bot: LeaseFence,
    pub mail: LeaseFence,
}

impl TestScene {
    /// With users 1 to `users`.
    pub async fn new(harness: &dyn StoreHarness, users: u32) -> Self {
        Self::with_configs(harness, users, 2).await
    }

    pub async fn with_configs(harness: &dyn StoreHarness, users: u32, configs: u32) -> Self {
        let store = harness.fresh().await;
        store.write(people(users, configs)).await.unwrap();
        let [work, bot, mail] = [WORK, BOT, MAIL].map(|name| (name, Arc::clone(&store)));
        let take = async |(name, store): (&str, Arc<dyn Store>)| {
            store.take_lease(name, "us", None).await.unwrap().unwrap().fence()
        };
        Self { work: take(work).await, bot: take(bot).await, mail: take(mail).await, store }
    }

    /// The fence of a channel's lane.
    pub const fn fence(&self, channel: Channel) -> &LeaseFence {
        match channel {
            Channel::Telegram => &self.bot,
            Channel::Email => &self.mail,
        }
    }

    /// Accepts alert `n` of a configuration under its own key, and answers it as it is kept.
    pub async fn accept(&self, n: u32, config: u32) -> Alert {
        accept(&*self.store, alert(n, config)).await
    }

    /// Accepts alert `by` of configuration 1, which opens a trade for each of these users, announced by `channels`,
    /// and ends its processing.
    pub async fn open(&self, by: u32, users: RangeInclusive<u32>, channels: &[Channel]) -> ChunkCommit {
        self.accept(by, 1).await;
        let chunk = finish_commit(opening_commit(&self.work, by, 1, users, channels), at(i64::from(by) + 1));
        self.store.commit(chunk.clone()).await.unwrap();
        chunk
    }

    /// Accepts alert `by` of configuration 1, which closes the trades that `entry_by` opened, and ends its processing.
    pub async fn close(&self, by: u32, entry_by: u32, users: RangeInclusive<u32>, channels: &[Channel]) -> ChunkCommit {
        self.accept(by, 1).await;
        let chunk = closing_commit(&self.work, by, 1, entry_by, users, channels);
        let chunk = finish_commit(chunk, at(i64::from(by) + 1));
        self.store.commit(chunk.clone()).await.unwrap();
        chunk
    }

    /// Accepts alert `by` of configuration 1, which replaces the trades that `entry_by` opened, and ends its processing.
    pub async fn replace(&self, by: u32, entry_by: u32, users: RangeInclusive<u32>, channels: &[Channel]) {
        self.accept(by, 1).await;
        let chunk = replacing_commit(&self.work, by, 1, entry_by, users, channels);
        self.store.commit(finish_commit(chunk, at(i64::from(by) + 1))).await.unwrap();
    }

    /// Takes these deliveries of a channel.
    pub async fn take(&self, channel: Channel, deliveries: &[DeliveryId], seconds: i64) -> Vec<TakenEntry> {
        let taken = self.store.take(self.fence(channel), deliveries, at(seconds)).await;
        taken.unwrap().taken
    }

    /// Records one outcome of a delivery.
    pub async fn record(&self, channel: Channel, delivery: DeliveryId, outcome: AttemptOutcome, seconds: i64) {
        let records = vec![AttemptRecord { delivery, outcome }];
        let fence = self.fence(channel);
        self.store.record_attempts(fence, records, at(seconds)).await.unwrap();
    }

    /// Takes a delivery and records what its attempt came to, both at the same second.
    pub async fn attempt(&self, channel: Channel, delivery: DeliveryId, outcome: AttemptOutcome, seconds: i64) {
        assert_eq!(self.take(channel, &[delivery], seconds).await.len(), 1, "not taken");
        self.record(channel, delivery, outcome, seconds).await;
    }

    /// Puts deliveries in as they are.
    pub async fn put_deliveries(&self, deliveries: &[Delivery]) {
        let writes = deliveries.iter().map(|delivery| insert(Collection::Deliveries, delivery));
        self.store.write(writes.collect()).await.unwrap();
    }

    pub async fn dump(&self) -> StoreDump {
        StoreDump::of(&*self.store).await
    }

    pub async fn delivery(&self, channel: Channel, by: u32, user: u32) -> Delivery {
        self.one(Collection::Deliveries, delivery_id(channel, by, user).0).await
    }

    pub async fn alert(&self, n: u32) -> Alert {
        self.one(Collection::Alerts, alert_id(n).0).await
    }

    pub async fn trade(&self, by: u32, user: u32) -> Trade {
        self.one(Collection::Trades, trade_id(by, user).0).await
    }

    pub async fn subscription(&self, n: u32) -> Subscription {
        self.one(Collection::UserSubscriptions, subscription_id(n).0).await
    }

    async fn one<T: DeserializeOwned>(&self, collection: Collection, id: bson::oid::ObjectId) -> T {
        dump::one(&*self.store, collection, id).await
    }
}

/// Configurations, a plan that has them, users with subscriptions and preferences; each with fields of others.
pub fn people(users: u32, configs: u32) -> Vec<DocumentWrite> {
    let listed: Vec<u32> = (1..=configs).collect();
    let mut people = listed.iter().fold(TestPeople::at(at(0)), |people, n| people.config(*n, |_| {}));
    people = people.plan(1, &listed, |_| {});
    for n in 1..=users {
        people.users.push(user(n));
        people.subscriptions.push(subscription(n));
        people.preferences.extend(listed.iter().map(|config| preference(*config, n)));
    }
    let foreign =
        |(collection, document)| DocumentWrite::Insert { collection, document: with_foreign_fields(document) };
    people.documents().map(foreign).collect()
}

pub fn insert<T: Serialize>(collection: Collection, value: &T) -> DocumentWrite {
    DocumentWrite::Insert { collection, document: document(value).unwrap() }
}

pub fn insert_with_foreign<T: Serialize>(collection: Collection, value: &T) -> DocumentWrite {
    DocumentWrite::Insert { collection, document: with_foreign_fields(document(value).unwrap()) }
}

/// Sets fields of a document that must be there.
pub fn set(collection: Collection, id: impl Into<bson::Bson>, set: Document) -> DocumentWrite {
    DocumentWrite::Update {
        collection,
        id: id.into().as_object_id().unwrap(),
        set,
        unset: Vec::new(),
        expect: Vec::new(),
    }
}

/// Spoils a lease as somebody else's tool might.
pub async fn spoil_lease(store: &dyn Store, name: &str, field: &str, value: impl Into<bson::Bson>) {
    let mut kept = if let Some(lease) = store.leases(name).await.unwrap().iter().find(|lease| lease.name == name) {
        store.forget_lease(lease).await.unwrap();
        document(lease).unwrap()
    } else {
        let broken = store.broken_leases().await.unwrap();
        let broken = broken.iter().find(|broken| broken.name == name).unwrap();
        store.remove_broken_lease(broken).await.unwrap();
        unpack(Collection::Leases, &broken.bytes).unwrap()
    };
    kept.insert(field, value);
    // Whoever works under it may have taken it meanwhile: then it is not there to be spoilt.
    let _ = store.write(vec![DocumentWrite::Insert { collection: Collection::Leases, document: kept }]).await;
}

/// Accepts an alert under its own key, and answers it as it is kept.
pub async fn accept(store: &dyn Store, alert: Alert) -> Alert {
    let id = alert.id;
    let now = alert.webhook.received_at;
    let accepted = store.accept_alert(alert, vec![own_key(number(id.0))], now).await;
    assert_eq!(accepted, Ok(AlertAcceptance::Stored));
    dump::one(store, Collection::Alerts, id).await
}

/// A chunk that changes nothing yet.
pub fn empty_chunk(fence: &LeaseFence, by: u32, config: u32) -> ChunkCommit {
    ChunkCommit {
        fence: fence.clone(),
        alert: alert_id(by),
        config: config_id(config),
        now: at(i64::from(by) + 1),
        cursor_seen: None,
        cursor: None,
        plan: ChunkPlan::default(),
        notices: Vec::new(),
        finish: None,
    }
}

/// The chunk of alert `by` that opens each of these users' first trade in a configuration.
pub fn opening_commit(
    fence: &LeaseFence,
    by: u32,
    config: u32,
    users: RangeInclusive<u32>,
    channels: &[Channel],
) -> ChunkCommit {
    let count = i64::from(users.end() - users.start()) + 1;
    ChunkCommit {
        cursor: Some(user_id(*users.end())),
        plan: ChunkPlan {
            open_seen: Some((span(&users), Vec::new())),
            decisions: Some(decisions(by, &users, TradeAction::Open, by)),
            opened: users.clone().map(|user| trade(by, config, user, 1, channels)).collect(),
            deliveries: users
                .clone()
                .flat_map(|user| channels.iter().map(move |&channel| entry(channel, by, config, user)))
                .collect(),
            usage: users.map(|user| usage_increment(config, user, 1, 1, by)).collect(),
            config_increment: ConfigIncrement {
                alerts: 1,
                trades: count,
                last_alert_at: Some(at(i64::from(by))),
                ..ConfigIncrement::default()
            },
            ..ChunkPlan::default()
        },
        ..empty_chunk(fence, by, config)
    }
}

/// The chunk of alert `by` that closes, by take profit, the trades that alert `entry_by` opened, whose `rev` is 1.
pub fn closing_commit(
    fence: &LeaseFence,
    by: u32,
    config: u32,
    entry_by: u32,
    users: RangeInclusive<u32>,
    channels: &[Channel],
) -> ChunkCommit {
    let seen = users.clone().map(|user| (trade_id(entry_by, user), 1)).collect();
    ChunkCommit {
        cursor: Some(user_id(*users.end())),
        plan: ChunkPlan {
            open_seen: Some((span(&users), seen)),
            decisions: Some(decisions(by, &users, TradeAction::Close, entry_by)),
            ended: users
                .clone()
                .map(|user| TradeEnd { told_by: told_by(by, user, channels), ..ended_trade(entry_by, user, by) })
                .collect(),
            deliveries: users
                .clone()
                .flat_map(|user| channels.iter().map(move |&channel| exit(channel, by, config, user, entry_by)))
                .collect(),
            usage: users.clone().map(|user| usage_increment(config, user, 1, 0, by)).collect(),
            config_increment: ConfigIncrement {
                alerts: 1,
                closed_by_tp: i64::from(users.end() - users.start()) + 1,
                last_alert_at: Some(at(i64::from(by))),
                ..ConfigIncrement::default()
            },
            ..ChunkPlan::default()
        },
        ..empty_chunk(fence, by, config)
    }
}

/// The chunk with a result behind each Telegram exit of the trades that alert `entry_by` opened.
pub fn with_results(mut chunk: ChunkCommit, by: u32, config: u32, entry_by: u32) -> ChunkCommit {
    let exits = chunk.plan.deliveries.iter().filter(|delivery| delivery.channel == Channel::Telegram);
    let users: Vec<u32> = exits.map(|exit| number(exit.user_id.unwrap().0)).collect();
    chunk.plan.deliveries.extend(users.into_iter().map(|user| result(by, config, user, entry_by)));
    chunk
}

/// The chunk as the last one of its alert.
pub fn finish_commit(chunk: ChunkCommit, now: alertcast_core::time::Time) -> ChunkCommit {
    ChunkCommit {
        now,
        finish: Some(ProcessingEnd {
            processed_at: now,
            processing_time: Count(250),
            errors: Vec::new(),
            settles: false,
        }),
        ..chunk
    }
}

/// The end of a trade at 110, by the take profit that alert `by` told of.
pub fn ended_trade(entry_by: u32, user: u32, by: u32) -> TradeEnd {
    TradeEnd {
        trade: trade_id(entry_by, user),
        status: TradeStatus::Closed,
        reason: ExitReason::TpHit,
        exit_price: price(110.0),
        inferred: false,
        pnl_amount: amount(10.0),
        pnl_percentage: amount(10.0),
        at: at(i64::from(by) + 1),
        exit_alert: Some(alert_id(by)),
        replaced_by: None,
        replacement_reason: None,
        told_by: Vec::new(),
    }
}

/// The deliveries of alert `by` that tell a user of an end.
pub fn told_by(by: u32, user: u32, channels: &[Channel]) -> Vec<EntryDelivery> {
    let named = |&channel: &Channel| EntryDelivery { channel, id: delivery_id(channel, by, user) };
    channels.iter().map(named).collect()
}

/// The chunk of alert `by` that opens a trade for each of these users in the place of the one that alert `entry_by`
/// opened, whose `rev` is 1.
pub fn replacing_commit(
    fence: &LeaseFence,
    by: u32,
    config: u32,
    entry_by: u32,
    users: RangeInclusive<u32>,
    channels: &[Channel],
) -> ChunkCommit {
    let mut chunk = opening_commit(fence, by, config, users.clone(), channels);
    let seen = users.clone().map(|user| (trade_id(entry_by, user), 1)).collect();
    chunk.plan.open_seen = Some((span(&users), seen));
    chunk.plan.ended = users
        .map(|user| TradeEnd {
            status: TradeStatus::Replaced,
            reason: ExitReason::Replaced,
            replaced_by: Some(trade_id(by, user)),
            replacement_reason: Some("a new signal at the limit".to_owned()),
            told_by: told_by(by, user, channels),
            ..ended_trade(entry_by, user, by)
        })
        .collect();
    for trade in &mut chunk.plan.opened {
        trade.trade_number = Count(i64::from(by));
    }
    for delivery in &mut chunk.plan.deliveries {
        let user = number(delivery.user_id.unwrap().0);
        let replaced =
            EndedTrade { number: Count(i64::from(entry_by)), reason: ExitReason::Replaced, ..closed_trade() };
        delivery.kind = MessageKind::Replacement;
        delivery.facts = MessageFacts::Replacement { number: Count(i64::from(by)), replaced };
        delivery.entry_deadline_at = Some(delivery.deadline_at);
        delivery.deadline_at = at(i64::from(by) + 86_400);
        delivery.entry_delivery = Some(delivery_id(delivery.channel, entry_by, user));
    }
    chunk
}

pub fn usage_increment(config: u32, user: u32, alerts: i64, trades: i64, second: u32) -> UsageIncrement {
    UsageIncrement {
        subscription: subscription_id(user),
        preference: Some(preference_id(config, user)),
        alerts,
        trades,
        at: at(i64::from(second)),
    }
}

pub fn span(users: &RangeInclusive<u32>) -> UserSpan {
    UserSpan { first: user_id(*users.start()), last: user_id(*users.end()) }
}

/// One decision a user: a message goes out, and the trade that `entry_by` opened is changed.
fn decisions(by: u32, users: &RangeInclusive<u32>, action: TradeAction, entry_by: u32) -> DecisionChunk {
    DecisionChunk {
        alert_id: alert_id(by),
        first_user: user_id(*users.start()),
        last_user: user_id(*users.end()),
        decisions: users
            .clone()
            .map(|user| Decision {
                user: user_id(user),
                subscription: Some(subscription_id(user)),
                verdict: Verdict::Sent,
                actions: vec![DecidedAction { action, trade: trade_id(entry_by, user) }],
            })
            .collect(),
    }
}

/// Starts all of them at one moment and answers what they came to.
pub async fn at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<F> = tasks.into_iter().collect();
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let mut running = JoinSet::new();
    for task in tasks {
        let barrier = Arc::clone(&barrier);
        running.spawn(async move {
            barrier.wait().await;
            task.await
        });
    }
    running.join_all().await
}

/// The store, and other doors to it where there are any: `count` in all.
pub async fn doors(harness: &dyn StoreHarness, store: &Arc<dyn Store>, count: usize) -> Vec<Arc<dyn Store>> {
    let mut doors = vec![Arc::clone(store)];
    while doors.len() < count {
        doors.push(harness.beside(store).await);
    }
    doors
}
