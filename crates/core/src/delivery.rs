//! One message on its way to one person: the `deliveries` document, its states, its priority, its deadline and its
//! retry schedule. Sending is at least once; of two copies at least one says that it may be a repeat.

mod arrival;
pub mod consequences;
mod key;
mod lane;
mod overtaking;
mod place;
mod result;

use std::time::Duration;

use bson::Binary;
use serde::{Deserialize, Serialize};

use crate::alert::intent::{Intent, PositionChange};
use crate::id::{AlertId, ConfigId, DeliveryId, SubscriptionId, TradeId, UserId};
use crate::market::{ExitReason, Side, Timeframe, words};
use crate::money::{Amount, Count, Price};
use crate::time::Time;
pub use arrival::reached_nobody;
pub use key::{DeliveryIdentity, DeliveryRecipient, delivery_key, digest12};
pub use lane::LaneName;
use overtaking::CHAIN_MAX;
pub use overtaking::{
    AlsoEnded, DeliveryNeighbours, NEVER_ENTERED, NOTHING_OPEN, NeededNeighbours, OVER, OvertakenDelivery,
    TakingDecision, TakingOrder, before, decide_taking, exit_was_untold, goes_as_it_is, list_needed, yield_message,
};
pub use place::{chat_of, moved_to, place, read_place, topic_of};
pub use result::{LATE, NOTHING_TO_EDIT, RESULT_DEADLINE, ResultTurn};

/// An exit, and whatever else has no deadline of its own, is tried for this long.
pub const EXIT_DEADLINE: Duration = Duration::from_secs(24 * 60 * 60);
/// An entry's deadline is one bar, and at least this.
pub const ENTRY_DEADLINE_MIN: Duration = Duration::from_secs(5 * 60);
/// A message later than this after its alert says how old the alert is.
pub const LATE_AFTER: Duration = Duration::from_secs(60);
/// How long ended deliveries are kept.
pub const KEPT_DAYS: u32 = 90;

const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(5 * 60);

words! {
    /// The way to a person.
    Channel { Telegram = "telegram", Email = "email" }
}

words! {
    /// What gave rise to a message.
    CauseKind { Alert = "alert", Refusal = "refusal", Subscription = "subscription", Manual = "manual" }
}

words! {
    /// What a message is about.
    MessageKind {
        Entry = "entry",
        Replacement = "replacement",
        Exit = "exit",
        /// To holders, about an alert that changes no trade.
        Notice = "notice",
        /// To the operators' chat.
        Operator = "operator",
        /// To the operators' chat: how often the same happened again.
        OperatorMore = "operator_more",
        /// No message of its own: the entry's is edited so that it tells the trade's result too. It goes last, ends as
        /// `sent` or `dropped`, and counts nowhere.
        Result = "result",
    }
}

words! {
    /// Where a delivery stands.
    DeliveryState {
        Pending = "pending",
        /// Recorded before it leaves. Found so after a crash, it is in doubt.
        Sending = "sending",
        Sent = "sent",
        /// Restored from a backup: waits until an operator releases it.
        Held = "held",
        /// Too late to be of use.
        Expired = "expired",
        /// Refused for good, or tried in vain until its deadline.
        Dead = "dead",
        /// Told in another delivery's message.
        Superseded = "superseded",
        /// Not sent on purpose: the entry never arrived, the recipient may not get it any more, or it was a result that
        /// came too late.
        Dropped = "dropped",
    }
}

impl DeliveryState {
    /// Whether nothing more happens to it.
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Pending | Self::Sending | Self::Held => false,
            Self::Sent | Self::Expired | Self::Dead | Self::Superseded | Self::Dropped => true,
        }
    }
}

impl MessageKind {
    /// What an event is to a delivery of this kind: a result that is not written is nothing for operators to look into.
    pub const fn meets(self, event: DeliveryEvent) -> DeliveryEvent {
        match (self, event) {
            (Self::Result, DeliveryEvent::Expire | DeliveryEvent::Die) => DeliveryEvent::Drop,
            (_, event) => event,
        }
    }
}

/// What can happen to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEvent {
    Take,
    Deliver,
    /// A failed attempt that is worth another.
    Retry,
    /// Its sender crashed or lost its lease.
    Recover,
    Expire,
    Die,
    Supersede,
    Drop,
    Hold,
    Release,
    /// An operator sends it again.
    Resend,
}

/// The event has no place in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {state} cannot {event:?}")]
pub struct IllegalEvent {
    pub state: DeliveryState,
    pub event: DeliveryEvent,
}

