//! What an edit of a subscription's document is: who may make it, and which event of the subscription's life it is. What
//! comes of that is decided by [`lifecycle`](alertcast_core::subscription::lifecycle) alone.

use alertcast_core::admin::Permission;
use alertcast_core::id::{PlanId, SubscriptionId, UserId};
use alertcast_core::reading::list_differences;
use alertcast_core::store::{
    Collection, DocumentWrite, LoadedSubscription, StoreError, SubscriptionStore as _, document, read,
};
use alertcast_core::subscription::lifecycle::{
    self, DecisionMaker, GivenDates, check_paid, find_event, find_missing_dates,
};
use alertcast_core::subscription::{PaymentStatus, Subscription, SubscriptionStatus, transaction_key};
use alertcast_core::time::Time;
use bson::Document;
use serde_json::Value;

use super::checking::CheckedDocument;
use super::{EditResult, refuse_any, wrong};
use crate::base::Base;
use crate::document_input::{self, FieldCode};
use crate::document_paths::{at, gives, put};
use crate::operator::Actor;

/// What a change of a subscription rests on beside the document itself; none of any other. It is read before the user's
/// subscriptions are counted: whoever makes one active after this is noticed.
pub(super) async fn load_around(
    base: &Base,
    collection: Collection,
    value: &Value,
    kept: Option<&Document>,
) -> EditResult<Option<LoadedSubscription>> {
    let id = |name: &str| value.get(name).and_then(|id| document_input::id(id).ok());
    let (Collection::UserSubscriptions, Some(user), Some(plan)) = (collection, id("userId"), id("subscriptionPlanId"))
    else {
        return Ok(None);
    };
    let own = kept.and_then(|kept| kept.get_object_id("_id").ok()).unwrap_or_default();
    Ok(Some(base.store.load_for_new(SubscriptionId(own), UserId(user), PlanId(plan)).await?))
}

/// A document before a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentBefore<'a> {
    pub(super) kept: &'a Document,
    /// As it is shown.
    pub(super) read: &'a Document,
    /// What the change says.
    pub(super) given: &'a Value,
}

/// What is part of deciding about a payment.
const DECISION: [&str; 7] = [
    "payment.status",
    "payment.approvedBy",
    "payment.approvedAt",
    "payment.rejectionReason",
    "subscription.status",
    "subscription.startDate",
    "subscription.endDate",
];

/// A change of a subscription: who may make it, which event it is, and what follows of that, in the document and beside it.
pub(super) fn decide_subscription(
    who: &Actor,
    before: Option<DocumentBefore<'_>>,
    changed: &mut CheckedDocument,
    now: Time,
) -> EditResult<()> {
    // One that was read names its user and its plan: both were loaded.
    let around = changed.around.as_ref().ok_or(StoreError::Conflict)?;
    let after = &mut changed.document;
    let typed = |document: &Document| read::<Subscription>(Collection::UserSubscriptions, document.clone());
    // One that cannot be read entitles to nothing.
    let (was, is) = (before.and_then(|before| typed(before.kept).ok()), typed(after)?);
    let none = Document::new();
    let paths = list_differences(before.map_or(&none, |before| before.read), after);
    if let Some(was) = was.as_ref().filter(|was| was.payment.status == is.payment.status) {
        // Nobody may: that goes before who may.
        check_paid(is.payment.status, &is.subscription, Some(was))?;
    }
    check_permissions(who, before.is_none(), &paths, (was.as_ref(), &is))?;
    if !paths.is_empty() {
        put(after, "alertcast.transactionKey", Some(transaction_key(&is.payment.transaction_id).into()));
    }
    let also = match (was, before) {
        (Some(was), Some(before)) => {
            let by = DecisionMaker { admin: Some(who.admin_id), user: None };
            follow_event(around, (&was, &is, find_given_dates(&is, before.given)), (by, now), after)?
        }
        _ => {
            let is_approved = is.payment.status == PaymentStatus::Approved;
            put(after, BY_ADMIN, is_approved.then(|| who.admin_id.into()));
            if is.place().is_open(now) { around.raise_revision().into_iter().collect() } else { Vec::new() }
        }
    };
    changed.also.extend(also);
    Ok(())
}

