//! The outbox: from a delivery to a sent message.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{LeaseFence, OperatorNotice, StoreResult};
use crate::delivery::{Delivery, LaneName};
use crate::id::{AlertId, DeliveryId};
use crate::time::Time;
use crate::user::RefusingRecipient;

/// A delivery that is now `sending`.
#[derive(Debug, Clone, PartialEq)]
pub struct TakenEntry {
    /// As it is now; for an exit that tells its entry too, `combines` is set.
    pub delivery: Arc<Delivery>,
    /// An exit's entry: to reply to where it is `sent`, to tell in the same message where it is `superseded`. A replaced
    /// trade's entry. A result's entry: the message to edit.
    pub entry: Option<Arc<Delivery>>,
}

/// What taking brought.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TakeResult {
    pub taken: Vec<TakenEntry>,
    /// Alerts one of whose deliveries ended: to be settled.
    pub settle: Vec<AlertId>,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// `entry_lapsed`: a replacement that told only of the old trade's end, because the new entry was too old.
    /// `topic_gone`: it went to its group's general topic, because its own is not there any more.
    Sent {
        message_id: Option<i64>,
        entry_lapsed: bool,
        topic_gone: bool,
    },
    /// To be tried again at `due_at`; `in_doubt`: this attempt may have arrived.
    Retry {
        due_at: Time,
        error: String,
        in_doubt: bool,
    },
    /// Its time is over. `in_doubt`: this attempt may have arrived.
    Expired {
        in_doubt: bool,
    },
    Dead {
        error: String,
        cause: DeathCause,
    },
    /// Not to be sent: the recipient may not get it any more.
    Dropped {
        reason: String,
    },
}

/// Why a message is given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeathCause {
    /// It will never be accepted.
    Refused,
    /// This chat refuses us (403): noted with the user, while it is the user's.
    ChatBlocked { chat: String },
    /// The address has no mailbox: noted with the user, while it is the user's.
    NoMailbox { address: String },
    /// It was tried in vain until its deadline. `in_doubt`: the last attempt may have arrived.
    InVain { in_doubt: bool },
}

impl AttemptOutcome {
    /// Whether the attempt may have arrived though it ended otherwise.
    pub const fn is_in_doubt(&self) -> bool {
        match self {
            Self::Retry { in_doubt, .. } | Self::Expired { in_doubt } => *in_doubt,
            Self::Dead { cause: DeathCause::InVain { in_doubt }, .. } => *in_doubt,
            Self::Sent { .. } | Self::Dead { .. } | Self::Dropped { .. } => false,
        }
    }

    /// Who will not have our messages any more.
    pub fn refuser(&self) -> Option<RefusingRecipient> {
        match self {
            Self::Dead { cause: DeathCause::ChatBlocked { chat }, .. } => Some(RefusingRecipient::Chat(chat.clone())),
            Self::Dead { cause: DeathCause::NoMailbox { address }, .. } => {
                Some(RefusingRecipient::Mailbox(address.clone()))
            }
            _ => None,
        }
    }
}

/// One attempt's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub delivery: DeliveryId,
    pub outcome: AttemptOutcome,
}

/// What settling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettlingOutcome {
    Now,
    /// Or it was never accepted by Alertcast: it has no place in the order, and what stands in it is somebody else's.
    Before,
    /// It is not processed yet, or one of its deliveries is still open.
    NotYet,
}

/// What the courier needs.
///
/// Consequences of a delivery's end, kept in the same commit wherever it ends:
/// - `alerts.statistics`: sent -> `deliveryCount`, expired or dead -> `failureCount`.
/// - An entry or replacement that ended unsent (expired, dead, dropped, or sent with `entry_lapsed`) and with no attempt
///   in doubt, while the same holds for the trade's other entry deliveries: the trade is marked `alertcast.unreached`
///   (and its `rev` raised), and the counters that its commit raised for the subscriber (`alerts` and `trades`, by one
///   each) are taken back. See `delivery::reached_nobody`: what was in doubt counts as arrived, wherever it ends. An
///   entry that is superseded counts as the exit that tells it: open while that is open, sent or not sent with it. So
///   that exit's end is also an end in the entry's alert, for settling.
/// - A result is counted nowhere, settles nothing, and ends as `sent` or `dropped`: where anything else would become
///   `expired` or `dead`, it becomes `dropped`; its `last_error` is `delivery::LATE` where its time was over, else what
///   was reported.
#[async_trait]
pub trait DeliveryOutbox: Send + Sync + fmt::Debug {
    /// The pending deliveries of a lane that are due, by priority, `queuedAt`, rotation, id.
    async fn due(&self, lane: &LaneName, now: Time, limit: usize) -> StoreResult<Vec<Delivery>>;

    /// When the lane's next pending delivery that is not due at `now` becomes due.
    async fn next_due(&self, lane: &LaneName, now: Time) -> StoreResult<Option<Time>>;

