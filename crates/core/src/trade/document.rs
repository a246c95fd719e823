//! A subscriber's trade: the `trades` document (seed 2.6).

use serde::{Deserialize, Serialize};

use crate::delivery::Channel;
use crate::id::{AlertId, ConfigId, DeliveryId, PreferenceId, SubscriptionId, TradeId, UserId};
use crate::market::{ExitReason, Side, words};
use crate::money::{Amount, Count, Price};
use crate::store::{self, FieldEdits, document};
use crate::time::Time;

/// Open trades for each user and configuration, whatever plan and configuration say (seed 5.1).
pub const OPEN_TRADES_MAX: i64 = 3;

words! {
    /// Where a trade stands (seed 2.6 `status`).
    TradeStatus { Open = "open", Closed = "closed", Replaced = "replaced" }
}

/// A trade of one user in one configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trade {
    #[serde(rename = "_id")]
    pub id: TradeId,
    /// Counts from 1 for each user and configuration.
    pub trade_number: Count,
    pub user_id: UserId,
    pub alert_config_id: ConfigId,
    /// The subscription under which it was opened.
    pub subscription_id: SubscriptionId,
    pub trade_data: TradeData,
    #[serde(default = "open")]
    pub status: TradeStatus,
    #[serde(default)]
    pub pnl: Pnl,
    #[serde(default)]
    pub timestamps: TradeTimes,
    #[serde(default)]
    pub alerts: TradeAlerts,
    #[serde(default)]
    pub metadata: TradeMetadata,
    #[serde(default)]
    pub created_at: Time,
    #[serde(default)]
    pub updated_at: Time,
    #[serde(default)]
    pub alertcast: TradeExtension,
}

impl Trade {
    /// The announcement of its entry in a channel.
    pub fn announced_by(&self, channel: Channel) -> Option<DeliveryId> {
        let mut entries = self.alertcast.entry_deliveries.iter().rev();
        entries.find(|entry| entry.channel == channel).map(|entry| entry.id)
    }
}

impl Trade {
    pub fn is_open(&self) -> bool {
        self.status == TradeStatus::Open
    }

    /// The delivery that tells of its end by a channel.
    pub fn end_told_by(&self, channel: Channel) -> Option<DeliveryId> {
        self.alertcast.end_deliveries.iter().find(|end| end.channel == channel).map(|end| end.id)
    }
}

const fn open() -> TradeStatus {
    TradeStatus::Open
}

/// What was signalled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TradeData {
    pub symbol: String,
    pub timeframe: String,
    pub strategy: String,
    pub signal: Side,
    pub entry_price: Price,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub take_profit_price: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_loss_price: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_price: Option<Price>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_reason: Option<ExitReason>,
}

/// Profit or loss, once the trade has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pnl {
    /// In `currency`: for one unit, or for the trade's quantity where the entry gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount: Option<Amount>,
    /// Percent of the entry price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<Amount>,
    pub currency: String,
}

impl Default for Pnl {
    fn default() -> Self {
        Self { amount: None, percentage: None, currency: "USD".to_owned() }
    }
}

/// When it opened and ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TradeTimes {
    pub opened_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_at: Option<Time>,
}

/// The alerts that opened and ended it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TradeAlerts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_alert_id: Option<AlertId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_alert_id: Option<AlertId>,
}

/// What else is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TradeMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaced_by: Option<TradeId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// What Alertcast keeps with a trade, under `alertcast`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TradeExtension {
    /// Raised by each of our changes: what a decision rested on is checked by it in the commit.
    pub rev: Count,
    /// Units, where the entry gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Amount>,
    /// The entry's own name for the trade (`trade_id`), by which an exit can find it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade_ref: Option<String>,
    /// The entry's take profits behind the first, in their order. A trade that was opened before they were kept has none
    /// here: its entry's alert has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Price>,
    /// With how many decimals its prices are shown. None of a trade that was opened before that was kept: as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decimals: Option<Count>,
    /// The preferences whose counters the entry raised: where it turns out never to have arrived, these are lowered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preference_id: Option<PreferenceId>,
    /// The exit's reason or price is not what the alert said: it gave none, or they could not both be true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exit_inferred: bool,
    /// The entry reached the subscriber by no channel: the trade counts toward neither the limit nor the subscriber's
    /// statistics, and its exit sends nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
    /// The deliveries that announced the entry, one for each channel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entry_deliveries: Vec<EntryDelivery>,
    /// The deliveries that tell of its end, one for each channel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub end_deliveries: Vec<EntryDelivery>,
}

/// One announcement of an entry, or of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryDelivery {
    pub channel: Channel,
    pub id: DeliveryId,
}

/// The end of one open trade, as a commit applies it: by field, so that what others wrote into the document stays.
#[derive(Debug, Clone, PartialEq)]
pub struct TradeEnd {
    pub trade: TradeId,
    /// `Closed` or `Replaced`.
    pub status: TradeStatus,
    pub reason: ExitReason,
    pub exit_price: Price,
    pub inferred: bool,
    pub pnl_amount: Amount,
    pub pnl_percentage: Amount,
    pub at: Time,
    pub exit_alert: Option<AlertId>,
    pub replaced_by: Option<TradeId>,
    pub replacement_reason: Option<String>,
    /// The deliveries that tell of it.
    pub told_by: Vec<EntryDelivery>,
}

impl TradeEnd {
    /// What becomes of the trade's document. Its `rev` is raised besides.
    ///
    /// # Errors
    /// `Corrupt` where something has no form as a document, which is a defect.
    pub fn edit_trade(&self, now: Time) -> store::StoreResult<FieldEdits> {
        let mut edits = FieldEdits::default();
        edits.set("status", self.status);
        edits.set("tradeData.exitPrice", self.exit_price);
        edits.set("tradeData.exitReason", self.reason);
        edits.set("pnl.amount", self.pnl_amount);
        edits.set("pnl.percentage", self.pnl_percentage);
        edits.set("timestamps.closedAt", self.at);
        edits.set_some("timestamps.replacedAt", (self.status == TradeStatus::Replaced).then_some(self.at));
        edits.set_some("alerts.exitAlertId", self.exit_alert);
        edits.set_some("metadata.replacedBy", self.replaced_by);
        edits.set_some("metadata.replacementReason", self.replacement_reason.as_deref());
        edits.set_some("alertcast.exitInferred", self.inferred.then_some(true));
        if !self.told_by.is_empty() {
            let told_by = self.told_by.iter().map(document).collect::<store::StoreResult<Vec<_>>>()?;
            edits.set("alertcast.endDeliveries", told_by);
        }
        edits.set("updatedAt", now);
        Ok(edits)
    }
}