impl DeliveryState {
    /// The state after `event`.
    ///
    /// # Errors
    /// `IllegalEvent` for every pair that is not listed.
    pub const fn after(self, event: DeliveryEvent) -> Result<Self, IllegalEvent> {
        use DeliveryEvent as E;
        Ok(match (self, event) {
            (Self::Pending, E::Take) => Self::Sending,
            (Self::Sending, E::Deliver) => Self::Sent,
            (Self::Sending, E::Retry | E::Recover) | (Self::Held, E::Release) => Self::Pending,
            (Self::Pending | Self::Sending | Self::Held, E::Expire) => Self::Expired,
            (Self::Pending | Self::Sending, E::Die) => Self::Dead,
            (Self::Pending, E::Supersede) => Self::Superseded,
            (Self::Pending | Self::Sending | Self::Held, E::Drop) => Self::Dropped,
            (Self::Pending | Self::Sending, E::Hold) => Self::Held,
            (Self::Expired | Self::Dead, E::Resend) => Self::Pending,
            (state, event) => return Err(IllegalEvent { state, event }),
        })
    }
}

/// A message on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    #[serde(rename = "_id")]
    pub id: DeliveryId,
    /// Unique: see [`delivery_key`].
    pub key: Binary,
    pub cause: DeliveryCause,
    /// The alert it tells of, where it tells of one: that alert counts it, and settles when it has ended. A result is
    /// counted nowhere and waited for by nobody; its alert is its cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_id: Option<AlertId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_config_id: Option<ConfigId>,
    /// Absent for the operators' chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_id: Option<SubscriptionId>,
    /// The trade it tells of: the new one, for a replacement; the ended one, for a result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trade_id: Option<TradeId>,
    pub channel: Channel,
    pub kind: MessageKind,
    /// Whose work it is.
    pub lane: LaneName,
    /// Telegram chat or e-mail address, as it was when the delivery was made.
    pub to: String,
    pub state: DeliveryState,
    /// Lower goes first: see [`priority`].
    pub priority: i32,
    /// When its alert came in: among equals the older goes first.
    pub queued_at: Time,
    /// Mixes the recipients of one alert, another way for each alert.
    pub rotation: i32,
    /// Not before.
    pub due_at: Time,
    /// Not after.
    pub deadline_at: Time,
    /// For a replacement: until when the new entry may be followed. Later it tells only of the old trade's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_deadline_at: Option<Time>,
    /// The trades that a notice tells of, in the order of its numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<TradeId>,
    /// The entry, in the same channel, of the trade whose end it tells: an exit's, a replaced trade's. A result's entry,
    /// whose message is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_delivery: Option<DeliveryId>,
    /// The message that tells the same as this result, and goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<DeliveryId>,
    /// The delivery that took this one over, and tells its news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<DeliveryId>,
    /// The entry that this exit's message tells too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combines: Option<DeliveryId>,
    /// That entry's alert, which settles when this exit has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combines_alert: Option<AlertId>,
    /// The ends of other trades that it tells too, because it took over what was to tell them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_ended: Vec<AlsoEnded>,
    /// A replacement: nobody heard of the trade that it replaces, and nothing is told of its end.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old_unknown: bool,
    /// A replacement: the new trade has ended too, and only the old one's end is told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entry_over: bool,
    /// A replacement that told only of the old trade's end, because the new entry was too old.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub entry_lapsed: bool,
    /// How often sending it was begun.
    #[serde(default)]
    pub attempts: Count,
    /// An earlier attempt may have arrived.
    #[serde(default)]
    pub possible_repeat: bool,
    /// Epoch of the lease under which it is being sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// It stands in its group's general topic, because its own is not there any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub topic_gone: bool,
    /// Telegram's number for the message, once sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<i64>,
    /// The numbers of other copies of it that are known to stand in the chat.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    pub facts: MessageFacts,
    /// With how many decimals prices are shown that stand in its alert: those of an entry, or of a notice. None: as they
    /// are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<Count>,
    pub created_at: Time,
    pub updated_at: Time,
}

/// What gave rise to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryCause {
    pub kind: CauseKind,
    /// The alert's, subscription's or act's id; for a refusal the digest of its group and window.
    pub id: bson::oid::ObjectId,
}

