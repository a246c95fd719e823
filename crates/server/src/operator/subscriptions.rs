//! Deciding about a subscription's payment, and ending a subscription. What comes of it is decided by
//! [`lifecycle`](alertcast_core::subscription::lifecycle) alone.

use alertcast_core::id::{AdminId, SubscriptionId};
use alertcast_core::store::{Collection, StoreError, StoreResult, SubscriptionStore as _, changed_fields};
use alertcast_core::subscription::Subscription;
use alertcast_core::subscription::lifecycle::{
    CancellationTime, DecisionMaker, LifecycleError, PaymentApproval, PaymentRejection, SubscriptionChange,
    SubscriptionContext, SubscriptionEvent, decide,
};
use alertcast_core::time::Time;

use super::{ActError, ActionResult, AuditedDeed, OperatorAction, TRIES_MAX, show_change};
use crate::app::App;
use crate::base::Base;

/// Finds that a payment has come: the subscription runs, by the calendar where no dates are given. Answers it as it is
/// then.
///
/// # Errors
/// `NotFound`, `Changed`, `Refused`, `Busy`, or the store's.
pub async fn approve_subscription(
    app: &App,
    act: &OperatorAction,
    subscription: SubscriptionId,
    approval: PaymentApproval,
) -> ActionResult<Subscription> {
    apply_event(app, act, subscription, &SubscriptionEvent::Approve(approval)).await
}

/// Finds that a payment has not come, and why. Answers the subscription as it is then.
///
/// # Errors
/// As [`approve_subscription`].
pub async fn reject_subscription(
    app: &App,
    act: &OperatorAction,
    subscription: SubscriptionId,
    rejection: PaymentRejection,
) -> ActionResult<Subscription> {
    apply_event(app, act, subscription, &SubscriptionEvent::Reject(rejection)).await
}

/// Cancels a subscription, at once or at its end. Answers it as it is then.
///
/// # Errors
/// As [`approve_subscription`].
pub async fn cancel_subscription(
    app: &App,
    act: &OperatorAction,
    subscription: SubscriptionId,
    when: CancellationTime,
) -> ActionResult<Subscription> {
    apply_event(app, act, subscription, &SubscriptionEvent::Cancel(when)).await
}

/// Has an event happen to a subscription. Of two at the same time the second is decided anew, after the first.
async fn apply_event(
    app: &App,
    act: &OperatorAction,
    subscription: SubscriptionId,
    event: &SubscriptionEvent,
) -> ActionResult<Subscription> {
    for _ in 0..TRIES_MAX {
        let loaded = app.store.load_subscription(subscription).await?.ok_or(ActError::NotFound)?;
        check_seen(act, &loaded.context)?;
        // No administrator is linked to a user yet: `approvedBy` stays absent.
        let by = DecisionMaker { admin: Some(act.who.admin_id), user: None };
        let change = match decide(&loaded.context, event, by, app.clock.now()) {
            Ok(change) => change,
            Err(why) => return Err(explain(app, &loaded.context, event, why).await?),
        };
        let also = act.beside(app, describe_change(&change, event)?)?;
        match app.store.commit_subscription(&loaded, &change, also).await {
            Ok(()) => {
                show_change(app).await;
                return Ok(change.after);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ActError::Busy)
}

fn check_seen(act: &OperatorAction, context: &SubscriptionContext) -> ActionResult<()> {
    let updated_at = context.subscription.as_ref().map(|one| one.updated_at);
    match act.seen {
        Some(_) if act.seen != updated_at => Err(ActError::Changed),
        _ => Ok(()),
    }
}

fn describe_change(change: &SubscriptionChange, event: &SubscriptionEvent) -> StoreResult<AuditedDeed> {
    let (before, after) = changed_fields(change)?;
    Ok(AuditedDeed {
        action: event.action(),
        collection: Collection::UserSubscriptions,
        about: change.after.id.0,
        before: Some(before),
        after: Some(after),
    })
}

/// Says why an event is refused: who decided before, and how that is overruled.
async fn explain(
    base: &Base,
    context: &SubscriptionContext,
    event: &SubscriptionEvent,
    why: LifecycleError,
) -> StoreResult<ActError> {
    let mut told = why.to_string();
    if let LifecycleError::Approved { by, at } | LifecycleError::Rejected { by, at } = why {
        told.push_str(&describe_decision(base, by, at).await?);
    }
    let would_overrule = overruling(event)
        .is_some_and(|event| decide(context, &event, DecisionMaker::default(), base.clock.now()).is_ok());
    if would_overrule {
        told.push_str("; \"overrules\": true decides it anew");
    }
    Ok(ActError::Refused { why, told })
}

/// The same decision over another; none where the event is no decision, or overrules already.
fn overruling(event: &SubscriptionEvent) -> Option<SubscriptionEvent> {
    match event {
        SubscriptionEvent::Approve(given) if !given.overrules => {
            Some(SubscriptionEvent::Approve(PaymentApproval { overrules: true, ..given.clone() }))
        }
        SubscriptionEvent::Reject(given) if !given.overrules && given.reason.is_some() => {
            Some(SubscriptionEvent::Reject(PaymentRejection { overrules: true, ..given.clone() }))
        }
        _ => None,
    }
}

/// ", by NAME at TIME", as far as it is known.
async fn describe_decision(base: &Base, by: Option<AdminId>, at: Option<Time>) -> StoreResult<String> {
    let mut told = String::new();
    if let Some(admin) = by {
        let found = base.store.get(Collection::AdminUsers, &[admin.0]).await?.pop();
        let name = found.and_then(|admin| admin.get_str("username").ok().map(str::to_owned));
        told = format!(", by {}", name.unwrap_or_else(|| admin.to_string()));
    }
    if let Some(at) = at {
        told.push_str(&format!(" at {at}"));
    }
    Ok(told)
}
