//! A simple model of the outbox: what the port's comments say, in memory, one step at a time, with no regard to speed.
//! Random histories are played on it and on the store, and both must come to the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use alertcast_core::alert::document::{Alert, AlertStatus, MatchedUser, TradeActionTaken};
use alertcast_core::decision::{Decision, Verdict};
use alertcast_core::delivery::{
    Delivery, DeliveryNeighbours, DeliveryState as S, LaneName, MessageKind, OvertakenDelivery, TakingDecision,
    TakingOrder, before, decide_taking, exit_was_untold, yield_message,
};
use alertcast_core::id::{AlertId, ConfigId, DeliveryId, TradeId, UserId};
use alertcast_core::money::Count;
use alertcast_core::store::{AttemptOutcome, AttemptRecord, ChunkCommit, DeathCause, LeaseFence, SettlingOutcome};
use alertcast_core::time::Time;
use alertcast_core::trade::document::{Trade, TradeStatus};

/// What the store should hold.
#[derive(Debug, Default)]
pub struct StoreModel {
    pub alerts: BTreeMap<AlertId, Alert>,
    pub trades: BTreeMap<TradeId, Trade>,
    pub deliveries: BTreeMap<DeliveryId, Delivery>,
    /// Messages and trades, by user and configuration.
    pub used: BTreeMap<(UserId, ConfigId), (i64, i64)>,
    pub blocked: BTreeSet<UserId>,
    decisions: BTreeMap<AlertId, Vec<Decision>>,
    /// Replacements that were sent too late for their entry to be followed.
    lapsed: HashSet<DeliveryId>,
}

/// One that was taken, and its entry.
pub type TakenPair = (DeliveryId, Option<DeliveryId>);

impl StoreModel {
    /// The whole of an alert in one chunk.
    pub fn commit(&mut self, chunk: &ChunkCommit) {
        for end in &chunk.plan.ended {
            let trade = self.trades.get_mut(&end.trade).unwrap();
            trade.status = end.status;
            trade.trade_data.exit_price = Some(end.exit_price);
            trade.trade_data.exit_reason = Some(end.reason);
            trade.pnl.amount = Some(end.pnl_amount);
            trade.pnl.percentage = Some(end.pnl_percentage);
            trade.timestamps.closed_at = Some(end.at);
            trade.timestamps.replaced_at = (end.status == TradeStatus::Replaced).then_some(end.at);
            trade.alerts.exit_alert_id = end.exit_alert;
            trade.metadata.replaced_by = end.replaced_by;
            trade.metadata.replacement_reason.clone_from(&end.replacement_reason);
            trade.alertcast.end_deliveries.clone_from(&end.told_by);
            trade.alertcast.rev.0 += 1;
            trade.updated_at = chunk.now;
        }
        self.trades.extend(chunk.plan.opened.iter().map(|trade| (trade.id, trade.clone())));
        self.deliveries.extend(chunk.plan.deliveries.iter().map(|delivery| (delivery.id, delivery.clone())));
        for usage in &chunk.plan.usage {
            let user = chunk.plan.decisions.iter().flat_map(|chunk| &chunk.decisions);
            let user = user.clone().find(|decision| decision.subscription == Some(usage.subscription)).unwrap().user;
            self.count(user, chunk.config, (usage.alerts, usage.trades));
        }
        let decided = chunk.plan.decisions.iter().flat_map(|chunk| chunk.decisions.clone());
        self.decisions.entry(chunk.alert).or_default().extend(decided);
        let alert = self.alerts.get_mut(&chunk.alert).unwrap();
        let finish = chunk.finish.as_ref().unwrap();
        alert.processing.status = AlertStatus::Processed;
        alert.webhook.processed_at = Some(finish.processed_at);
        alert.statistics.processing_time = Some(finish.processing_time);
        alert.alertcast.cursor = chunk.cursor;
        alert.updated_at = chunk.now;
    }

    pub fn due(&self, lane: &LaneName, now: Time) -> Vec<DeliveryId> {
        let mut due: Vec<_> = self.pending_deliveries(lane).filter(|delivery| delivery.due_at <= now).collect();
        due.sort_by_key(|delivery| (delivery.priority, delivery.queued_at, delivery.rotation, delivery.id));
        due.into_iter().map(|delivery| delivery.id).collect()
    }

