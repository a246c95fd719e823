//! What a subscriber bought: the `user_subscriptions` document (seed 2.4). What happens to it, and by which rules, is in
//! [`lifecycle`]; how long a term is, in [`calendar`].

pub mod calendar;
pub mod lifecycle;

use serde::{Deserialize, Serialize};

use crate::id::{AdminId, ConfigId, PlanId, SubscriptionId, UserId};
use crate::market::words;
use crate::money::{Amount, Count};
use crate::time::Time;

/// How many active subscriptions a user may have (seed 5.1).
pub const ACTIVE_SUBSCRIPTIONS_MAX: usize = 5;

/// So many earlier rejections of a payment are kept.
pub const REJECTIONS_MAX: usize = 20;

words! {
    /// How a payment was made (seed 2.4 `method`).
    PaymentMethod { Upi = "UPI", BankTransfer = "bank_transfer", Other = "other" }
}

words! {
    /// What became of a payment (seed 2.4 `payment.status`).
    PaymentStatus { Pending = "pending", Approved = "approved", Rejected = "rejected" }
}

words! {
    /// Where a subscription stands (seed 2.4 `subscription.status`).
    SubscriptionStatus { Pending = "pending", Active = "active", Expired = "expired", Cancelled = "cancelled" }
}

/// What transaction ids are compared by: without blanks around them, and without case.
pub fn transaction_key(transaction_id: &str) -> String {
    transaction_id.trim().to_lowercase()
}

/// A subscription of one user to one plan, with its payment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    #[serde(rename = "_id")]
    pub id: SubscriptionId,
    pub user_id: UserId,
    pub subscription_plan_id: PlanId,
    pub payment: Payment,
    #[serde(default)]
    pub subscription: SubscriptionTerm,
    #[serde(default)]
    pub usage: SubscriptionUsage,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
    #[serde(default, skip_serializing_if = "SubscriptionExtension::is_empty")]
    pub alertcast: SubscriptionExtension,
}

/// What was paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// The payer's bank's or UPI's reference; unique, used once.
    pub transaction_id: String,
    /// In `currency`.
    pub amount: Amount,
    #[serde(default = "inr")]
    pub currency: String,
    #[serde(default = "upi")]
    pub method: PaymentMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof_url: Option<String>,
    #[serde(default = "pending_status")]
    pub status: PaymentStatus,
    /// The approving admin's linked user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection_reason: Option<String>,
}

fn inr() -> String {
    "INR".to_owned()
}

const fn upi() -> PaymentMethod {
    PaymentMethod::Upi
}

const fn pending_status() -> PaymentStatus {
    PaymentStatus::Pending
}

/// From when to when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionTerm {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<Time>,
    /// The first moment that is not covered any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Time>,
    pub status: SubscriptionStatus,
    pub auto_renew: bool,
    pub renewal_notification_sent: bool,
}

impl Default for SubscriptionTerm {
    fn default() -> Self {
        Self {
            start_date: None,
            end_date: None,
            status: SubscriptionStatus::Pending,
            auto_renew: false,
            renewal_notification_sent: false,
        }
    }
}

/// Counters, kept by increments in the commits that cause them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionUsage {
    pub alerts_received: Count,
    pub trades_opened: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<Time>,
}

/// What Alertcast keeps with a subscription, under `alertcast`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscriptionExtension {
    /// The configurations that the subscriber picked, where the plan caps their number; none: the plan's first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picks: Option<Vec<ConfigId>>,
    /// The admin who approved, beside the linked user in `payment.approvedBy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by_admin: Option<AdminId>,
    /// What the payment's transaction id is compared by: see [`transaction_key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_key: Option<String>,
    /// When it was cancelled. It may run on until its end, which then makes it `cancelled` and not `expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<Time>,
    #[serde(skip_serializing_if = "PaymentExtension::is_empty")]
    pub payment: PaymentExtension,
    /// What was paid back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refund: Option<RefundRecord>,
}

/// What Alertcast keeps of the payment beside the seed's fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PaymentExtension {
    /// When the payment was rejected, where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_at: Option<Time>,
    /// The admin who rejected it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected_by_admin: Option<AdminId>,
    /// Earlier rejections of the same payment, oldest first; at most [`REJECTIONS_MAX`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<RejectedPayment>,
}