/// What a message says beyond its alert and configuration, which are read when it is rendered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageFacts {
    /// A trade was opened.
    Entry { number: Count },
    /// A trade was opened in an older one's place.
    Replacement { number: Count, replaced: EndedTrade },
    /// A trade was closed.
    Exit { closed: EndedTrade },
    /// The provider made the position smaller, or moved its stop. Nothing changes in the books.
    PartialExit {
        numbers: Vec<Count>,
        #[serde(default)]
        change: PositionChange,
    },
    /// A target was reached, and the trades have further ones: nothing changes in the books.
    TargetReached {
        target: Count,
        trades: Vec<TargetTrade>,
        /// The configuration leaves closing to the subscriber, also at the last target.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_yourself: bool,
    },
    /// A level was reached, in a configuration that leaves closing to the subscriber.
    LevelReached { numbers: Vec<Count> },
    /// To the holder of a trade that cannot be read: what the alert asks for, which may be for that trade.
    UnreadTrade { intent: Intent },
    /// To the operators.
    Operator {
        title: String,
        lines: Vec<String>,
        /// Of an alert in testing: no trouble.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        test: bool,
    },
    /// To the operators: the same again, `count` times since.
    OperatorMore { title: String, count: Count },
    /// What became of the trade, for its entry's message.
    Result { closed: EndedTrade },
}

impl MessageFacts {
    /// Leaves out of a notice the trades, by their places, that are not to be kept.
    pub(crate) fn retain_trades(&mut self, keep: &[bool]) {
        let mut places = keep.iter().copied().chain(std::iter::repeat(true));
        let mut keep = || places.next().unwrap_or(true);
        match self {
            Self::PartialExit { numbers, .. } | Self::LevelReached { numbers } => numbers.retain(|_| keep()),
            Self::TargetReached { trades, .. } => trades.retain(|_| keep()),
            Self::Entry { .. }
            | Self::Replacement { .. }
            | Self::Exit { .. }
            | Self::UnreadTrade { .. }
            | Self::Operator { .. }
            | Self::OperatorMore { .. }
            | Self::Result { .. } => {}
        }
    }
}

/// A trade that reached one of its targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetTrade {
    pub number: Count,
    /// The target's price, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Price>,
    /// The next target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Price>,
}

words! {
    /// What of a trade's end is not what the alert said, and had to be worked out.
    ExitInference {
        /// The alert gave no reason: the sign of the P&L gives it.
        BySign = "sign",
        /// The alert said take profit, at a price that is a loss: it counts as a stop loss.
        AtALoss = "loss",
        /// The alert gave no price: the trade ended at its own level.
        AtLevel = "level",
    }
}

