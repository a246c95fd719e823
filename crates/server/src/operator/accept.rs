//! Accepting an alert after the fact: one that was refused, once the cause is mended, and one that was parked.

use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::alert::duplicate::alert_id_key;
use alertcast_core::alert::payload::{self, Payload};
use alertcast_core::alert::rules::{self, CheckedAlert, REFERENCE_AGE_MAX};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::money::Count;
use alertcast_core::store::{AcceptRefused, Collection, IntakeKey, StoreError, partition_of};
use alertcast_core::time::Time;
use bson::doc;
use tracing::info;

use super::{Act, ActError, Deed, Result, TRIES_MAX, one};
use crate::app::App;

/// Has an alert processed that was refused: it is read again, and every rule is judged anew but that of its age, which
/// is waived and logged. One that was parked had kept the rules, and is taken up where it was left. Answers the alert as
/// it is then.
///
/// # Errors
/// `NotFound`, `NotRefused`, `StillBroken`, `Duplicate`, `Busy`, or the store's.
pub async fn accept_refused(app: &App, act: &Act, alert: AlertId) -> Result<Alert> {
    for _ in 0..TRIES_MAX {
        app.audience.catch_up(&*app.store).await?;
        let kept: Alert = one(app, Collection::Alerts, alert.0).await?;
        if kept.processing.status != AlertStatus::Failed {
            return Err(ActError::NotRefused(kept.processing.status));
        }
        let now = app.clock.now();
        let mut wanted = if kept.alertcast.refused_for.is_empty() { kept.clone() } else { judged(app, &kept).await? };
        wanted.processing.status = AlertStatus::Received;
        wanted.processing.errors.push(line(act, &kept, now));
        wanted.alertcast.accepted_at = Some(now);
        let deed = Deed {
            action: "accept_alert",
            collection: Collection::Alerts,
            about: alert.0,
            before: Some(doc! { "status": kept.processing.status, "refusedFor": &kept.alertcast.refused_for }),
            after: Some(doc! { "status": wanted.processing.status }),
        };
        let accept = AcceptRefused { alert: wanted, now, also: act.beside(app, deed)? };
        match app.store.accept_refused(accept).await {
            Ok(()) => {
                let age_s = now.since(kept.webhook.received_at).as_secs();
                info!(alert = %alert, age_s, "an alert was accepted after the fact, whatever its age");
                app.wake.alerts_came();
                return one(app, Collection::Alerts, alert.0).await;
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}

/// What is noted in the alert.
fn line(act: &Act, kept: &Alert, now: Time) -> AlertError {
    let who = &act.who.username;
    let what = match kept.alertcast.refused_for.is_empty() {
        true => format!("taken up again by {who}"),
        false => format!("accepted after the fact by {who}, whatever its age"),
    };
    let message = match &act.reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    };
    AlertError { message, timestamp: now, stack: None }
}

/// The alert as it is to be processed.
async fn judged(app: &App, kept: &Alert) -> Result<Alert> {
    let payload = payload::read_again(kept);
    let received_at = kept.webhook.received_at;
    let Some(config) = app.audience.with(|audience| audience.config_of(&payload).cloned()) else {
        return Err(ActError::StillBroken(rules::without_configuration(&payload, received_at, true)));
    };
    let mut recent = app.store.recent_prices(config.id, received_at - REFERENCE_AGE_MAX).await?;
    // Neither itself, nor what came later.
    recent.retain(|price| price.at < received_at);
    let checked = rules::check(&payload, &config, received_at, &recent, true).map_err(ActError::StillBroken)?;
    not_accepted_yet(app, &payload, config.id, &checked).await?;
    let mut alert = kept.clone();
    alert.alert_data = checked.alert_data();
    alert.processing.alert_config_id = Some(config.id);
    let left_out = checked.left_out.iter();
    let left_out = left_out.map(|problem| (problem.message.clone(), app.clock.now()));
    alert.processing.errors.extend(left_out.map(|(message, timestamp)| AlertError { message, timestamp, stack: None }));
    let extension = &mut alert.alertcast;
    extension.after = Count(app.store.receipt_mark(config.id).await?);
    extension.partition = Some(partition_of(config.id));
    extension.intent = checked.intent.to_document();
    extension.quantity = checked.quantity;
    extension.trade_ref = checked.trade_ref;
    extension.comment = checked.comment;
    extension.risk = checked.risk;
    extension.testing = checked.testing;
    Ok(alert)
}

/// The sender may have mended it, and sent it again under the same name.
async fn not_accepted_yet(app: &App, payload: &Payload, config: ConfigId, checked: &CheckedAlert) -> Result<()> {
    let Some(name) = &payload.alert_id else { return Ok(()) };
    let now = app.clock.now();
    let key = IntakeKey { key: alert_id_key(name, config, checked.signal), until: now };
    match app.store.find_duplicate(&[key], now).await? {
        Some(of) => Err(ActError::Duplicate { of }),
        None => Ok(()),
    }
}
