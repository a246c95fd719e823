//! What an attempt's answer means for its delivery. Pure.

use std::collections::HashMap;
use std::time::Duration;

use alertcast_core::delivery::{Delivery, LATE, MessageKind, retry_delay};
use alertcast_core::id::DeliveryId;
use alertcast_core::store::{AttemptOutcome, DeathCause};
use alertcast_core::time::Time;

use super::health::REFUSED_FIRST;
use crate::channel::{ChannelAnswer, MessageForm};

/// A group moves once.
const MOVES: i64 = 2;

/// What was attempted.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendAttempt<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) form: MessageForm,
    /// It told only of a replaced trade's end.
    pub(super) entry_lapsed: bool,
    pub(super) within: PlaceInChat,
    /// Where it went.
    pub(super) to: &'a str,
    /// A refusal by the chat is one of the bot that the person started.
    pub(super) own_bot: bool,
    /// How many of its attempts were no failures.
    pub(super) excused: i64,
}

/// Where in its chat a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceInChat {
    /// There is only one place.
    Chat,
    Topic,
    /// The general topic, because its own is not there.
    General,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NextStep {
    Record(AttemptOutcome),
    /// The markup was refused: the same again, at once, as plain text.
    AsPlain,
    /// The topic is not there: the same again, at once, to the group's general topic.
    ToGeneral,
}

/// What the answer means. `jitter` is drawn from 0..1.
pub(super) fn judge(answer: ChannelAnswer, attempt: SendAttempt<'_>, now: Time, jitter: f64) -> NextStep {
    let dead = |error| NextStep::Record(refused_outcome(attempt.delivery, error));
    match answer {
        ChannelAnswer::Sent { message_id } => {
            let topic_gone = attempt.within == PlaceInChat::General;
            NextStep::Record(AttemptOutcome::Sent { message_id, entry_lapsed: attempt.entry_lapsed, topic_gone })
        }
        ChannelAnswer::Throttled { retry_after } => {
            let error = format!("Telegram asks to wait {} s", retry_after.wait().as_secs());
            again(now + retry_after.wait(), error)
        }
        ChannelAnswer::Moved { .. } => {
            // One that never stays must not keep us busy.
            let rest = if attempt.excused > MOVES { retry_delay(attempt.excused, jitter) } else { Duration::ZERO };
            again(now + rest, "the group has another id".to_owned())
        }
        ChannelAnswer::Unauthorized { error } => again(now + REFUSED_FIRST, error),
        ChannelAnswer::Blocked { error } if attempt.own_bot => {
            let cause = DeathCause::ChatBlocked { chat: attempt.to.to_owned() };
            NextStep::Record(AttemptOutcome::Dead { error, cause })
        }
        ChannelAnswer::BadMarkup { .. } if attempt.form == MessageForm::Rich => NextStep::AsPlain,
        ChannelAnswer::NoTopic { .. } if attempt.within == PlaceInChat::Topic => NextStep::ToGeneral,
        ChannelAnswer::NoMailbox { error } => {
            let cause = DeathCause::NoMailbox { address: attempt.to.to_owned() };
            NextStep::Record(AttemptOutcome::Dead { error, cause })
        }
        ChannelAnswer::Blocked { error }
        | ChannelAnswer::BadMarkup { error }
        | ChannelAnswer::NoTopic { error }
        | ChannelAnswer::Refused { error } => dead(error),
        ChannelAnswer::Failed { error, in_doubt } => later(attempt, error, in_doubt, now, jitter),
        ChannelAnswer::Deferred { error } => later(attempt, error, false, now, jitter),
    }
}

/// Once more, ever later, up to the deadline.
fn later(attempt: SendAttempt<'_>, error: String, in_doubt: bool, now: Time, jitter: f64) -> NextStep {
    let due_at = now + retry_delay(attempt.delivery.attempts.0.saturating_sub(attempt.excused), jitter);
    if due_at > attempt.delivery.deadline_at {
        return NextStep::Record(too_late(attempt.delivery, Some(error), in_doubt));
    }
    NextStep::Record(AttemptOutcome::Retry { due_at, error, in_doubt })
}

