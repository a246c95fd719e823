//! What follows from an event in the life of a delivery: for itself, for what waits around it, for its trade, for the
//! alert's counters and the subscriber's.
//!
//! Pure, and the same for every store. A store asks what an event needs (`ask_for_…`), loads that into a [`WorkingSet`]
//! until nothing is missing, applies the event, and writes the [`ConsequenceEdits`]. No store decides anything.

mod by_hand;
mod edits;
mod recording;
mod taking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{
    CauseKind, Delivery, DeliveryEvent, DeliveryNeighbours, DeliveryState, LATE, MessageKind, NeededNeighbours,
    exit_was_untold, reached_nobody,
};
use crate::alert::settling::EndedAlerts;
use crate::id::{AlertId, DeliveryId, TradeId, UserId};
use crate::money::Count;
use crate::store;
use crate::time::Time;
use crate::trade::document::Trade;
use crate::user::RefusingRecipient;
use edits::{ChangedFields, DeliveryEditor};
pub use edits::{ConsequenceEdits, SendingMark, UsageCorrection};

/// The deliveries and trades that one operation works on, as they are after the events so far.
#[derive(Debug)]
pub struct WorkingSet {
    now: Time,
    has_batches: bool,
    /// None: looked for, and not there or not readable. It is in doubt then, and may have arrived.
    deliveries: BTreeMap<DeliveryId, Option<LoadedDelivery>>,
    trades: BTreeMap<TradeId, Option<Box<LoadedTrade>>>,
    /// Those of which it is known that they are open, and nothing else; none: the store does not tell that alone.
    open_trades: Option<BTreeSet<TradeId>>,
    /// The messages of exits' causes to their users.
    siblings: BTreeMap<DeliveryId, Delivery>,
    ended: EndedAlerts,
    /// The exits that ended in this operation because their entry never arrived.
    untold: BTreeSet<DeliveryId>,
    contested: BTreeSet<TradeId>,
    usage: Vec<UsageCorrection>,
    refusers: Vec<(UserId, RefusingRecipient)>,
    /// Alerts that are settled anew, and how many of their deliveries have not failed after all.
    reopened: Vec<(AlertId, i64)>,
    /// Alerts whose lists may tell an error that names this recipient.
    named_in: Vec<(AlertId, String)>,
}

#[derive(Debug)]
struct LoadedDelivery {
    current: Arc<Delivery>,
    /// In which fields it is otherwise than its document.
    changed: ChangedFields,
    /// Whether an event has changed it: else there is nothing to be written, whatever its document says.
    is_changed: bool,
}

impl LoadedDelivery {
    fn of(current: Arc<Delivery>) -> Self {
        Self { current, changed: ChangedFields::default(), is_changed: false }
    }

    fn edit(&mut self, edit: impl FnOnce(&mut DeliveryEditor<'_>)) {
        edit(&mut DeliveryEditor { current: Arc::make_mut(&mut self.current), changed: &mut self.changed });
    }
}

/// Since when a delivery is being sent, and under which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendingSince {
    pub epoch: i64,
    pub taken_at: Time,
}

#[derive(Debug)]
struct LoadedTrade {
    current: Trade,
    is_changed: bool,
}

/// All that one cause sends to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CauseRecipient {
    pub cause_kind: CauseKind,
    pub cause: bson::oid::ObjectId,
    pub user: UserId,
}

impl DeliveryNeighbours for WorkingSet {
    fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id)?.as_ref().map(|loaded| &*loaded.current)
    }

    fn trade(&self, id: TradeId) -> Option<&Trade> {
        self.trades.get(&id)?.as_ref().map(|loaded| &loaded.current)
    }
}

impl WorkingSet {
    /// `now`: the time of every change in it.
    #[must_use]
    pub fn new(now: Time) -> Self {
        Self {
            now,
            has_batches: false,
            deliveries: BTreeMap::new(),
            trades: BTreeMap::new(),
            open_trades: None,
            siblings: BTreeMap::new(),
            ended: EndedAlerts::default(),
            untold: BTreeSet::new(),
            contested: BTreeSet::new(),
            usage: Vec::new(),
            refusers: Vec::new(),
            reopened: Vec::new(),
            named_in: Vec::new(),
        }
    }

    /// For a store that records what is being sent in batches, and not in each document: [`ConsequenceEdits::sending`].
    #[must_use]
    pub const fn with_batches(mut self) -> Self {
        self.has_batches = true;
        self
    }

