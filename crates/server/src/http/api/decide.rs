//! What follows from a change beyond its fields: who may make it, what is noted with it, and what must hold when it is
//! written.

use alertcast_core::admin::Permission;
use alertcast_core::id::{AdminId, PlanId, SubscriptionId, UserId};
use alertcast_core::store::{
    Collection, DocumentWrite, LoadedSubscription, StoreError, SubscriptionStore as _, document, read,
};
use alertcast_core::subscription::lifecycle::{
    self, DecisionMaker, GivenDates, LifecycleError, check_paid, find_event, find_missing_dates,
};
use alertcast_core::subscription::{PaymentStatus, Subscription, transaction_key};
use alertcast_core::time::Time;
use bson::{Bson, Document};
use serde_json::Value;

use super::ApiRequest;
use super::change::{at, differences, gives, put};
use super::error::{ApiError, ApiResult, conflict, refuse_act, refuse_event, unprocessable, wrong};
use super::resources::ApiResource;
use crate::app::App;
use crate::document_input::{self, FieldCode};

/// What a change of a subscription rests on beside the document itself; none of any other. It is read before the user's
/// subscriptions are counted: whoever makes one active after this is noticed.
pub(super) async fn load_around(
    app: &App,
    resource: &ApiResource,
    value: &Value,
    kept: Option<&Document>,
) -> ApiResult<Option<LoadedSubscription>> {
    let id = |name: &str| value.get(name).and_then(|id| document_input::id(id).ok());
    let (Collection::UserSubscriptions, Some(user), Some(plan)) =
        (resource.collection, id("userId"), id("subscriptionPlanId"))
    else {
        return Ok(None);
    };
    let own = kept.and_then(|kept| kept.get_object_id("_id").ok()).unwrap_or_default();
    Ok(Some(app.store.load_for_new(SubscriptionId(own), UserId(user), PlanId(plan)).await?))
}

/// A document before a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentBefore<'a> {
    pub(super) kept: &'a Document,
    /// As it is shown.
    pub(super) read: &'a Document,
    /// What the change says.
    pub(super) patch: &'a Value,
}