/// Not the message's fault: no failure, and nothing in doubt.
fn again(due_at: Time, error: String) -> NextStep {
    NextStep::Record(AttemptOutcome::Retry { due_at, error, in_doubt: false })
}

/// How a delivery ends that will never be accepted. A result that is not written is no message that was not delivered.
pub(super) fn refused_outcome(delivery: &Delivery, error: String) -> AttemptOutcome {
    match delivery.kind {
        MessageKind::Result => AttemptOutcome::Dropped { reason: error },
        _ => AttemptOutcome::Dead { error, cause: DeathCause::Refused },
    }
}

/// How a delivery ends whose time is over: entries, and what was never tried, have expired; what was tried in vain is
/// dead; a result is dropped. `error`: of the last attempt; `in_doubt`: which may have arrived.
pub(super) fn too_late(delivery: &Delivery, error: Option<String>, in_doubt: bool) -> AttemptOutcome {
    match (delivery.kind, error.or_else(|| delivery.last_error.clone())) {
        (MessageKind::Result, _) => AttemptOutcome::Dropped { reason: LATE.to_owned() },
        (MessageKind::Entry, _) | (_, None) => AttemptOutcome::Expired { in_doubt },
        (_, Some(error)) => AttemptOutcome::Dead { error, cause: DeathCause::InVain { in_doubt } },
    }
}

/// Puts a delivery back that was taken and has not left.
pub(super) fn put_back(due_at: Time, why: &str) -> AttemptOutcome {
    AttemptOutcome::Retry { due_at, error: why.to_owned(), in_doubt: false }
}

/// Attempts that were no failures, though the store counts them: Telegram asked to wait, or the message was put back.
/// They make nobody wait longer after the next failure. Forgotten when the courier ends.
#[derive(Debug, Default)]
pub(super) struct ExcusedAttempts {
    attempts: HashMap<DeliveryId, i64>,
}

impl ExcusedAttempts {
    /// More than these are not remembered.
    const MAX: usize = 10_000;

    pub(super) fn of(&self, delivery: DeliveryId) -> i64 {
        self.attempts.get(&delivery).copied().unwrap_or(0)
    }

    pub(super) fn add(&mut self, delivery: DeliveryId) {
        if self.attempts.len() < Self::MAX || self.attempts.contains_key(&delivery) {
            *self.attempts.entry(delivery).or_default() += 1;
        }
    }

    pub(super) fn forget(&mut self, delivery: DeliveryId) {
        self.attempts.remove(&delivery);
    }
}

