//! How a delivery ends, and what follows from it: the alert's counters, and a trade whose entry reached nobody.

use alertcast_core::alert::settling::Ended;
use std::collections::HashMap;

use alertcast_core::delivery::{
    Delivery, DeliveryEvent, DeliveryState, LATE, MessageKind, differences, exit_was_untold, reached_nobody,
};
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::money::Count;
use alertcast_core::store::Collection;
use alertcast_core::time::Time;
use alertcast_core::trade::document::Trade;

use crate::fault::Result;
use crate::raw::{self, Edit};
use crate::rows::{Bytes, Rows, blob, decode};
use crate::usage;

/// A delivery as it is kept.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) bytes: Bytes,
    pub(crate) delivery: Delivery,
}

impl Kept {
    /// None also where it cannot be read: then it is in doubt, and may have arrived.
    pub(crate) fn load(rows: Rows<'_>, id: DeliveryId) -> Result<Option<Self>> {
        Ok(rows.find(Collection::Deliveries, id)?.and_then(|bytes| Self::read(bytes).ok()))
    }

    pub(crate) fn read(bytes: Bytes) -> Result<Self> {
        let delivery = decode(Collection::Deliveries, &bytes)?;
        Ok(Self { bytes, delivery })
    }

    /// Writes a change of a delivery that goes on, and reads it again.
    pub(crate) fn edit(&mut self, rows: Rows<'_>, edit: &Edit) -> Result<()> {
        *self = Self::read(rows.edit(Collection::Deliveries, &self.bytes, edit)?)?;
        Ok(())
    }

    /// Writes what differs, and is that then.
    pub(crate) fn rewrite(mut self, rows: Rows<'_>, after: &Delivery) -> Result<Self> {
        let changes = differences(&self.delivery, after)?;
        if !changes.is_empty() {
            let mut edit = Edit::new();
            for (field, value) in changes {
                match value {
                    Some(value) => edit.set(field, value),
                    None => edit.unset(field),
                }
            }
            self.edit(rows, &edit)?;
        }
        Ok(self)
    }

    /// The same where nobody looks at it again; answers how it was.
    pub(crate) fn edit_last(self, rows: Rows<'_>, edit: &Edit) -> Result<Delivery> {
        rows.edit(Collection::Deliveries, &self.bytes, edit)?;
        Ok(self.delivery)
    }
}

pub(crate) const SAME_CAUSE: &str = "SELECT doc FROM deliveries WHERE key > ?1 AND key <= ?2 ORDER BY key";

/// The ends of deliveries within one operation.
#[derive(Debug)]
pub(crate) struct Endings<'c> {
    rows: Rows<'c>,
    now: Time,
    ended: Ended,
}

impl<'c> Endings<'c> {
    pub(crate) fn new(rows: Rows<'c>, now: Time) -> Self {
        Self { rows, now, ended: Ended::default() }
    }

    /// Ends a delivery with an event, and draws the consequences. Answers whether the event had a place in its state.
    pub(crate) fn end(&mut self, kept: &Kept, event: DeliveryEvent, mut more: Edit, lapsed: bool) -> Result<bool> {
        let delivery = &kept.delivery;
        let Ok(state) = delivery.state.after(delivery.kind.meets(event)) else {
            return Ok(false);
        };
        if delivery.kind == MessageKind::Result && event == DeliveryEvent::Expire {
            more.set("lastError", LATE);
        }
        more.set("state", state);
        more.set("endedAt", self.now);
        more.set("updatedAt", self.now);
        more.unset("epoch");
        if lapsed {
            more.set("entryLapsed", true);
        }
        let written = self.rows.edit(Collection::Deliveries, &kept.bytes, &more)?;
        if state == DeliveryState::Superseded {
            // It ends with the exit that tells it.
            return Ok(true);
        }
        if let Some(alert) = delivery.alert_id {
            self.ended.count(alert, state);
        }
        let is_sent = state == DeliveryState::Sent;
        if !is_sent || lapsed {
            let ended = Kept::read(written)?.delivery;
            self.entry_ended_unsent(&ended)?;
            self.exit_ended_untold(&ended)?;
        }
        if let Some(alert) = delivery.combines_alert {
            self.ended.touch(alert);
        }
        if let (false, Some(combined)) = (is_sent, delivery.combines)
            && let Some(entry) = Kept::load(self.rows, combined)?
        {
            self.entry_ended_unsent(&entry.delivery)?;
        }
        Ok(true)
    }