    /// For a store that tells of a trade that it is open, without reading it: [`Self::note_open_trade`].
    #[must_use]
    pub fn telling_open_trades(self) -> Self {
        Self { open_trades: Some(BTreeSet::new()), ..self }
    }

    /// Takes up that a trade is open.
    pub fn note_open_trade(&mut self, id: TradeId) {
        if let Some(open) = &mut self.open_trades {
            open.insert(id);
        }
    }

    /// Takes up what was found of a delivery. What is known already stays as it is.
    pub fn add_delivery(&mut self, id: DeliveryId, found: Option<Delivery>) {
        self.deliveries.entry(id).or_insert(found.map(|one| LoadedDelivery::of(Arc::new(one))));
    }

    /// Takes up a delivery as its document has it. `sending`: where it is being sent, of which its document says nothing
    /// yet; what is written of it says so too.
    pub fn add_kept(&mut self, kept: Arc<Delivery>, sending: Option<SendingSince>) {
        if self.deliveries.contains_key(&kept.id) {
            return;
        }
        let (id, mut loaded) = (kept.id, LoadedDelivery::of(kept));
        if let Some(since) = sending {
            loaded.edit(|one| {
                one.set_state(DeliveryState::Sending);
                one.set_attempts(Count(one.attempts.0.saturating_add(1)));
                one.set_epoch(Some(since.epoch));
                one.set_updated_at(since.taken_at);
            });
        }
        self.deliveries.insert(id, Some(loaded));
    }

    /// Takes up what was found of a trade.
    pub fn add_trade(&mut self, id: TradeId, found: Option<Trade>) {
        let loaded = found.map(|current| Box::new(LoadedTrade { current, is_changed: false }));
        self.trades.entry(id).or_insert(loaded);
    }

    /// Takes up messages that one cause sends to one user: see [`Self::ask_for_untold`].
    pub fn add_siblings(&mut self, found: impl IntoIterator<Item = Delivery>) {
        self.siblings.extend(found.into_iter().map(|one| (one.id, one)));
    }

    /// What of it has not been looked for yet.
    #[must_use]
    pub fn keep_missing(&self, mut wanted: NeededNeighbours) -> NeededNeighbours {
        wanted.deliveries.retain(|id| !self.deliveries.contains_key(id));
        wanted.trades.retain(|id| !self.trades.contains_key(id));
        wanted.open_trades.retain(|id| !self.is_known_open(*id) && !self.trades.contains_key(id));
        wanted
    }

    fn is_known_open(&self, id: TradeId) -> bool {
        self.open_trades.as_ref().is_some_and(|open| open.contains(&id))
    }

    /// Of an entry's own trade nothing counts but its end, as long as there is none: one that is open is as if it were
    /// not there.
    fn ask_whether_open(&self, delivery: &Delivery, mut wanted: NeededNeighbours) -> NeededNeighbours {
        let of_entry = delivery.trade_id.filter(|_| delivery.kind == MessageKind::Entry && self.open_trades.is_some());
        if let Some(id) = of_entry.filter(|id| !self.trades.contains_key(id)) {
            wanted.trades.remove(&id);
            wanted.open_trades.insert(id);
        }
        wanted
    }

    /// Whether all of it has been looked for.
    fn has_all(&self, wanted: &NeededNeighbours) -> bool {
        let has_deliveries = wanted.deliveries.iter().all(|id| self.deliveries.contains_key(id));
        let is_known = |id: &TradeId| self.trades.contains_key(id);
        let has_open = wanted.open_trades.iter().all(|id| self.is_known_open(*id) || is_known(id));
        has_deliveries && has_open && wanted.trades.iter().all(is_known)
    }

    fn share(&self, id: DeliveryId) -> Option<Arc<Delivery>> {
        self.deliveries.get(&id)?.as_ref().map(|loaded| Arc::clone(&loaded.current))
    }

