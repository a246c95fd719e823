//! The life of a subscription: its state and what happens to it make its next state, and what its subscriber is to hear.
//! All of it is [`decide`], one match. What it rests on ([`SubscriptionContext`]) is read in the commit that writes what
//! it answers: see the port [`SubscriptionStore`](crate::store::SubscriptionStore).
//!
//! Whether a plan is sold, and what it was quoted at, is not judged here: money that has come is never turned away.

mod editing;
mod moving;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::editing::{GivenDates, find_event, find_missing_dates};
use super::calendar::{TermError, term_end, zone_named};
use super::{
    ACTIVE_SUBSCRIPTIONS_MAX, Payment, PaymentExtension, PaymentMethod, PaymentStatus, REJECTIONS_MAX, RefundRecord,
    RejectedPayment, Subscription, SubscriptionExtension, SubscriptionPlace, SubscriptionStatus, SubscriptionTerm,
    SubscriptionUsage, places_taken, transaction_key,
};
use crate::id::{AdminId, PlanId, PreferenceId, SubscriptionId, UserId};
use crate::market::words;
use crate::money::Amount;
use crate::plan::{Plan, PlanDuration};
use crate::time::Time;
use crate::user::{User, UserStatus};

words! {
    /// Where a subscription stands, by its payment, its status and the time.
    SubscriptionState {
        /// Its payment waits for a decision.
        Pending = "pending",
        /// Its payment is rejected.
        Rejected = "rejected",
        /// Its payment is approved, and it has no term yet.
        Paid = "paid",
        /// It begins later.
        Scheduled = "scheduled",
        Running = "running",
        /// Its term has passed, and nobody has noted it yet.
        Over = "over",
        Expired = "expired",
        Cancelled = "cancelled",
        /// Its payment was paid back.
        Refunded = "refunded",
    }
}

impl Subscription {
    /// Where it stands.
    pub fn state(&self, now: Time) -> SubscriptionState {
        if self.alertcast.refund.is_some() {
            return SubscriptionState::Refunded;
        }
        match (self.subscription.status, self.payment.status) {
            (SubscriptionStatus::Active, _) if self.subscription.end_date.is_some_and(|end| end <= now) => {
                SubscriptionState::Over
            }
            (_, PaymentStatus::Rejected) => SubscriptionState::Rejected,
            (SubscriptionStatus::Active, _) if self.subscription.start_date.is_some_and(|start| now < start) => {
                SubscriptionState::Scheduled
            }
            (SubscriptionStatus::Active, _) => SubscriptionState::Running,
            (SubscriptionStatus::Expired, _) => SubscriptionState::Expired,
            (SubscriptionStatus::Cancelled, _) => SubscriptionState::Cancelled,
            (SubscriptionStatus::Pending, PaymentStatus::Approved) => SubscriptionState::Paid,
            (SubscriptionStatus::Pending, PaymentStatus::Pending) => SubscriptionState::Pending,
        }
    }

    /// Whether it runs, or is to.
    fn is_open(&self, now: Time) -> bool {
        self.payment.status != PaymentStatus::Rejected && self.place().is_open(now)
    }
}

/// What happens to a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionEvent {
    /// A transaction id arrives: of a new subscription, or again of one whose payment was rejected.
    Submit(PaymentSubmission),
    Approve(PaymentApproval),
    Reject(PaymentRejection),
    /// Its end has come.
    Expire,
    Cancel(CancellationTime),
    /// A transaction id arrives for the term that follows.
    Renew(RenewalSubmission),
    Refund(RefundOrder),
    /// The decision about the payment is taken back.
    Reopen,
    /// An operator writes its status and dates by hand.
    Correct(SubscriptionTerm),
}

impl SubscriptionEvent {
    /// What the audit log calls it.
    pub const fn action(&self) -> &'static str {
        match self {
            Self::Submit(_) => "submit_subscription",
            Self::Approve(_) => "approve_subscription",
            Self::Reject(_) => "reject_subscription",
            Self::Expire => "expire_subscription",
            Self::Cancel(_) => "cancel_subscription",
            Self::Renew(_) => "renew_subscription",
            Self::Refund(_) => "refund_subscription",
            Self::Reopen => "reopen_subscription",
            Self::Correct(_) => "correct_subscription",
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::Submit(_) => "submitted",
            Self::Approve(_) => "approved",
            Self::Reject(_) => "rejected",
            Self::Expire => "ended",
            Self::Cancel(_) => "cancelled",
            Self::Renew(_) => "renewed",
            Self::Refund(_) => "refunded",
            Self::Reopen => "reopened",
            Self::Correct(_) => "corrected",
        }
    }
}