    pub fn next_due(&self, lane: &LaneName, now: Time) -> Option<Time> {
        self.pending_deliveries(lane).map(|delivery| delivery.due_at).filter(|&due_at| due_at > now).min()
    }

    pub fn take(&mut self, fence: &LeaseFence, ids: &[DeliveryId], now: Time) -> (Vec<TakenPair>, BTreeSet<AlertId>) {
        let mut settle = BTreeSet::new();
        let mut taken = Vec::new();
        for &id in ids {
            if self.state(id) == S::Pending && self.take_one(fence, id, now, &mut settle) {
                taken.push((id, self.deliveries[&id].entry_delivery));
            }
        }
        (taken, settle)
    }

    fn take_one(&mut self, fence: &LeaseFence, id: DeliveryId, now: Time, settle: &mut BTreeSet<AlertId>) -> bool {
        if self.deliveries[&id].kind == MessageKind::Result && !self.is_its_turn(id, now, settle) {
            return false;
        }
        let centre = self.deliveries[&id].clone();
        match before(&centre, self, now) {
            TakingOrder::Wait(due_at) => return self.put_off(id, due_at, now),
            TakingOrder::Ends(overtaken) => self.end_all(&overtaken, now, settle),
            TakingOrder::Yields { to, overtaken } => {
                self.end_all(&overtaken, now, settle);
                let told = yield_message(&self.deliveries[&to], &centre, &overtaken, self);
                self.deliveries.insert(to, told);
                return false;
            }
        }
        match decide_taking(&centre, self, now) {
            TakingDecision::Goes(after) => drop(self.deliveries.insert(id, *after)),
            TakingDecision::Waits(due_at) => return self.put_off(id, due_at, now),
            TakingDecision::Ends(event, why) => {
                self.change(id, now, |delivery| delivery.last_error = Some(why.to_owned()));
                self.end(id, centre.state.after(event).unwrap(), now, settle);
                return false;
            }
        }
        self.change(id, now, |delivery| {
            (delivery.state, delivery.epoch) = (S::Sending, Some(fence.epoch));
            delivery.attempts.0 += 1;
        });
        true
    }

    fn put_off(&mut self, id: DeliveryId, due_at: Time, now: Time) -> bool {
        self.change(id, now, |delivery| delivery.due_at = due_at);
        false
    }

    fn end_all(&mut self, overtaken: &[OvertakenDelivery], now: Time, settle: &mut BTreeSet<AlertId>) {
        for one in overtaken {
            self.change(one.id, now, |delivery| {
                delivery.superseded_by = one.by.or(delivery.superseded_by);
                delivery.last_error = one.reason().map(str::to_owned).or(delivery.last_error.take());
            });
            let state = self.state(one.id).after(one.event).unwrap();
            self.end(one.id, state, now, settle);
        }
    }

    /// Whether a result's entry stands in a message, and the news has gone out; else it waits or ends.
    fn is_its_turn(&mut self, id: DeliveryId, now: Time, settle: &mut BTreeSet<AlertId>) -> bool {
        let result = &self.deliveries[&id];
        let entry = &self.deliveries[&result.entry_delivery.unwrap()];
        let told = self.deliveries[&result.follows.unwrap()].told_by(self).unwrap();
        let is_lost = match entry.state {
            S::Sent => entry.message_id.is_none() || self.lapsed.contains(&entry.id),
            state => state.is_ended(),
        };
        if now > result.deadline_at || is_lost {
            self.end(id, S::Dropped, now, settle);
            return false;
        }
        let Some(open) = [told, entry].into_iter().find(|before| !before.state.is_ended()) else {
            return true;
        };
        let due_at = open.due_at.max(now + Duration::from_secs(1));
        self.change(id, now, |result| result.due_at = due_at);
        false
    }

    pub fn record(&mut self, fence: &LeaseFence, records: &[AttemptRecord], now: Time) -> BTreeSet<AlertId> {
        let mut settle = BTreeSet::new();
        for AttemptRecord { delivery: id, outcome } in records {
            let delivery = &self.deliveries[id];
            let is_ours = delivery.state == S::Sending && delivery.epoch == Some(fence.epoch);
            let may_wait = matches!(outcome, AttemptOutcome::Expired { .. } | AttemptOutcome::Dropped { .. });
            if is_ours || (may_wait && delivery.state == S::Pending) {
                self.apply(*id, outcome, now, &mut settle);
            }
        }
        settle
    }

