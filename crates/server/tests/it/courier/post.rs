//! A post office for tests: a store with people in it, a stand-in for Telegram, and a clock that the test moves. The
//! limits of the stand-in run on that clock too.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use alertcast::app::App;
use alertcast::base::Base;
use alertcast::clock::{Clock, ManualClock};
use alertcast::courier;
use alertcast::settings::Settings;
use alertcast_conformance::scene::{TestScene, insert, people, set};
use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::{Channel, Delivery, DeliveryState, EndedTrade, MessageFacts, MessageKind};
use alertcast_core::fixtures::{self, at};
use alertcast_core::id::DeliveryId;
use alertcast_core::market::{ExitReason, Side};
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, Store, read};
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use bson::Document;
use bson::oid::ObjectId;
use telegram_sim::{SimConfig, SimHandle, SimServer};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::flaky::Flaky;
use super::liar::Liar;
use crate::harness::front::Front;

/// The bot of the fixtures' lane.
pub(super) const TOKEN: &str = "1:TOKEN";
/// In real time: whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(150);
/// The clock is never moved further than this at once.
const STEP: Duration = Duration::from_millis(100);

/// The post office.
pub(super) struct Post {
    pub(super) app: App,
    pub(super) clock: Arc<ManualClock>,
    pub(super) store: Arc<Front<Flaky>>,
    pub(super) sim: SimHandle,
    server: Option<SimServer>,
    _folder: TempDir,
}

/// A running courier. Dropping it cuts it off in the midst of what it does, as a crash would.
pub(super) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// What may be set.
pub(super) struct Setup {
    pub(super) users: u32,
    pub(super) sim: SimConfig,
    pub(super) token: &'static str,
    pub(super) per_second: u32,
    pub(super) timeout: Duration,
    pub(super) concurrency: usize,
    /// Stands before the stand-in.
    pub(super) liar: Option<Liar>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            users: 3,
            sim: SimConfig::default().bot(TOKEN),
            token: TOKEN,
            per_second: 30,
            timeout: Duration::from_secs(20),
            concurrency: 16,
            liar: None,
        }
    }
}

impl Post {
    /// A post office with three subscribers.
    pub(super) async fn open() -> Self {
        Self::with(Setup::default()).await
    }

