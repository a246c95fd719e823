//! What a provider signals: the `alert_configurations` document (seed 2.3).

use serde::{Deserialize, Serialize};

use crate::id::ConfigId;
use crate::market::{Signal, Symbol, Timeframe, words};
use crate::money::{Amount, Count};
use crate::time::Time;

words! {
    /// Whether a configuration takes alerts (seed 2.3 `status`).
    ConfigStatus { Active = "active", Inactive = "inactive", Testing = "testing" }
}

words! {
    /// A field that a configuration can ask of its alerts (seed 2.3 `requiredFields`).
    RequiredField {
        Symbol = "symbol", Timeframe = "timeframe", Strategy = "strategy", Signal = "signal", Price = "price",
        TakeProfit = "tp", StopLoss = "sl",
    }
}

/// An alert configuration. Symbol, timeframe and strategy together are unique.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertConfiguration {
    #[serde(rename = "_id")]
    pub id: ConfigId,
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub symbol: Symbol,
    pub timeframe: Timeframe,
    /// Trimmed.
    pub strategy: String,
    #[serde(default)]
    pub trade_management: TradeManagement,
    #[serde(default)]
    pub alert_types: AlertTypes,
    #[serde(default)]
    pub validation: AlertValidation,
    #[serde(default = "active")]
    pub status: ConfigStatus,
    #[serde(default)]
    pub statistics: ConfigStatistics,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
    #[serde(default, skip_serializing_if = "ConfigExtension::is_empty")]
    pub alertcast: ConfigExtension,
}

impl AlertConfiguration {
    /// The currency of its trades' P&L.
    pub fn currency(&self) -> &str {
        self.alertcast.currency.as_deref().unwrap_or("USD")
    }
}

const fn active() -> ConfigStatus {
    ConfigStatus::Active
}

/// How entries and exits turn into trades.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TradeManagement {
    /// 1 to 5; the system's own limit of three stands above it (seed 5.1).
    pub max_open_trades: Count,
    pub allow_opposite_signals: bool,
    pub replace_on_same_signal: bool,
    /// The seed spells it `autoCloseOnTPSL`.
    #[serde(rename = "autoCloseOnTPSL")]
    pub auto_close_on_tp_sl: bool,
}

impl Default for TradeManagement {
    fn default() -> Self {
        Self {
            max_open_trades: Count(3),
            allow_opposite_signals: true,
            replace_on_same_signal: true,
            auto_close_on_tp_sl: true,
        }
    }
}

/// Which signals a configuration takes. An empty list means all of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertTypes {
    pub entry: SignalSet,
    pub exit: SignalSet,
}

/// A switch, and the signals it lets through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SignalSet {
    pub enabled: bool,
    pub signals: Vec<Signal>,
}

impl Default for SignalSet {
    fn default() -> Self {
        Self { enabled: true, signals: Vec::new() }
    }
}

/// What an alert must bring beyond the schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertValidation {
    pub required_fields: Vec<RequiredField>,
    pub price_validation: PriceValidation,
}

/// The guard against a slipped digit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PriceValidation {
    pub enabled: bool,
    /// A fraction: 0.05 lets a price differ by 5 %. Also how near an exit's price must be to a trade's level.
    pub tolerance: Amount,
}

impl Default for PriceValidation {
    fn default() -> Self {
        Self { enabled: true, tolerance: Amount::from_f64(0.05).unwrap_or(Amount::ZERO) }
    }
}

/// Counters, kept by increments in the commits that cause them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigStatistics {
    pub total_alerts: Count,
    pub total_trades: Count,
    /// Percent: trades closed by take profit of those closed by take profit or stop loss.
    pub success_rate: Amount,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_alert_at: Option<Time>,
}

/// What Alertcast keeps with a configuration, under `alertcast`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigExtension {
    /// The currency of its trades' P&L; the seed's default, `USD`, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Trades closed by take profit: `successRate` is made of this and the next.
    pub closed_by_tp: Count,
    /// Trades closed by stop loss.
    pub closed_by_sl: Count,
}

impl ConfigExtension {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
