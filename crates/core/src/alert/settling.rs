//! Settling: once no delivery of an alert is open, who got it is written into it (seed: `processing.matchedUsers` and
//! `processing.tradeActions`).

use std::collections::{BTreeMap, HashMap};

use super::document::{AlertStatus, MatchedUser, RECIPIENTS_INLINE_MAX, TradeActionTaken};
use crate::decision::{Decision, DecisionChunk, Verdict};
use crate::delivery::{Delivery, DeliveryState, MessageKind};
use crate::id::{AlertId, SubscriptionId, UserId};
use crate::money::Count;
use crate::store::{self, FieldEdits, SettlingOutcome, document};
use crate::time::Time;

/// What is kept of an alert that decides whether it can be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertStanding {
    pub seq: i64,
    pub settled_at: Option<Time>,
    pub status: Option<AlertStatus>,
}

impl AlertStanding {
    /// Why it is not settled, whatever its deliveries are; none where these decide. One that came with an import was not
    /// distributed here.
    #[must_use]
    pub fn refusal(self) -> Option<SettlingOutcome> {
        if self.settled_at.is_some() || self.seq <= 0 {
            return Some(SettlingOutcome::Before);
        }
        (self.status != Some(AlertStatus::Processed)).then_some(SettlingOutcome::NotYet)
    }
}

/// What becomes of an alert that is settled; without recipients they are too many to stand in it.
///
/// # Errors
/// `Corrupt` where something has no form as a document, which is a defect.
pub fn settle(recipients: Option<&AlertRecipients>, now: Time) -> store::StoreResult<FieldEdits> {
    let mut edits = FieldEdits::default();
    edits.set("alertcast.settledAt", now);
    edits.set("updatedAt", now);
    let Some(recipients) = recipients else {
        edits.set("alertcast.recipientsIn", "deliveries");
        return Ok(edits);
    };
    let (users, actions) = recipients.lists();
    edits.set("processing.matchedUsers", users.iter().map(document).collect::<store::StoreResult<Vec<_>>>()?);
    edits.set("processing.tradeActions", actions.iter().map(document).collect::<store::StoreResult<Vec<_>>>()?);
    Ok(edits)
}

/// The alerts some of whose deliveries ended within one operation.
#[derive(Debug, Default)]
pub struct EndedAlerts {
    /// In the order of the ends, once each.
    alerts: Vec<AlertId>,
    outcomes: BTreeMap<AlertId, OutcomeCounts>,
}

/// What an alert's counters grow by (seed: `statistics.deliveryCount` and `statistics.failureCount`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    pub sent: Count,
    pub failed: Count,
}

impl EndedAlerts {
    /// Takes in an alert of which something ended that does not count.
    pub fn touch(&mut self, alert: AlertId) {
        if !self.alerts.contains(&alert) {
            self.alerts.push(alert);
        }
    }

    /// Takes in a delivery of the alert that ended in this state.
    pub fn count(&mut self, alert: AlertId, state: DeliveryState) {
        self.touch(alert);
        let outcomes = self.outcomes.entry(alert).or_default();
        match state {
            DeliveryState::Sent => outcomes.sent.0 += 1,
            DeliveryState::Expired | DeliveryState::Dead => outcomes.failed.0 += 1,
            _ => {}
        }
    }

    /// By alert; those alone whose counters grow.
    pub fn outcomes(&self) -> impl Iterator<Item = (AlertId, OutcomeCounts)> {
        let grown = self.outcomes.iter().filter(|(_, outcomes)| **outcomes != OutcomeCounts::default());
        grown.map(|(alert, outcomes)| (*alert, *outcomes))
    }

    /// The alerts, to be settled.
    #[must_use]
    pub fn alerts(self) -> Vec<AlertId> {
        self.alerts
    }
}

/// Those whom an alert was for, and what they received.
#[derive(Debug, Default)]
pub struct AlertRecipients {
    matched: Vec<Decision>,
    received: HashMap<UserId, UserReceipt>,
}

