//! Replies: what a bot answers people who wrote to it. The second, bounded source of a bot's lane, beside the deliveries
//! that are due: the same limiter, a share of its own.
//!
//! A reply is kept nowhere but in memory. It is taken by the process that works on the lane, and by nobody else; what
//! became of it is told to whoever sent it, whatever happens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alertcast_core::delivery::{LaneName, chat_of};
use alertcast_core::time::Time;
use tokio::sync::{Notify, oneshot};

use crate::channel::message::MessageText;
use crate::channel::{ChannelAnswer, MessageForm, SendMode};

/// Replies that may wait in a lane.
pub const REPLIES_MAX: usize = 256;
/// Replies that may wait for one chat: nobody takes the places of others.
pub const REPLIES_OF_CHAT_MAX: usize = 16;

/// A message to somebody who wrote to the bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The chat, or the topic of a group (`delivery::place`).
    pub to: String,
    pub message: MessageText,
    pub form: MessageForm,
    pub act: SendMode,
    /// Not after.
    pub deadline_at: Time,
}

/// Why a reply was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyRefused {
    #[error("too many replies wait in the lane")]
    LaneFull,
    #[error("too many replies wait for the chat")]
    ChatFull,
    #[error("this process does not work on the lane")]
    NotServed,
}

/// What became of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// It left, and this was answered. It is not tried again.
    Answered(ChannelAnswer),
    /// Its deadline came before its turn. It did not leave.
    TooLate,
    /// The work on the lane ended before its turn. It did not leave.
    Unsent,
    /// It left, and the answer was not heard.
    InDoubt,
}

/// A reply that was taken.
#[derive(Debug)]
pub struct PendingReply(oneshot::Receiver<ReplyOutcome>);

impl PendingReply {
    /// Waits until it is known what became of it.
    pub async fn outcome(self) -> ReplyOutcome {
        self.0.await.unwrap_or(ReplyOutcome::InDoubt)
    }
}

/// The replies of all lanes that this process works on.
#[derive(Debug, Clone, Default)]
pub struct ReplyQueues {
    lanes: Arc<Mutex<BTreeMap<LaneName, Arc<ReplyQueue>>>>,
}

impl ReplyQueues {
    /// Puts a reply among those that wait in a lane, and does not wait.
    ///
    /// # Errors
    /// `LaneFull` or `ChatFull` where too many wait, `NotServed` where this process does not work on the lane.
    pub fn try_send(&self, lane: &LaneName, reply: Reply) -> Result<PendingReply, ReplyRefused> {
        let queue = lock(&self.lanes).get(lane).cloned();
        queue.ok_or(ReplyRefused::NotServed)?.push(reply)
    }

    /// Opens a lane's queue, for as long as it is worked on. Only bots answer.
    pub(super) fn open(&self, lane: &LaneName) -> LaneReplies {
        let queue = Arc::<ReplyQueue>::default();
        if lane.bot().is_some() {
            lock(&self.lanes).insert(lane.clone(), Arc::clone(&queue));
        }
        LaneReplies { queue, lane: lane.clone(), queues: self.clone() }
    }

    /// Takes away this queue, unless another one has taken its place.
    fn close(&self, lane: &LaneName, queue: &Arc<ReplyQueue>) {
        let mut lanes = lock(&self.lanes);
        if lanes.get(lane).is_some_and(|open| Arc::ptr_eq(open, queue)) {
            lanes.remove(lane);
        }
    }
}

/// The courier's end of a lane's replies. Dropped, it answers whatever waits.
#[derive(Debug)]
pub(super) struct LaneReplies {
    queue: Arc<ReplyQueue>,
    lane: LaneName,
    queues: ReplyQueues,
}

impl LaneReplies {
    /// Takes no more, and answers those that wait that they do not leave.
    pub(super) fn close(&self) {
        self.queues.close(&self.lane, &self.queue);
        let mut waiting = lock(&self.queue.waiting);
        waiting.is_closed = true;
        waiting.replies.drain(..).for_each(|reply| reply.answer(ReplyOutcome::Unsent));
    }

    /// Waits until one has come since this was asked last.
    pub(super) async fn came(&self) {
        self.queue.came.notified().await;
    }

    /// Answers those whose deadline has passed.
    pub(super) fn expire(&self, now: Time) {
        let mut waiting = lock(&self.queue.waiting);
        for late in waiting.replies.extract_if(.., |queued| queued.reply.deadline_at < now) {
            late.answer(ReplyOutcome::TooLate);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.queue.waiting).replies.is_empty()
    }

    /// When the first may leave, where `earliest` says it of a chat.
    pub(super) fn earliest(&self, earliest: impl Fn(&str) -> Option<Duration>) -> Option<Duration> {
        let waiting = lock(&self.queue.waiting);
        waiting.replies.iter().filter_map(|queued| earliest(queued.chat())).min()
    }

    /// Takes out the first whose chat is free.
    pub(super) fn take(&self, is_free: impl Fn(&str) -> bool) -> Option<QueuedReply> {
        let mut waiting = lock(&self.queue.waiting);
        let at = waiting.replies.iter().position(|queued| is_free(queued.chat()))?;
        Some(waiting.replies.remove(at))
    }
}

impl Drop for LaneReplies {
    fn drop(&mut self) {
        self.close();
    }
}

#[derive(Debug, Default)]
struct ReplyQueue {
    waiting: Mutex<WaitingReplies>,
    came: Notify,
}

