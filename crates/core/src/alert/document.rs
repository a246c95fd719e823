//! An alert: the `alerts` document (seed 2.7), and what Alertcast keeps with it.

use std::fmt;

use bson::Document;
use serde::{Deserialize, Serialize};

use crate::id::{AlertId, ConfigId, SubscriptionId, TradeId, UserId};
use crate::market::{Signal, words};
use crate::money::{Amount, Count, Price};
use crate::time::Time;
use crate::verbatim;

/// Up to this many recipients stand in `processing.matchedUsers` and `processing.tradeActions`; of an alert with more,
/// both lists stay empty and `alertcast.recipientsIn` is `"deliveries"`.
pub const RECIPIENTS_INLINE_MAX: usize = 10_000;

words! {
    /// Where an alert comes from (seed 2.7 `source`).
    Source { TradingView = "tradingview" }
}

words! {
    /// Where an alert stands (seed 2.7 `processing.status`). `processed` means that its trades and deliveries are
    /// committed.
    AlertStatus { Received = "received", Processing = "processing", Processed = "processed", Failed = "failed" }
}

words! {
    /// What an alert did to a trade (seed 2.7 `action`).
    TradeAction { Open = "OPEN_TRADE", Close = "CLOSE_TRADE", Replace = "REPLACE_TRADE" }
}

/// An alert as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    #[serde(rename = "_id")]
    pub id: AlertId,
    #[serde(default = "tradingview")]
    pub source: Source,
    pub webhook: WebhookReceipt,
    pub alert_data: AlertData,
    #[serde(default)]
    pub processing: AlertProcessing,
    #[serde(default)]
    pub statistics: AlertStatistics,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
    #[serde(default)]
    pub alertcast: AlertExtension,
}

const fn tradingview() -> Source {
    Source::TradingView
}

/// How it came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookReceipt {
    /// Entitlement is judged as of this moment.
    pub received_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed_at: Option<Time>,
    /// The body as it was read, without secrets.
    #[serde(with = "verbatim")]
    pub raw_payload: Document,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertData {
    pub symbol: String,
    pub timeframe: String,
    pub strategy: String,
    pub signal: Signal,
    pub price: Price,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_profit_price: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_loss_price: Option<Price>,
    pub timestamp: Time,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "verbatim::option")]
    pub additional_data: Option<Document>,
}

/// As people name it: `BUY BTCUSDT 1h EMA Cross`.
impl fmt::Display for AlertData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.signal, self.symbol, self.timeframe, self.strategy)
    }
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertProcessing {
    pub status: AlertStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_config_id: Option<ConfigId>,
    /// Written once, when the alert's deliveries have ended.
    pub matched_users: Vec<MatchedUser>,
    /// Written once, with `matchedUsers`.
    pub trade_actions: Vec<TradeActionTaken>,
    pub errors: Vec<AlertError>,
}

impl Default for AlertProcessing {
    fn default() -> Self {
        Self {
            status: AlertStatus::Received,
            alert_config_id: None,
            matched_users: Vec::new(),
            trade_actions: Vec::new(),
            errors: Vec::new(),
        }
    }
}

/// A subscriber whom the alert was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchedUser {
    pub user_id: UserId,
    pub subscription_id: SubscriptionId,
    /// Whether any channel delivered it.
    #[serde(default)]
    pub delivered: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the alert did to one trade.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeActionTaken {
    pub action: TradeAction,
    pub trade_id: TradeId,
    pub user_id: UserId,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertError {
    pub message: String,
    #[serde(default)]
    pub timestamp: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stack: Option<String>,
}

impl AlertError {
    /// What went wrong at this moment.
    pub const fn new(message: String, timestamp: Time) -> Self {
        Self { message, timestamp, stack: None }
    }
}

/// Counters, exact always.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertStatistics {
    /// Milliseconds from receipt to the commit of its last chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processing_time: Option<Count>,
    /// Deliveries that were sent.
    pub delivery_count: Count,
    /// Deliveries that ended unsent: expired or dead.
    pub failure_count: Count,
}

/// What Alertcast keeps with an alert, under `alertcast`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AlertExtension {
    /// Its place in the order of acceptance. Given by the store.
    pub seq: Count,
    /// Every alert whose acceptance was answered before this one was received has a `seq` up to this.
    pub after: Count,
    /// When it was written to the spool of the process that took it in, because the store was away: before its
    /// acceptance was answered. Its `seq` is of later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spooled_at: Option<Time>,
    /// When it was offered to a store that other processes use too, where it was not spooled: before its acceptance was
    /// answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offered_at: Option<Time>,
    /// Which share of the work it belongs to: a hash of its configuration's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// What it asks for, where that is more than its signal (a position closed or turned round).
    #[serde(skip_serializing_if = "Option::is_none", with = "verbatim::option")]
    pub intent: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Amount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_ref: Option<String>,
    /// The name stood as `trade_id`, not as an order's id: see [`crate::trade::request::TradeRef`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub trade_ref_explicit: bool,
    /// `low`, `medium` or `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<crate::user::RiskLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The feed that it came of, where TradingView marks its data as delayed: `NSE_DLY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delayed_feed: Option<String>,
    /// Its configuration was `testing`: no trade, no counter, and only the operators hear of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub testing: bool,
    /// The last user whose chunk is committed. After a crash, work goes on behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<UserId>,
    /// How often processing it failed.
    pub attempts: Count,
    /// Codes of the rules that it broke, where it was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused_for: Vec<String>,
    /// When an operator accepted it after the fact: its entry may be followed for as long as one that came in then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_at: Option<Time>,
    /// How often one of its deliveries was sent again: settling notices by it what happened meanwhile.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub resends: Count,
    /// When its deliveries had all ended and `matchedUsers` was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Time>,
    /// `"deliveries"` where the recipients are too many to stand in the alert.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_in: Option<String>,
}

fn is_none_yet(count: &Count) -> bool {
    count.0 == 0
}

/// A price that a configuration's alert brought: what the next one's price is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricePoint {
    pub price: Price,
    pub at: Time,
    /// Whether the alert was accepted. A refused price counts only as the first of two that agree.
    pub accepted: bool,
}
