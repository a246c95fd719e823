//! What every part of the running program shares.

use std::sync::Arc;

use alertcast_core::id::IdSource;
use alertcast_core::store::{AlertIntake, Store};
use alertcast_sqlite::Spool;
use bson::oid::ObjectId;
use tokio::sync::watch;

use crate::audience::AudienceHandle;
use crate::clock::Clock;
use crate::degraded::DegradedState;
use crate::leases::LeaseManager;
use crate::metrics::Metrics;
use crate::moved_chats::MovedChats;
use crate::prices::PriceHistories;
use crate::readiness::Readiness;
use crate::requests_in_progress::RequestsInProgress;
use crate::settings::Settings;
use crate::spool::{SpooledIntake, SpoolingFlag};
use crate::unsubscribe::LinkKey;

/// The parts that are passed around. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub store: Arc<dyn Store>,
    /// What the webhook keeps alerts by: the store itself, or the spool before it.
    pub intake: Arc<dyn AlertIntake>,
    /// Where there is one.
    pub spool: Option<Arc<SpooledIntake>>,
    pub spooling: SpoolingFlag,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub settings: Arc<Settings>,
    pub audience: AudienceHandle,
    /// What the configurations' prices look like.
    pub prices: PriceHistories,
    pub wake: WakeUps,
    pub in_flight: RequestsInProgress,
    /// This process among those that share the store.
    pub members: LeaseManager,
    /// Signs the links by which subscribers stop the e-mails.
    pub links: LinkKey,
    pub metrics: Metrics,
    /// What does not work as it should, while the program goes on.
    pub degraded: DegradedState,
    /// Whether alerts can be kept.
    pub readiness: Readiness,
    /// Chats that have another id than the settings name.
    pub moved: MovedChats,
}

impl App {
    /// The same, with a spool for what comes in while the store is away.
    #[must_use]
    pub fn with_spool(mut self, spool: impl Into<Arc<Spool>>) -> Self {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let told = (self.metrics.clone(), self.degraded.clone());
        let spooled = Arc::new(SpooledIntake::new(store, spool.into(), clock, told));
        self.spooling = spooled.spooling_flag();
        self.intake = Arc::clone(&spooled) as Arc<dyn AlertIntake>;
        self.spool = Some(spooled);
        self
    }
}

/// Ids as the MongoDB drivers make them: rising within the process.
#[derive(Debug, Default)]
pub struct ObjectIds;

impl IdSource for ObjectIds {
    fn next(&self) -> ObjectId {
        ObjectId::new()
    }
}

/// Knocks on the door of whoever waits for work. A knock is never lost: a wait that begins after it ends at once, for
/// the receiver remembers what it has seen. Nothing rests on a knock; the waiters look by themselves now and then.
#[derive(Debug, Clone)]
pub struct WakeUps {
    alerts: watch::Sender<u64>,
    deliveries: watch::Sender<u64>,
}

impl Default for WakeUps {
    fn default() -> Self {
        Self { alerts: watch::Sender::new(0), deliveries: watch::Sender::new(0) }
    }
}

impl WakeUps {
    /// There are alerts to process.
    pub fn alerts_came(&self) {
        self.alerts.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// There are deliveries to send.
    pub fn deliveries_came(&self) {
        self.deliveries.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// To wait for alerts.
    #[must_use]
    pub fn on_alerts(&self) -> watch::Receiver<u64> {
        self.alerts.subscribe()
    }

    /// To wait for deliveries.
    #[must_use]
    pub fn on_deliveries(&self) -> watch::Receiver<u64> {
        self.deliveries.subscribe()
    }
}
