//! Sending a delivery again.

use alertcast_core::delivery::{
    Delivery, DeliveryEvent, ENTRY_DEADLINE_MIN, EXIT_DEADLINE, MessageKind, entry_deadline,
};
use alertcast_core::id::DeliveryId;
use alertcast_core::store::{Collection, ResendOutcome, ResendRequest, StoreError};
use alertcast_core::time::Time;
use bson::doc;

use super::{ActError, ActionResult, AuditedDeed, OperatorAction, TRIES_MAX, one};
use crate::app::App;

/// Queues a delivery again that expired or died. An entry may then be followed for as long as one that came in now.
/// Answers the delivery as it is then.
///
/// # Errors
/// `NotFound`, `NotFailed`, `NothingToFollow`, `Busy`, or the store's.
pub async fn resend(app: &App, act: &OperatorAction, delivery: DeliveryId) -> ActionResult<Delivery> {
    for _ in 0..TRIES_MAX {
        app.audience.catch_up(&*app.store).await?;
        let kept: Delivery = one(app, Collection::Deliveries, delivery.0).await?;
        let state = kept.state.after(DeliveryEvent::Resend).map_err(|_| ActError::NotFailed(kept.state))?;
        let now = app.clock.now();
        let deed = AuditedDeed {
            action: "resend",
            collection: Collection::Deliveries,
            about: delivery.0,
            before: Some(doc! { "state": kept.state }),
            after: Some(doc! { "state": state }),
        };
        let followed_until = followed_until(app, &kept, now);
        let asked = ResendRequest {
            delivery,
            due_at: now,
            deadline_at: if kept.kind == MessageKind::Entry { followed_until } else { now + EXIT_DEADLINE },
            entry_deadline_at: (kept.kind == MessageKind::Replacement).then_some(followed_until),
            now,
            also: act.beside(app, deed)?,
        };
        match app.store.resend(asked).await {
            Ok(ResendOutcome::Queued(queued)) => {
                app.wake.deliveries_came();
                return Ok(*queued);
            }
            Ok(ResendOutcome::TradeEnded) => return Err(ActError::NothingToFollow("the trade has ended")),
            Ok(ResendOutcome::NeverEntered) => {
                return Err(ActError::NothingToFollow("the subscriber never heard of the trade"));
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}

/// Until when an entry that goes out now may be followed.
fn followed_until(app: &App, delivery: &Delivery, now: Time) -> Time {
    let setting = app.settings.delivery.entry_deadline;
    let config = |id| app.audience.with(|audience| audience.config(id).map(|config| config.timeframe));
    match delivery.alert_config_id.and_then(config) {
        Some(timeframe) => entry_deadline(now, timeframe, setting),
        None => now + setting.unwrap_or(ENTRY_DEADLINE_MIN),
    }
}
