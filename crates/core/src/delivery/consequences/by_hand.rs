//! What operators do to deliveries: sending one again, and erasing the person whom it was for.

use super::WorkingSet;
use crate::delivery::{DeliveryEvent, DeliveryNeighbours, DeliveryState, NeededNeighbours};
use crate::erasure;
use crate::id::{AlertId, DeliveryId};
use crate::store::actions::lifts_mark;
use crate::store::{self, ResendOutcome, ResendRequest, StoreError};

impl WorkingSet {
    /// What is still to be loaded before this delivery is sent again.
    #[must_use]
    pub fn ask_for_resending(&self, id: DeliveryId) -> NeededNeighbours {
        let mut needed = NeededNeighbours::default();
        needed.deliveries.insert(id);
        needed.trades.extend(self.delivery(id).and_then(|one| one.trade_id));
        self.keep_missing(needed)
    }

    /// Makes a delivery pending again, and takes back what followed from its end.
    ///
    /// # Errors
    /// `Conflict` where it is not kept any more, or in a state in which it is not sent again.
    pub fn resend(&mut self, asked: &ResendRequest) -> store::StoreResult<ResendOutcome> {
        let delivery = self.delivery(asked.delivery).ok_or(StoreError::Conflict)?;
        let state = delivery.state.after(DeliveryEvent::Resend).map_err(|_| StoreError::Conflict)?;
        let trade = delivery.trade_id.and_then(|id| self.trade(id));
        let lifts = match lifts_mark(delivery, trade) {
            Ok(lifts) => lifts,
            Err(refusal) => return Ok(refusal),
        };
        let (alert, told) = (delivery.alert_id, delivery.combines_alert);
        let of_trade = trade.map(|trade| (trade.id, trade.alertcast.entry_deliveries.len() > 1));
        if let Some((trade, is_contested)) = of_trade {
            self.contested.extend(is_contested.then_some(trade));
            if lifts {
                self.set_unreached(trade, false);
            }
        }
        self.change(asked.delivery, |one| {
            one.set_state(state);
            one.set_due_at(asked.due_at);
            one.set_deadline_at(asked.deadline_at);
            one.set_entry_deadline_at(asked.entry_deadline_at.or(one.entry_deadline_at));
            one.set_ended_at(None);
        });
        self.reopened.extend(alert.map(|alert| (alert, 1)));
        self.reopened.extend(told.filter(|told| alert != Some(*told)).map(|told| (told, 0)));
        let queued = self.delivery(asked.delivery).ok_or(StoreError::Conflict)?;
        Ok(ResendOutcome::Queued(Box::new(queued.clone())))
    }

    /// What is still to be loaded before the person is erased for whom these deliveries, which are loaded, were.
    #[must_use]
    pub fn ask_for_erasing(&self, ids: &[DeliveryId]) -> NeededNeighbours {
        let mut needed = NeededNeighbours::default();
        for delivery in ids.iter().filter_map(|id| self.delivery(*id)).filter(|one| waits(one.state)) {
            needed.extend(self.ask_for_end(delivery, DeliveryEvent::Drop, false));
        }
        self.keep_missing(needed)
    }

    /// Takes the recipient from a delivery and from the errors that name them, and drops it where it waits. Answers
    /// whether it was dropped.
    pub fn erase(&mut self, id: DeliveryId) -> bool {
        let Some(delivery) = self.delivery(id) else { return false };
        let error = delivery.last_error.as_deref().and_then(|error| erasure::of_error(error, &delivery.to));
        let told_in: Vec<AlertId> = [delivery.alert_id, delivery.combines_alert].into_iter().flatten().collect();
        let (recipient, waits) = (delivery.to.clone(), waits(delivery.state));
        if let Some(error) = error {
            self.named_in.extend(told_in.into_iter().map(|alert| (alert, recipient.clone())));
            self.change(id, |one| one.set_last_error(Some(error)));
        }
        self.change(id, |one| one.set_to(erasure::ERASED.to_owned()));
        waits && self.end(id, DeliveryEvent::Drop, |one| one.set_last_error(Some(erasure::DROPPED_FOR.to_owned())))
    }
}

/// Whether it is dropped with its person. One that is being sent goes on.
const fn waits(state: DeliveryState) -> bool {
    matches!(state, DeliveryState::Pending | DeliveryState::Held)
}
