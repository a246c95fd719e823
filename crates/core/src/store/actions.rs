//! What the operators do by hand: a trade closed, a message sent again, a refused alert accepted after the fact, a person
//! erased. Each is one commit, and so is what is written about it.
//!
//! Every act takes `also`: the audit entry and the record of an idempotency key, say. They are applied in the act's own
//! commit, exactly as [`Documents::write`](super::Documents::write) would, whose errors the act can answer: where they
//! fail, nothing of the act has happened. After a crash the act and they are there, or neither; that an act said
//! `Unavailable` says nothing about it. An act that has happened is refused (`Conflict`) when it is repeated, unless it
//! says otherwise; `also` is not applied a second time then.

use std::fmt;

use async_trait::async_trait;
use bson::{Bson, Document};

use super::{DocumentWrite, StoreResult, UsageIncrement, document};
use crate::alert::document::Alert;
use crate::delivery::{Delivery, MessageKind};
use crate::id::{AlertId, DeliveryId, UserId};
use crate::money::Count;
use crate::time::Time;
use crate::trade::document::{Trade, TradeEnd, TradeStatus};

/// The end of a trade by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct TradeClose {
    pub end: TradeEnd,
    /// The trade's `alertcast.rev` on which the decision rests.
    pub rev_seen: i64,
    /// One whose key exists is left out silently.
    pub deliveries: Vec<Delivery>,
    pub usage: Vec<UsageIncrement>,
    pub now: Time,
    pub also: Vec<DocumentWrite>,
}

/// A delivery that ended unsent, to be sent again.
#[derive(Debug, Clone, PartialEq)]
pub struct ResendRequest {
    pub delivery: DeliveryId,
    pub due_at: Time,
    pub deadline_at: Time,
    /// For a replacement, until when its entry may be followed; others have none.
    pub entry_deadline_at: Option<Time>,
    pub now: Time,
    pub also: Vec<DocumentWrite>,
}

/// What became of a delivery that was to be sent again.
#[derive(Debug, Clone, PartialEq)]
pub enum ResendOutcome {
    /// It is pending.
    Queued(Box<Delivery>),
    /// An entry whose trade has ended: there is nothing to follow. Nothing was written.
    TradeEnded,
    /// An exit from a trade of which the subscriber never heard. Nothing was written.
    NeverEntered,
}

/// A refused or parked alert, to be processed after all.
#[derive(Debug, Clone, PartialEq)]
pub struct AcceptRefused {
    /// As it shall be: status `received`, its configuration; its errors as they were, and a line more. Its `seq` is given
    /// by the store.
    pub alert: Alert,
    pub now: Time,
    pub also: Vec<DocumentWrite>,
}

/// A person, to be erased.
#[derive(Debug, Clone, PartialEq)]
pub struct EraseUser {
    pub user: UserId,
    pub now: Time,
    /// What the user's document must still hold (field, value; null: absent or null); else `Conflict`.
    pub expect: Vec<(String, Bson)>,
    pub also: Vec<DocumentWrite>,
}

/// What erasing a person came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErasureOutcome {
    /// Subscriptions that were active or pending.
    pub subscriptions_cancelled: u64,
    /// Deliveries that waited.
    pub deliveries_dropped: u64,
    /// Deliveries from which the recipient was taken.
    pub deliveries_cleaned: u64,
    /// Entries of the audit log from which the person was taken.
    pub audit_entries_cleaned: u64,
    /// Answers to requests about the person, kept for their repetition, that tell of the person no more.
    pub answers_cleaned: u64,
    /// Alerts one of whose deliveries ended: to be settled.
    pub settle: Vec<AlertId>,
}

/// What the operators need.
#[async_trait]
pub trait OperatorActions: Send + Sync + fmt::Debug {
    /// Ends a trade, queues the messages about it and counts them. `Conflict` where the trade is not open, or its
    /// `alertcast.rev` is not `rev_seen` (none kept counts as 0). A chunk that saw the trade open is refused afterwards,
    /// and planned anew. Configurations count nothing: MANUAL is neither a take profit nor a stop loss.
    async fn close_trade(&self, close: TradeClose) -> StoreResult<()>;

