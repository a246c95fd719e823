//! What was answered 202 and the store will not have: the operators are told, and what came is kept where the console
//! shows it.

use alertcast_core::alert::document::Alert;
use alertcast_core::alert::payload::body_text;
use alertcast_core::delivery::digest12;
use alertcast_core::id::AlertId;
use alertcast_core::store::{RejectedWebhook, StoreError, StoreResult};
use alertcast_sqlite::{SPOOL, SpoolEntry, SpoolRecord};
use bson::oid::ObjectId;

use super::SpooledIntake;
use crate::base::Base;
use crate::notices::{NoticeTrouble, notices};

/// What was answered.
const ACCEPTED: i32 = 202;

impl SpooledIntake {
    /// Tells the operators of a record, and keeps its body among the rejected webhooks: once in the life of this
    /// process, however often it is called. What was refused at once needs neither: its sender knows.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) async fn report(&self, base: &Base, record: &SpoolRecord, error: &StoreError) -> StoreResult<()> {
        let (alert, told) = match &record.entry {
            Ok(SpoolEntry::Accept { alert, .. }) => (Some(&**alert), ParkedNotices::of_alert(alert, error)),
            Ok(SpoolEntry::Refuse { .. } | SpoolEntry::Reject { .. }) => return Ok(()),
            Err(_) => (None, ParkedNotices::of_unreadable(error)),
        };
        let now = base.clock.now();
        let id = self.id_of_report(alert.map(|alert| alert.id), record.position);
        let file = base.settings.data_dir.join(SPOOL);
        let kept = format!("Set aside in {}, and kept as rejected webhook {id}", file.display());
        let rejected = RejectedWebhook {
            id,
            received_at: alert.map_or(now, |alert| alert.webhook.received_at),
            ip_address: alert.and_then(|alert| alert.webhook.ip_address.clone()),
            body: alert.map(body_text).unwrap_or_default(),
            query: String::new(),
            errors: vec![told.what.clone()],
            status: ACCEPTED,
        };
        let trouble = NoticeTrouble {
            group: format!("spool:{}", told.title),
            title: told.title.to_owned(),
            lines: vec![told.what, told.to_do.to_owned(), kept],
            alert: alert.map(|alert| alert.id),
        };
        base.store.reject_webhook(rejected, notices(base, &trouble, now)).await
    }

    /// The same for the same record as long as this process lives.
    fn id_of_report(&self, alert: Option<AlertId>, position: i64) -> ObjectId {
        let alert = alert.map(|alert| alert.to_string()).unwrap_or_default();
        let [opened_at, position] = [self.opened_at.millis(), position].map(|number| number.to_string());
        ObjectId::from_bytes(digest12(&["spool", &alert, &opened_at, &position]))
    }
}

struct ParkedNotices {
    title: &'static str,
    what: String,
    to_do: &'static str,
}

impl ParkedNotices {
    fn of_alert(alert: &Alert, error: &StoreError) -> Self {
        let alert = &alert.alert_data;
        Self {
            title: "An accepted alert could not be stored",
            what: format!("{alert} was accepted while the database was away, which does not take it now: {error}"),
            to_do: "Subscribers did not get it. Mend what the database says, and restart the process to have it tried again.",
        }
    }

    fn of_unreadable(error: &StoreError) -> Self {
        Self {
            title: "A record of the spool cannot be read",
            what: error.to_string(),
            to_do: "It may be an alert that was accepted while the database was away: see TradingView's alert log for what \
                    subscribers did not get, and look after the disk.",
        }
    }
}
