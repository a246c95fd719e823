//! From the hand to the channel: what may leave leaves, after a last look at whom it is for; and what its answer means.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::delivery::{NOTHING_TO_EDIT, chat_of};
use alertcast_core::limiter::SendSource;
use alertcast_core::store::{AttemptOutcome, AttemptRecord, DeathCause};
use alertcast_core::time::Time;
use futures::FutureExt as _;
use jiff::tz::TimeZone;
use tracing::{debug, error, info, warn};

use super::super::attempt_records::{LostSubscriber, PendingRecord, TopicLoss};
use super::super::health::HealthChange;
use super::super::outcome::{HOLD_MAX, NextStep, PlaceInChat, SendAttempt, judge, put_back, refused_outcome, too_late};
use super::super::recipient::{RecipientStatus, find_status};
use super::super::taken::TakenDelivery;
use super::{Courier, LaneEvent};
use crate::channel::message::{
    MessageContext, RenderedMessage, SharedContext, SharedTexts, ToldEntry, opening_line, render,
};
use crate::channel::{Channel, ChannelAnswer, MessageForm, OutgoingMessage, RetryAfter, email};

/// A message that was answered, or will not be.
pub(in super::super) struct AnsweredMessage {
    ready: Box<TakenDelivery>,
    leaving: DepartedMessage,
    answer: ChannelAnswer,
}

/// What was known of a message when it left.
#[derive(Debug, Clone, Copy)]
struct DepartedMessage {
    left: Duration,
    entry_lapsed: bool,
    own_bot: bool,
    /// The chat had refused us.
    was_blocked: bool,
}

