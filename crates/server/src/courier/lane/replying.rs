//! Replies at the lane's other end: what leaves in its turn, through the limiter of the deliveries, and whose answer is
//! told to whoever sent it. Nothing of it is recorded.

use std::sync::Arc;
use std::time::Duration;

use alertcast_core::id::DeliveryId;

use super::super::replies::{QueuedReply, ReplyOutcome};
use super::sending::send;
use super::{Courier, LaneEvent};
use crate::channel::{ChannelAnswer, OutgoingMessage};

/// A reply that was answered, or will not be.
pub(in super::super) struct AnsweredReply {
    queued: QueuedReply,
    left: Duration,
    answer: ChannelAnswer,
}

impl Courier<'_> {
    /// When the first reply's chat is free.
    pub(super) fn next_reply(&self, now: Duration) -> Option<Duration> {
        self.replies.earliest(|chat| self.limiter.earliest_chat(now, chat))
    }

    /// Takes out the first reply whose chat is free, and lets it leave.
    pub(super) fn send_reply(&mut self, now: Duration) {
        let is_free = |chat: &str| self.limiter.earliest_chat(now, chat).is_some_and(|at| at <= now);
        let Some(queued) = self.replies.take(is_free) else { return };
        self.limiter.start(now, queued.chat());
        self.taken_deliveries.flying += 1;
        let letter = self.letter_of(&queued);
        let channel = Arc::clone(&self.lane.channel);
        self.tasks.spawn(async move {
            let answer = send(&*channel, &letter).await;
            LaneEvent::Replied(Box::new(AnsweredReply { queued, left: now, answer }))
        });
    }

    fn letter_of(&self, queued: &QueuedReply) -> OutgoingMessage {
        let reply = &queued.reply;
        OutgoingMessage {
            // Of its own: it is no delivery's message.
            delivery: DeliveryId(self.app.ids.next()),
            user: None,
            to: reply.to.clone(),
            message: reply.message.clone(),
            form: reply.form,
            act: reply.act,
            answers: None,
            subject: None,
            opening: None,
        }
    }

    pub(super) fn on_replied(&mut self, answered: AnsweredReply) {
        let AnsweredReply { queued, left, answer } = answered;
        let now = self.app.clock.monotonic();
        self.taken_deliveries.flying -= 1;
        self.limiter.finish(now, queued.chat());
        self.note_answer(now, left, queued.chat(), &answer);
        // A delivery may have waited for its chat.
        self.reading.note_room();
        queued.answer(ReplyOutcome::Answered(answer));
    }
}
