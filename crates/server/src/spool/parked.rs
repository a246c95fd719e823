//! An alert that was answered 202 and that the store will not have: the provider is told, and what came is kept where the
//! console shows it.

use alertcast_core::alert::document::Alert;
use alertcast_core::alert::payload::body_text;
use alertcast_core::store::{RejectedWebhook, Result, StoreError};
use alertcast_sqlite::Entry;

use crate::app::App;
use crate::notices::{Trouble, notices};

/// What was answered.
const ACCEPTED: i32 = 202;

/// Tells the operators and keeps the body among the rejected webhooks. What was refused at once
/// needs neither: its sender knows.
///
/// # Errors
/// Those of `store`.
pub(super) async fn report(app: &App, entry: Option<&Entry>, error: &StoreError) -> Result<()> {
    let alert: Option<&Alert> = match entry {
        Some(Entry::Accept { alert, .. }) => Some(alert),
        Some(Entry::Refuse { .. } | Entry::Reject { .. }) => return Ok(()),
        None => None,
    };
    let now = app.clock.now();
    let id = app.ids.next();
    let what = alert.map_or_else(|| "An alert".to_owned(), |alert| alert.alert_data.to_string());
    let rejected = RejectedWebhook {
        id,
        received_at: alert.map_or(now, |alert| alert.webhook.received_at),
        ip_address: alert.and_then(|alert| alert.webhook.ip_address.clone()),
        body: alert.map(body_text).unwrap_or_default(),
        query: String::new(),
        errors: vec![format!("{what} was accepted while the database was away, which does not take it now: {error}")],
        status: ACCEPTED,
    };
    let trouble = Trouble {
        group: "spool".to_owned(),
        title: "An accepted alert could not be stored".to_owned(),
        lines: vec![
            format!("{what}: {error}"),
            "Subscribers did not get it. It is set aside in spool.db: mend what the database says, and restart this \
             process to have it tried again."
                .to_owned(),
            format!("Kept as rejected webhook {id}"),
        ],
        alert: alert.map(|alert| alert.id),
    };
    app.store.reject_webhook(rejected, notices(app, &trouble, now)).await?;
    app.wake.deliveries_came();
    Ok(())
}