impl Courier<'_> {
    /// Lets everything leave that may leave now: deliveries and replies, each in its turn.
    pub(super) fn send_what_may_leave(&mut self, now: Duration) {
        self.replies.expire(self.app.clock.now());
        while self.may_send() && self.send_from(now) <= now {
            let free = |place: &str| self.limiter.earliest_chat(now, chat_of(place)).is_some_and(|at| at <= now);
            let first = self.taken_deliveries.iter().find(|(_, ready)| free(&ready.chat));
            let place = first.map(|(place, _)| *place);
            let has_reply = self.next_reply(now).is_some_and(|at| at <= now);
            // A result keeps no message waiting.
            let has_delivery = first.is_some_and(|(_, ready)| !(ready.is_result() && has_reply));
            let Some(source) = self.turns.next(has_delivery, has_reply) else { return };
            match source {
                SendSource::Reply => {
                    self.turns.note(source);
                    self.send_reply(now);
                }
                SendSource::Delivery => {
                    let Some(ready) = place.and_then(|place| self.taken_deliveries.remove(&place)) else { return };
                    self.send(now, ready);
                }
            }
        }
    }

    fn may_send(&self) -> bool {
        let is_waiting = self.taken_deliveries.count_waiting() > 0 || !self.replies.is_empty();
        is_waiting && !self.health.is_refused() && self.taken_deliveries.flying < self.at_once()
    }

    /// How many may be under way at once.
    fn at_once(&self) -> usize {
        if self.throttle.is_probing() { 1 } else { self.health.at_once(self.lane.concurrency) }
    }

    fn send_from(&self, now: Duration) -> Duration {
        self.limiter.earliest_bot(now).max(self.health.rest_until())
    }

    /// When the next message may leave.
    pub(super) fn next_send(&self, now: Duration) -> Option<Duration> {
        if !self.may_send() {
            return None;
        }
        let from = self.send_from(now);
        if from > now {
            return Some(from);
        }
        let chats = self.taken_deliveries.iter().map(|(_, ready)| chat_of(&ready.chat));
        chats.filter_map(|chat| self.limiter.earliest_chat(now, chat)).chain(self.next_reply(now)).min()
    }

    /// Sends one message, unless a last look says otherwise.
    fn send(&mut self, now: Duration, mut ready: Box<TakenDelivery>) {
        let wall = self.app.clock.now();
        if wall > ready.delivery.deadline_at {
            let outcome = too_late(&ready.delivery, None, false);
            return self.record(ready.delivery.id, ready.chat, outcome);
        }
        let (to, zone, own_bot, was_blocked) = match find_status(self.app, &ready.delivery, self.lane.bot()) {
            RecipientStatus::Reachable { to, zone, own_bot, was_blocked } => (to, zone, own_bot, was_blocked),
            RecipientStatus::Barred(reason) => {
                let outcome = AttemptOutcome::Dropped { reason: reason.to_owned() };
                return self.record(ready.delivery.id, ready.chat, outcome);
            }
            RecipientStatus::NoMailbox => {
                let outcome =
                    refused_outcome(&ready.delivery, "there is no mailbox of the subscriber's address".to_owned());
                return self.record(ready.delivery.id, ready.chat, outcome);
            }
            RecipientStatus::Blocked => {
                let outcome = refused_outcome(&ready.delivery, "the subscriber has blocked the bot".to_owned());
                return self.record(ready.delivery.id, ready.chat, outcome);
            }
        };
        if to != ready.chat {
            return self.redirect(now, ready, to);
        }
        let Some(act) = ready.act() else {
            let outcome = AttemptOutcome::Dropped { reason: NOTHING_TO_EDIT.to_owned() };
            return self.record(ready.delivery.id, ready.chat, outcome);
        };
        match tell(&mut self.texts, &ready, &zone, wall) {
            Some(rendered) => {
                let letter = OutgoingMessage {
                    delivery: ready.delivery.id,
                    user: ready.delivery.user_id,
                    to: if ready.within() == PlaceInChat::General { chat_of(&to).to_owned() } else { to },
                    message: rendered.message,
                    form: ready.form,
                    act,
                    answers: ready.answers(),
                    subject: answered_subject(&ready, &zone, wall).map(|subject| format!("Re: {subject}")),
                    opening: opening_line(&ready.delivery),
                };
                ready.form = letter.form;
                let leaving = DepartedMessage { left: now, entry_lapsed: rendered.entry_lapsed, own_bot, was_blocked };
                self.leave(leaving, ready, letter);
            }
            None => {
                let error = "the alert that it tells of is not there any more".to_owned();
                let outcome = refused_outcome(&ready.delivery, error);
                self.record(ready.delivery.id, ready.chat, outcome);
            }
        }
    }

    fn leave(&mut self, leaving: DepartedMessage, ready: Box<TakenDelivery>, letter: OutgoingMessage) {
        self.limiter.start(leaving.left, chat_of(&ready.chat));
        self.turns.note(SendSource::Delivery);
        self.taken_deliveries.flying += 1;
        if ready.is_result() {
            // There is room for another.
            self.reading.note_room();
        }
        let channel = Arc::clone(&self.lane.channel);
        self.tasks.spawn(async move {
            let answer = send(&*channel, &letter).await;
            LaneEvent::Answered(Box::new(AnsweredMessage { ready, leaving, answer }))
        });
    }

    /// The subscriber has another chat since it was taken: it waits for its turn there.
    fn redirect(&mut self, now: Duration, mut ready: Box<TakenDelivery>, to: String) {
        if !self.taken_deliveries.keep(&to) {
            let due_at = self.app.clock.now() + HOLD_MAX;
            return self.record(ready.delivery.id, ready.chat, put_back(due_at, "the subscriber has another chat"));
        }
        self.taken_deliveries.release(&ready.chat);
        (ready.chat, ready.to_general) = (to, false);
        if self.limiter.earliest_chat(now, chat_of(&ready.chat)).is_some_and(|at| at <= now) {
            self.send(now, ready);
        } else {
            self.taken_deliveries.put(ready);
        }
    }

    pub(super) fn on_answered(&mut self, answered: AnsweredMessage) {
        let AnsweredMessage { mut ready, leaving, answer } = answered;
        let DepartedMessage { left, entry_lapsed, own_bot, was_blocked } = leaving;
        let (now, wall) = (self.app.clock.monotonic(), self.app.clock.now());
        self.taken_deliveries.flying -= 1;
        self.limiter.finish(now, chat_of(&ready.chat));
        let wait = self.note_answer(now, left, chat_of(&ready.chat), &answer);
        let defer = wait.map(|wait| (ready.delivery.to.clone(), wall + wait));
        if matches!(
            answer,
            ChannelAnswer::Throttled { .. } | ChannelAnswer::Unauthorized { .. } | ChannelAnswer::Moved { .. }
        ) {
            self.excused.add(ready.delivery.id);
        }
        let excused = self.excused.of(ready.delivery.id);
        let attempt = SendAttempt {
            delivery: &ready.delivery,
            form: ready.form,
            within: ready.within(),
            entry_lapsed,
            to: chat_of(&ready.chat),
            own_bot,
            excused,
        };
        let moved = match &answer {
            ChannelAnswer::Moved { chat } => Some(chat.clone()),
            _ => None,
        };
        match judge(answer, attempt, wall, (self.lane.random)()) {
            NextStep::AsPlain => {
                warn!(delivery = %ready.delivery.id, "the markup was refused; it goes out as plain text");
                ready.form = MessageForm::Plain;
                self.once_more(ready, wall, "the markup was refused");
            }
            NextStep::ToGeneral => {
                warn!(delivery = %ready.delivery.id, "its topic is not there; it goes to the group's general one");
                ready.to_general = true;
                self.once_more(ready, wall, "its topic is not there");
            }
            NextStep::Record(outcome) if goes_on(&ready, &outcome) && matches!(self.mode, super::LaneMode::Working) => {
                ready.written |= matches!(outcome, AttemptOutcome::Sent { .. });
                ready.edited += 1;
                self.taken_deliveries.put(ready);
            }
            NextStep::Record(outcome) => {
                let outcome = ready.altogether(outcome);
                log_outcome(&ready, &outcome);
                if let (AttemptOutcome::Sent { .. }, Some(alert)) = (&outcome, &ready.sources.alert) {
                    self.app.metrics.count_arrival(ready.delivery.kind, wall.since(alert.webhook.received_at));
                }
                let arrived = matches!(outcome, AttemptOutcome::Sent { .. });
                let opened = ready.delivery.user_id.filter(|_| was_blocked && arrived);
                let lost = outcome.refuser().filter(|_| !was_blocked).zip(ready.delivery.user_id);
                let lost = lost.map(|(refuser, user)| LostSubscriber { user, refuser });
                let topic_gone = matches!(outcome, AttemptOutcome::Sent { topic_gone: true, .. });
                let topic_loss = topic_gone.then_some(TopicLoss { user: ready.delivery.user_id });
                let record = AttemptRecord { delivery: ready.delivery.id, outcome };
                self.note(PendingRecord { record, chat: ready.chat, defer, opened, moved, lost, topic_loss });
            }
        }
    }

    /// The same again, in another way, as soon as its chat is free. Whoever works no more leaves it to others.
    fn once_more(&mut self, ready: Box<TakenDelivery>, wall: Time, why: &str) {
        if matches!(self.mode, super::LaneMode::Working) {
            self.taken_deliveries.put(ready);
        } else {
            self.record(ready.delivery.id, ready.chat, put_back(wall, why));
        }
    }

    /// What the answer says beyond its message: of the chat, of the bot, of the other side. Answers how long whatever
    /// else is for the chat is to wait.
    pub(super) fn note_answer(
        &mut self,
        now: Duration,
        left: Duration,
        chat: &str,
        answer: &ChannelAnswer,
    ) -> Option<Duration> {
        let news = match answer {
            ChannelAnswer::Failed { .. } => self.health.note_failure(now, (self.lane.random)()),
            _ => self.health.note_answer(),
        };
        let lane = self.lane.name.as_str();
        match (news, answer) {
            (Some(HealthChange::Away), ChannelAnswer::Failed { error, .. }) => {
                warn!(lane, error, "messages do not get through")
            }
            (Some(HealthChange::Back), _) => info!(lane, "messages get through again"),
            _ => {}
        }
        match answer {
            ChannelAnswer::Sent { .. } => self.throttle.note_passed(left),
            ChannelAnswer::Unauthorized { error } => self.on_refused(now, error),
            ChannelAnswer::Throttled { retry_after } => return Some(self.on_throttled(now, chat, *retry_after)),
            _ => {}
        }
        None
    }

    fn on_throttled(&mut self, now: Duration, chat: &str, retry_after: RetryAfter) -> Duration {
        let wait = retry_after.wait();
        self.limiter.freeze_chat(now, chat, now.saturating_add(wait));
        let whole_bot = self.throttle.note_refusal(now, chat, retry_after);
        self.app.metrics.count_throttle(whole_bot.is_some());
        if let Some(until) = whole_bot {
            let seconds = until.saturating_sub(now).as_secs();
            warn!(lane = self.lane.name.as_str(), seconds, "Telegram asks the bot to wait");
            self.limiter.freeze_bot(until);
            if until > now.saturating_add(HOLD_MAX) {
                self.put_back_all(self.app.clock.now() + until.saturating_sub(now), "Telegram asked the bot to wait");
            }
        } else {
            debug!(lane = self.lane.name.as_str(), seconds = wait.as_secs(), "Telegram asks to wait with a chat");
        }
        wait
    }

    fn on_refused(&mut self, now: Duration, error: &str) {
        if self.health.note_refusal(now) {
            let account = self.lane.account();
            error!(
                lane = self.lane.name.as_str(),
                error, "{account} is not accepted: messages wait until that is mended"
            );
        }
        self.put_back_all(self.app.clock.now(), "our credentials were not accepted");
    }

    /// Puts everything back that has not left.
    pub(super) fn put_back_all(&mut self, due_at: Time, why: &str) {
        for ready in self.taken_deliveries.empty() {
            self.record(ready.delivery.id, ready.chat, put_back(due_at, why));
        }
    }

    /// Asks whether our credentials are accepted again, when it is time.
    pub(super) fn check_credentials(&mut self, now: Duration) {
        if self.checking || self.health.check_at().is_none_or(|at| now < at) {
            return;
        }
        self.checking = true;
        let channel = Arc::clone(&self.lane.channel);
        self.tasks.spawn(async move { LaneEvent::Checked(check(&*channel).await) });
    }

    pub(super) fn next_check(&self) -> Option<Duration> {
        self.health.check_at().filter(|_| !self.checking)
    }

    pub(super) fn on_checked(&mut self, result: Result<(), String>) {
        self.checking = false;
        let (lane, account) = (self.lane.name.as_str(), self.lane.account());
        match result {
            Ok(()) => {
                info!(lane, "{account} is accepted again");
                self.health.note_acceptance();
                self.reading.note_room();
            }
            Err(error) => {
                error!(lane, error, "{account} is still not accepted");
                self.health.note_refusal(self.app.clock.monotonic());
            }
        }
    }
}