/// A trade that has ended, as a message tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedTrade {
    pub number: Count,
    pub side: Side,
    pub entry_price: Price,
    pub exit_price: Price,
    pub reason: ExitReason,
    #[serde(default)]
    pub inferred: bool,
    /// What was inferred; none beside `inferred` in what was stored before it was kept: the reason, by the P&L's sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference: Option<ExitInference>,
    pub opened_at: Time,
    pub pnl_amount: Amount,
    pub pnl_percentage: Amount,
    pub currency: String,
    /// With how many decimals its prices are shown; none: as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<Count>,
    /// Why it was closed by hand, where the operator said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Delivery {
    /// A delivery that is due at once and of use as long as an exit. Its lane and address are still to be filled in.
    #[must_use]
    pub fn new_pending(id: DeliveryId, parcel: DeliveryIdentity<'_>, facts: MessageFacts, now: Time) -> Self {
        let DeliveryIdentity { cause, recipient, channel, kind, trade } = parcel;
        let (user_id, to) = match recipient {
            DeliveryRecipient::User(user) => (Some(user), String::new()),
            DeliveryRecipient::Chat(chat) => (None, chat.to_owned()),
        };
        Self {
            id,
            key: delivery_key(cause, recipient, channel, kind, trade),
            cause,
            alert_id: None,
            alert_config_id: None,
            user_id,
            subscription_id: None,
            trade_id: trade,
            channel,
            kind,
            lane: LaneName::default(),
            to,
            state: DeliveryState::Pending,
            priority: priority(kind, false),
            queued_at: now,
            rotation: 0,
            due_at: now,
            deadline_at: now + EXIT_DEADLINE,
            entry_deadline_at: None,
            about: Vec::new(),
            entry_delivery: None,
            follows: None,
            superseded_by: None,
            combines: None,
            combines_alert: None,
            also_ended: Vec::new(),
            old_unknown: false,
            entry_over: false,
            entry_lapsed: false,
            attempts: Count(0),
            possible_repeat: false,
            epoch: None,
            last_error: None,
            topic_gone: false,
            message_id: None,
            copies: Vec::new(),
            ended_at: None,
            facts,
            decimals: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// How it ends where its deadline passes while it is pending: entries, and what was never tried, have expired; what
    /// was tried in vain is dead (a replacement too: it tells of an end). What a result makes of it: see
    /// [`MessageKind::meets`].
    pub const fn when_overdue(&self) -> DeliveryEvent {
        match self.kind {
            MessageKind::Entry | MessageKind::Result => DeliveryEvent::Expire,
            _ if self.attempts.0 > 0 => DeliveryEvent::Die,
            _ => DeliveryEvent::Expire,
        }
    }
}

/// Exits, then entries, then the rest, and results last of all; within each, plans with priority support first. Lower goes first.
pub const fn priority(kind: MessageKind, priority_support: bool) -> i32 {
    let class = match kind {
        MessageKind::Exit => 0,
        MessageKind::Entry | MessageKind::Replacement => 2,
        MessageKind::Notice | MessageKind::Operator | MessageKind::OperatorMore => 4,
        MessageKind::Result => 6,
    };
    class + if priority_support { 0 } else { 1 }
}

/// Mixes the recipients of an alert, another way for each alert, so that nobody is always last.
pub fn rotation(alert: AlertId, user: UserId) -> i32 {
    let mix = |seed: u64, bytes: [u8; 12]| {
        bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let hash = mix(mix(0xcbf2_9ce4_8422_2325, alert.bytes()), user.bytes());
    // The high half is the well-mixed one; folded to a positive i32 so that every engine sorts it alike.
    i32::try_from((hash >> 33) & 0x7fff_ffff).unwrap_or(0)
}

/// Until when a subscriber may follow an entry: one bar after the alert, and at least five minutes.
pub fn entry_deadline(received_at: Time, timeframe: Timeframe, setting: Option<Duration>) -> Time {
    received_at + setting.unwrap_or_else(|| timeframe.duration().max(ENTRY_DEADLINE_MIN))
}

/// How long to wait after the `attempt`-th failure (from 1): doubling from 1 s to 5 min, of which a random half.
/// `jitter` is drawn by the caller from 0..1.
pub fn retry_delay(attempt: i64, jitter: f64) -> Duration {
    let doublings = u32::try_from(attempt.saturating_sub(1).clamp(0, 20)).unwrap_or(20);
    let full = RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MAX);
    full.div_f64(2.0) + full.div_f64(2.0).mul_f64(jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_delivery_stays_ended_but_for_resending() {
        use DeliveryEvent as E;
        let events =
            [E::Take, E::Deliver, E::Retry, E::Recover, E::Expire, E::Die, E::Supersede, E::Drop, E::Hold, E::Release];
        for state in DeliveryState::ALL.iter().copied().filter(|s| s.is_ended()) {
            for event in events {
                assert!(state.after(event).is_err(), "{state} {event:?}");
            }
        }
        assert_eq!(DeliveryState::Dead.after(E::Resend), Ok(DeliveryState::Pending));
    }

    #[test]
    fn a_result_ends_as_sent_or_dropped() {
        use DeliveryEvent as E;
        for event in [E::Expire, E::Die, E::Drop] {
            assert_eq!(MessageKind::Result.meets(event), E::Drop);
            assert_eq!(MessageKind::Exit.meets(event), event);
        }
        assert_eq!(MessageKind::Result.meets(E::Deliver), E::Deliver);
    }

    #[test]
    fn retries_double_up_to_five_minutes() {
        assert_eq!(retry_delay(1, 1.0), Duration::from_secs(1));
        assert_eq!(retry_delay(1, 0.0), Duration::from_millis(500));
        assert_eq!(retry_delay(4, 1.0), Duration::from_secs(8));
        assert_eq!(retry_delay(1_000, 1.0), Duration::from_secs(300));
    }

    #[test]
    fn exits_go_before_entries_and_priority_support_before_others() {
        let order = [
            priority(MessageKind::Exit, true),
            priority(MessageKind::Exit, false),
            priority(MessageKind::Entry, true),
            priority(MessageKind::Replacement, false),
            priority(MessageKind::Operator, true),
            priority(MessageKind::Notice, false),
            priority(MessageKind::Result, true),
            priority(MessageKind::Result, false),
        ];
        assert!(order.is_sorted());
    }
}
