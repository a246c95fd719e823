//! What is taken: recorded as `sending`, and not yet recorded as anything else. A chat has one message here at most, from
//! the moment it is picked until what became of it is recorded: so its messages keep their order.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use alertcast_core::delivery::{Delivery, DeliveryState, MessageKind, topic_of};
use alertcast_core::id::DeliveryId;
use alertcast_core::store::AttemptOutcome;

use super::due_queue::{QueuePosition, place};
use super::message_sources::MessageSources;
use super::outcome::PlaceInChat;
use crate::channel::{MessageForm, SendMode};

/// A taken delivery that has not left.
#[derive(Debug)]
pub(super) struct TakenDelivery {
    pub(super) delivery: Arc<Delivery>,
    /// An exit's entry, or a result's.
    pub(super) entry: Option<Arc<Delivery>>,
    /// The chat that it keeps.
    pub(super) chat: String,
    pub(super) form: MessageForm,
    /// Its topic is not there: it goes to the group's general one.
    pub(super) to_general: bool,
    pub(super) sources: MessageSources,
    /// How many copies of a result's entry have been edited.
    pub(super) edited: usize,
    /// One of them tells the result.
    pub(super) written: bool,
}

impl TakenDelivery {
    /// What is done with its message. None where it should edit one that is out of reach.
    pub(super) fn act(&self) -> Option<SendMode> {
        let entry = self.entry_message().filter(|_| self.answers_its_entry());
        if self.is_result() {
            entry.map(|message_id| SendMode::Edit { message_id })
        } else {
            Some(SendMode::Send { reply_to: entry })
        }
    }

    /// Where in its chat it goes. A message that is edited stays where it is.
    pub(super) fn within(&self) -> PlaceInChat {
        match topic_of(&self.chat) {
            Some(_) if self.to_general => PlaceInChat::General,
            Some(_) if !self.is_result() => PlaceInChat::Topic,
            _ => PlaceInChat::Chat,
        }
    }

    /// Whether it is a mere edit, which keeps no message waiting.
    pub(super) fn is_result(&self) -> bool {
        self.delivery.kind == MessageKind::Result
    }

    /// The entry's message, where it stands in the chat that this one goes to, by the same bot: each bot's chat with a
    /// person has numbers of its own.
    fn entry_message(&self) -> Option<i64> {
        let entry = self.entry.as_ref()?;
        let there = entry.state == DeliveryState::Sent && entry.to == self.chat && entry.lane == self.delivery.lane;
        if there { entry.standing_messages().nth(self.edited) } else { None }
    }

    /// The outcome of the last edit, as the outcome of all: one that was written stands, whatever became of the others.
    pub(super) fn altogether(&self, outcome: AttemptOutcome) -> AttemptOutcome {
        let message_id = self.entry.as_ref().and_then(|entry| entry.message_id);
        match outcome {
            AttemptOutcome::Sent { .. } | AttemptOutcome::Dropped { .. } if self.written => {
                AttemptOutcome::Sent { message_id, entry_lapsed: false, topic_gone: false }
            }
            outcome => outcome,
        }
    }

    /// Whether its entry stands in more messages than have been edited, this one included.
    pub(super) fn has_more_copies(&self) -> bool {
        let status = self.entry.as_ref().map_or(0, |entry| entry.standing_messages().count());
        self.is_result() && self.edited + 1 < status
    }

    /// The entry, where it was sent.
    pub(super) fn answers(&self) -> Option<DeliveryId> {
        let entry = self.entry.as_ref().filter(|entry| entry.state == DeliveryState::Sent);
        entry.filter(|_| self.answers_its_entry()).map(|entry| entry.id)
    }

    /// A replacement is an entry of its own.
    fn answers_its_entry(&self) -> bool {
        self.delivery.kind != MessageKind::Replacement
    }
}

/// What is in hand.
#[derive(Debug, Default)]
pub(super) struct TakenDeliveries {
    ready: BTreeMap<QueuePosition, Box<TakenDelivery>>,
    chats: HashSet<String>,
    /// Left, and not answered.
    pub(super) flying: usize,
}

impl TakenDeliveries {
    /// How many have not left.
    pub(super) fn count_waiting(&self) -> usize {
        self.ready.len()
    }

    /// How many of these are results.
    pub(super) fn results(&self) -> usize {
        // They go last.
        self.ready.values().rev().take_while(|ready| ready.is_result()).count()
    }

    /// Takes out the results that keep one of these chats and have not left.
    pub(super) fn give_way(&mut self, chats: &HashSet<String>) -> impl Iterator<Item = Box<TakenDelivery>> {
        let is_in_the_way = |ready: &TakenDelivery| ready.is_result() && chats.contains(&ready.chat);
        self.ready.extract_if(.., move |_, ready| is_in_the_way(ready)).map(|(_, ready)| ready)
    }

    /// Keeps a chat. False where it is kept already.
    pub(super) fn keep(&mut self, chat: &str) -> bool {
        !self.chats.contains(chat) && self.chats.insert(chat.to_owned())
    }

    pub(super) fn is_kept(&self, chat: &str) -> bool {
        self.chats.contains(chat)
    }

    pub(super) fn release(&mut self, chat: &str) {
        self.chats.remove(chat);
    }

    pub(super) fn put(&mut self, ready: Box<TakenDelivery>) {
        self.ready.insert(place(&ready.delivery), ready);
    }

    /// Whether the delivery of this place is here and has not left.
    pub(super) fn holds(&self, place: &QueuePosition) -> bool {
        self.ready.contains_key(place)
    }

    /// In order, what has not left.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&QueuePosition, &TakenDelivery)> {
        self.ready.iter().map(|(place, ready)| (place, &**ready))
    }

    pub(super) fn remove(&mut self, place: &QueuePosition) -> Option<Box<TakenDelivery>> {
        self.ready.remove(place)
    }

    /// Everything that has not left.
    pub(super) fn empty(&mut self) -> impl Iterator<Item = Box<TakenDelivery>> + use<> {
        std::mem::take(&mut self.ready).into_values()
    }
}
