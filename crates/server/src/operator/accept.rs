//! Accepting an alert after the fact: one that was refused, once the cause is mended or an operator has said what it
//! means, and one that was parked. And a request that was kept as a rejected webhook, once it can be read as an alert.

use alertcast_core::alert::acceptance::{AlertReceipt, AlertRefusal, ReceiptMark};
use alertcast_core::alert::document::{Alert, AlertError, AlertStatus};
use alertcast_core::alert::duplicate::alert_id_key;
use alertcast_core::alert::intent::OperatorReading;
use alertcast_core::alert::payload::{self, Payload};
use alertcast_core::alert::rules::{self, CheckedAlert, REFERENCE_AGE_MAX};
use alertcast_core::id::{AlertId, ConfigId};
use alertcast_core::store::{
    AcceptRefused, Collection, DocumentWrite, IntakeKey, RejectedWebhook, StoreError, document, read,
};
use alertcast_core::time::Time;
use bson::oid::ObjectId;
use bson::{Document, doc};
use tracing::info;

use super::{ActError, ActionResult, AuditedDeed, OperatorAction, TRIES_MAX, one};
use crate::app::App;
use crate::base::Base;

/// Has an alert processed that was refused: it is read again, and every rule is judged anew but that of its age, which
/// is waived and logged; `reading`: as the operator says that it is meant, whatever it says itself. One that was parked
/// had kept the rules, and is taken up where it was left. Answers the alert as it is then.
///
/// # Errors
/// `NotFound`, `NotRefused`, `Understood`, `NoSide`, `StillBroken`, `Duplicate`, `Busy`, or the store's.
pub async fn accept_refused(
    app: &App,
    act: &OperatorAction,
    alert: AlertId,
    reading: Option<OperatorReading>,
) -> ActionResult<Alert> {
    for _ in 0..TRIES_MAX {
        app.audience.catch_up(&*app.store).await?;
        let kept: Alert = one(app, Collection::Alerts, alert.0).await?;
        if kept.processing.status != AlertStatus::Failed {
            return Err(ActError::NotRefused(kept.processing.status));
        }
        let now = app.clock.now();
        let mut wanted = match (kept.alertcast.refused_for.is_empty(), reading) {
            (true, Some(_)) => return Err(ActError::Understood),
            (true, None) => kept.clone(),
            (false, reading) => judge_again(app, &kept, apply_reading(payload::read_again(&kept), reading)?).await?,
        };
        wanted.processing.status = AlertStatus::Received;
        wanted.processing.errors.push(line(act, &kept, reading, now));
        wanted.alertcast.accepted_at = Some(now);
        let deed = AuditedDeed {
            action: "accept_alert",
            collection: Collection::Alerts,
            about: alert.0,
            before: Some(doc! { "status": kept.processing.status, "refusedFor": &kept.alertcast.refused_for }),
            after: Some(after(&wanted, reading)),
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

/// Has a request processed that is kept as a rejected webhook: it is read again, as the operator says that it is meant
/// where they say so, and every rule is judged but that of its age. It becomes an alert under its own id, refused at
/// first, and is accepted as one. Answers the alert as it is then.
///
/// # Errors
/// As [`accept_refused`], and `StillUnreadable`.
pub async fn accept_rejected(
    app: &App,
    act: &OperatorAction,
    rejected: ObjectId,
    reading: Option<OperatorReading>,
) -> ActionResult<Alert> {
    let kept = app.store.get(Collection::RejectedWebhooks, &[rejected]).await?.pop();
    let Some(kept) = kept else {
        // Made an alert before, by somebody who was cut off then.
        return accept_refused(app, act, AlertId(rejected), reading).await;
    };
    let kept: RejectedWebhook = read(Collection::RejectedWebhooks, kept)?;
    app.audience.catch_up(&*app.store).await?;
    let payload = payload::read(kept.body.as_bytes(), &kept.query);
    let payload = apply_reading(payload.map_err(|why| ActError::StillUnreadable(why.to_string()))?, reading)?;
    let alert = as_refused(&kept, &payload)?;
    // Nothing is changed where it could not be accepted.
    judge_again(app, &alert, payload).await?;
    let deed = AuditedDeed {
        action: "keep_as_alert",
        collection: Collection::RejectedWebhooks,
        about: rejected,
        before: Some(doc! { "errors": &kept.errors, "status": kept.status }),
        after: Some(after(&alert, reading)),
    };
    let mut writes = vec![
        DocumentWrite::Insert { collection: Collection::Alerts, document: document(&alert)? },
        DocumentWrite::Delete { collection: Collection::RejectedWebhooks, id: rejected },
    ];
    writes.extend(OperatorAction { also: Vec::new(), ..act.clone() }.beside(app, deed)?);
    match app.store.write(writes).await {
        // Somebody else was faster.
        Ok(()) | Err(StoreError::AlreadyExists { collection: Collection::Alerts, .. }) => {}
        Err(error) => return Err(error.into()),
    }
    accept_refused(app, act, alert.id, reading).await
}

/// The alert that a rejected request is, refused as yet.
fn as_refused(kept: &RejectedWebhook, payload: &Payload) -> ActionResult<Alert> {
    let lacking = || ActError::StillBroken(rules::without_configuration(payload, kept.received_at, true, None));
    let errors = kept.errors.iter().map(|error| AlertError::new(error.clone(), kept.received_at)).collect();
    let refused = AlertRefusal { errors, codes: vec![REJECTED.to_owned()] };
    let plain = AlertReceipt::plain(AlertId(kept.id), kept.received_at, payload.raw.clone());
    let receipt = AlertReceipt { ip_address: kept.ip_address.clone(), ..plain };
    Alert::refused(receipt, None, payload, refused).ok_or_else(lacking)
}

/// Stands in `alertcast.refusedFor` of an alert that was kept as a rejected webhook.
const REJECTED: &str = "rejected_webhook";

/// A payload as the operator says that it is meant.
fn apply_reading(mut payload: Payload, reading: Option<OperatorReading>) -> ActionResult<Payload> {
    match reading {
        Some(reading) if !payload.read_as(reading) => Err(ActError::NoSide(reading.read_as)),
        _ => Ok(payload),
    }
}

/// What the audit log keeps of an alert that is accepted.
fn after(alert: &Alert, reading: Option<OperatorReading>) -> Document {
    let mut after = doc! { "status": alert.processing.status, "signal": alert.alert_data.signal };
    if let Some(OperatorReading { read_as, side }) = reading {
        after.insert("readAs", read_as);
        if let Some(side) = side {
            after.insert("side", side);
        }
    }
    after
}

/// What is noted in the alert.
fn line(act: &OperatorAction, kept: &Alert, reading: Option<OperatorReading>, now: Time) -> AlertError {
    let who = &act.who.username;
    let what = match (kept.alertcast.refused_for.is_empty(), reading) {
        (true, _) => format!("taken up again by {who}"),
        (false, None) => format!("accepted after the fact by {who}, whatever its age"),
        (false, Some(reading)) => format!("accepted after the fact by {who} as {reading}, whatever its age"),
    };
    let message = match &act.reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    };
    AlertError::new(message, now)
}

/// The alert as it is to be processed.
async fn judge_again(app: &App, kept: &Alert, payload: Payload) -> ActionResult<Alert> {
    let received_at = kept.webhook.received_at;
    let Some(config) = app.audience.with(|audience| audience.config_of(&payload).cloned()) else {
        let problems = app.audience.with(|audience| {
            rules::without_configuration(&payload, received_at, true, audience.strategy_meant(&payload))
        });
        return Err(ActError::StillBroken(problems));
    };
    let mut recent = app.store.recent_prices(config.id, received_at - REFERENCE_AGE_MAX).await?;
    // Neither itself, nor what came later.
    recent.retain(|price| price.at < received_at);
    let checked = rules::check(&payload, &config, received_at, &recent, true).map_err(ActError::StillBroken)?;
    not_accepted_yet(app, &payload, config.id, &checked).await?;
    let mark = ReceiptMark { config: config.id, after: app.store.receipt_mark(config.id).await? };
    let mut alert = kept.clone();
    alert.take_on(mark, &checked, app.clock.now());
    Ok(alert)
}

/// The sender may have mended it, and sent it again under the same name.
async fn not_accepted_yet(
    base: &Base,
    payload: &Payload,
    config: ConfigId,
    checked: &CheckedAlert,
) -> ActionResult<()> {
    let Some(name) = &payload.alert_id else { return Ok(()) };
    let now = base.clock.now();
    let key = IntakeKey { key: alert_id_key(name, config, checked.signal, payload.intent), until: now };
    match base.store.find_duplicate(&[key], now).await? {
        Some(of) => Err(ActError::Duplicate { of }),
        None => Ok(()),
    }
}
