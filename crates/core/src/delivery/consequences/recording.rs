//! Recording what attempts came to.

use super::WorkingSet;
use super::edits::DeliveryEditor;
use crate::delivery::{Delivery, DeliveryEvent, DeliveryNeighbours, DeliveryState, NeededNeighbours};
use crate::id::DeliveryId;
use crate::store::{AttemptOutcome, AttemptRecord};

impl WorkingSet {
    /// What is still to be loaded before these records are applied under this epoch.
    #[must_use]
    pub fn ask_for_recording(&self, epoch: i64, records: &[AttemptRecord]) -> NeededNeighbours {
        let mut needed = NeededNeighbours::default();
        for record in records {
            let Some(delivery) = self.delivery(record.delivery) else {
                needed.deliveries.insert(record.delivery);
                continue;
            };
            if let Some(event) = find_end(&record.outcome).filter(|_| is_due(delivery, epoch, &record.outcome)) {
                let lapsed = matches!(record.outcome, AttemptOutcome::Sent { entry_lapsed: true, .. });
                needed.extend(self.ask_for_end(delivery, event, lapsed));
            }
        }
        self.keep_missing(needed)
    }

    /// Applies one record. One whose delivery is not being sent under this epoch changes nothing, except that one that
    /// waits may expire or be dropped.
    pub fn record(&mut self, epoch: i64, record: &AttemptRecord) {
        let id = record.delivery;
        let outcome = &record.outcome;
        let Some(delivery) = self.delivery(id).filter(|one| is_due(one, epoch, outcome)) else { return };
        let user = delivery.user_id;
        match find_end(outcome) {
            Some(event) => {
                self.end(id, event, |one| note_end(one, outcome));
            }
            None => self.retry(id, outcome),
        }
        self.refusers.extend(user.zip(outcome.refuser()));
    }

    fn retry(&mut self, id: DeliveryId, outcome: &AttemptOutcome) {
        let AttemptOutcome::Retry { due_at, error, in_doubt } = outcome else { return };
        let state = self.delivery(id).map(|one| one.state.after(DeliveryEvent::Retry));
        let Some(Ok(state)) = state else { return };
        self.change(id, |one| {
            one.set_possible_repeat(one.possible_repeat || *in_doubt);
            one.set_state(state);
            one.set_due_at(*due_at);
            one.set_last_error(Some(error.clone()));
            one.set_epoch(None);
        });
    }
}

fn is_due(delivery: &Delivery, epoch: i64, outcome: &AttemptOutcome) -> bool {
    let is_ours = delivery.state == DeliveryState::Sending && delivery.epoch == Some(epoch);
    let may_wait = matches!(outcome, AttemptOutcome::Expired { .. } | AttemptOutcome::Dropped { .. });
    is_ours || (may_wait && delivery.state == DeliveryState::Pending)
}

/// How an outcome ends its delivery; none where it is to be tried again.
const fn find_end(outcome: &AttemptOutcome) -> Option<DeliveryEvent> {
    match outcome {
        AttemptOutcome::Sent { .. } => Some(DeliveryEvent::Deliver),
        AttemptOutcome::Retry { .. } => None,
        AttemptOutcome::Expired { .. } => Some(DeliveryEvent::Expire),
        AttemptOutcome::Dead { .. } => Some(DeliveryEvent::Die),
        AttemptOutcome::Dropped { .. } => Some(DeliveryEvent::Drop),
    }
}

fn note_end(delivery: &mut DeliveryEditor<'_>, outcome: &AttemptOutcome) {
    delivery.set_possible_repeat(delivery.possible_repeat || outcome.is_in_doubt());
    match outcome {
        AttemptOutcome::Sent { message_id, entry_lapsed, topic_gone } => {
            delivery.set_message_id(message_id.or(delivery.message_id));
            delivery.set_entry_lapsed(delivery.entry_lapsed || *entry_lapsed);
            delivery.set_topic_gone(*topic_gone);
        }
        AttemptOutcome::Dead { error, .. } => delivery.set_last_error(Some(error.clone())),
        AttemptOutcome::Dropped { reason } => delivery.set_last_error(Some(reason.clone())),
        AttemptOutcome::Retry { .. } | AttemptOutcome::Expired { .. } => {}
    }
}
