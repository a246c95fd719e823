//! What follows from a change beyond its fields: who may make it, what is noted with it, and what must hold when it is
//! written.

use alertcast_core::admin::Permission;
use alertcast_core::id::{AdminId, UserId};
use alertcast_core::store::{Collection, DocumentWrite, SUBSCRIPTIONS_REVISION, next_revision, read};
use alertcast_core::subscription::{PaymentStatus, Subscription, SubscriptionStatus, transaction_key};
use bson::{Bson, Document, doc};
use serde_json::Value;

use super::change::{at, differences, pointer, put, remove, same};
use super::error::{ApiResult, conflict};
use super::resources::ApiResource;
use super::{ApiRequest, reading};
use crate::app::App;
use crate::document_input;

/// A subscription that begins to run takes one of its user's five places: what the count rested on is checked by
/// raising a number with the user.
pub(super) async fn seat(
    app: &App,
    resource: &ApiResource,
    value: &Value,
    shown: Option<&Value>,
) -> ApiResult<Option<DocumentWrite>> {
    let now = app.clock.now();
    let user = |value: &Value| value.get("userId").and_then(Value::as_str).map(str::to_owned);
    let was = shown.filter(|shown| document_input::takes_place(shown, now)).and_then(user);
    if resource.collection != Collection::UserSubscriptions
        || !document_input::takes_place(value, now)
        || was == user(value)
    {
        return Ok(None);
    }
    let Some(id) = user(value).and_then(|id| id.parse::<UserId>().ok()) else { return Ok(None) };
    let Some(kept) = reading::load_kept(app, Collection::Users, id.0).await? else { return Ok(None) };
    let seen = at(&kept, SUBSCRIPTIONS_REVISION).cloned().unwrap_or(Bson::Null);
    Ok(Some(DocumentWrite::Update {
        collection: Collection::Users,
        id: id.0,
        set: doc! { SUBSCRIPTIONS_REVISION: next_revision(&seen) },
        unset: Vec::new(),
        expect: vec![(SUBSCRIPTIONS_REVISION.to_owned(), seen)],
    }))
}

/// A document before a change.
#[derive(Debug, Clone, Copy)]
pub(super) struct DocumentBefore<'a> {
    pub(super) kept: &'a Document,
    /// As it is shown.
    pub(super) read: &'a Document,
}

/// What follows from who changes it: whether they may, and what is noted with it.
pub(super) fn decide(
    asked: &ApiRequest,
    resource: &ApiResource,
    before: Option<DocumentBefore<'_>>,
    after: &mut Document,
) -> ApiResult<()> {
    match resource.collection {
        Collection::UserSubscriptions => decide_payment(asked, before, after),
        Collection::AdminUsers => decide_admin(asked, before.map(|before| before.kept), after),
        _ => Ok(()),
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

/// Deciding about a payment, and making or extending what it entitles to, takes a permission of its own, whichever field
/// it is done by. Who approved is noted.
fn decide_payment(asked: &ApiRequest, before: Option<DocumentBefore<'_>>, after: &mut Document) -> ApiResult<()> {
    let none = Document::new();
    let mut changed = Vec::new();
    differences(before.map_or(&none, |before| before.read), after, "", &mut changed);
    let undecided = |path: &str| before.is_none() && path == "payment.status" && is_pending(after);
    let is_part = |path: &&String| DECISION.contains(&path.as_str()) && !undecided(path);
    let typed = |document: &Document| read::<Subscription>(Collection::UserSubscriptions, document.clone());
    // One that cannot be read entitles to nothing.
    let (was, is) = (before.and_then(|before| typed(before.kept).ok()), typed(after)?);
    let more = is.entitles_to_more(was.as_ref());
    let was_paid =
        was.as_ref().is_some_and(|was| was.payment.status == PaymentStatus::Approved || was.entitlement().is_some());
    let decides = |path: &&String| match path.as_str() {
        path if path.starts_with("subscription.") => more,
        "payment.transactionId" => was_paid,
        _ => is_part(path),
    };
    let deciding: Vec<String> = changed.iter().filter(decides).cloned().collect();
    asked.caller.must_hold_for(&deciding, Permission::SubscriptionsApprove)?;
    if before.is_some() {
        // Making one takes that permission in any case.
        let other: Vec<String> = changed.iter().filter(|path| !is_part(path)).cloned().collect();
        asked.caller.must_hold_for(&other, Permission::SubscriptionsEdit)?;
    }
    if !changed.is_empty() {
        put(after, "alertcast.transactionKey", Some(transaction_key(&is.payment.transaction_id).into()));
    }
    let approved = |one: Option<&Subscription>| one.is_some_and(|one| one.payment.status == PaymentStatus::Approved);
    match (approved(was.as_ref()), approved(Some(&is))) {
        (false, true) => put(after, BY_ADMIN, Some(asked.caller.admin.id.into())),
        (_, false) => put(after, BY_ADMIN, None),
        (true, true) => {}
    }
    Ok(())
}

/// Who approved, beside the linked user in `payment.approvedBy`.
const BY_ADMIN: &str = "alertcast.approvedByAdmin";

fn is_pending(document: &Document) -> bool {
    at(document, "payment.status").and_then(Bson::as_str) == Some(PaymentStatus::Pending.as_str())
}

/// What follows of itself from another decision about a payment, where the patch does not say otherwise: what was noted
/// about the former one goes, and a subscription whose payment is rejected runs no longer.
pub(super) fn follow_decision(target: &mut Value, current: &Value) {
    let status = |value: &Value| value.pointer("/payment/status").and_then(Value::as_str).map(str::to_owned);
    let decided = status(target);
    if decided == status(current) {
        return;
    }
    let approved = decided.as_deref() == Some(PaymentStatus::Approved.as_str());
    let former: &[&str] = match approved {
        true => &["payment.approvedBy", "payment.approvedAt", "payment.rejectionReason"],
        false => &["payment.approvedBy", "payment.approvedAt"],
    };
    for path in former {
        let place = pointer(path);
        if same(target.pointer(&place), current.pointer(&place)) {
            remove(target, path);
        }
    }
    let active = Some(SubscriptionStatus::Active.as_str());
    let runs = |value: &Value| value.pointer("/subscription/status").and_then(Value::as_str) == active;
    if decided.as_deref() == Some(PaymentStatus::Rejected.as_str())
        && runs(current)
        && runs(target)
        && let Some(status) = target.pointer_mut("/subscription/status")
    {
        *status = SubscriptionStatus::Cancelled.as_str().into();
    }
}

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
