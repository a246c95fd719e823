//! Taking a delivery: what goes before it, and what becomes of it then.

use super::WorkingSet;
use crate::delivery::{
    CHAIN_MAX, Delivery, DeliveryEvent, DeliveryNeighbours, DeliveryState, MessageKind, NeededNeighbours,
    OvertakenDelivery, ResultTurn, TakingDecision, TakingOrder, before, decide_taking, goes_as_it_is, list_needed,
    yield_message,
};
use crate::id::DeliveryId;
use crate::money::Count;
use crate::store::TakenEntry;

impl WorkingSet {
    /// What is still to be loaded before these deliveries are taken. Where one of several is taken it may come to ask for
    /// more: it is asked again before each.
    #[must_use]
    pub fn ask_for_taking(&self, ids: &[DeliveryId]) -> NeededNeighbours {
        let mut needed = NeededNeighbours::default();
        for id in ids {
            match self.delivery(*id) {
                Some(delivery) if delivery.state.after(DeliveryEvent::Take).is_ok() => {
                    needed.extend(self.ask_for_one(delivery));
                }
                Some(_) => {}
                None => needed.deliveries.extend([*id]),
            }
        }
        self.keep_missing(needed)
    }

    fn ask_for_one(&self, delivery: &Delivery) -> NeededNeighbours {
        if delivery.kind == MessageKind::Result {
            return self.ask_for_result(delivery);
        }
        let mut needed = self.ask_whether_open(delivery, list_needed(delivery, self));
        if !self.has_all(&needed) {
            return needed;
        }
        let overtaken = match before(delivery, self, self.now) {
            TakingOrder::Wait(_) => return needed,
            TakingOrder::Ends(overtaken) | TakingOrder::Yields { overtaken, .. } => overtaken,
        };
        for one in &overtaken {
            if let Some(delivery) = self.delivery(one.id) {
                needed.extend(self.ask_for_end(delivery, one.event, false));
            }
        }
        // What ends first may change the trade, by which this one may come to an end too.
        let may_end = || {
            let goes = goes_as_it_is(delivery, self);
            !goes && matches!(decide_taking(delivery, self, self.now), TakingDecision::Ends(..))
        };
        if !overtaken.is_empty() || may_end() {
            needed.extend(self.ask_for_end(delivery, DeliveryEvent::Drop, false));
        }
        needed
    }

    /// Its entry, and the message that tells of the same, or that took that one over.
    fn ask_for_result(&self, result: &Delivery) -> NeededNeighbours {
        let mut needed = NeededNeighbours::default();
        needed.deliveries.extend(result.entry_delivery);
        let mut next = result.follows;
        for _ in 0..CHAIN_MAX {
            let Some(id) = next else { break };
            needed.deliveries.insert(id);
            next = self.delivery(id).and_then(|one| one.superseded_by);
        }
        needed
    }

    /// Marks a delivery as being sent under this epoch, once nothing is missing that [`Self::ask_for_taking`] asks for.
    /// None where it is not sent now.
    pub fn take(&mut self, id: DeliveryId, epoch: i64) -> Option<TakenEntry> {
        let delivery = self.delivery(id)?;
        let state = delivery.state.after(DeliveryEvent::Take).ok()?;
        let attempts = Count(delivery.attempts.0.saturating_add(1));
        let may_go = match delivery.kind {
            MessageKind::Result => self.let_turn_come(id)?,
            _ => self.clear_the_way(id)?,
        };
        if !may_go {
            return None;
        }
        let delivery = self.delivery(id)?;
        if goes_as_it_is(delivery, self) {
            self.mark_sending(id, state, epoch, attempts);
            return self.find_taken(id);
        }
        match decide_taking(delivery, self, self.now) {
            TakingDecision::Goes(after) => {
                self.replace(after);
                self.mark_sending(id, state, epoch, attempts);
            }
            TakingDecision::Waits(due_at) => {
                self.put_off(id, due_at);
                return None;
            }
            TakingDecision::Ends(event, why) => {
                self.end(id, event, |one| one.set_last_error(Some(why.to_owned())));
                return None;
            }
        }
        self.find_taken(id)
    }

    fn mark_sending(&mut self, id: DeliveryId, state: DeliveryState, epoch: i64, attempts: Count) {
        self.change(id, |one| {
            one.set_state(state);
            one.set_epoch(Some(epoch));
            one.set_attempts(attempts);
        });
    }

    fn find_taken(&self, id: DeliveryId) -> Option<TakenEntry> {
        let delivery = self.share(id)?;
        let entry = delivery.entry_delivery.and_then(|entry| self.share(entry));
        Some(TakenEntry { delivery, entry })
    }

    /// Whether a result may be taken. Else it waits for what goes before it, or is dropped.
    fn let_turn_come(&mut self, id: DeliveryId) -> Option<bool> {
        let result = self.delivery(id)?;
        let entry = result.entry_delivery.and_then(|id| self.delivery(id));
        let told = result.follows.and_then(|id| self.delivery(id)).and_then(|followed| followed.told_by(self));
        match result.turn(entry, told, self.now) {
            ResultTurn::Now => return Some(true),
            ResultTurn::Wait(due_at) => self.put_off(id, due_at),
            ResultTurn::Never(why) => {
                self.end(id, DeliveryEvent::Drop, |one| one.set_last_error(Some(why.to_owned())));
            }
        }
        Some(false)
    }

    /// Ends what waits and must not be read after this one. False where this one is not sent now.
    fn clear_the_way(&mut self, id: DeliveryId) -> Option<bool> {
        match before(self.delivery(id)?, self, self.now) {
            TakingOrder::Wait(due_at) => self.put_off(id, due_at),
            TakingOrder::Ends(overtaken) => {
                self.end_overtaken(&overtaken);
                return Some(true);
            }
            TakingOrder::Yields { to, overtaken } => {
                self.end_overtaken(&overtaken);
                let from = self.delivery(id)?;
                if let Some(told) = self.delivery(to).map(|teller| yield_message(teller, from, &overtaken, self)) {
                    self.replace_if_changed(told);
                }
            }
        }
        Some(false)
    }

    fn end_overtaken(&mut self, overtaken: &[OvertakenDelivery]) {
        for one in overtaken {
            self.end(one.id, one.event, |ended| {
                ended.set_superseded_by(one.by.or(ended.superseded_by));
                if let Some(reason) = one.reason() {
                    ended.set_last_error(Some(reason.to_owned()));
                }
            });
        }
    }

    fn replace_if_changed(&mut self, after: Delivery) {
        if self.delivery(after.id).is_some_and(|current| *current != after) {
            self.replace(Box::new(after));
        }
    }
}
