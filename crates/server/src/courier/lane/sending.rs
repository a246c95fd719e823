//! From the hand to the channel: what may leave leaves, after a last look at whom it is for; and what its answer means.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use alertcast_core::delivery::{NOTHING_TO_EDIT, chat_of};
use alertcast_core::store::{AttemptRecord, DeathCause, Outcome};
use alertcast_core::time::Time;
use futures::FutureExt as _;
use jiff::tz::TimeZone;
use tracing::{debug, error, info, warn};

use super::super::hand::Ready;
use super::super::health::News;
use super::super::ledger::{Line, Lost, TopicLoss};
use super::super::outcome::{Attempt, HOLD_MAX, Next, PlaceInChat, judge, put_back, refused, too_late};
use super::super::recipient::{Standing, standing};
use super::{Courier, Event};
use crate::channel::message::{Rendered, Story, Told, opening, render};
use crate::channel::{Answer, Channel, Form, Letter, RetryAfter, email};

/// A message that was answered, or will not be.
pub(in super::super) struct Answered {
    ready: Box<Ready>,
    leaving: Leaving,
    answer: Answer,
}

/// What was known of a message when it left.
#[derive(Debug, Clone, Copy)]
struct Leaving {
    left: Duration,
    entry_lapsed: bool,
    own_bot: bool,
    /// The chat had refused us.
    was_blocked: bool,
}