    fn apply(&mut self, id: DeliveryId, outcome: &AttemptOutcome, now: Time, settle: &mut BTreeSet<AlertId>) {
        match outcome {
            AttemptOutcome::Sent { message_id, entry_lapsed, topic_gone } => {
                self.change(id, now, |delivery| {
                    (delivery.message_id, delivery.topic_gone) = (*message_id, *topic_gone);
                });
                if *entry_lapsed {
                    self.lapsed.insert(id);
                    self.change(id, now, |replacement| replacement.entry_lapsed = true);
                }
                self.end(id, S::Sent, now, settle);
            }
            AttemptOutcome::Retry { due_at, error, in_doubt } => self.change(id, now, |delivery| {
                (delivery.state, delivery.due_at, delivery.epoch) = (S::Pending, *due_at, None);
                delivery.last_error = Some(error.clone());
                delivery.possible_repeat |= in_doubt;
            }),
            AttemptOutcome::Expired { in_doubt } => {
                self.change(id, now, |delivery| delivery.possible_repeat |= in_doubt);
                self.end(id, S::Expired, now, settle);
            }
            AttemptOutcome::Dead { error, cause } => {
                let in_doubt = *cause == DeathCause::InVain { in_doubt: true };
                self.change(id, now, |delivery| {
                    delivery.last_error = Some(error.clone());
                    delivery.possible_repeat |= in_doubt;
                });
                if matches!(cause, DeathCause::ChatBlocked { .. }) {
                    self.blocked.extend(self.deliveries[&id].user_id);
                }
                self.end(id, S::Dead, now, settle);
            }
            AttemptOutcome::Dropped { .. } => self.end(id, S::Dropped, now, settle),
        }
    }

    pub fn recover(&mut self, fence: &LeaseFence, now: Time) -> u64 {
        let left: Vec<_> = self
            .deliveries
            .values()
            .filter(|delivery| delivery.lane.as_str() == fence.lease && delivery.state == S::Sending)
            .filter(|delivery| delivery.epoch < Some(fence.epoch))
            .map(|delivery| delivery.id)
            .collect();
        for &id in &left {
            self.change(id, now, |delivery| {
                (delivery.state, delivery.due_at, delivery.possible_repeat) = (S::Pending, now, true);
            });
        }
        left.len() as u64
    }

    pub fn defer(&mut self, fence: &LeaseFence, chat: &str, until: Time) {
        for delivery in self.deliveries.values_mut() {
            if delivery.lane.as_str() == fence.lease && delivery.to == chat && delivery.state == S::Pending {
                delivery.due_at = delivery.due_at.max(until);
            }
        }
    }

    pub fn expire_overdue(&mut self, now: Time) -> BTreeSet<AlertId> {
        let overdue = |delivery: &&Delivery| delivery.state == S::Pending && delivery.deadline_at < now;
        let overdue: Vec<_> = self.deliveries.values().filter(overdue).map(|delivery| delivery.id).collect();
        let mut settle = BTreeSet::new();
        for id in overdue {
            let delivery = &self.deliveries[&id];
            let in_vain = delivery.kind != MessageKind::Entry && delivery.attempts > Count(0);
            self.end(id, if in_vain { S::Dead } else { S::Expired }, now, &mut settle);
        }
        settle
    }

    pub fn settle(&mut self, id: AlertId, now: Time) -> SettlingOutcome {
        let alert = &self.alerts[&id];
        if alert.alertcast.settled_at.is_some() {
            return SettlingOutcome::Before;
        }
        let of_alert = || self.deliveries.values().filter(|delivery| delivery.alert_id == Some(id));
        let is_open = of_alert().any(|delivery| !self.teller(delivery).state.is_ended());
        if alert.processing.status != AlertStatus::Processed || is_open {
            return SettlingOutcome::NotYet;
        }
        let mut matched = Vec::new();
        let mut actions = Vec::new();
        for decision in &self.decisions[&id] {
            if decision.verdict != Verdict::Sent && decision.actions.is_empty() {
                continue;
            }
            let told = of_alert().filter(|delivery| delivery.user_id == Some(decision.user));
            let arrived = told.map(|delivery| self.teller(delivery)).filter(|teller| teller.state == S::Sent);
            let delivered_at = arrived.filter_map(|teller| teller.ended_at).min();
            matched.push(MatchedUser {
                user_id: decision.user,
                subscription_id: decision.subscription.unwrap(),
                delivered: delivered_at.is_some(),
                delivered_at,
                error: None,
            });
            actions.extend(decision.actions.iter().map(|action| TradeActionTaken {
                action: action.action,
                trade_id: action.trade,
                user_id: decision.user,
            }));
        }
        let alert = self.alerts.get_mut(&id).unwrap();
        (alert.processing.matched_users, alert.processing.trade_actions) = (matched, actions);
        (alert.alertcast.settled_at, alert.updated_at) = (Some(now), now);
        SettlingOutcome::Now
    }