    /// Marks deliveries as `sending` under the fence's epoch, in the order given, leaving out those that are not
    /// pending any more. `attempts` is raised. Nobody reads an entry after its end: what goes before each is told by
    /// `delivery::before`, and what then becomes of it by `delivery::taking`, both of which rest on what
    /// `delivery::wanted` asks for. In short:
    /// - of the trades whose ends it tells, back along the chain of replacements, what is sending makes it wait a second;
    ///   of what is pending, an exit's own entry becomes `superseded` (`superseded_by`; the exit `combines` it), what is
    ///   past its deadline ends as overdue, and the rest is `dropped` (`superseded_by` too), with the consequences;
    /// - an entry or replacement whose trade has ended yields to the delivery that tells the end
    ///   (`alertcast.endDeliveries`, or whoever took that over), which stays pending and does the same; without one an
    ///   entry is `dropped`;
    /// - an exit whose trade is (now) unreached is `dropped`; a notice about no open trade too.
    ///
    /// None of the latter is taken. An exit that combined its entry in an earlier attempt still does. What cannot be read
    /// around a delivery is as if it were not there.
    ///
    /// A result goes by `Delivery::turn`, which is told its entry and the message that it follows (or the last one by
    /// which that was taken over): it is taken where it is its turn; left pending, due when that says, while one of these
    /// is open; and `dropped` where its time is over or its entry has no message of its own.
    ///
    /// Where the answer was lost (`Unavailable`), take the lease again and `recover`: repeated under the same epoch, this
    /// leaves out what it has taken.
    async fn take(&self, fence: &LeaseFence, deliveries: &[DeliveryId], now: Time) -> StoreResult<TakeResult>;

    /// Records what attempts came to, with the consequences. A record whose delivery is not `sending` under the fence's
    /// epoch is ignored, except that `Expired` and `Dropped` also end one that is pending. Answers the alerts one of
    /// whose deliveries ended: to be settled.
    async fn record_attempts(
        &self,
        fence: &LeaseFence,
        records: Vec<AttemptRecord>,
        now: Time,
    ) -> StoreResult<Vec<AlertId>>;

    /// Notes copies that stand in a chat beside those that are recorded: what the owner of a lost lease, or of an answer
    /// that left doubt, knows all the same. Whatever state a delivery is in. A number that is noted stays noted once.
    async fn note_copies(&self, copies: &[(DeliveryId, i64)], now: Time) -> StoreResult<()>;

    /// Tells the operators something: once, then counted.
    async fn tell_operators(&self, notices: Vec<OperatorNotice>) -> StoreResult<()>;

    /// Makes deliveries of the fence's lane that are `sending` under another epoch pending again, due at once, marked
    /// as possible repeats. Answers how many.
    async fn recover(&self, fence: &LeaseFence, now: Time) -> StoreResult<u64>;

    /// No pending delivery of the fence's lane to this chat is due before `until`.
    async fn defer_chat(&self, fence: &LeaseFence, chat: &str, until: Time) -> StoreResult<()>;

    /// A group has another id: every user whose chat is `from` has `to`, and deliveries that are pending or held go there,
    /// each in its topic. Answers how many users and deliveries.
    async fn move_chat(&self, from: &str, to: &str, now: Time) -> StoreResult<u64>;

    /// Ends pending deliveries past their deadline, at most `limit`, with the consequences: entries, and what was never
    /// tried, are `expired`; what was tried in vain is `dead` (a replacement too: it tells of an end, and has an exit's
    /// deadline); results are `dropped`. Answers the alerts to settle, and whether there is more.
    async fn expire_overdue(&self, now: Time, limit: usize) -> StoreResult<(Vec<AlertId>, bool)>;

    /// Where the alert is `processed`, not settled, and none of its deliveries is open: writes `matchedUsers` and
    /// `tradeActions` from its decisions and deliveries (or `recipientsIn`), and `settledAt`. `matchedUsers` are those
    /// whose verdict is `sent` or who have an action: `delivered` where one of their deliveries was sent (`deliveredAt`:
    /// the first's), else `error` from one of them that has an error. Results are not among these. Settled anew after a
    /// resend, the lists are made again as a whole; who had got it then still has, though the delivery may not be kept
    /// any more.
    async fn settle(&self, alert: AlertId, now: Time) -> StoreResult<SettlingOutcome>;

    /// Processed alerts that are not settled, oldest first above `after`: what a crash may have left.
    async fn unsettled(&self, after: Option<AlertId>, limit: usize) -> StoreResult<Vec<AlertId>>;

    /// Removes ended deliveries that ended before `deliveries_before`, rejected webhooks received before
    /// `rejected_before`, and intake keys and idempotency keys that are over at `now`; at most `limit` of each. Whether
    /// there is more.
    async fn purge(&self, deliveries_before: Time, rejected_before: Time, now: Time, limit: usize)
    -> StoreResult<bool>;
}
