//! What an attempt's answer means for its delivery. Pure.

use std::time::Duration;

use alertcast_core::delivery::{Delivery, MessageKind, retry_delay};
use alertcast_core::store::Outcome;
use alertcast_core::time::Time;

use super::health::REFUSED_FIRST;
use crate::channel::{Answer, Form};

/// What was attempted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    pub(super) delivery: &'a Delivery,
    pub(super) form: Form,
    /// It told only of a replaced trade's end.
    pub(super) entry_lapsed: bool,
    /// A refusal by the chat is one of the bot that the person started.
    pub(super) own_bot: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    Record(Outcome),
    /// The markup was refused: the same again, at once, as plain text.
    AsPlain,
}

/// What the answer means. `jitter` is drawn from 0..1.
pub(super) fn judge(answer: Answer, attempt: Attempt<'_>, now: Time, jitter: f64) -> Next {
    let dead = |error, chat_blocked| Next::Record(Outcome::Dead { error, chat_blocked });
    match answer {
        Answer::Sent { message_id } => Next::Record(Outcome::Sent { message_id, entry_lapsed: attempt.entry_lapsed }),
        Answer::Throttled { retry_after } => {
            let error = format!("Telegram asks to wait {} s", retry_after.as_secs());
            again(now + retry_after, error)
        }
        Answer::Unauthorized { error } => again(now + REFUSED_FIRST, error),
        Answer::Blocked { error } => dead(error, attempt.own_bot),
        Answer::BadMarkup { .. } if attempt.form == Form::Rich => Next::AsPlain,
        Answer::BadMarkup { error } | Answer::Refused { error } => dead(error, false),
        Answer::Failed { error, in_doubt } => {
            let due_at = now + retry_delay(attempt.delivery.attempts.0, jitter);
            if due_at > attempt.delivery.deadline_at {
                return Next::Record(too_late(attempt.delivery, Some(error)));
            }
            Next::Record(Outcome::Retry { due_at, error, in_doubt })
        }
    }
}

/// Not the message's fault: no failure, and nothing in doubt.
fn again(due_at: Time, error: String) -> Next {
    Next::Record(Outcome::Retry { due_at, error, in_doubt: false })
}

/// How a delivery ends whose time is over: entries, and what was never tried, have expired; what was tried in vain is
/// dead. `error`: of the last attempt.
pub(super) fn too_late(delivery: &Delivery, error: Option<String>) -> Outcome {
    match (delivery.kind, error.or_else(|| delivery.last_error.clone())) {
        (MessageKind::Entry, _) | (_, None) => Outcome::Expired,
        (_, Some(error)) => Outcome::Dead { error, chat_blocked: false },
    }
}

/// Puts a delivery back that was taken and has not left.
pub(super) fn put_back(due_at: Time, why: &str) -> Outcome {
    Outcome::Retry { due_at, error: why.to_owned(), in_doubt: false }
}

/// How long a message may have to wait in hand before it is put back.
pub(super) const HOLD_MAX: Duration = Duration::from_secs(1);