/// How long a message may have to wait in hand before it is put back.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use alertcast_core::delivery::Channel;
    use alertcast_core::fixtures::{self, at};
    use alertcast_core::money::Count;

    use super::*;
    use crate::channel::RetryAfter;

    fn tried(delivery: &Delivery, answer: ChannelAnswer) -> NextStep {
        judge(answer, attempt(delivery), at(10), 1.0)
    }

    fn attempt(delivery: &Delivery) -> SendAttempt<'_> {
        let (form, within) = (MessageForm::Rich, PlaceInChat::Chat);
        SendAttempt { delivery, form, within, entry_lapsed: false, to: "7", own_bot: true, excused: 1 }
    }

    fn entry() -> Delivery {
        Delivery { attempts: Count(3), ..fixtures::entry(Channel::Telegram, 1, 1, 1) }
    }

    #[test]
    fn a_failure_is_tried_again_ever_later_and_what_was_no_failure_does_not_count() {
        let failed = |in_doubt| ChannelAnswer::Failed { error: "away".to_owned(), in_doubt };
        for in_doubt in [false, true] {
            let again = AttemptOutcome::Retry { due_at: at(12), error: "away".to_owned(), in_doubt };
            assert_eq!(tried(&entry(), failed(in_doubt)), NextStep::Record(again));
        }
    }

    #[test]
    fn no_retry_lies_behind_the_deadline() {
        let entry = Delivery { deadline_at: at(11), ..entry() };
        let exit = Delivery { deadline_at: at(11), ..fixtures::exit(Channel::Telegram, 2, 1, 1, 1) };
        let exit = Delivery { attempts: Count(3), ..exit };
        for in_doubt in [false, true] {
            let failed = || ChannelAnswer::Failed { error: "away".to_owned(), in_doubt };
            assert_eq!(tried(&entry, failed()), NextStep::Record(AttemptOutcome::Expired { in_doubt }));
            let dead = AttemptOutcome::Dead { error: "away".to_owned(), cause: DeathCause::InVain { in_doubt } };
            assert_eq!(tried(&exit, failed()), NextStep::Record(dead));
        }
    }

    #[test]
    fn telegrams_wish_to_wait_is_obeyed_and_leaves_nothing_in_doubt() {
        let next = tried(&entry(), ChannelAnswer::Throttled { retry_after: RetryAfter::seconds(40) });
        assert!(
            matches!(next, NextStep::Record(AttemptOutcome::Retry { due_at, in_doubt: false, .. }) if due_at == at(50))
        );
    }

    #[test]
    fn refused_markup_goes_out_plain_once() {
        let refused = || ChannelAnswer::BadMarkup { error: "can't parse entities".to_owned() };
        let delivery = entry();
        assert_eq!(tried(&delivery, refused()), NextStep::AsPlain);
        let plain = SendAttempt { form: MessageForm::Plain, ..attempt(&delivery) };
        assert!(matches!(judge(refused(), plain, at(10), 1.0), NextStep::Record(AttemptOutcome::Dead { .. })));
    }

    #[test]
    fn what_finds_no_topic_goes_to_the_general_one_once() {
        let refused = || ChannelAnswer::NoTopic { error: "Bad Request: message thread not found".to_owned() };
        let delivery = entry();
        let tried = |within, answer| judge(answer, SendAttempt { within, ..attempt(&delivery) }, at(10), 1.0);
        assert_eq!(tried(PlaceInChat::Topic, refused()), NextStep::ToGeneral);
        for within in [PlaceInChat::General, PlaceInChat::Chat] {
            assert!(matches!(tried(within, refused()), NextStep::Record(AttemptOutcome::Dead { .. })), "{within:?}");
            let sent = AttemptOutcome::Sent {
                message_id: Some(7),
                entry_lapsed: false,
                topic_gone: within == PlaceInChat::General,
            };
            assert_eq!(tried(within, ChannelAnswer::Sent { message_id: Some(7) }), NextStep::Record(sent));
        }
    }

    #[test]
    fn a_result_that_cannot_be_written_is_dropped_and_still_tells_of_a_blocked_chat() {
        let result = Delivery { deadline_at: at(11), attempts: Count(3), ..fixtures::result(2, 1, 1, 1) };
        let dropped = |reason: &str| NextStep::Record(AttemptOutcome::Dropped { reason: reason.to_owned() });
        let error = || "Bad Request: message can't be edited".to_owned();
        assert_eq!(tried(&result, ChannelAnswer::Refused { error: error() }), dropped(&error()));
        let failed = ChannelAnswer::Failed { error: "away".to_owned(), in_doubt: true };
        assert_eq!(tried(&result, failed), dropped(LATE), "the next attempt would come too late");
        let blocked = AttemptOutcome::Dead { error: error(), cause: DeathCause::ChatBlocked { chat: "7".to_owned() } };
        assert_eq!(tried(&result, ChannelAnswer::Blocked { error: error() }), NextStep::Record(blocked));
    }

    #[test]
    fn another_bots_chat_is_not_marked_as_blocked() {
        let delivery = entry();
        let attempt = SendAttempt { own_bot: false, ..attempt(&delivery) };
        let error = "Forbidden: bot can't initiate conversation with a user".to_owned();
        let dead = AttemptOutcome::Dead { error: error.clone(), cause: DeathCause::Refused };
        assert_eq!(judge(ChannelAnswer::Blocked { error }, attempt, at(10), 1.0), NextStep::Record(dead));
    }
}