    /// Where no announcement of the trade has arrived or still may, the trade is unreached, and what its commit counted for
    /// the subscriber is taken back. `entry`: as it is now.
    fn entry_ended_unsent(&self, entry: &Delivery) -> Result<()> {
        let (MessageKind::Entry | MessageKind::Replacement, Some(id)) = (entry.kind, entry.trade_id) else {
            return Ok(());
        };
        let Some(bytes) = self.rows.find(Collection::Trades, id)? else {
            return Ok(());
        };
        // One that cannot be read stays as it is.
        let Ok(trade) = decode::<Trade>(Collection::Trades, &bytes) else {
            return Ok(());
        };
        if trade.alertcast.unreached {
            return Ok(());
        }
        let beside = self.beside(&trade, entry)?;
        if !reached_nobody(&trade, entry, |id| beside.get(&id)) {
            return Ok(());
        }
        let mut edit = Edit::new();
        edit.set("alertcast.unreached", true);
        edit.set("alertcast.rev", Count(trade.alertcast.rev.0.saturating_add(1)));
        edit.set("updatedAt", self.now);
        self.rows.edit(Collection::Trades, &bytes, &edit)?;
        usage::take_back(self.rows, trade.subscription_id, trade.alertcast.preference_id, self.now)
    }

    /// What the commit of an exit counted for its subscriber is taken back with the last of its messages that is left out
    /// because the entry never arrived.
    fn exit_ended_untold(&self, exit: &Delivery) -> Result<()> {
        let (true, Some(user), Some(subscription)) = (exit.never_entered(), exit.user_id, exit.subscription_id) else {
            return Ok(());
        };
        // The keys of what one cause sends to one user begin alike.
        let mut first = vec![exit.cause.kind as u8];
        first.extend_from_slice(&exit.cause.id.bytes());
        first.extend_from_slice(&user.bytes());
        let mut end = first.clone();
        end.extend_from_slice(&[0xff; 40]);
        let same = self.rows.all(SAME_CAUSE, (first.as_slice(), end.as_slice()), |row| {
            Ok(decode::<Delivery>(Collection::Deliveries, blob(row, 0)?).ok())
        })?;
        let same: Vec<Delivery> = same.into_iter().flatten().collect();
        if !exit_was_untold(exit, &same) {
            return Ok(());
        }
        let trade = exit.trade_id.map(|id| self.rows.find(Collection::Trades, id)).transpose()?.flatten();
        let trade = trade.and_then(|bytes| decode::<Trade>(Collection::Trades, &bytes).ok());
        let preference = trade.and_then(|trade| trade.alertcast.preference_id);
        usage::take_back_message(self.rows, subscription, preference, self.now)
    }

    /// The other announcements of the trade, and the messages that tell the news of any.
    fn beside(&self, trade: &Trade, entry: &Delivery) -> Result<HashMap<DeliveryId, Delivery>> {
        let mut found = HashMap::new();
        let others = trade.alertcast.entry_deliveries.iter().map(|announced| announced.id);
        let mut wanted: Vec<DeliveryId> = others.filter(|id| *id != entry.id).chain(entry.superseded_by).collect();
        while let Some(id) = wanted.pop() {
            if let (false, Some(kept)) = (found.contains_key(&id), Kept::load(self.rows, id)?) {
                wanted.extend(kept.delivery.superseded_by);
                found.insert(id, kept.delivery);
            }
        }
        Ok(found)
    }

    /// Writes the alerts' counters; answers the alerts one of whose deliveries ended.
    pub(crate) fn finish(self) -> Result<Vec<AlertId>> {
        for (alert, outcomes) in self.ended.outcomes() {
            let Some(document) = self.rows.find(Collection::Alerts, alert)? else {
                continue;
            };
            let grown = [("statistics.deliveryCount", outcomes.sent), ("statistics.failureCount", outcomes.failed)];
            let mut edit = Edit::new();
            for (path, by) in grown {
                edit.set(path, Count(raw::counter(&document, path)? + by.0));
            }
            edit.set("updatedAt", self.now);
            self.rows.edit(Collection::Alerts, &document, &edit)?;
        }
        Ok(self.ended.alerts())
    }
}
