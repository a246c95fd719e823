//! A subscription that is edited by its fields: which event that is, and what follows of it beyond those fields.

use super::{PaymentApproval, PaymentRejection, SubscriptionChange, SubscriptionEvent};
use crate::subscription::{PaymentStatus, Subscription, SubscriptionTerm};

/// The event that an edit is; none where it changes nothing of the subscription's life. Who edits has seen what was
/// decided before, and overrules it.
pub fn find_event(before: &Subscription, edited: &Subscription) -> Option<SubscriptionEvent> {
    let decided = edited.payment.status != before.payment.status;
    match edited.payment.status {
        PaymentStatus::Approved if decided => Some(SubscriptionEvent::Approve(PaymentApproval {
            length: None,
            start: edited.subscription.start_date,
            end: edited.subscription.end_date,
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

impl SubscriptionChange {
    /// The edited subscription with what follows of the event that its edit is. What the edit says of the term stands.
    #[must_use]
    pub fn complete_edit(&self, edited: &Subscription) -> Subscription {
        let mut whole = edited.clone();
        let before = self.before.as_ref().map_or(&edited.subscription, |before| &before.subscription);
        let (term, after) = (&mut whole.subscription, &self.after.subscription);
        follow(&mut term.status, &before.status, &after.status);
        follow(&mut term.start_date, &before.start_date, &after.start_date);
        follow(&mut term.end_date, &before.end_date, &after.end_date);
        whole.alertcast.cancelled_at = self.after.alertcast.cancelled_at;
        whole.alertcast.payment.clone_from(&self.after.alertcast.payment);
        whole
    }
}

/// What the edit left as it was becomes what follows.
fn follow<T: Copy + PartialEq>(edited: &mut T, before: &T, after: &T) {
    if edited == before {
        *edited = *after;
    }
}

fn is_same_term(one: &SubscriptionTerm, other: &SubscriptionTerm) -> bool {
    let life = |term: &SubscriptionTerm| (term.status, term.start_date, term.end_date);
    life(one) == life(other)
}