    pub(super) async fn with(setup: Setup) -> Self {
        alertcast::tls::choose_provider();
        let clock = ManualClock::at(at(0));
        let limits = Arc::clone(&clock);
        let config = setup.sim.clone().clock(Arc::new(move || limits.now().millis()));
        let server = telegram_sim::start(config, "127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(folder.path(), &SqliteOptions::default()).unwrap());
        store.setup().await.unwrap();
        store.write(people(setup.users, 2)).await.unwrap();
        let url = setup.liar.as_ref().map_or_else(|| server.url(), |liar| liar.before(&server.url()));
        let settings = settings(&setup, &url);
        let flaky = Flaky::before(store);
        let app = app(Arc::<Front<Flaky>>::clone(&flaky), Arc::<ManualClock>::clone(&clock), settings);
        app.audience.load(&*app.store).await.unwrap();
        Self { app, clock, store: flaky, sim: server.sim(), server: Some(server), _folder: folder }
    }

    /// Puts alerts and deliveries in, and knocks.
    pub(super) async fn put(&self, alerts: &[Alert], deliveries: &[Delivery]) {
        let alerts = alerts.iter().map(|alert| insert(Collection::Alerts, alert));
        let deliveries = deliveries.iter().map(|delivery| insert(Collection::Deliveries, delivery));
        self.app.store.write(alerts.chain(deliveries).collect()).await.unwrap();
        self.app.wake.deliveries_came();
    }

    /// Puts in alert `by` and its entry for each of these users.
    pub(super) async fn put_entries(&self, by: u32, users: std::ops::RangeInclusive<u32>) {
        let entries: Vec<Delivery> = users.map(|user| entry(by, user)).collect();
        self.put(&[fixtures::alert(by, 1)], &entries).await;
    }

    /// The steps of the conformance suite, on this store and its people.
    pub(super) async fn scene(&self) -> TestScene {
        let take = async |name| self.app.store.take_lease(name, "us", None).await.unwrap().unwrap().fence();
        TestScene {
            work: take(fixtures::WORK).await,
            bot: take(fixtures::BOT).await,
            mail: take(fixtures::MAIL).await,
            store: Arc::clone(&self.app.store),
        }
    }

    pub(super) fn clock_now(&self) -> alertcast_core::time::Time {
        self.clock.now()
    }

    pub(super) fn start(&self) -> Running {
        let stop = CancellationToken::new();
        let task = tokio::spawn(courier::run(self.app.clone(), stop.clone()));
        Running { stop, task }
    }

    /// Changes fields of a user, as the bot or a console would.
    pub(super) async fn change_user(&self, user: u32, fields: Document) {
        self.app.store.write(vec![set(Collection::Users, fixtures::user_id(user), fields)]).await.unwrap();
    }

    /// Moves the clock, step by step and at most so far, until the condition holds. Answers how far.
    pub(super) async fn until(&self, most: Duration, condition: impl AsyncFn() -> bool) -> Duration {
        let begun = self.clock.monotonic();
        while !condition().await {
            let passed = self.clock.monotonic() - begun;
            assert!(passed < most, "not within {most:?}; {:?}", self.sim.stats());
            tokio::time::timeout(PATIENCE, self.step(STEP)).await.expect("it hangs");
        }
        self.clock.monotonic() - begun
    }

    /// Lets this much time pass, in steps as long as everybody sleeps.
    pub(super) async fn pass(&self, time: Duration) {
        let end = self.clock.monotonic() + time;
        while self.clock.monotonic() < end {
            self.step(Duration::from_secs(2)).await;
        }
    }

    /// Moves the clock to where the next sleeper wakes, at most so far. Sockets and threads run in real time: they get
    /// some of it first, and more while a request or an operation is under way that is not held back for good.
    async fn step(&self, most: Duration) {
        for _ in 0..40 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.sim.stats().in_flight == 0 && self.store.is_idle() && self.clock.next_wake().is_some() {
                break;
            }
        }
        self.clock.advance(self.clock.next_wake().unwrap_or(STEP).clamp(Duration::from_millis(1), most));
    }

    /// Moves the clock until so many messages have arrived.
    pub(super) async fn until_messages(&self, count: u64, most: Duration) -> Duration {
        self.until(most, async || self.sim.stats().messages >= count).await
    }

    /// Moves the clock until the delivery is in that state.
    pub(super) async fn until_state(&self, id: DeliveryId, state: DeliveryState, most: Duration) -> Delivery {
        self.until(most, async || self.delivery(id).await.state == state).await;
        self.delivery(id).await
    }

    /// Moves the clock until no delivery is open.
    pub(super) async fn until_all_ended(&self, most: Duration) -> Duration {
        self.until(most, async || self.deliveries().await.iter().all(|d| d.state.is_ended())).await
    }

    pub(super) async fn delivery(&self, id: DeliveryId) -> Delivery {
        let documents = self.app.store.get(Collection::Deliveries, &[id.0]).await.unwrap();
        read(Collection::Deliveries, documents.into_iter().next().expect("no such delivery")).unwrap()
    }

    pub(super) async fn deliveries(&self) -> Vec<Delivery> {
        let documents = self.app.store.page(Collection::Deliveries, None, 100_000).await.unwrap();
        documents.into_iter().map(|document| read(Collection::Deliveries, document).unwrap()).collect()
    }

    pub(super) async fn document(&self, collection: Collection, id: ObjectId) -> Document {
        self.app.store.get(collection, &[id]).await.unwrap().into_iter().next().expect("no such document")
    }