#[derive(Debug, Default)]
struct WaitingReplies {
    /// In the order in which they came.
    replies: Vec<QueuedReply>,
    is_closed: bool,
}

impl ReplyQueue {
    fn push(&self, reply: Reply) -> Result<PendingReply, ReplyRefused> {
        let mut waiting = lock(&self.waiting);
        if waiting.is_closed {
            return Err(ReplyRefused::NotServed);
        }
        if waiting.replies.len() >= REPLIES_MAX {
            return Err(ReplyRefused::LaneFull);
        }
        let chat = chat_of(&reply.to);
        if waiting.replies.iter().filter(|queued| queued.chat() == chat).count() >= REPLIES_OF_CHAT_MAX {
            return Err(ReplyRefused::ChatFull);
        }
        let (sender, outcome) = oneshot::channel();
        waiting.replies.push(QueuedReply { reply, sender });
        drop(waiting);
        self.came.notify_one();
        Ok(PendingReply(outcome))
    }
}

/// A reply, and to whom its outcome is told.
#[derive(Debug)]
pub(super) struct QueuedReply {
    pub(super) reply: Reply,
    sender: oneshot::Sender<ReplyOutcome>,
}

impl QueuedReply {
    /// Whose pace it keeps.
    pub(super) fn chat(&self) -> &str {
        chat_of(&self.reply.to)
    }

    /// Tells what became of it. Whether anybody still wants to hear it is their business.
    pub(super) fn answer(self, outcome: ReplyOutcome) {
        let _ = self.sender.send(outcome);
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use alertcast_core::fixtures::at;

    use super::*;

    fn reply(to: &str, second: i64) -> Reply {
        Reply {
            to: to.to_owned(),
            message: MessageText { html: "hello".to_owned(), plain: "hello".to_owned() },
            form: MessageForm::Rich,
            act: SendMode::Send { reply_to: None },
            deadline_at: at(second),
        }
    }

    fn lane() -> LaneName {
        LaneName::of_bot("1")
    }

    #[tokio::test]
    async fn the_first_whose_chat_is_free_is_taken_and_its_outcome_told() {
        let queues = ReplyQueues::default();
        let replies = queues.open(&lane());
        let [_first, second] = ["7", "8:5"].map(|to| queues.try_send(&lane(), reply(to, 60)).unwrap());
        replies.came().await;
        let earliest = |chat: &str| Some(Duration::from_secs(if chat == "7" { 9 } else { 3 }));
        assert_eq!(replies.earliest(earliest), Some(Duration::from_secs(3)));
        assert_eq!(replies.earliest(|_| None), None);
        let taken = replies.take(|chat| chat == "8").unwrap();
        assert_eq!(taken.reply.to, "8:5");
        taken.answer(ReplyOutcome::Answered(ChannelAnswer::Sent { message_id: Some(1) }));
        assert_eq!(second.outcome().await, ReplyOutcome::Answered(ChannelAnswer::Sent { message_id: Some(1) }));
        assert!(replies.take(|chat| chat == "8").is_none() && !replies.is_empty());
    }

    #[test]
    fn a_full_queue_is_told_and_one_chat_does_not_fill_it() {
        let queues = ReplyQueues::default();
        let replies = queues.open(&lane());
        let push = |to: &str| queues.try_send(&lane(), reply(to, 60)).map(drop);
        for _ in 0..REPLIES_OF_CHAT_MAX {
            push("7").unwrap();
        }
        assert_eq!(push("7"), Err(ReplyRefused::ChatFull));
        assert_eq!(push("7:3"), Err(ReplyRefused::ChatFull), "a topic is of its group");
        for n in REPLIES_OF_CHAT_MAX..REPLIES_MAX {
            push(&(1_000 + n).to_string()).unwrap();
        }
        assert_eq!(push("8"), Err(ReplyRefused::LaneFull));
        replies.take(|chat| chat == "7").unwrap();
        push("8").unwrap();
    }

    #[tokio::test]
    async fn what_waits_too_long_is_told_so_and_the_rest_waits_on() {
        let queues = ReplyQueues::default();
        let replies = queues.open(&lane());
        let [late, _other] = [10, 11].map(|second| queues.try_send(&lane(), reply("7", second)).unwrap());
        replies.expire(at(11));
        assert_eq!(late.outcome().await, ReplyOutcome::TooLate);
        assert!(!replies.is_empty());
    }

    #[tokio::test]
    async fn only_a_lane_that_is_worked_on_takes_replies_and_its_end_is_told_to_all_that_wait() {
        let queues = ReplyQueues::default();
        let not_served =
            |lane: &LaneName| queues.try_send(lane, reply("7", 60)).map(drop) == Err(ReplyRefused::NotServed);
        assert!(not_served(&lane()));
        let _mail = queues.open(&LaneName::of_mail(0));
        assert!(not_served(&LaneName::of_mail(0)), "nobody answers by mail");
        let former = queues.open(&lane());
        let waits = queues.try_send(&lane(), reply("7", 60)).unwrap();
        let present = queues.open(&lane());
        drop(former);
        assert_eq!(waits.outcome().await, ReplyOutcome::Unsent);
        let [left, waits] = ["7", "8"].map(|to| queues.try_send(&lane(), reply(to, 60)).unwrap());
        drop(present.take(|_| true));
        assert_eq!(left.outcome().await, ReplyOutcome::InDoubt, "nobody told");
        drop(present);
        assert_eq!(waits.outcome().await, ReplyOutcome::Unsent);
        assert!(not_served(&lane()));
    }
}
