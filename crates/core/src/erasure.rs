//! Erasing a person: what becomes of each document that tells who somebody is. The numbers stay. Whoever adds a
//! collection with personal data adds it here.

use bson::{Bson, Document, doc};

use crate::delivery::DeliveryState;
use crate::id::UserId;
use crate::reading::is_within;
use crate::subscription::SubscriptionStatus;
use crate::time::Time;
use crate::user::UserStatus;

/// What stands where a recipient stood.
pub const ERASED: &str = "erased";
/// Why a message that waited is not sent.
pub const DROPPED_FOR: &str = "the subscriber has been erased";

/// Where documents tell who somebody is: fields of the user, then of the subscription. With a field goes what is in it.
const PERSONAL: &[&str] = &[
    "email",
    "telegram",
    "profile.name",
    "profile.phone",
    "alertcast.blockedChatId",
    "alertcast.bouncedEmail",
    "payment.proofUrl",
];

/// A change by field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    pub set: Document,
    pub unset: Vec<&'static str>,
}

/// What becomes of the user's document.
pub fn of_user(user: UserId, now: Time) -> FieldChange {
    FieldChange {
        set: doc! {
            "email": format!("erased-{user}@erased.invalid"),
            "telegram.userId": format!("erased:{user}"),
            "profile.name": "Erased",
            "status": UserStatus::Inactive,
            "alertcast.erasedAt": now,
            "updatedAt": now,
        },
        unset: vec![
            "telegram.username",
            "telegram.firstName",
            "telegram.lastName",
            "telegram.chatId",
            "profile.phone",
            "alertcast.botId",
            "alertcast.topicId",
            "alertcast.chatBlockedAt",
            "alertcast.blockedChatId",
            "alertcast.emailBouncedAt",
            "alertcast.bouncedEmail",
        ],
    }
}

/// What becomes of a subscription; none where nothing does. By its fields: a person is erased whatever else stands in it.
pub fn of_subscription(kept: &Document, now: Time) -> Option<FieldChange> {
    let is_cancelled = ends_with_its_person(kept);
    let is_set = |group: &str, field: &str| {
        let value = kept.get_document(group).ok().and_then(|group| group.get(field));
        value.is_some_and(|value| !matches!(value, Bson::Null | Bson::Boolean(false)))
    };
    if !is_cancelled && !is_set("subscription", "autoRenew") && !is_set("payment", "proofUrl") {
        return None;
    }
    let mut set = doc! { "subscription.autoRenew": false, "updatedAt": now };
    if is_cancelled {
        set.insert("subscription.status", SubscriptionStatus::Cancelled);
    }
    Some(FieldChange { set, unset: vec!["payment.proofUrl"] })
}

/// Whether a subscription is cancelled: one that runs or waits, as one without a status does.
pub fn ends_with_its_person(subscription: &Document) -> bool {
    match subscription.get_document("subscription").map(|term| term.get("status")) {
        Ok(Some(Bson::String(status))) => {
            matches!(
                SubscriptionStatus::from_exact(status),
                Some(SubscriptionStatus::Active | SubscriptionStatus::Pending)
            )
        }
        Ok(Some(Bson::Null) | None) | Err(_) => true,
        Ok(Some(_)) => false,
    }
}

/// What becomes of a delivery that cannot be read as one, and whether it is dropped: what waits is. Nothing is taken back
/// for it, for it may have arrived.
pub fn of_unread_delivery(kept: &Document, now: Time) -> (FieldChange, bool) {
    let mut set = doc! { "to": ERASED, "updatedAt": now };
    let mut unset = Vec::new();
    if let (Ok(error), Ok(recipient)) = (kept.get_str("lastError"), kept.get_str("to"))
        && let Some(error) = of_error(error, recipient)
    {
        set.insert("lastError", error);
    }
    let state = kept.get_str("state").ok().and_then(DeliveryState::from_exact);
    let is_dropped = matches!(state, Some(DeliveryState::Pending | DeliveryState::Held));
    if is_dropped {
        set.extend(doc! { "state": DeliveryState::Dropped, "lastError": DROPPED_FOR, "endedAt": now });
        unset.push("epoch");
    }
    (FieldChange { set, unset }, is_dropped)
}

/// What becomes of the record of an act about the user or a subscription: `before` or `after` without the person. None
/// where nothing in it tells of one. Fields may stand in each other or be named by dotted paths.
pub fn of_record(record: &Document) -> Option<Document> {
    let cleaned = without_person(record, "");
    (cleaned != *record).then_some(cleaned)
}

fn without_person(document: &Document, within: &str) -> Document {
    let mut kept = Document::new();
    for (name, value) in document {
        let path = if within.is_empty() { name.clone() } else { format!("{within}.{name}") };
        if is_personal(&path) {
            continue;
        }
        let value = match value {
            Bson::Document(inner) => Bson::Document(without_person(inner, &path)),
            other => other.clone(),
        };
        kept.insert(name, value);
    }
    kept
}

fn is_personal(path: &str) -> bool {
    PERSONAL.iter().any(|personal| is_within(path, personal))
}

/// What becomes of an answer that is kept for the repetition of a request about the user (`idempotency_keys`): that the
/// request was done, without what it told. None where it tells nothing.
pub fn of_answer(record: &Document) -> Option<FieldChange> {
    let tells = record.contains_key("body") || record.contains_key("headers");
    tells.then(|| FieldChange { set: doc! { "erased": true }, unset: vec!["body", "headers", "status"] })
}

/// The text of an error without the recipient, whom a server may name in it.
pub fn of_error(error: &str, recipient: &str) -> Option<String> {
    let names = !recipient.is_empty() && error.contains(recipient);
    names.then(|| error.replace(recipient, ERASED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_loses_the_person_however_the_fields_are_named() {
        let nested = doc! {
            "email": "a@b.c", "telegram": { "userId": "1" }, "profile": { "name": "Asha", "timezone": "UTC" },
            "status": "active",
        };
        let kept = doc! { "profile": { "timezone": "UTC" }, "status": "active" };
        assert_eq!(of_record(&nested), Some(kept.clone()));
        assert_eq!(of_record(&kept), None);
        let dotted = doc! { "profile.name": "Asha", "telegram.chatId": "1", "payment.proofUrl": "p", "emails": 1 };
        assert_eq!(of_record(&dotted), Some(doc! { "emails": 1 }));
    }

    #[test]
    fn an_error_names_no_recipient() {
        assert_eq!(of_error("550 a@b.c is unknown", "a@b.c").as_deref(), Some("550 erased is unknown"));
        assert_eq!(of_error("400 chat not found", "77"), None);
        assert_eq!(of_error("anything", ""), None);
    }
}