impl Courier<'_> {
    /// Lets everything leave that may leave now.
    pub(super) fn send_what_may_leave(&mut self, now: Duration) {
        while self.may_send() && self.send_from(now) <= now {
            let free = |place: &str| self.limiter.earliest_chat(now, chat_of(place)).is_some_and(|at| at <= now);
            let Some(place) = self.hand.iter().find(|(_, ready)| free(&ready.chat)).map(|(place, _)| *place) else {
                return;
            };
            let Some(ready) = self.hand.remove(&place) else { return };
            self.send(now, ready);
        }
    }

    fn may_send(&self) -> bool {
        self.hand.waiting() > 0 && !self.health.is_refused() && self.hand.flying < self.at_once()
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
        self.hand.iter().filter_map(|(_, ready)| self.limiter.earliest_chat(now, chat_of(&ready.chat))).min()
    }

    /// Sends one message, unless a last look says otherwise.
    fn send(&mut self, now: Duration, mut ready: Box<Ready>) {
        let wall = self.app.clock.now();
        if wall > ready.delivery.deadline_at {
            let outcome = too_late(&ready.delivery, None, false);
            return self.record(ready.delivery.id, ready.chat, outcome);
        }
        let (to, zone, own_bot, was_blocked) = match standing(self.app, &ready.delivery, self.lane.bot()) {
            Standing::Reachable { to, zone, own_bot, was_blocked } => (to, zone, own_bot, was_blocked),
            Standing::Barred(reason) => {
                let outcome = Outcome::Dropped { reason: reason.to_owned() };
                return self.record(ready.delivery.id, ready.chat, outcome);
            }
            Standing::NoMailbox => {
                let outcome = refused(&ready.delivery, "there is no mailbox of the subscriber's address".to_owned());
                return self.record(ready.delivery.id, ready.chat, outcome);
            }
            Standing::Blocked => {
                let outcome = refused(&ready.delivery, "the subscriber has blocked the bot".to_owned());
                return self.record(ready.delivery.id, ready.chat, outcome);
            }
        };
        if to != ready.chat {
            return self.redirect(now, ready, to);
        }
        let Some(act) = ready.act() else {
            let outcome = Outcome::Dropped { reason: NOTHING_TO_EDIT.to_owned() };
            return self.record(ready.delivery.id, ready.chat, outcome);
        };
        match tell(&ready, &zone, wall) {
            Some(rendered) => {
                let letter = Letter {
                    delivery: ready.delivery.id,
                    user: ready.delivery.user_id,
                    to: if ready.within() == PlaceInChat::General { chat_of(&to).to_owned() } else { to },
                    message: rendered.message,
                    form: ready.form,
                    act,
                    answers: ready.answers(),
                    subject: answered_subject(&ready, &zone, wall).map(|subject| format!("Re: {subject}")),
                    opening: opening(&ready.delivery),
                };
                ready.form = letter.form;
                let leaving = Leaving { left: now, entry_lapsed: rendered.entry_lapsed, own_bot, was_blocked };
                self.leave(leaving, ready, letter);
            }
            None => {
                let error = "the alert that it tells of is not there any more".to_owned();
                let outcome = refused(&ready.delivery, error);
                self.record(ready.delivery.id, ready.chat, outcome);
            }
        }
    }

    fn leave(&mut self, leaving: Leaving, ready: Box<Ready>, letter: Letter) {
        self.limiter.start(leaving.left, chat_of(&ready.chat));
        self.hand.flying += 1;
        if ready.is_result() {
            // There is room for another.
            self.reading.freed();
        }
        let channel = Arc::clone(&self.lane.channel);
        self.tasks.spawn(async move {
            let answer = send(&*channel, &letter).await;
            Event::Answered(Box::new(Answered { ready, leaving, answer }))
        });
    }

    /// The subscriber has another chat since it was taken: it waits for its turn there.
    fn redirect(&mut self, now: Duration, mut ready: Box<Ready>, to: String) {
        if !self.hand.keep(&to) {
            let due_at = self.app.clock.now() + HOLD_MAX;
            return self.record(ready.delivery.id, ready.chat, put_back(due_at, "the subscriber has another chat"));
        }
        self.hand.release(&ready.chat);
        (ready.chat, ready.to_general) = (to, false);
        if self.limiter.earliest_chat(now, chat_of(&ready.chat)).is_some_and(|at| at <= now) {
            self.send(now, ready);
        } else {
            self.hand.put(ready);
        }
    }

    pub(super) fn on_answered(&mut self, answered: Answered) {
        let Answered { mut ready, leaving, answer } = answered;
        let Leaving { left, entry_lapsed, own_bot, was_blocked } = leaving;
        let (now, wall) = (self.app.clock.monotonic(), self.app.clock.now());
        self.hand.flying -= 1;
        self.limiter.finish(now, chat_of(&ready.chat));
        let defer = self.note_answer(now, wall, left, &ready, &answer);
        if matches!(answer, Answer::Throttled { .. } | Answer::Unauthorized { .. } | Answer::Moved { .. }) {
            self.excused.add(ready.delivery.id);
        }
        let excused = self.excused.of(ready.delivery.id);
        let attempt = Attempt {
            delivery: &ready.delivery,
            form: ready.form,
            within: ready.within(),
            entry_lapsed,
            to: chat_of(&ready.chat),
            own_bot,
            excused,
        };
        let moved = match &answer {
            Answer::Moved { chat } => Some(chat.clone()),
            _ => None,
        };
        match judge(answer, attempt, wall, (self.lane.random)()) {
            Next::AsPlain => {
                warn!(delivery = %ready.delivery.id, "the markup was refused; it goes out as plain text");
                ready.form = Form::Plain;
                self.once_more(ready, wall, "the markup was refused");
            }
            Next::ToGeneral => {
                warn!(delivery = %ready.delivery.id, "its topic is not there; it goes to the group's general one");
                ready.to_general = true;
                self.once_more(ready, wall, "its topic is not there");
            }
            Next::Record(outcome) if goes_on(&ready, &outcome) && matches!(self.mode, super::Mode::Working) => {
                ready.written |= matches!(outcome, Outcome::Sent { .. });
                ready.edited += 1;
                self.hand.put(ready);
            }
            Next::Record(outcome) => {
                let outcome = ready.altogether(outcome);
                log_outcome(&ready, &outcome);
                if let (Outcome::Sent { .. }, Some(alert)) = (&outcome, &ready.sources.alert) {
                    self.app.metrics.arrived(ready.delivery.kind, wall.since(alert.webhook.received_at));
                }
                let arrived = matches!(outcome, Outcome::Sent { .. });
                let opened = ready.delivery.user_id.filter(|_| was_blocked && arrived);
                let lost = outcome.refuser().filter(|_| !was_blocked).zip(ready.delivery.user_id);
                let lost = lost.map(|(refuser, user)| Lost { user, refuser });
                let topic_gone = matches!(outcome, Outcome::Sent { topic_gone: true, .. });
                let topic_loss = topic_gone.then_some(TopicLoss { user: ready.delivery.user_id });
                let record = AttemptRecord { delivery: ready.delivery.id, outcome };
                self.note(Line { record, chat: ready.chat, defer, opened, moved, lost, topic_loss });
            }
        }
    }

    /// The same again, in another way, as soon as its chat is free. Whoever works no more leaves it to others.
    fn once_more(&mut self, ready: Box<Ready>, wall: Time, why: &str) {
        if matches!(self.mode, super::Mode::Working) {
            self.hand.put(ready);
        } else {
            self.record(ready.delivery.id, ready.chat, put_back(wall, why));
        }
    }

    /// What the answer says beyond its delivery: of the chat, of the bot, of the other side. Answers until when the
    /// chat's other deliveries are to wait.
    fn note_answer(
        &mut self,
        now: Duration,
        wall: Time,
        left: Duration,
        ready: &Ready,
        answer: &Answer,
    ) -> Option<(String, Time)> {
        let news = match answer {
            Answer::Failed { .. } => self.health.failed(now, (self.lane.random)()),
            _ => self.health.answered(),
        };
        let lane = &self.lane.name;
        match (news, answer) {
            (Some(News::Away), Answer::Failed { error, .. }) => warn!(lane, error, "messages do not get through"),
            (Some(News::Back), _) => info!(lane, "messages get through again"),
            _ => {}
        }
        match answer {
            Answer::Sent { .. } => self.throttle.passed(left),
            Answer::Unauthorized { error } => self.on_refused(now, error),
            Answer::Throttled { retry_after } => return Some(self.on_throttled(now, wall, ready, *retry_after)),
            _ => {}
        }
        None
    }

    fn on_throttled(&mut self, now: Duration, wall: Time, ready: &Ready, retry_after: RetryAfter) -> (String, Time) {
        let wait = retry_after.wait();
        self.limiter.freeze_chat(now, chat_of(&ready.chat), now.saturating_add(wait));
        let whole_bot = self.throttle.refused(now, chat_of(&ready.chat), retry_after);
        self.app.metrics.throttled(whole_bot.is_some());
        if let Some(until) = whole_bot {
            let seconds = until.saturating_sub(now).as_secs();
            warn!(lane = self.lane.name, seconds, "Telegram asks the bot to wait");
            self.limiter.freeze_bot(until);
            if until > now.saturating_add(HOLD_MAX) {
                self.put_back_all(wall + until.saturating_sub(now), "Telegram asked the bot to wait");
            }
        } else {
            debug!(lane = self.lane.name, seconds = wait.as_secs(), "Telegram asks to wait with a chat");
        }
        (ready.delivery.to.clone(), wall + wait)
    }

    fn on_refused(&mut self, now: Duration, error: &str) {
        if self.health.refused(now) {
            let account = self.lane.account();
            error!(lane = self.lane.name, error, "{account} is not accepted: messages wait until that is mended");
        }
        self.put_back_all(self.app.clock.now(), "our credentials were not accepted");
    }

    /// Puts everything back that has not left.
    pub(super) fn put_back_all(&mut self, due_at: Time, why: &str) {
        for ready in self.hand.empty() {
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
        self.tasks.spawn(async move { Event::Checked(check(&*channel).await) });
    }

    pub(super) fn next_check(&self) -> Option<Duration> {
        self.health.check_at().filter(|_| !self.checking)
    }

    pub(super) fn on_checked(&mut self, result: Result<(), String>) {
        self.checking = false;
        let (lane, account) = (&self.lane.name, self.lane.account());
        match result {
            Ok(()) => {
                info!(lane, "{account} is accepted again");
                self.health.accepted();
                self.reading.freed();
            }
            Err(error) => {
                error!(lane, error, "{account} is still not accepted");
                self.health.refused(self.app.clock.monotonic());
            }
        }
    }
}

