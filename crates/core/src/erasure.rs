//! Erasing a person: what becomes of each document that tells who somebody is. The numbers stay. Whoever adds a
//! collection with personal data adds it here.

use bson::{Bson, Document, doc};

use crate::id::UserId;
use crate::subscription::{Subscription, SubscriptionStatus};
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
pub struct Change {
    pub set: Document,
    pub unset: Vec<&'static str>,
}

/// What becomes of the user's document.
pub fn of_user(user: UserId, now: Time) -> Change {
    Change {
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

/// What becomes of a subscription; none where nothing does.
pub fn of_subscription(subscription: &Subscription, now: Time) -> Option<Change> {
    let is_cancelled = ends_with_its_person(subscription.subscription.status);
    if !is_cancelled && !subscription.subscription.auto_renew && subscription.payment.proof_url.is_none() {
        return None;
    }
    let mut set = doc! { "subscription.autoRenew": false, "updatedAt": now };
    if is_cancelled {
        set.insert("subscription.status", SubscriptionStatus::Cancelled);
    }
    Some(Change { set, unset: vec!["payment.proofUrl"] })
}

/// Whether a subscription in this state is cancelled.
pub const fn ends_with_its_person(status: SubscriptionStatus) -> bool {
    matches!(status, SubscriptionStatus::Active | SubscriptionStatus::Pending)
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
    PERSONAL
        .iter()
        .any(|personal| path.strip_prefix(personal).is_some_and(|within| within.is_empty() || within.starts_with('.')))
}

/// What becomes of an answer that is kept for the repetition of a request about the user (`idempotency_keys`): that the
/// request was done, without what it told. None where it tells nothing.
pub fn of_answer(record: &Document) -> Option<Change> {
    let tells = record.contains_key("body") || record.contains_key("headers");
    tells.then(|| Change { set: doc! { "erased": true }, unset: vec!["body", "headers", "status"] })
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
