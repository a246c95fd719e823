//! What a subscriber wants of one configuration: the `user_alert_preferences` document (seed 2.5).

use serde::{Deserialize, Serialize};

use crate::id::{ConfigId, PreferenceId, SubscriptionId, UserId};
use crate::money::{Count, Price};
use crate::time::Time;
use crate::user::RiskLevel;

/// A user's preferences for one configuration. User and configuration together are unique; where a user has none for a
/// configuration, the defaults hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertPreference {
    #[serde(rename = "_id")]
    pub id: PreferenceId,
    pub user_id: UserId,
    pub subscription_id: SubscriptionId,
    pub alert_config_id: ConfigId,
    #[serde(default)]
    pub preferences: AlertChoices,
    #[serde(default)]
    pub statistics: PreferenceStatistics,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
}

/// The choices themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertChoices {
    pub enabled: bool,
    pub alert_types: WantedTypes,
    pub notifications: WantedChannels,
    pub custom_settings: CustomSettings,
}

impl Default for AlertChoices {
    fn default() -> Self {
        Self {
            enabled: true,
            alert_types: WantedTypes::default(),
            notifications: WantedChannels::default(),
            custom_settings: CustomSettings::default(),
        }
    }
}

/// Which alerts are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WantedTypes {
    pub entry: bool,
    pub exit: bool,
    pub replacement: bool,
}

impl Default for WantedTypes {
    fn default() -> Self {
        Self { entry: true, exit: true, replacement: true }
    }
}

/// By which channels; the user's general switches stand above these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WantedChannels {
    pub telegram: bool,
    pub email: bool,
}

impl Default for WantedChannels {
    fn default() -> Self {
        Self { telegram: true, email: false }
    }
}

/// Bounds on entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_price: Option<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Price>,
    /// Stands over the user's general risk level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_level: Option<RiskLevel>,
}

/// Counters, kept by increments in the commits that cause them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PreferenceStatistics {
    pub alerts_received: Count,
    pub trades_opened: Count,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_alert_at: Option<Time>,
}
