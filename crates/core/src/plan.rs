//! What a provider sells: the `subscription_plans` document (seed 2.2).

use serde::{Deserialize, Serialize};

use crate::id::{ConfigId, PlanId};
use crate::market::words;
use crate::money::{Amount, Count};
use crate::time::Time;

words! {
    /// Whether a plan is sold and served (seed 2.2 `status`).
    PlanStatus { Active = "active", Inactive = "inactive", Archived = "archived" }
}

/// A subscription plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    #[serde(rename = "_id")]
    pub id: PlanId,
    /// Trimmed; unique.
    pub name: String,
    pub description: String,
    pub pricing: Pricing,
    #[serde(default)]
    pub features: Features,
    /// The configurations whose alerts the plan brings, in the provider's order.
    #[serde(default)]
    pub alert_configurations: Vec<ConfigId>,
    #[serde(default = "active")]
    pub status: PlanStatus,
    #[serde(default)]
    pub metadata: PlanMetadata,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
}

const fn active() -> PlanStatus {
    PlanStatus::Active
}

/// What the plan costs, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pricing {
    /// In `currency`; not below zero.
    pub amount: Amount,
    #[serde(default = "inr")]
    pub currency: String,
    pub duration: PlanDuration,
}

fn inr() -> String {
    "INR".to_owned()
}

/// A plan's term: calendar months, then days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDuration {
    /// At least one.
    pub months: Count,
    #[serde(default)]
    pub days: Count,
}

/// What the plan grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Features {
    /// How many configurations a subscription follows; -1 means all of the plan's.
    pub max_alert_configs: Count,
    /// Open trades for each user and configuration.
    pub max_open_trades: Count,
    /// Messages go out before those of other plans.
    pub priority_support: bool,
    pub advanced_analytics: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            max_alert_configs: Count(-1),
            max_open_trades: Count(3),
            priority_support: false,
            advanced_analytics: false,
        }
    }
}

/// How the plan is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanMetadata {
    pub display_order: Count,
    pub is_popular: bool,
    pub tags: Vec<String>,
}