    /// Makes a delivery pending again that is `expired` or `dead`; `Conflict` where it is in another state or not kept
    /// any more. Its attempts and the mark of a possible repeat stay. What followed from its end is taken back:
    /// - the alert's `failureCount` is lowered by one, and the alert is settled anew once nothing of it is open;
    /// - where it is an entry or replacement, or an exit that tells its entry too, and the trade is marked
    ///   `alertcast.unreached`, the mark is lifted (`rev` raised) and the subscriber's counters are raised again. Such a
    ///   trade may then stand above the limit of open trades.
    async fn resend(&self, resend: ResendRequest) -> StoreResult<ResendOutcome>;

    /// Makes an alert `received` whose status is `failed`; `Conflict` where it is in another or not kept. It takes its
    /// place behind all alerts of its configuration that have been accepted (`alertcast.seq`), `refusedFor` is removed
    /// and its attempts begin anew. A parked alert goes on behind its cursor. What others keep in the document stays.
    async fn accept_refused(&self, accept: AcceptRefused) -> StoreResult<()>;

    /// Whether anything is kept that happened to the user: a subscription, a trade, a delivery or a quota (and so a
    /// decision, which is made only about subscribers and holders). Without it the document can be deleted.
    async fn has_history(&self, user: UserId) -> StoreResult<bool>;

    /// Erases a person and keeps the numbers: see [`erasure`](crate::erasure) for what becomes of each document.
    /// `Conflict` where there is no such user, or `expect` does not hold.
    ///
    /// The recipient of deliveries that have ended is taken away first, in slices; then all else in one commit: the user,
    /// the subscriptions, the audit log's entries about these, the answers kept for repeated requests, the waiting
    /// deliveries (`dropped`, with the consequences of their end), and `also`. After a crash between slices the person is there, without the recipient of some old
    /// messages; repeating it goes on. Repeated on a person who is erased it takes away what has come since, and applies
    /// `also`. A message that is being sent goes on; its recipient is taken from the record.
    ///
    /// Trades stay, the open ones too: an exit ends them silently.
    async fn erase_user(&self, erase: EraseUser) -> StoreResult<ErasureOutcome>;
}

/// What sending a delivery again means for its trade: whether the mark of being unreached is lifted.
///
/// # Errors
/// The answer, where it is not to be sent again.
pub fn lifts_mark(delivery: &Delivery, trade: Option<&Trade>) -> std::result::Result<bool, ResendOutcome> {
    let Some(trade) = trade else { return Ok(false) };
    let announces = matches!(delivery.kind, MessageKind::Entry | MessageKind::Replacement);
    if announces && trade.status != TradeStatus::Open {
        return Err(ResendOutcome::TradeEnded);
    }
    let tells_entry = announces || delivery.combines.is_some();
    match (trade.alertcast.unreached, tells_entry, delivery.kind) {
        (true, true, _) => Ok(true),
        (true, false, MessageKind::Exit) => Err(ResendOutcome::NeverEntered),
        _ => Ok(false),
    }
}

/// What changes in a kept alert that is accepted after the fact: fields to set, and fields to remove. What is not ours is
/// in neither.
///
/// # Errors
/// `Corrupt` where an alert has no form as a document, which is a defect.
pub fn acceptance(kept: &Alert, accepted: &Alert) -> StoreResult<(Document, Vec<String>)> {
    let mut after = accepted.clone();
    after.alertcast.refused_for.clear();
    after.alertcast.attempts = Count(0);
    let (before, after) = (document(kept)?, document(&after)?);
    let (mut set, mut unset) = (Document::new(), Vec::new());
    for (name, value) in &after {
        match (value.as_document(), before.get_document(name)) {
            (Some(after), Ok(before)) => differences(name, before, after, &mut set, &mut unset),
            _ if before.get(name) != Some(value) => drop(set.insert(name, value)),
            _ => {}
        }
    }
    Ok((set, unset))
}

/// Of one part of an alert. What stands in its fields is changed as a whole: others' names may have dots in them.
fn differences(within: &str, before: &Document, after: &Document, set: &mut Document, unset: &mut Vec<String>) {
    let changed = after.iter().filter(|(name, value)| before.get(name) != Some(value));
    set.extend(changed.map(|(name, value)| (format!("{within}.{name}"), value.clone())));
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    unset.extend(gone.map(|name| format!("{within}.{name}")));
}