/// A payment as its payer claims it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedPayment {
    pub transaction_id: String,
    /// In `currency`.
    pub amount: Amount,
    pub currency: String,
    pub method: PaymentMethod,
    pub proof_url: Option<String>,
}

/// A payment for a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentSubmission {
    pub user: UserId,
    pub plan: PlanId,
    pub payment: ClaimedPayment,
}

/// A payment for the term that follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalSubmission {
    /// The new subscription's.
    pub id: SubscriptionId,
    pub payment: ClaimedPayment,
}

/// A payment is found to have come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentApproval {
    /// What was bought, where it was quoted otherwise than the plan says now.
    pub length: Option<PlanDuration>,
    /// Where an operator says so; else now, or the end of what runs of the same plan.
    pub start: Option<Time>,
    /// Where an operator says so; else the calendar does.
    pub end: Option<Time>,
    /// It takes the place of another decision, which whoever approves has seen.
    pub overrules: bool,
}

/// A payment is found not to have come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentRejection {
    /// The subscriber is told. It may be missing only where another decision is overruled or corrected.
    pub reason: Option<String>,
    /// It takes the place of another decision, which whoever rejects has seen.
    pub overrules: bool,
}

words! {
    /// When a cancelled subscription ends.
    CancellationTime {
        /// At the end that was paid for.
        AtEnd = "end",
        AtOnce = "now",
    }
}

/// Money that is paid back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundOrder {
    /// In `currency`.
    pub amount: Amount,
    pub currency: String,
    pub reference: Option<String>,
    pub reason: Option<String>,
}

/// Who decides; nobody where a rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecisionMaker {
    pub admin: Option<AdminId>,
    /// The admin's linked user (seed 2.4 `approvedBy`).
    pub user: Option<UserId>,
}

/// What a decision rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionContext {
    /// The one that it is about.
    pub id: SubscriptionId,
    /// None where it is to be made.
    pub subscription: Option<Subscription>,
    /// None where there is none, or where it cannot be read.
    pub user: Option<User>,
    /// None where there is none, or where it cannot be read.
    pub plan: Option<Plan>,
    /// The user's other subscriptions, as far as they can be read.
    pub others: Vec<Subscription>,
    /// The user's preferences.
    pub preferences: Vec<PreferenceLink>,
}

/// Under which subscription a user's preferences stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreferenceLink {
    pub preference: PreferenceId,
    pub subscription: SubscriptionId,
}

/// What comes of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct SubscriptionChange {
    /// None where `after` is new.
    pub before: Option<Subscription>,
    pub after: Subscription,
    /// Preferences that stand under another subscription from now on.
    pub moved: Vec<PreferenceLink>,
    pub message: Option<SubscriberMessage>,
}

/// What the subscriber is to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriberMessage {
    PaymentReceived,
    PaymentApproved {
        start: Time,
        end: Option<Time>,
    },
    PaymentRejected {
        reason: Option<String>,
    },
    /// It runs on until its end.
    CancellationNoted {
        end: Time,
    },
    Cancelled,
    Expired {
        /// Another one of the same plan goes on from here.
        is_renewed: bool,
    },
    Refunded {
        amount: Amount,
        currency: String,
    },
}