/// Sends it once. A defect that it meets is the message's alone: it is tried again later, and those beside it are not
/// touched.
pub(super) async fn send(channel: &dyn Channel, letter: &OutgoingMessage) -> ChannelAnswer {
    let sent = AssertUnwindSafe(channel.send(letter)).catch_unwind().await;
    sent.unwrap_or_else(|_| ChannelAnswer::Failed {
        error: "sending it met a defect in the program".to_owned(),
        in_doubt: true,
    })
}

async fn check(channel: &dyn Channel) -> Result<(), String> {
    let checked = AssertUnwindSafe(channel.check()).catch_unwind().await;
    checked.unwrap_or_else(|_| Err("asking met a defect in the program".to_owned()))
}

/// Whether another copy of the entry is to be edited: one that is gone keeps nobody from the others.
fn goes_on(ready: &TakenDelivery, outcome: &AttemptOutcome) -> bool {
    ready.has_more_copies() && matches!(outcome, AttemptOutcome::Sent { .. } | AttemptOutcome::Dropped { .. })
}

/// The subject of the entry's e-mail, as it was.
fn answered_subject(ready: &TakenDelivery, zone: &TimeZone, now: Time) -> Option<String> {
    let (delivery, alert) = ready.entry.as_deref().zip(ready.sources.answered_alert.as_deref())?;
    let config = ready.sources.config.as_deref();
    let story = MessageContext {
        delivery,
        alert: Some(alert),
        config,
        entry: None,
        zone,
        now: delivery.ended_at.unwrap_or(now),
    };
    render(&story).ok().map(|rendered| email::subject(&rendered.message))
}