/// Sends it once. A defect that it meets is the message's alone: it is tried again later, and those beside it are not
/// touched.
async fn send(channel: &dyn Channel, letter: &Letter) -> Answer {
    let sent = AssertUnwindSafe(channel.send(letter)).catch_unwind().await;
    sent.unwrap_or_else(|_| Answer::Failed {
        error: "sending it met a defect in the program".to_owned(),
        in_doubt: true,
    })
}

async fn check(channel: &dyn Channel) -> Result<(), String> {
    let checked = AssertUnwindSafe(channel.check()).catch_unwind().await;
    checked.unwrap_or_else(|_| Err("asking met a defect in the program".to_owned()))
}

/// Whether another copy of the entry is to be edited: one that is gone keeps nobody from the others.
fn goes_on(ready: &Ready, outcome: &Outcome) -> bool {
    ready.has_more_copies() && matches!(outcome, Outcome::Sent { .. } | Outcome::Dropped { .. })
}

/// The subject of the entry's e-mail, as it was.
fn answered_subject(ready: &Ready, zone: &TimeZone, now: Time) -> Option<String> {
    let (delivery, alert) = ready.entry.as_ref().zip(ready.sources.answered_alert.as_deref())?;
    let config = ready.sources.config.as_deref();
    let story =
        Story { delivery, alert: Some(alert), config, entry: None, zone, now: delivery.ended_at.unwrap_or(now) };
    render(&story).ok().map(|rendered| email::subject(&rendered.message))
}

fn tell(ready: &Ready, zone: &TimeZone, now: Time) -> Option<Rendered> {
    // Its alert is among the sources only where the entry is told too.
    let told_too = ready.entry.as_ref().zip(ready.sources.entry_alert.as_deref());
    let story = Story {
        delivery: &ready.delivery,
        alert: ready.sources.alert.as_deref(),
        config: ready.sources.config.as_deref(),
        entry: told_too.map(|(delivery, alert)| Told { delivery, alert }),
        zone,
        now,
    };
    render(&story).ok()
}

fn log_outcome(ready: &Ready, outcome: &Outcome) {
    let (delivery, kind) = (ready.delivery.id, ready.delivery.kind);
    match outcome {
        Outcome::Retry { error, in_doubt, .. } => debug!(%delivery, %kind, error, in_doubt, "not delivered yet"),
        Outcome::Dead { error, cause: DeathCause::ChatBlocked { .. } | DeathCause::NoMailbox { .. } } => {
            debug!(%delivery, %kind, error, "the recipient will have no messages");
        }
        Outcome::Dead { error, .. } => warn!(%delivery, %kind, error, "not delivered"),
        Outcome::Expired { .. } => info!(%delivery, %kind, "expired after failed attempts"),
        Outcome::Sent { .. } | Outcome::Dropped { .. } => {}
    }
}