/// What follows from who changes a document: whether they may, what is noted with it, and what is written besides.
pub(super) fn decide(
    asked: &ApiRequest,
    resource: &ApiResource,
    before: Option<DocumentBefore<'_>>,
    after: &mut Document,
    (around, now): (Option<&LoadedSubscription>, Time),
) -> ApiResult<Vec<DocumentWrite>> {
    match resource.collection {
        Collection::UserSubscriptions => {
            // One that was read names its user and its plan: both were loaded.
            let around = around.ok_or(StoreError::Conflict)?;
            decide_payment(asked, before, after, (around, now))
        }
        Collection::AdminUsers => decide_admin(asked, before.map(|before| before.kept), after).map(|()| Vec::new()),
        _ => Ok(Vec::new()),
    }
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

/// A change of a subscription: who may make it, which event it is, and what follows of that.
fn decide_payment(
    asked: &ApiRequest,
    before: Option<DocumentBefore<'_>>,
    after: &mut Document,
    (around, now): (&LoadedSubscription, Time),
) -> ApiResult<Vec<DocumentWrite>> {
    let typed = |document: &Document| read::<Subscription>(Collection::UserSubscriptions, document.clone());
    // One that cannot be read entitles to nothing.
    let (was, is) = (before.and_then(|before| typed(before.kept).ok()), typed(after)?);
    let none = Document::new();
    let mut changed = Vec::new();
    differences(before.map_or(&none, |before| before.read), after, "", &mut changed);
    if let Some(was) = was.as_ref().filter(|was| was.payment.status == is.payment.status) {
        // Nobody may: that goes before who may.
        check_paid(is.payment.status, &is.subscription, Some(was)).map_err(refuse)?;
    }
    check_permissions(asked, before.is_none(), &changed, (was.as_ref(), &is))?;
    if !changed.is_empty() {
        put(after, "alertcast.transactionKey", Some(transaction_key(&is.payment.transaction_id).into()));
    }
    match (was, before) {
        (Some(was), Some(before)) => {
            let dates = &is.subscription;
            let given = GivenDates {
                start: dates.start_date.filter(|_| gives(before.patch, "subscription.startDate")),
                end: dates.end_date.filter(|_| gives(before.patch, "subscription.endDate")),
            };
            let by = DecisionMaker { admin: Some(asked.caller.admin.id), user: None };
            follow_event(around, (&was, &is, given), (by, now), after)
        }
        _ => {
            let is_approved = is.payment.status == PaymentStatus::Approved;
            put(after, BY_ADMIN, is_approved.then(|| asked.caller.admin.id.into()));
            Ok(if is.place().is_open(now) { around.raise_revision().into_iter().collect() } else { Vec::new() })
        }
    }
}

/// Deciding about a payment, and making or extending what it entitles to, takes a permission of its own, whichever field
/// it is done by.
fn check_permissions(
    asked: &ApiRequest,
    is_new: bool,
    changed: &[String],
    (was, is): (Option<&Subscription>, &Subscription),
) -> ApiResult<()> {
    let undecided = |path: &str| is_new && path == "payment.status" && is.payment.status == PaymentStatus::Pending;
    let is_part = |path: &&String| DECISION.contains(&path.as_str()) && !undecided(path);
    let more = is.entitles_to_more(was);
    let was_paid = was.is_some_and(|was| was.payment.status == PaymentStatus::Approved || was.entitlement().is_some());
    let decides = |path: &&String| match path.as_str() {
        path if path.starts_with("subscription.") => more,
        "payment.transactionId" => was_paid,
        _ => is_part(path),
    };
    let deciding: Vec<String> = changed.iter().filter(decides).cloned().collect();
    let permitted = |fields: &[String], permission| {
        asked.caller.actor().must_hold_for(fields, permission).map_err(|error| refuse_act(error, ""))
    };
    permitted(&deciding, Permission::SubscriptionsApprove)?;
    if is_new {
        // Making one takes that permission in any case.
        return Ok(());
    }
    let other: Vec<String> = changed.iter().filter(|path| !is_part(path)).cloned().collect();
    permitted(&other, Permission::SubscriptionsEdit)
}

fn refuse(why: LifecycleError) -> ApiError {
    refuse_event(&why, why.to_string(), "subscription.")
}

/// Lets the event happen that the edit is, where it is one, and puts what follows into the document.
fn follow_event(
    around: &LoadedSubscription,
    (was, is, given): (&Subscription, &Subscription, GivenDates),
    (by, now): (DecisionMaker, Time),
    after: &mut Document,
) -> ApiResult<Vec<DocumentWrite>> {
    let Some(event) = find_event(was, is, given) else { return Ok(Vec::new()) };
    let mut context = around.context.clone();
    // The plan of one that is not paid may change with its approval.
    context.subscription = Some(Subscription { subscription_plan_id: is.subscription_plan_id, ..was.clone() });
    let change = lifecycle::decide(&context, &event, by, now).map_err(refuse)?;
    let whole = change.complete_edit(is);
    check_paid(whole.payment.status, &whole.subscription, Some(was)).map_err(refuse)?;
    let missing = find_missing_dates(&whole.subscription, Some(was)).into_iter().map(|name| {
        let what = "is needed where a subscription is made active: it says for how long";
        wrong(&format!("subscription.{name}"), FieldCode::Invalid, what)
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        return Err(unprocessable(missing).into());
    }
    let (edited, completed) = (document(is)?, document(&whole)?);
    let mut followed = Vec::new();
    differences(&edited, &completed, "", &mut followed);
    for path in followed {
        put(after, &path, at(&completed, &path).cloned());
    }
    Ok(around.writes_beside(&change))
}

/// Who approved, beside the linked user in `payment.approvedBy`.
const BY_ADMIN: &str = "alertcast.approvedByAdmin";

/// Nobody locks themselves out.
fn decide_admin(asked: &ApiRequest, before: Option<&Document>, after: &Document) -> ApiResult<()> {
    let me = asked.caller.admin.id;
    let is_me = before.and_then(|before| before.get_object_id("_id").ok()).map(AdminId) == Some(me);
    if !is_me {
        return Ok(());
    }
    let keeps = at(after, "permissions.system.settings") == Some(&Bson::Boolean(true));
    let active = after.get_str("status").is_ok_and(|status| status == "active");
    if keeps && active {
        return Ok(());
    }
    Err(conflict(
        "Your own rights",
        "nobody takes system.settings from themselves or makes themselves inactive: ask \
        another administrator",
    ))
}
