//! A whole program without its network: the router over the embedded store.

use std::sync::Arc;
use std::time::Duration;

use alertcast::app::App;
use alertcast::base::Base;
use alertcast::clock::{Clock, ManualClock};
use alertcast::http;
use alertcast::metrics::Metrics;
use alertcast::settings::Settings;
use alertcast_core::store::{Collection, DocumentStore as _, DocumentWrite, Store};
use alertcast_core::time::Time;
use alertcast_sqlite::{SqliteOptions, SqliteStore};
use axum::Router;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};

use super::request::SECRET;

/// When a test begins: 2026-11-22T10:00:00Z.
pub(crate) const START: Time = Time::from_millis(1_795_341_600_000);
/// The same moment as alerts write it.
pub(crate) const INTO_THE_DAY: &str = "2026-11-22T10:00:00Z";

/// Everything a test needs. The folder goes when it is dropped.
#[derive(Debug)]
pub(crate) struct House {
    pub(crate) app: App,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) router: Router,
    _folder: tempfile::TempDir,
}

impl House {
    /// One configuration: BTCUSDT, 1h, "EMA Cross".
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let clock = ManualClock::at(START);
        Self::build(change, &SqliteOptions::default(), Arc::clone(&clock) as Arc<dyn Clock>, clock).await
    }

    /// The same, with a store run another way.
    pub(crate) async fn over(options: &SqliteOptions) -> Self {
        let clock = ManualClock::at(START);
        Self::build(|_| {}, options, Arc::clone(&clock) as Arc<dyn Clock>, clock).await
    }

    /// The same, with both.
    pub(crate) async fn over_with(options: &SqliteOptions, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = ManualClock::at(START);
        Self::build(change, options, Arc::clone(&clock) as Arc<dyn Clock>, clock).await
    }

    /// The same, by the machine's clock.
    pub(crate) async fn by_the_real_clock() -> Self {
        Self::build(|_| {}, &SqliteOptions::default(), alertcast::clock::SystemClock::new(), ManualClock::at(START))
            .await
    }

    async fn build(
        change: impl FnOnce(&mut Settings),
        options: &SqliteOptions,
        clock: Arc<dyn Clock>,
        manual: Arc<ManualClock>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings { data_dir: folder.path().to_owned(), ..Settings::default() };
        settings.webhook.secrets = vec![SECRET.into()];
        change(&mut settings);
        let store = Arc::new(SqliteStore::open(folder.path(), options).unwrap());
        let base = Base::new(Arc::clone(&store) as Arc<dyn Store>, clock, settings);
        let mut app = App::new(base, alertcast::unsubscribe::LinkKey::new([7; 32]));
        app.metrics = Metrics::since(START);
        app.store.setup().await.unwrap();
        let house = Self { router: http::router(app.clone()), app, clock: manual, store, _folder: folder };
        house.insert(Collection::AlertConfigurations, configuration()).await;
        house.app.audience.load(&*house.app.store).await.unwrap();
        house
    }

    /// Moves the clock.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Adds a document.
    pub(crate) async fn insert(&self, collection: Collection, document: Document) {
        self.store.write(vec![DocumentWrite::Insert { collection, document }]).await.unwrap();
    }

    /// Sets a field of a document.
    pub(crate) async fn set(&self, collection: Collection, id: ObjectId, set: Document) {
        self.store
            .write(vec![DocumentWrite::Update { collection, id, set, unset: Vec::new(), expect: Vec::new() }])
            .await
            .unwrap();
    }

    /// All documents of a collection.
    pub(crate) async fn all(&self, collection: Collection) -> Vec<Document> {
        self.store.page(collection, None, 10_000).await.unwrap()
    }

    /// The only document of a collection.
    pub(crate) async fn only(&self, collection: Collection) -> Document {
        let mut all = self.all(collection).await;
        assert_eq!(all.len(), 1, "{collection}: {all:#?}");
        all.remove(0)
    }

    /// How many documents there are of each collection that requests write to.
    pub(crate) async fn kept(&self) -> (usize, usize) {
        (self.all(Collection::Alerts).await.len(), self.all(Collection::RejectedWebhooks).await.len())
    }

    /// Whether nothing at all has been kept of any request.
    pub(crate) async fn assert_nothing_kept(&self) {
        for collection in [Collection::Alerts, Collection::RejectedWebhooks, Collection::Deliveries] {
            assert_eq!(self.all(collection).await, Vec::<Document>::new(), "{collection}");
        }
        assert_eq!(self.store.count(Collection::IntakeKeys).await.unwrap(), 0);
    }
}

/// The house's configuration.
pub(crate) fn configuration() -> Document {
    doc! {
        "_id": ObjectId::from_bytes([3; 12]),
        "name": "Bitcoin, hourly",
        "symbol": "BTCUSDT",
        "timeframe": "1h",
        "strategy": "EMA Cross",
        "status": "active",
        "createdAt": Bson::from(START),
        "updatedAt": Bson::from(START),
    }
}
