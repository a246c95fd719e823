//! What every part of the program stands on. It names none of them.

use std::sync::Arc;

use alertcast_core::id::IdSource;
use alertcast_core::store::Store;
use bson::oid::ObjectId;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::degraded::DegradedState;
use crate::handover::DeliveryHandover;
use crate::metrics::Metrics;
use crate::moved_chats::MovedChats;
use crate::settings::Settings;

/// What a part works with, and what it reports by. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Base {
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub settings: Arc<Settings>,
    pub metrics: Metrics,
    /// What does not work as it should, while the program goes on.
    pub degraded: DegradedState,
    /// Chats that have another id than the settings name.
    pub moved: MovedChats,
    pub wake: WakeUps,
}

impl Base {
    /// Over a store; nothing is counted yet, and nothing known to be wrong.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, settings: Settings) -> Self {
        Self {
            metrics: Metrics::since(clock.now()),
            degraded: DegradedState::new(Arc::clone(&clock)),
            moved: MovedChats::default(),
            wake: WakeUps::default(),
            ids: Arc::new(ObjectIds),
            settings: Arc::new(settings),
            store,
            clock,
        }
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
    /// What was committed by this process, for its own couriers.
    pub handover: DeliveryHandover,
}

impl Default for WakeUps {
    fn default() -> Self {
        Self { alerts: watch::Sender::new(0), deliveries: watch::Sender::new(0), handover: DeliveryHandover::default() }
    }
}

impl WakeUps {
    /// There are alerts to process.
    pub fn alerts_came(&self) {
        self.alerts.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// There are deliveries to send, in the store. What this process has just committed goes by `handover`.
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