/// Why nothing comes of an event. Each says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleError {
    #[error("there is no such subscription")]
    Missing,
    #[error("a subscription that is {state} cannot be {event}")]
    WrongState { event: &'static str, state: SubscriptionState },
    #[error("the payment has been approved already")]
    Approved { by: Option<AdminId>, at: Option<Time> },
    #[error("the subscriber can send it in again: the payment has been rejected already")]
    Rejected { by: Option<AdminId>, at: Option<Time> },
    #[error("it has been cancelled already")]
    CancelledAlready,
    #[error("it ends only at {end}")]
    NotOver { end: Time },
    #[error("it has no end: give it one, or cancel it at once")]
    WithoutEnd,
    #[error("the subscriber cannot be read, or is gone")]
    UnknownSubscriber,
    #[error("the subscriber is suspended: lift that first, or pay the money back")]
    Suspended,
    #[error("the subscriber has been erased: pay the money back")]
    Erased,
    #[error("the plan cannot be read, or is gone: say from when to when it is to run")]
    UnknownPlan,
    #[error("the one that runs of the same plan has no end, so that this would never begin: give that one an end")]
    PredecessorWithoutEnd,
    #[error("it would be the user's sixth running subscription; at most {ACTIVE_SUBSCRIPTIONS_MAX} are allowed")]
    TooManyRunning,
    #[error("its end, {end}, is not after its start, {start}")]
    EndNotAfterStart { start: Time, end: Time },
    #[error(transparent)]
    Term(#[from] TermError),
    #[error("is active, but payment.status is {0}: an active subscription takes an approved payment")]
    NotPaid(PaymentStatus),
    #[error("a rejection needs a reason: the subscriber is told")]
    ReasonMissing,
    #[error("it belongs to another user, or to another plan")]
    NotTheirs,
    #[error("a refund is more than nothing and at most what was paid, {amount} {currency}")]
    RefundOutOfRange { amount: Amount, currency: String },
}

/// What comes of an event.
///
/// # Errors
/// The event does not fit the state, or breaks a rule (seed 5.1; the decisions on money).
pub fn decide(
    context: &SubscriptionContext,
    event: &SubscriptionEvent,
    by: DecisionMaker,
    now: Time,
) -> Result<SubscriptionChange, LifecycleError> {
    use SubscriptionEvent as Event;
    use SubscriptionState as State;
    let step = LifecycleStep { context, by, now };
    let Some(before) = &context.subscription else { return step.begin(event) };
    let (state, payment) = (before.state(now), before.payment.status);
    let (undecided, approved) = (payment == PaymentStatus::Pending, payment == PaymentStatus::Approved);
    match (event, state) {
        (Event::Submit(again), State::Rejected) => step.submit_again(before, again),

        (Event::Approve(given), State::Pending | State::Paid) => step.approve(before, given),
        (Event::Approve(given), State::Rejected) if given.overrules => step.approve(before, given),
        // Another application lets it run before its payment is decided: it keeps its term.
        (Event::Approve(_), State::Scheduled | State::Running | State::Over) if undecided => Ok(step.note_paid(before)),
        (Event::Approve(given), State::Expired | State::Cancelled) if given.overrules && !approved => {
            Ok(step.note_paid(before))
        }
        (Event::Approve(_), State::Rejected) => Err(rejected_already(before)),
        (Event::Approve(_), _) if approved => Err(approved_already(before)),

        (Event::Reject(given), _) if undecided => step.reject(before, given),
        (Event::Reject(given), _) if approved && given.overrules && state != State::Refunded => {
            step.reject(before, given)
        }
        (Event::Reject(_), _) if approved => Err(approved_already(before)),
        (Event::Reject(_), _) => Err(rejected_already(before)),

        (Event::Expire, State::Over) => Ok(step.expire(before)),
        (Event::Expire, State::Scheduled | State::Running) => Err(not_over(before)),

        (Event::Cancel(_), State::Pending | State::Paid) => Ok(step.cancel_at_once(before)),
        (Event::Cancel(CancellationTime::AtEnd), State::Scheduled | State::Running | State::Over) => {
            step.cancel_at_end(before)
        }
        (Event::Cancel(CancellationTime::AtOnce), State::Scheduled | State::Running | State::Over) => {
            Ok(step.cancel_at_once(before))
        }
        (Event::Cancel(_), State::Cancelled) => Err(LifecycleError::CancelledAlready),

        (Event::Renew(next), State::Scheduled | State::Running | State::Over | State::Expired) => {
            Ok(step.renew(before, next))
        }

        (
            Event::Refund(order),
            State::Paid | State::Scheduled | State::Running | State::Over | State::Expired | State::Cancelled,
        ) if approved => step.refund(before, order),

        (Event::Reopen, _) if !undecided && state != State::Refunded => Ok(step.reopen(before)),

        (Event::Correct(term), _) => step.correct(before, term),

        (event, state) => Err(LifecycleError::WrongState { event: event.name(), state }),
    }
}

/// Without an approved payment nothing is made active, and nothing that is active made longer. What another application
/// has made so stays as it is while other fields are changed. `before`: none where it is new.
///
/// # Errors
/// `NotPaid`.
pub fn check_paid(
    payment: PaymentStatus,
    term: &SubscriptionTerm,
    before: Option<&Subscription>,
) -> Result<(), LifecycleError> {
    if term.status != SubscriptionStatus::Active || payment == PaymentStatus::Approved {
        return Ok(());
    }
    let was_so = before.is_some_and(|before| {
        let same = before.payment.status == payment && before.subscription.status == term.status;
        let after = Subscription { subscription: term.clone(), ..before.clone() };
        same && !after.entitles_to_more(Some(before))
    });
    if was_so { Ok(()) } else { Err(LifecycleError::NotPaid(payment)) }
}

type LifecycleResult = Result<SubscriptionChange, LifecycleError>;

/// One decision under way.
#[derive(Debug, Clone, Copy)]
struct LifecycleStep<'a> {
    context: &'a SubscriptionContext,
    by: DecisionMaker,
    now: Time,
}