/// What a user's deliveries of one alert came to.
#[derive(Debug, Default)]
struct UserReceipt {
    subscription: Option<SubscriptionId>,
    /// The first time that any channel delivered.
    delivered_at: Option<Time>,
    error: Option<String>,
}

impl AlertRecipients {
    /// Takes in decisions. False once those whom the alert was for are too many to stand in it.
    pub fn note_decisions(&mut self, chunk: DecisionChunk) -> bool {
        let is_for = |decision: &Decision| decision.verdict == Verdict::Sent || !decision.actions.is_empty();
        self.matched.extend(chunk.decisions.into_iter().filter(is_for));
        self.matched.len() <= RECIPIENTS_INLINE_MAX
    }

    /// Takes in a delivery. `told_by`: the message that told it; itself, or the exit that its entry was combined with. A
    /// result that was edited into an entry is no delivery of its own.
    pub fn note_delivery(&mut self, delivery: &Delivery, told_by: &Delivery) {
        let Some(user) = delivery.user_id else { return };
        if delivery.kind == MessageKind::Result {
            return;
        }
        let received = self.received.entry(user).or_default();
        received.subscription = received.subscription.or(delivery.subscription_id);
        if told_by.state == DeliveryState::Sent {
            received.note_arrival(told_by.ended_at.unwrap_or(told_by.updated_at));
        } else if received.error.is_none() {
            received.error.clone_from(&told_by.last_error);
        }
    }

    /// What was delivered when the alert was settled before stays so: its deliveries may not be kept any more.
    pub fn delivered_before(&mut self, user: UserId, at: Time) {
        self.received.entry(user).or_default().note_arrival(at);
    }

    /// The two lists.
    #[must_use]
    pub fn lists(&self) -> (Vec<MatchedUser>, Vec<TradeActionTaken>) {
        let nothing = UserReceipt::default();
        let user = |decision: &Decision| {
            let received = self.received.get(&decision.user).unwrap_or(&nothing);
            MatchedUser {
                user_id: decision.user,
                subscription_id: decision.subscription.or(received.subscription).unwrap_or(SubscriptionId::MIN),
                delivered: received.delivered_at.is_some(),
                delivered_at: received.delivered_at,
                error: received.error.clone().filter(|_| received.delivered_at.is_none()),
            }
        };
        let actions = self.matched.iter().flat_map(|decision| {
            decision.actions.iter().map(|action| TradeActionTaken {
                action: action.action,
                trade_id: action.trade,
                user_id: decision.user,
            })
        });
        (self.matched.iter().map(user).collect(), actions.collect())
    }
}

impl UserReceipt {
    fn note_arrival(&mut self, at: Time) {
        self.delivered_at = Some(self.delivered_at.map_or(at, |first| first.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::at;

    #[test]
    fn only_a_processed_alert_of_ours_is_settled_and_once() {
        use AlertStatus as A;
        for (seq, settled_at, status, refusal) in [
            (1, None, Some(A::Processed), None),
            (1, Some(at(1)), Some(A::Processed), Some(SettlingOutcome::Before)),
            (0, None, Some(A::Processed), Some(SettlingOutcome::Before)),
            (1, None, Some(A::Processing), Some(SettlingOutcome::NotYet)),
            (1, None, Some(A::Failed), Some(SettlingOutcome::NotYet)),
            (1, None, None, Some(SettlingOutcome::NotYet)),
        ] {
            assert_eq!(AlertStanding { seq, settled_at, status }.refusal(), refusal, "{seq} {settled_at:?} {status:?}");
        }
    }

    #[test]
    fn recipients_who_are_too_many_are_said_to_stand_in_the_deliveries() {
        let paths = |recipients: Option<&AlertRecipients>| {
            settle(recipients, at(5)).unwrap().set.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        let lists = ["processing.matchedUsers", "processing.tradeActions"];
        assert_eq!(
            paths(Some(&AlertRecipients::default())),
            [&["alertcast.settledAt", "updatedAt"], &lists[..]].concat()
        );
        assert_eq!(paths(None), ["alertcast.settledAt", "updatedAt", "alertcast.recipientsIn"]);
    }
}