fn find_given_dates(is: &Subscription, given: &Value) -> GivenDates {
    GivenDates {
        start: is.subscription.start_date.filter(|_| gives(given, "subscription.startDate")),
        end: is.subscription.end_date.filter(|_| gives(given, "subscription.endDate")),
    }
}

/// Deciding about a payment, and making or extending what it entitles to, takes a permission of its own, whichever field
/// it is done by.
fn check_permissions(
    who: &Actor,
    is_new: bool,
    changed: &[String],
    (was, is): (Option<&Subscription>, &Subscription),
) -> EditResult<()> {
    let undecided = |path: &str| is_new && path == "payment.status" && is.payment.status == PaymentStatus::Pending;
    let is_part = |path: &&String| DECISION.contains(&path.as_str()) && !undecided(path);
    let more = is.entitles_to_more(was) || was.is_some_and(|was| would_run_longer(was, is));
    let was_paid = was.is_some_and(|was| was.payment.status == PaymentStatus::Approved || was.entitlement().is_some());
    let decides = |path: &&String| match path.as_str() {
        path if path.starts_with("subscription.") => more,
        "payment.transactionId" => was_paid,
        _ => is_part(path),
    };
    let deciding: Vec<String> = changed.iter().filter(decides).cloned().collect();
    who.must_hold_for(&deciding, Permission::SubscriptionsApprove)?;
    // Making one takes that permission in any case.
    let other = changed.iter().filter(|path| !is_new && !is_part(path));
    Ok(who.must_hold_for(&other.cloned().collect::<Vec<_>>(), Permission::SubscriptionsEdit)?)
}

/// Whether one that does not run now would entitle to more once it is active again: whoever makes it so need not look at
/// dates that somebody else has set. One that waits for its first approval gets its dates by that.
fn would_run_longer(was: &Subscription, is: &Subscription) -> bool {
    let waits = was.payment.status != PaymentStatus::Approved && was.subscription.status == SubscriptionStatus::Pending;
    let activate = |one: &Subscription| {
        let mut active = one.clone();
        (active.payment.status, active.subscription.status) = (PaymentStatus::Approved, SubscriptionStatus::Active);
        active
    };
    !waits && activate(is).entitles_to_more(Some(&activate(was)))
}

/// Lets the event happen that the edit is, where it is one, and puts what follows into the document.
fn follow_event(
    around: &LoadedSubscription,
    (was, is, given): (&Subscription, &Subscription, GivenDates),
    (by, now): (DecisionMaker, Time),
    after: &mut Document,
) -> EditResult<Vec<DocumentWrite>> {
    let Some(event) = find_event(was, is, given) else { return Ok(Vec::new()) };
    let mut context = around.context.clone();
    // The plan of one that is not paid may change with its approval.
    context.subscription = Some(Subscription { subscription_plan_id: is.subscription_plan_id, ..was.clone() });
    let change = lifecycle::decide(&context, &event, by, now)?;
    let whole = change.complete_edit(is);
    check_paid(whole.payment.status, &whole.subscription, Some(was))?;
    let missing = find_missing_dates(&whole.subscription, Some(was)).into_iter().map(|name| {
        let what = "is needed where a subscription is made active: it says for how long";
        wrong(&format!("subscription.{name}"), FieldCode::Invalid, what)
    });
    refuse_any(missing.collect())?;
    let (edited, completed) = (document(is)?, document(&whole)?);
    let followed = list_differences(&edited, &completed);
    for path in followed {
        put(after, &path, at(&completed, &path).cloned());
    }
    Ok(around.writes_beside(&change))
}

/// Who approved, beside the linked user in `payment.approvedBy`.
const BY_ADMIN: &str = "alertcast.approvedByAdmin";