impl LifecycleStep<'_> {
    /// A subscription that is not there yet.
    fn begin(&self, event: &SubscriptionEvent) -> LifecycleResult {
        let SubscriptionEvent::Submit(new) = event else { return Err(LifecycleError::Missing) };
        let after = self.make_subscription(self.context.id, new.user, new.plan, &new.payment);
        Ok(self.change(None, after, Some(SubscriberMessage::PaymentReceived)))
    }

    fn make_subscription(
        &self,
        id: SubscriptionId,
        user: UserId,
        plan: PlanId,
        claimed: &ClaimedPayment,
    ) -> Subscription {
        Subscription {
            id,
            user_id: user,
            subscription_plan_id: plan,
            payment: pending_payment(claimed),
            subscription: SubscriptionTerm::default(),
            usage: SubscriptionUsage::default(),
            created_at: self.now,
            updated_at: self.now,
            alertcast: SubscriptionExtension {
                transaction_key: Some(transaction_key(&claimed.transaction_id)),
                ..SubscriptionExtension::default()
            },
        }
    }

    /// One's own rejected payment, sent in again: the same document, which keeps why it was rejected before.
    fn submit_again(&self, before: &Subscription, again: &PaymentSubmission) -> LifecycleResult {
        if (again.user, again.plan) != (before.user_id, before.subscription_plan_id) {
            return Err(LifecycleError::NotTheirs);
        }
        let mut after = before.clone();
        keep_rejection(&mut after);
        after.payment = pending_payment(&again.payment);
        after.subscription = SubscriptionTerm {
            status: SubscriptionStatus::Pending,
            start_date: None,
            end_date: None,
            ..after.subscription
        };
        after.alertcast.transaction_key = Some(transaction_key(&again.payment.transaction_id));
        after.alertcast.cancelled_at = None;
        Ok(self.change(Some(before), after, Some(SubscriberMessage::PaymentReceived)))
    }

    fn approve(&self, before: &Subscription, given: &PaymentApproval) -> LifecycleResult {
        let user = self.context.user.as_ref().ok_or(LifecycleError::UnknownSubscriber)?;
        check_subscriber(user)?;
        let (start, end) = self.term_of(before, user, given)?;
        let mut after = self.mark_paid(before);
        after.subscription.status = SubscriptionStatus::Active;
        after.subscription.start_date = Some(start);
        after.subscription.end_date = Some(end);
        after.subscription.renewal_notification_sent = false;
        after.alertcast.cancelled_at = None;
        after.alertcast.picks = after.alertcast.picks.or_else(|| self.context.last_picks(before));
        self.check_places(&after)?;
        let message = SubscriberMessage::PaymentApproved { start, end: Some(end) };
        Ok(self.change(Some(before), after, Some(message)))
    }

    /// From when to when. A renewal begins at the end of what runs of the same plan.
    fn term_of(
        &self,
        before: &Subscription,
        user: &User,
        given: &PaymentApproval,
    ) -> Result<(Time, Time), LifecycleError> {
        let start = match given.start {
            Some(start) => start,
            None => self.context.last_end(before, self.now)?.map_or(self.now, |end| end.max(self.now)),
        };
        let end = match (given.end, given.length, &self.context.plan) {
            (Some(end), _, _) => end,
            (None, Some(length), _) => term_end(start, length, &zone_named(&user.profile.timezone))?,
            (None, None, Some(plan)) => term_end(start, plan.pricing.duration, &zone_named(&user.profile.timezone))?,
            (None, None, None) => return Err(LifecycleError::UnknownPlan),
        };
        if end <= start {
            return Err(LifecycleError::EndNotAfterStart { start, end });
        }
        Ok((start, end))
    }

    /// At most five run: what has ended takes no place, and neither does what follows a running one of the same plan.
    fn check_places(&self, after: &Subscription) -> Result<(), LifecycleError> {
        let held: Vec<SubscriptionPlace> = self.context.others.iter().chain([after]).map(Subscription::place).collect();
        match after.is_open(self.now) && places_taken(&held, self.now) > ACTIVE_SUBSCRIPTIONS_MAX {
            true => Err(LifecycleError::TooManyRunning),
            false => Ok(()),
        }
    }

    /// The payment has come, and the term stays as it is.
    fn note_paid(&self, before: &Subscription) -> SubscriptionChange {
        let after = self.mark_paid(before);
        let message =
            after.entitlement().map(|term| SubscriberMessage::PaymentApproved { start: term.start, end: term.end });
        self.change(Some(before), after, message)
    }

    fn mark_paid(&self, before: &Subscription) -> Subscription {
        let mut after = before.clone();
        keep_rejection(&mut after);
        after.payment.status = PaymentStatus::Approved;
        after.payment.approved_at = Some(self.now);
        after.payment.approved_by = self.by.user;
        after.alertcast.approved_by_admin = self.by.admin;
        after
    }

    fn reject(&self, before: &Subscription, given: &PaymentRejection) -> LifecycleResult {
        let reason = given.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
        if reason.is_none() && !given.overrules {
            return Err(LifecycleError::ReasonMissing);
        }
        let mut after = before.clone();
        forget_approval(&mut after);
        after.payment.status = PaymentStatus::Rejected;
        after.payment.rejection_reason.clone_from(&reason);
        after.alertcast.payment.rejected_at = Some(self.now);
        after.alertcast.payment.rejected_by_admin = self.by.admin;
        if after.subscription.status == SubscriptionStatus::Active {
            after.subscription.status = SubscriptionStatus::Cancelled;
        }
        Ok(self.change(Some(before), after, Some(SubscriberMessage::PaymentRejected { reason })))
    }

    /// What was to be cancelled at its end is so now.
    fn expire(&self, before: &Subscription) -> SubscriptionChange {
        let mut after = before.clone();
        after.subscription.status = match before.alertcast.cancelled_at {
            Some(_) => SubscriptionStatus::Cancelled,
            None => SubscriptionStatus::Expired,
        };
        let is_renewed = self.context.successor(before, self.now).is_some();
        self.change(Some(before), after, Some(SubscriberMessage::Expired { is_renewed }))
    }

    fn cancel_at_end(&self, before: &Subscription) -> LifecycleResult {
        let end = before.subscription.end_date.ok_or(LifecycleError::WithoutEnd)?;
        if before.alertcast.cancelled_at.is_some() {
            return Err(LifecycleError::CancelledAlready);
        }
        let mut after = before.clone();
        after.subscription.auto_renew = false;
        after.alertcast.cancelled_at = Some(self.now);
        Ok(self.change(Some(before), after, Some(SubscriberMessage::CancellationNoted { end })))
    }

    fn cancel_at_once(&self, before: &Subscription) -> SubscriptionChange {
        let mut after = before.clone();
        after.subscription.status = SubscriptionStatus::Cancelled;
        after.subscription.auto_renew = false;
        after.alertcast.cancelled_at = Some(self.now);
        self.change(Some(before), after, Some(SubscriberMessage::Cancelled))
    }

    /// Picks and the wish to be renewed are carried over.
    fn renew(&self, before: &Subscription, next: &RenewalSubmission) -> SubscriptionChange {
        let mut after = self.make_subscription(next.id, before.user_id, before.subscription_plan_id, &next.payment);
        after.alertcast.picks.clone_from(&before.alertcast.picks);
        after.subscription.auto_renew = before.subscription.auto_renew;
        self.change(None, after, Some(SubscriberMessage::PaymentReceived))
    }

    /// It ends now; one that has not begun keeps its dates (seed 5.1: the end is after the start).
    fn refund(&self, before: &Subscription, order: &RefundOrder) -> LifecycleResult {
        let Payment { amount, currency, .. } = &before.payment;
        let in_range = order.amount.is_positive() && order.amount <= *amount && order.currency == *currency;
        if !in_range {
            return Err(LifecycleError::RefundOutOfRange { amount: *amount, currency: currency.clone() });
        }
        let mut after = before.clone();
        let term = &mut after.subscription;
        if term.status != SubscriptionStatus::Expired {
            term.status = SubscriptionStatus::Cancelled;
        }
        term.auto_renew = false;
        if term.start_date.is_some_and(|start| start < self.now) && term.end_date.is_none_or(|end| self.now < end) {
            term.end_date = Some(self.now);
        }
        after.alertcast.refund = Some(RefundRecord {
            amount: order.amount,
            currency: order.currency.clone(),
            at: self.now,
            by: self.by.admin,
            reference: order.reference.clone(),
            reason: order.reason.clone(),
        });
        let message = SubscriberMessage::Refunded { amount: order.amount, currency: order.currency.clone() };
        Ok(self.change(Some(before), after, Some(message)))
    }

    fn reopen(&self, before: &Subscription) -> SubscriptionChange {
        let mut after = before.clone();
        keep_rejection(&mut after);
        forget_approval(&mut after);
        after.payment.status = PaymentStatus::Pending;
        if after.subscription.status == SubscriptionStatus::Active {
            after.subscription.status = SubscriptionStatus::Pending;
        }
        self.change(Some(before), after, None)
    }

    fn correct(&self, before: &Subscription, term: &SubscriptionTerm) -> LifecycleResult {
        check_paid(before.payment.status, term, Some(before))?;
        let dates = (term.start_date, term.end_date);
        if let (Some(start), Some(end)) = dates
            && end <= start
            && dates != (before.subscription.start_date, before.subscription.end_date)
        {
            return Err(LifecycleError::EndNotAfterStart { start, end });
        }
        let mut after = Subscription { subscription: term.clone(), ..before.clone() };
        if term.status == SubscriptionStatus::Active && before.subscription.status != SubscriptionStatus::Active {
            after.alertcast.cancelled_at = None;
        }
        if !before.is_open(self.now) {
            self.check_places(&after)?;
        }
        Ok(self.change(Some(before), after, None))
    }

    /// The change, with the preferences that go with it.
    fn change(
        &self,
        before: Option<&Subscription>,
        mut after: Subscription,
        message: Option<SubscriberMessage>,
    ) -> SubscriptionChange {
        let moved = before.map(|before| self.context.move_links(before, &after, self.now)).unwrap_or_default();
        if let Some(before) = before {
            // It rises with each change: who has read this state and finds it unchanged has missed nothing.
            after.updated_at = self.now.max(before.updated_at + Duration::from_millis(1));
        }
        SubscriptionChange { before: before.cloned(), after, moved, message }
    }
}

