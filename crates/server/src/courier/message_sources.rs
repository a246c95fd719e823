//! Alerts and configurations, for the text of messages: an alert is read once for all of its messages.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use alertcast_core::alert::document::Alert;
use alertcast_core::alert_configuration::AlertConfiguration;
use alertcast_core::delivery::{Channel, DeliveryState, MessageKind};
use alertcast_core::id::AlertId;
use alertcast_core::store::{Collection, StoreResult, TakenEntry, read};
use bson::Document;
use bson::oid::ObjectId;
use tracing::error;

use crate::app::App;
use crate::base::Base;

/// Alerts kept at once. What is in use beyond that lives as long as it is used.
const ALERTS_MAX: usize = 256;

/// What a message is made of beside its delivery.
#[derive(Debug, Clone, Default)]
pub(super) struct MessageSources {
    pub(super) alert: Option<Arc<Alert>>,
    pub(super) config: Option<Arc<AlertConfiguration>>,
    /// The alert of the entry that is told in the same message, or again.
    pub(super) entry_alert: Option<Arc<Alert>>,
    /// The alert of the entry that this e-mail answers.
    pub(super) answered_alert: Option<Arc<Alert>>,
}

/// The alerts that were used last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct AlertCache {
    shelf: Arc<Mutex<CachedAlerts>>,
}

#[derive(Debug, Default)]
struct CachedAlerts {
    alerts: HashMap<AlertId, (u64, Arc<Alert>)>,
    /// Counts uses: what was used longest ago goes first.
    uses: u64,
}

impl AlertCache {
    /// What the messages of these deliveries are made of, in their order.
    ///
    /// # Errors
    /// Those of the store. An alert that is missing or cannot be read is left out.
    pub(super) async fn sources(&self, app: &App, taken: &[TakenEntry]) -> StoreResult<Vec<MessageSources>> {
        let wanted: BTreeSet<AlertId> = taken.iter().flat_map(alerts_of).collect();
        let alerts = self.alerts(app, wanted).await?;
        let find = |id: Option<AlertId>| id.and_then(|id| alerts.get(&id)).map(Arc::clone);
        let config = |taken: &TakenEntry| {
            let id = taken.delivery.alert_config_id?;
            app.audience.with(|audience| audience.config(id).map(Arc::clone))
        };
        let sources = |taken: &TakenEntry| MessageSources {
            alert: find(taken.delivery.alert_id),
            config: config(taken),
            entry_alert: find(told_too(taken)),
            answered_alert: find(answered_alert(taken)),
        };
        Ok(taken.iter().map(sources).collect())
    }

    async fn alerts(&self, base: &Base, wanted: BTreeSet<AlertId>) -> StoreResult<HashMap<AlertId, Arc<Alert>>> {
        let mut found = self.shelf.lock().unwrap_or_else(PoisonError::into_inner).find(&wanted);
        let missing: Vec<ObjectId> = wanted.into_iter().filter(|id| !found.contains_key(id)).map(|id| id.0).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let documents = base.store.get(Collection::Alerts, &missing).await?;
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        for alert in documents.into_iter().filter_map(short) {
            let alert = Arc::new(alert);
            found.insert(alert.id, Arc::clone(&alert));
            shelf.put(alert);
        }
        Ok(found)
    }
}

impl CachedAlerts {
    fn find(&mut self, wanted: &BTreeSet<AlertId>) -> HashMap<AlertId, Arc<Alert>> {
        self.uses += 1;
        let mut found = HashMap::new();
        for id in wanted {
            if let Some((used, alert)) = self.alerts.get_mut(id) {
                *used = self.uses;
                found.insert(*id, Arc::clone(alert));
            }
        }
        found
    }

    fn put(&mut self, alert: Arc<Alert>) {
        if self.alerts.len() >= ALERTS_MAX {
            let oldest = self.alerts.iter().min_by_key(|(_, (used, _))| *used).map(|(id, _)| *id);
            oldest.and_then(|id| self.alerts.remove(&id));
        }
        self.alerts.insert(alert.id, (self.uses, alert));
    }
}

fn alerts_of(taken: &TakenEntry) -> impl Iterator<Item = AlertId> {
    taken.delivery.alert_id.into_iter().chain(told_too(taken)).chain(answered_alert(taken))
}

/// The alert of the entry that is told together with this exit, or again with this result.
fn told_too(taken: &TakenEntry) -> Option<AlertId> {
    let tells = taken.delivery.combines.is_some() || taken.delivery.kind == MessageKind::Result;
    taken.entry.as_ref().filter(|_| tells)?.alert_id
}

/// The alert of the entry that an e-mail answers: its subject is the entry's.
fn answered_alert(taken: &TakenEntry) -> Option<AlertId> {
    let answers = taken.delivery.channel == Channel::Email && taken.delivery.kind == MessageKind::Exit;
    let entry = taken.entry.as_ref().filter(|entry| answers && entry.state == DeliveryState::Sent);
    entry.filter(|_| taken.delivery.combines.is_none())?.alert_id
}

/// The alert without what no message shows: its recipients may be ten thousand.
fn short(mut document: Document) -> Option<Alert> {
    if let Ok(processing) = document.get_document_mut("processing") {
        processing.remove("matchedUsers");
        processing.remove("tradeActions");
    }
    match read::<Alert>(Collection::Alerts, document) {
        Ok(alert) => Some(alert),
        Err(error) => {
            error!(%error, "an alert cannot be read, and its messages are not sent");
            None
        }
    }
}
