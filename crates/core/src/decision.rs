//! Why a subscriber got an alert or did not: kept for every alert and every user who holds a subscription to one of
//! the configuration's plans, some hundreds to a document, in the order of their ids.

mod packed;

use bson::Binary;
use bson::spec::BinarySubtype;
use serde::{Deserialize, Serialize, Serializer};

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

/// One subscriber's decision.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Decision {
    #[serde(rename = "u")]
    pub user: UserId,
    /// The subscription that was judged.
    #[serde(rename = "s", default)]
    pub subscription: Option<SubscriptionId>,
    #[serde(rename = "v")]
    pub verdict: Verdict,
    /// What was done to the user's trades.
    #[serde(rename = "a", default)]
    pub actions: Vec<DecidedAction>,
}

/// One change to one trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct DecidedAction {
    #[serde(rename = "k")]
    pub action: TradeAction,
    /// The trade opened or closed; for a replacement the new one.
    #[serde(rename = "t")]
    pub trade: TradeId,
}

/// The `decisions` document: one chunk of one alert's decisions. Alert and first user together are unique. The decisions
/// are kept packed; what earlier versions wrote, an object for each, is read as well.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StoredChunk")]
pub struct DecisionChunk {
    pub alert_id: AlertId,
    pub first_user: UserId,
    pub last_user: UserId,
    /// Sorted by user.
    pub decisions: Vec<Decision>,
}

/// A chunk as it is, or was, kept.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredChunk {
    alert_id: AlertId,
    first_user: UserId,
    last_user: UserId,
    #[serde(default)]
    packed: Option<Binary>,
    #[serde(default)]
    decisions: Option<Vec<Decision>>,
}

impl TryFrom<StoredChunk> for DecisionChunk {
    type Error = String;

    fn try_from(stored: StoredChunk) -> Result<Self, String> {
        let decisions = match (stored.packed, stored.decisions) {
            (_, Some(decisions)) => decisions,
            (Some(packed), None) => packed::unpack_decisions(&packed.bytes).map_err(|error| error.to_string())?,
            (None, None) => return Err("missing field `packed`".to_owned()),
        };
        let StoredChunk { alert_id, first_user, last_user, .. } = stored;
        Ok(Self { alert_id, first_user, last_user, decisions })
    }
}

impl Serialize for DecisionChunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct PackedChunk {
            alert_id: AlertId,
            first_user: UserId,
            last_user: UserId,
            packed: Binary,
        }
        let packed = Binary { subtype: BinarySubtype::Generic, bytes: packed::pack_decisions(&self.decisions) };
        let Self { alert_id, first_user, last_user, .. } = *self;
        PackedChunk { alert_id, first_user, last_user, packed }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;
    use crate::fixtures;
    use crate::reading::{self, pack};
    use crate::store::{Collection, document};

    fn chunk() -> DecisionChunk {
        let decision = |n| Decision {
            user: fixtures::user_id(n),
            subscription: (n > 1).then(|| fixtures::subscription_id(n)),
            verdict: Verdict::Sent,
            actions: vec![DecidedAction { action: TradeAction::Open, trade: fixtures::trade_id(1, n) }],
        };
        let (first_user, last_user) = (fixtures::user_id(1), fixtures::user_id(3));
        DecisionChunk {
            alert_id: fixtures::alert_id(1),
            first_user,
            last_user,
            decisions: (1..=3).map(decision).collect(),
        }
    }

    #[test]
    fn a_chunk_is_kept_packed_and_read_as_it_was() {
        let kept = document(&chunk()).unwrap();
        assert!(kept.get_binary_generic("packed").is_ok() && !kept.contains_key("decisions"), "{kept}");
        assert_eq!(reading::read_document(Collection::Decisions, &kept), Ok(chunk()));
    }

    #[test]
    fn what_an_earlier_version_kept_is_read() {
        let kept = |n: u32| {
            let mut kept = doc! { "u": fixtures::user_id(n) };
            if n > 1 {
                kept.insert("s", fixtures::subscription_id(n));
            }
            kept.extend(doc! { "v": "sent", "a": [{ "k": "OPEN_TRADE", "t": fixtures::trade_id(1, n) }] });
            kept
        };
        let chunk = chunk();
        let ids = doc! { "alertId": chunk.alert_id, "firstUser": chunk.first_user, "lastUser": chunk.last_user };
        let mut old = ids.clone();
        old.insert("decisions", (1..=3).map(kept).collect::<Vec<_>>());
        assert_eq!(reading::read_document(Collection::Decisions, &old), Ok(chunk));
        let none = reading::read_bytes::<DecisionChunk>(Collection::Decisions, &pack(&ids).unwrap());
        assert!(none.is_err_and(|unreadable| unreadable.cause.contains("packed")));
    }
}
