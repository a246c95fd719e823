//! Why a subscriber got an alert or did not: kept for every alert and every user who holds a subscription to one of
//! the configuration's plans, some hundreds to a document, in the order of their ids.

use serde::{Deserialize, Serialize};

use crate::alert::document::TradeAction;
use crate::id::{AlertId, SubscriptionId, TradeId, UserId};
use crate::market::words;

words! {
    /// What was decided about one subscriber and one alert.
    Verdict {
        /// A message goes out.
        Sent = "sent",
        /// Only trades whose entry never arrived were closed: nothing is told of them.
        Silent = "silent",
        UserInactive = "user_inactive",
        UserSuspended = "user_suspended",
        SubscriptionPending = "subscription_pending",
        /// The subscription is active, but its payment was rejected.
        PaymentRejected = "payment_rejected",
        SubscriptionNotStarted = "subscription_not_started",
        SubscriptionExpired = "subscription_expired",
        SubscriptionCancelled = "subscription_cancelled",
        PlanInactive = "plan_inactive",
        /// The plan caps the number of configurations, and this one is not among the subscriber's.
        NotPicked = "not_picked",
        Disabled = "disabled",
        EntryMuted = "entry_muted",
        ReplacementMuted = "replacement_muted",
        ExitMuted = "exit_muted",
        BelowMinPrice = "below_min_price",
        AboveMaxPrice = "above_max_price",
        RiskTooHigh = "risk_too_high",
        DailyLimit = "daily_limit",
        HourlyLimit = "hourly_limit",
        /// As many trades are open as may be, and replacing is switched off or none of the same side is open.
        LimitReached = "limit_reached",
        OppositeOpen = "opposite_open",
        /// No channel is switched on and usable.
        NoChannel = "no_channel",
        /// An exit that none of the user's open trades matches.
        NoMatchingTrade = "no_matching_trade",
        /// The user's document cannot be read in what entries depend on; likewise the others.
        UserUnreadable = "user_unreadable",
        SubscriptionUnreadable = "subscription_unreadable",
        PlanUnreadable = "plan_unreadable",
        PreferenceUnreadable = "preference_unreadable",
        ConfigurationUnreadable = "configuration_unreadable",
        /// One of the user's open trades cannot be read: no entry is opened beside it, and an exit changes nothing of it
        /// and is told as the alert has it.
        TradeUnreadable = "trade_unreadable",
    }
}

/// One subscriber's decision. Short field names: there are many of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    #[serde(rename = "u")]
    pub user: UserId,
    /// The subscription that was judged.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none", default)]
    pub subscription: Option<SubscriptionId>,
    #[serde(rename = "v")]
    pub verdict: Verdict,
    /// What was done to the user's trades.
    #[serde(rename = "a", skip_serializing_if = "Vec::is_empty", default)]
    pub actions: Vec<DecidedAction>,
}

/// One change to one trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecidedAction {
    #[serde(rename = "k")]
    pub action: TradeAction,
    /// The trade opened or closed; for a replacement the new one.
    #[serde(rename = "t")]
    pub trade: TradeId,
}

/// The `decisions` document: one chunk of one alert's decisions. Alert and first user together are unique.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecisionChunk {
    pub alert_id: AlertId,
    pub first_user: UserId,
    pub last_user: UserId,
    /// Sorted by user.
    pub decisions: Vec<Decision>,
}