impl PaymentExtension {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A payment as it was rejected, before it was sent in again or decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedPayment {
    pub transaction_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AdminId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A refund: the payment stays approved, and what was paid back stands here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefundRecord {
    /// In `currency`; above zero, at most what was paid.
    pub amount: Amount,
    pub currency: String,
    pub at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<AdminId>,
    /// The bank's or UPI's reference of the refund.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl SubscriptionExtension {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// From when to when a subscription's own document entitles its holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntitlementPeriod {
    pub start: Time,
    /// The first moment that is not covered any more; none: it runs on.
    pub end: Option<Time>,
}

impl EntitlementPeriod {
    /// Whether every moment of the other is one of this.
    pub fn covers(&self, other: &Self) -> bool {
        let lasts = match (self.end, other.end) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(mine), Some(theirs)) => theirs <= mine,
        };
        self.start <= other.start && lasts
    }
}

impl Subscription {
    /// What it entitles to, whatever its plan: nothing where it is not active, has no start, or its payment is rejected.
    pub fn entitlement(&self) -> Option<EntitlementPeriod> {
        let counts =
            self.subscription.status == SubscriptionStatus::Active && self.payment.status != PaymentStatus::Rejected;
        let start = self.subscription.start_date.filter(|_| counts)?;
        Some(EntitlementPeriod { start, end: self.subscription.end_date })
    }

    /// What it takes of its user's places.
    pub fn place(&self) -> SubscriptionPlace {
        let SubscriptionTerm { start_date: start, end_date: end, status, .. } = self.subscription;
        SubscriptionPlace { plan: Some(self.subscription_plan_id), status, start, end }
    }

    /// Whether it entitles to more than it did as it was; none: it is new.
    pub fn entitles_to_more(&self, before: Option<&Self>) -> bool {
        let Some(after) = self.entitlement() else { return false };
        !before.and_then(Self::entitlement).is_some_and(|before| before.covers(&after))
    }
}

/// A subscription as far as the number of a user's subscriptions is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriptionPlace {
    pub plan: Option<PlanId>,
    pub status: SubscriptionStatus,
    pub start: Option<Time>,
    pub end: Option<Time>,
}

impl SubscriptionPlace {
    /// Whether it is active and has not ended.
    pub fn is_open(&self, now: Time) -> bool {
        self.status == SubscriptionStatus::Active && self.end.is_none_or(|end| now < end)
    }

    fn is_running(&self, now: Time) -> bool {
        self.is_open(now) && self.start.is_none_or(|start| start <= now)
    }
}

/// How many of a user's [`ACTIVE_SUBSCRIPTIONS_MAX`] places these take. What has ended takes none, and neither does what
/// is to follow a running one of the same plan.
pub fn places_taken(held: &[SubscriptionPlace], now: Time) -> usize {
    let follows = |place: &&SubscriptionPlace| {
        !place.is_running(now) && held.iter().any(|other| other.plan == place.plan && other.is_running(now))
    };
    held.iter().filter(|place| place.is_open(now)).filter(|place| !follows(place)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64) -> Time {
        Time::from_millis(day * 86_400_000)
    }

    #[test]
    fn more_is_what_was_not_covered_before() {
        let of = |start: i64, end: Option<i64>| EntitlementPeriod { start: at(start), end: end.map(at) };
        for (before, after, covered) in [
            (of(1, Some(9)), of(1, Some(9)), true),
            (of(1, Some(9)), of(2, Some(8)), true),
            (of(1, Some(9)), of(0, Some(9)), false),
            (of(1, Some(9)), of(1, Some(10)), false),
            (of(1, Some(9)), of(1, None), false),
            (of(1, None), of(1, Some(99)), true),
            (of(1, None), of(2, None), true),
        ] {
            assert_eq!(before.covers(&after), covered, "{before:?} {after:?}");
        }
    }

    #[test]
    fn what_has_ended_and_what_follows_a_running_one_take_no_place() {
        let plan = |n: u8| Some(PlanId(bson::oid::ObjectId::from_bytes([n; 12])));
        let active = |n: u8, start: i64, end: i64| SubscriptionPlace {
            plan: plan(n),
            status: SubscriptionStatus::Active,
            start: Some(at(start)),
            end: Some(at(end)),
        };
        let now = at(10);
        assert_eq!(places_taken(&[active(1, 1, 10), active(1, 1, 11), active(2, 1, 11)], now), 2);
        assert_eq!(places_taken(&[active(1, 1, 11), active(1, 11, 20)], now), 1, "a renewal");
        assert_eq!(places_taken(&[active(1, 1, 10), active(1, 11, 20), active(2, 12, 20)], now), 2);
        let mut without_dates = active(3, 0, 0);
        (without_dates.start, without_dates.end) = (None, None);
        assert_eq!(places_taken(&[without_dates], now), 1);
        without_dates.status = SubscriptionStatus::Cancelled;
        assert_eq!(places_taken(&[without_dates], now), 0);
    }
}