fn check_subscriber(user: &User) -> Result<(), LifecycleError> {
    match user.status {
        _ if user.alertcast.erased_at.is_some() => Err(LifecycleError::Erased),
        UserStatus::Suspended => Err(LifecycleError::Suspended),
        UserStatus::Active | UserStatus::Inactive => Ok(()),
    }
}

fn pending_payment(claimed: &ClaimedPayment) -> Payment {
    Payment {
        transaction_id: claimed.transaction_id.trim().to_owned(),
        amount: claimed.amount,
        currency: claimed.currency.clone(),
        method: claimed.method,
        proof_url: claimed.proof_url.clone(),
        status: PaymentStatus::Pending,
        approved_by: None,
        approved_at: None,
        rejection_reason: None,
    }
}

/// What another decision takes the place of stays on record.
fn keep_rejection(after: &mut Subscription) {
    let PaymentExtension { rejected_at, rejected_by_admin, history } = &mut after.alertcast.payment;
    let (at, by, reason) = (rejected_at.take(), rejected_by_admin.take(), after.payment.rejection_reason.take());
    if after.payment.status != PaymentStatus::Rejected {
        return;
    }
    history.push(RejectedPayment { transaction_id: after.payment.transaction_id.clone(), at, by, reason });
    let too_many = history.len().saturating_sub(REJECTIONS_MAX);
    history.drain(..too_many);
}

fn forget_approval(after: &mut Subscription) {
    after.payment.approved_at = None;
    after.payment.approved_by = None;
    after.alertcast.approved_by_admin = None;
}

fn approved_already(before: &Subscription) -> LifecycleError {
    LifecycleError::Approved { by: before.alertcast.approved_by_admin, at: before.payment.approved_at }
}

fn rejected_already(before: &Subscription) -> LifecycleError {
    let PaymentExtension { rejected_at, rejected_by_admin, .. } = before.alertcast.payment;
    LifecycleError::Rejected { by: rejected_by_admin, at: rejected_at }
}

fn not_over(before: &Subscription) -> LifecycleError {
    before.subscription.end_date.map_or(LifecycleError::WithoutEnd, |end| LifecycleError::NotOver { end })
}
