//! Results: edits of an entry's message that tell what became of its trade.

use std::time::Duration;

use super::{
    Channel, Delivery, DeliveryRecipient, DeliveryState, EndedTrade, MessageFacts, MessageKind, delivery_key, priority,
};
use crate::id::{DeliveryId, TradeId};
use crate::time::Time;

/// A trade's result is written under its entry within this time, or not at all.
pub const RESULT_DEADLINE: Duration = Duration::from_secs(10 * 60);
/// Why a result was dropped that was not written in time.
pub const LATE: &str = "late";
/// Why a result was dropped whose entry stands in no message of its own.
pub const NOTHING_TO_EDIT: &str = "the entry has no message that could be edited";

/// A result waits so long at least for what goes before it.
const RESULT_WAIT: Duration = Duration::from_secs(1);

/// Whether a result may be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultTurn {
    Now,
    /// Something goes before it. Not before this.
    Wait(Time),
    /// Why not at all.
    Never(&'static str),
}

impl Delivery {
    /// The edit by which the message `entry` gets the result of a trade whose end this delivery tells of. None where
    /// this one goes by a channel in which nothing can be edited.
    #[must_use]
    pub fn result(
        &self,
        id: DeliveryId,
        trade: TradeId,
        entry: DeliveryId,
        closed: EndedTrade,
        priority_support: bool,
    ) -> Option<Self> {
        match self.channel {
            Channel::Telegram => {}
            Channel::Email => return None,
        }
        let recipient = self.user_id.map_or(DeliveryRecipient::Chat(&self.to), DeliveryRecipient::User);
        Some(Self {
            id,
            key: delivery_key(self.cause, recipient, self.channel, MessageKind::Result, Some(trade)),
            alert_id: None,
            trade_id: Some(trade),
            kind: MessageKind::Result,
            priority: priority(MessageKind::Result, priority_support),
            deadline_at: self.created_at + RESULT_DEADLINE,
            entry_deadline_at: None,
            entry_delivery: Some(entry),
            follows: Some(self.id),
            facts: MessageFacts::Result { closed },
            copies: Vec::new(),
            ..self.clone()
        })
    }

    /// Whether this result may be written now. `told`: the message that it follows, or the one that tells that one's
    /// news.
    pub fn turn(&self, entry: Option<&Self>, told: Option<&Self>, now: Time) -> ResultTurn {
        if now > self.deadline_at {
            return ResultTurn::Never(LATE);
        }
        match entry {
            Some(entry) if !entry.state.is_ended() || entry.can_be_edited() => {}
            _ => return ResultTurn::Never(NOTHING_TO_EDIT),
        }
        let open = [told, entry].into_iter().flatten().find(|other| !other.state.is_ended());
        open.map_or(ResultTurn::Now, |open| ResultTurn::Wait(open.due_at.max(now + RESULT_WAIT)))
    }

    /// Every message in which it is known to stand: its own first, then the copies.
    pub fn standing_messages(&self) -> impl Iterator<Item = i64> {
        self.message_id.into_iter().chain(self.copies.iter().copied().filter(|copy| self.message_id != Some(*copy)))
    }

    /// Whether it stands as an entry in a message of its own.
    fn can_be_edited(&self) -> bool {
        self.state == DeliveryState::Sent && self.message_id.is_some() && !self.entry_lapsed
    }
}
