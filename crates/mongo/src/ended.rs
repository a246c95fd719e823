//! How a delivery ends, and what follows from it: the alert's counters, and a trade whose entry reached nobody.

use alertcast_core::delivery::{DeliveryEvent, DeliveryState, LATE, MessageKind, reached_nobody};
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;

use crate::book::{Book, Edit};
use crate::error::Result;

/// Not a field of core's document: a replacement that was sent too late for its entry to be followed.
const ENTRY_LAPSED: &str = "entryLapsed";

/// Not a field of core's document: the alert of the entry that an exit tells too, by which settling finds it.
pub(crate) const COMBINES_ALERT: &str = "combinesAlert";

impl Book {
    /// Ends a delivery with an event, and draws the consequences. Nothing happens where the event has no place in its
    /// state.
    pub(crate) fn end(&mut self, id: DeliveryId, event: DeliveryEvent, more: Edit, lapsed: bool) -> Result<()> {
        let Some(delivery) = self.delivery(id).cloned() else {
            return Ok(());
        };
        let Ok(state) = delivery.state.after(delivery.kind.meets(event)) else {
            return Ok(());
        };
        let late = (delivery.kind == MessageKind::Result && event == DeliveryEvent::Expire).then_some(LATE);
        let ended = more.set("state", state).set("endedAt", self.now).set("updatedAt", self.now).unset("epoch");
        let ended = ended.set_some("lastError", late);
        self.change(id, ended.set_some(ENTRY_LAPSED, lapsed.then_some(true)))?;
        if state == DeliveryState::Superseded {
            // It ends with the exit that tells it.
            return Ok(());
        }
        let is_sent = state == DeliveryState::Sent;
        if let Some(alert) = delivery.alert_id {
            self.ended.count(alert, state);
        }
        if !is_sent || lapsed {
            self.entry_ended_unsent(id);
        }
        if let Some(entry) = delivery.combines {
            if let Some(alert) = self.delivery(entry).and_then(|entry| entry.alert_id) {
                self.ended.touch(alert);
            }
            if !is_sent {
                self.entry_ended_unsent(entry);
            }
        }
        Ok(())
    }

    /// Where no announcement of the trade has arrived or still may, the trade is unreached.
    fn entry_ended_unsent(&mut self, entry: DeliveryId) {
        let Some(delivery) = self.delivery(entry) else { return };
        let (MessageKind::Entry | MessageKind::Replacement, Some(id)) = (delivery.kind, delivery.trade_id) else {
            return;
        };
        let Some(kept) = self.trades.get(&id).filter(|kept| !kept.trade.alertcast.unreached) else {
            return;
        };
        let is_last = reached_nobody(&kept.trade, delivery, |id| self.delivery(id));
        let Some(kept) = self.trades.get_mut(&id) else { return };
        kept.unsent += 1;
        if is_last {
            kept.is_marked = true;
            kept.trade.alertcast.unreached = true;
            kept.trade.alertcast.rev = Count(kept.trade.alertcast.rev.0.saturating_add(1));
        }
    }
}
