//! What a subscriber bought: the `user_subscriptions` document (seed 2.4).

use serde::{Deserialize, Serialize};

use crate::id::{AdminId, ConfigId, PlanId, SubscriptionId, UserId};
use crate::market::words;
use crate::money::{Amount, Count};
use crate::time::Time;

/// How many active subscriptions a user may have (seed 5.1).
pub const ACTIVE_SUBSCRIPTIONS_MAX: usize = 5;

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
    pub subscription: Term,
    #[serde(default)]
    pub usage: Usage,
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
    #[serde(default = "pending")]
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

const fn pending() -> PaymentStatus {
    PaymentStatus::Pending
}

/// From when to when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Term {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_date: Option<Time>,
    /// The first moment that is not covered any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_date: Option<Time>,
    pub status: SubscriptionStatus,
    pub auto_renew: bool,
    pub renewal_notification_sent: bool,
}

impl Default for Term {
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
pub struct Usage {
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
}

impl SubscriptionExtension {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