    /// Ends a delivery, with what follows from it.
    fn end(&mut self, id: DeliveryId, state: S, now: Time, settle: &mut BTreeSet<AlertId>) {
        if self.deliveries[&id].kind == MessageKind::Result {
            let state = if state == S::Sent { S::Sent } else { S::Dropped };
            return self.change(id, now, |result| (result.state, result.ended_at) = (state, Some(now)));
        }
        self.change(id, now, |delivery| (delivery.state, delivery.ended_at) = (state, Some(now)));
        if state == S::Superseded {
            return;
        }
        let ended = self.deliveries[&id].clone();
        let alert = self.alerts.get_mut(&ended.alert_id.unwrap()).unwrap();
        settle.insert(alert.id);
        match state {
            S::Sent => alert.statistics.delivery_count.0 += 1,
            S::Expired | S::Dead => alert.statistics.failure_count.0 += 1,
            _ => {}
        }
        if matches!(state, S::Sent | S::Expired | S::Dead) {
            alert.updated_at = now;
        }
        if exit_was_untold(&ended, self.deliveries.values().filter(|one| one.user_id == ended.user_id)) {
            self.count(ended.user_id.unwrap(), ended.alert_config_id.unwrap(), (-1, 0));
        }
        let told = ended.combines.map(|entry| self.deliveries[&entry].clone());
        settle.extend(told.as_ref().and_then(|entry| entry.alert_id));
        for entry in [Some(ended), told].into_iter().flatten() {
            if matches!(entry.kind, MessageKind::Entry | MessageKind::Replacement) {
                self.mark_if_unreached(entry.trade_id.unwrap(), now);
            }
        }
    }

    fn mark_if_unreached(&mut self, id: TradeId, now: Time) {
        let trade = &self.trades[&id];
        let unsent = |entry: &DeliveryId| {
            let entry = &self.deliveries[entry];
            let teller = self.teller(entry);
            let is_doubtful = entry.possible_repeat || teller.possible_repeat;
            let unsent = teller.state.is_ended() && (teller.state != S::Sent || self.lapsed.contains(&teller.id));
            unsent && !is_doubtful
        };
        if trade.alertcast.unreached || !trade.alertcast.entry_deliveries.iter().all(|entry| unsent(&entry.id)) {
            return;
        }
        let (user, config) = (trade.user_id, trade.alert_config_id);
        let trade = self.trades.get_mut(&id).unwrap();
        trade.alertcast.unreached = true;
        trade.alertcast.rev.0 += 1;
        trade.updated_at = now;
        self.count(user, config, (-1, -1));
    }

    fn count(&mut self, user: UserId, config: ConfigId, by: (i64, i64)) {
        let used = self.used.entry((user, config)).or_default();
        *used = (used.0 + by.0, used.1 + by.1);
    }

    fn change(&mut self, id: DeliveryId, now: Time, change: impl FnOnce(&mut Delivery)) {
        let delivery = self.deliveries.get_mut(&id).unwrap();
        delivery.updated_at = now;
        change(delivery);
    }

    fn state(&self, id: DeliveryId) -> S {
        self.deliveries[&id].state
    }

    fn pending_deliveries(&self, lane: &LaneName) -> impl Iterator<Item = &Delivery> {
        self.deliveries.values().filter(move |delivery| delivery.lane == *lane && delivery.state == S::Pending)
    }

    /// The delivery, or the one that tells its news.
    fn teller<'a>(&'a self, delivery: &'a Delivery) -> &'a Delivery {
        delivery.told_in().map_or(delivery, |by| &self.deliveries[&by])
    }
}

impl DeliveryNeighbours for StoreModel {
    fn delivery(&self, id: DeliveryId) -> Option<&Delivery> {
        self.deliveries.get(&id)
    }

    fn trade(&self, id: TradeId) -> Option<&Trade> {
        self.trades.get(&id)
    }
}