    /// The texts in a user's chat, in order.
    pub(super) fn texts(&self, user: u32) -> Vec<String> {
        self.sim.messages_to(chat(user)).into_iter().map(|message| message.plain).collect()
    }

    /// Whose message arrived, in order.
    pub(super) fn order(&self) -> Vec<u32> {
        self.sim.messages().iter().map(|message| u32::try_from(message.chat_id - 7_000_000).unwrap()).collect()
    }

    /// Ends the stand-in for Telegram; its address refuses connections from then on.
    pub(super) async fn close_telegram(&mut self) -> std::net::SocketAddr {
        let server = self.server.take().expect("it is closed already");
        let address = server.addr();
        server.stop().await;
        address
    }

    /// Starts another one at the same address.
    pub(super) async fn reopen_telegram(&mut self, address: std::net::SocketAddr, config: SimConfig) {
        let limits = Arc::clone(&self.clock);
        let config = config.clock(Arc::new(move || limits.now().millis()));
        let server = telegram_sim::start(config, address).await.unwrap();
        self.sim = server.sim();
        self.server = Some(server);
    }
}

impl Running {
    /// Asks it to stop and waits until it has, while the clock moves.
    pub(super) async fn stop(self, post: &Post) {
        self.stop.cancel();
        post.until(PATIENCE, async || self.task.is_finished()).await;
        self.task.await.unwrap();
    }

    /// Cuts it off.
    pub(super) async fn crash(self) {
        self.task.abort();
        // An aborted task says so; what matters is that it is gone.
        let _ = self.task.await;
    }
}

/// The chat of a user.
pub(super) fn chat(user: u32) -> i64 {
    fixtures::chat(user).parse().unwrap()
}

/// The entry of alert `by` for a user.
pub(super) fn entry(by: u32, user: u32) -> Delivery {
    fixtures::entry(Channel::Telegram, by, 1, user)
}

/// The exit by alert `by` of the trade that alert `entry_by` opened for a user at 100.
pub(super) fn exit(by: u32, user: u32, entry_by: u32) -> Delivery {
    let facts = MessageFacts::Exit { closed: ended(entry_by) };
    Delivery { facts, ..fixtures::exit(Channel::Telegram, by, 1, user, entry_by) }
}

/// A message by alert `by` that trade 1 ends and trade 2 takes its place.
pub(super) fn replacement(by: u32, user: u32) -> Delivery {
    let replaced = EndedTrade { reason: ExitReason::Replaced, ..ended(0) };
    Delivery {
        kind: MessageKind::Replacement,
        facts: MessageFacts::Replacement { number: Count(2), replaced },
        deadline_at: at(i64::from(by) + 86_400),
        entry_deadline_at: Some(at(i64::from(by) + 3_600)),
        ..entry(by, user)
    }
}

fn ended(entry_by: u32) -> EndedTrade {
    EndedTrade {
        number: Count(1),
        side: Side::Buy,
        entry_price: fixtures::price(100.0),
        exit_price: fixtures::price(110.0),
        reason: ExitReason::TpHit,
        inferred: false,
        inference: None,
        opened_at: at(i64::from(entry_by)),
        pnl_amount: fixtures::amount(10.0),
        pnl_percentage: fixtures::amount(10.0),
        currency: "USD".to_owned(),
        decimals: None,
        note: None,
    }
}

fn app(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> App {
    App::new(Base::new(store, clock, settings), alertcast::unsubscribe::LinkKey::new([7; 32]))
}

fn settings(setup: &Setup, api_url: &str) -> Settings {
    let mut settings = Settings::default();
    let telegram = &mut settings.telegram;
    telegram.tokens = vec![setup.token.into()];
    telegram.api_url = api_url.parse().unwrap();
    telegram.limits.bot_per_second = NonZeroU32::new(setup.per_second).unwrap();
    (telegram.timeout, telegram.concurrency) = (setup.timeout, setup.concurrency);
    settings
}
