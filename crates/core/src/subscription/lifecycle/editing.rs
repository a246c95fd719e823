//! A subscription that is edited by its fields: which event that is, and what follows of it beyond those fields.

use super::{PaymentApproval, PaymentRejection, SubscriptionChange, SubscriptionEvent};
use crate::subscription::{PaymentStatus, Subscription, SubscriptionStatus, SubscriptionTerm};
use crate::time::Time;

/// The dates that an edit itself gives. Those that only stay as they were may be anybody's, and approve nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GivenDates {
    pub start: Option<Time>,
    pub end: Option<Time>,
}

/// The event that an edit is; none where it changes nothing of the subscription's life. Who edits has seen what was
/// decided before, and overrules it.
pub fn find_event(before: &Subscription, edited: &Subscription, given: GivenDates) -> Option<SubscriptionEvent> {
    let decided = edited.payment.status != before.payment.status;
    match edited.payment.status {
        PaymentStatus::Approved if decided => Some(SubscriptionEvent::Approve(PaymentApproval {
            length: None,
            start: given.start,
            end: given.end,
            overrules: true,
        })),
        PaymentStatus::Rejected if decided => {
            let reason = edited.payment.rejection_reason.clone();
            Some(SubscriptionEvent::Reject(PaymentRejection { reason, overrules: true }))
        }
        PaymentStatus::Pending if decided => Some(SubscriptionEvent::Reopen),
        _ if is_same_term(&before.subscription, &edited.subscription) => None,
        _ => Some(SubscriptionEvent::Correct(edited.subscription.clone())),
    }
}

/// The dates that a term lacks which is made active: they say for how long. What another application has made active
/// without them stays as it is. `before`: none where it is new.
pub fn find_missing_dates(term: &SubscriptionTerm, before: Option<&Subscription>) -> Vec<&'static str> {
    let is_as_it_was = before.is_some_and(|before| is_same_term(&before.subscription, term));
    if term.status != SubscriptionStatus::Active || is_as_it_was {
        return Vec::new();
    }
    let dates = [("startDate", term.start_date), ("endDate", term.end_date)];
    dates.into_iter().filter(|(_, date)| date.is_none()).map(|(name, _)| name).collect()
}

impl SubscriptionChange {
    /// The edited subscription with what follows of the event that its edit is. What the edit says stands.
    #[must_use]
    pub fn complete_edit(&self, edited: &Subscription) -> Subscription {
        let mut whole = edited.clone();
        let (before, after) = (self.before.as_ref().unwrap_or(edited), &self.after);
        let (term, was, is) = (&mut whole.subscription, &before.subscription, &after.subscription);
        if before.payment.status != after.payment.status && after.payment.status == PaymentStatus::Approved {
            // A date that is taken away is as one that was never given.
            term.start_date = term.start_date.or(was.start_date);
            term.end_date = term.end_date.or(was.end_date);
        }
        follow(&mut term.status, &was.status, &is.status);
        follow(&mut term.start_date, &was.start_date, &is.start_date);
        follow(&mut term.end_date, &was.end_date, &is.end_date);
        follow(&mut term.renewal_notification_sent, &was.renewal_notification_sent, &is.renewal_notification_sent);
        let (payment, was, is) = (&mut whole.payment, &before.payment, &after.payment);
        follow(&mut payment.approved_by, &was.approved_by, &is.approved_by);
        follow(&mut payment.approved_at, &was.approved_at, &is.approved_at);
        follow(&mut payment.rejection_reason, &was.rejection_reason, &is.rejection_reason);
        follow(&mut whole.alertcast.picks, &before.alertcast.picks, &after.alertcast.picks);
        whole.alertcast.approved_by_admin = after.alertcast.approved_by_admin;
        whole.alertcast.cancelled_at = after.alertcast.cancelled_at;
        whole.alertcast.payment.clone_from(&after.alertcast.payment);
        whole
    }
}

/// What the edit left as it was becomes what follows.
fn follow<T: Clone + PartialEq>(edited: &mut T, before: &T, after: &T) {
    if edited == before {
        edited.clone_from(after);
    }
}

fn is_same_term(one: &SubscriptionTerm, other: &SubscriptionTerm) -> bool {
    let life = |term: &SubscriptionTerm| (term.status, term.start_date, term.end_date);
    life(one) == life(other)
}