fn tell(texts: &mut SharedTexts, ready: &TakenDelivery, zone: &TimeZone, now: Time) -> Option<RenderedMessage> {
    // Its alert is among the sources only where the entry is told too.
    let told_too = ready.entry.as_deref().zip(ready.sources.entry_alert.as_deref());
    if let (Some(alert), None) = (&ready.sources.alert, told_too) {
        let config = ready.sources.config.as_ref();
        return texts.render(&SharedContext { delivery: &ready.delivery, alert, config, zone, now }).ok();
    }
    let story = MessageContext {
        delivery: &ready.delivery,
        alert: ready.sources.alert.as_deref(),
        config: ready.sources.config.as_deref(),
        entry: told_too.map(|(delivery, alert)| ToldEntry { delivery, alert }),
        zone,
        now,
    };
    render(&story).ok()
}

fn log_outcome(ready: &TakenDelivery, outcome: &AttemptOutcome) {
    let (delivery, kind) = (ready.delivery.id, ready.delivery.kind);
    match outcome {
        AttemptOutcome::Retry { error, in_doubt, .. } => debug!(%delivery, %kind, error, in_doubt, "not delivered yet"),
        AttemptOutcome::Dead { error, cause: DeathCause::ChatBlocked { .. } | DeathCause::NoMailbox { .. } } => {
            debug!(%delivery, %kind, error, "the recipient will have no messages");
        }
        AttemptOutcome::Dead { error, .. } => warn!(%delivery, %kind, error, "not delivered"),
        AttemptOutcome::Expired { .. } => info!(%delivery, %kind, "expired after failed attempts"),
        AttemptOutcome::Sent { .. } | AttemptOutcome::Dropped { .. } => {}
    }
}