    fn change(&mut self, id: DeliveryId, change: impl FnOnce(&mut DeliveryEditor<'_>)) {
        let Some(Some(loaded)) = self.deliveries.get_mut(&id) else { return };
        let now = self.now;
        loaded.is_changed = true;
        loaded.edit(|one| {
            change(one);
            one.set_updated_at(now);
        });
    }

    /// Puts another form of the delivery in its place.
    fn replace(&mut self, mut after: Box<Delivery>) {
        let Some(Some(loaded)) = self.deliveries.get_mut(&after.id) else { return };
        after.updated_at = self.now;
        loaded.is_changed = true;
        loaded.changed.add(ChangedFields::find(&loaded.current, &after));
        loaded.current = Arc::from(after);
    }

    /// It stays pending.
    fn put_off(&mut self, id: DeliveryId, due_at: Time) {
        self.change(id, |one| one.set_due_at(due_at));
    }

    /// What ending a delivery with this event rests on. `lapsed`: it was sent without its entry.
    fn ask_for_end(&self, delivery: &Delivery, event: DeliveryEvent, lapsed: bool) -> NeededNeighbours {
        let mut wanted = NeededNeighbours::default();
        let Ok(state) = delivery.state.after(delivery.kind.meets(event)) else { return wanted };
        let is_sent = state == DeliveryState::Sent;
        if state == DeliveryState::Superseded || (is_sent && !lapsed) {
            return wanted;
        }
        wanted.add_announcements(delivery, self);
        if let (false, Some(entry)) = (is_sent, delivery.combines) {
            wanted.deliveries.insert(entry);
            if let Some(entry) = self.delivery(entry) {
                wanted.add_announcements(entry, self);
            }
        }
        wanted
    }

    /// Ends a delivery with an event, and draws the consequences. `note`: what else is kept of the end. Answers whether
    /// the event had a place in its state.
    fn end(&mut self, id: DeliveryId, event: DeliveryEvent, note: impl FnOnce(&mut DeliveryEditor<'_>)) -> bool {
        let Some(delivery) = self.delivery(id) else { return false };
        let Ok(state) = delivery.state.after(delivery.kind.meets(event)) else { return false };
        let is_late = delivery.kind == MessageKind::Result && event == DeliveryEvent::Expire;
        let now = self.now;
        self.change(id, |one| {
            note(one);
            one.set_state(state);
            one.set_ended_at(Some(now));
            one.set_epoch(None);
            if is_late {
                one.set_last_error(Some(LATE.to_owned()));
            }
        });
        // An entry that is superseded ends with the exit that tells it.
        if state != DeliveryState::Superseded {
            self.draw_consequences(id);
        }
        true
    }

    fn draw_consequences(&mut self, id: DeliveryId) {
        let Some(delivery) = self.delivery(id) else { return };
        let is_sent = delivery.state == DeliveryState::Sent;
        let (alert, combines, combines_alert) = (delivery.alert_id, delivery.combines, delivery.combines_alert);
        let (state, lapsed, never_entered) = (delivery.state, delivery.entry_lapsed, delivery.never_entered());
        if let Some(alert) = alert {
            self.ended.count(alert, state);
        }
        if !is_sent || lapsed {
            self.mark_unreached(id);
        }
        if never_entered {
            self.untold.insert(id);
        }
        if let Some(alert) = combines_alert {
            self.ended.touch(alert);
        }
        if let (false, Some(entry)) = (is_sent, combines) {
            self.mark_unreached(entry);
        }
    }

    /// Where no announcement of the trade has arrived or still may, the trade is unreached, and what its commit counted
    /// for the subscriber is taken back. `entry`: an announcement that ended unsent.
    fn mark_unreached(&mut self, entry: DeliveryId) {
        let Some(entry) = self.delivery(entry).filter(|one| one.announces()) else { return };
        let Some(trade) = entry.trade_id.and_then(|id| self.trade(id)) else { return };
        if trade.alertcast.unreached {
            return;
        }
        let (id, is_last) = (trade.id, reached_nobody(trade, entry, |id| self.delivery(id)));
        if trade.alertcast.entry_deliveries.len() > 1 {
            self.contested.insert(id);
        }
        if is_last {
            self.set_unreached(id, true);
        }
    }

    /// Marks a trade, or lifts its mark, and corrects what its commit counted.
    fn set_unreached(&mut self, id: TradeId, unreached: bool) {
        let Some(Some(loaded)) = self.trades.get_mut(&id) else { return };
        loaded.is_changed = true;
        let trade = &mut loaded.current;
        trade.alertcast.unreached = unreached;
        trade.alertcast.rev = Count(trade.alertcast.rev.0.saturating_add(1));
        let by = if unreached { -1 } else { 1 };
        self.usage.push(UsageCorrection {
            subscription: trade.subscription_id,
            preference: trade.alertcast.preference_id,
            alerts: by,
            trades: by,
        });
    }

    /// What deciding about exits needs that ended because their entry never arrived: their trades, and by
    /// [`Self::add_siblings`] all that their causes send to their users. Nothing, mostly.
    #[must_use]
    pub fn ask_for_untold(&self) -> (NeededNeighbours, BTreeSet<CauseRecipient>) {
        let mut wanted = NeededNeighbours::default();
        let mut causes = BTreeSet::new();
        for exit in self.untold.iter().filter_map(|id| self.delivery(*id)) {
            let (Some(user), Some(_)) = (exit.user_id, exit.subscription_id) else { continue };
            wanted.trades.extend(exit.trade_id);
            causes.insert(CauseRecipient { cause_kind: exit.cause.kind, cause: exit.cause.id, user });
        }
        (self.keep_missing(wanted), causes)
    }

    /// What the commit of an exit counted for its subscriber is taken back with the last of its messages that is left out
    /// because the entry never arrived.
    fn take_back_untold(&mut self) {
        let mut seen = BTreeSet::new();
        let (mut corrections, mut contested) = (Vec::new(), BTreeSet::new());
        for exit in self.untold.iter().filter_map(|id| self.delivery(*id)) {
            let (Some(user), Some(subscription)) = (exit.user_id, exit.subscription_id) else { continue };
            if !seen.insert((exit.cause.kind, exit.cause.id, user, subscription)) {
                continue;
            }
            let of_cause = |one: &&Delivery| one.cause == exit.cause && one.user_id == Some(user);
            let kept = self.siblings.values().filter(of_cause);
            let same: Vec<&Delivery> = kept.map(|one| self.delivery(one.id).unwrap_or(one)).collect();
            if same.iter().filter(|one| one.kind == MessageKind::Exit).count() > 1 {
                contested.extend(exit.trade_id);
            }
            if exit_was_untold(exit, same) {
                let trade = exit.trade_id.and_then(|id| self.trade(id));
                let preference = trade.and_then(|trade| trade.alertcast.preference_id);
                corrections.push(UsageCorrection { subscription, preference, alerts: -1, trades: 0 });
            }
        }
        self.usage.append(&mut corrections);
        self.contested.append(&mut contested);
    }

    /// Ends a pending delivery whose deadline has passed; see [`Self::ask_for_expiry`].
    pub fn expire(&mut self, id: DeliveryId) {
        if let Some(event) = self.delivery(id).map(Delivery::when_overdue) {
            self.end(id, event, |_| {});
        }
    }

    /// What is still to be loaded before these deliveries, which are loaded, end past their deadlines.
    #[must_use]
    pub fn ask_for_expiry(&self, ids: &[DeliveryId]) -> NeededNeighbours {
        let mut wanted = NeededNeighbours::default();
        for delivery in ids.iter().filter_map(|id| self.delivery(*id)) {
            wanted.extend(self.ask_for_end(delivery, delivery.when_overdue(), false));
        }
        self.keep_missing(wanted)
    }

    /// What is to be written.
    ///
    /// # Errors
    /// `Corrupt` where something has no form as a document, which is a defect.
    pub fn finish(mut self) -> store::StoreResult<ConsequenceEdits> {
        self.take_back_untold();
        edits::collect(self)
    }
}

impl NeededNeighbours {
    /// Whether it asks for nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.trades.is_empty() && self.open_trades.is_empty()
    }

    fn extend(&mut self, other: Self) {
        self.deliveries.extend(other.deliveries);
        self.trades.extend(other.trades);
        self.open_trades.extend(other.open_trades);
    }

    /// What tells whether the trade that this one announces has reached anybody.
    fn add_announcements(&mut self, announcement: &Delivery, near: &dyn DeliveryNeighbours) {
        let Some(id) = announcement.trade_id.filter(|_| announcement.announces()) else { return };
        self.trades.insert(id);
        self.deliveries.extend(announcement.told_in());
        let Some(trade) = near.trade(id).filter(|trade| !trade.alertcast.unreached) else { return };
        for announced in &trade.alertcast.entry_deliveries {
            self.deliveries.insert(announced.id);
            self.deliveries.extend(near.delivery(announced.id).and_then(Delivery::told_in));
        }
    }
}

#[cfg(test)]
mod tests;
