//! Random histories, the same in every run, played on the store and on the [`StoreModel`]: every answer and every document
//! must be the same.

use std::collections::{BTreeMap, BTreeSet};

use super::StoreHarness;
use super::model::StoreModel;
use super::random::RandomSequence;
use super::scene::{
    BOTH, TELEGRAM, TestScene, closing_commit, ended_trade, finish_commit, opening_commit, span, told_by,
};
use alertcast_core::alert::document::{Alert, TradeAction};
use alertcast_core::delivery::Channel::{self, Email, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState, MessageFacts, MessageKind};
use alertcast_core::fixtures::*;
use alertcast_core::id::{AlertId, DeliveryId, TradeId};
use alertcast_core::market::ExitReason;
use alertcast_core::money::Count;
use alertcast_core::preference::AlertPreference;
use alertcast_core::store::{AttemptOutcome, AttemptRecord, ChunkCommit, Collection, DeathCause};
use alertcast_core::subscription::Subscription;
use alertcast_core::time::Time;
use alertcast_core::trade::document::{Trade, TradeEnd, TradeStatus};
use alertcast_core::user::User;

const USERS: u32 = 3;
/// Documents are compared after so many steps.
const COMPARED_EVERY: u32 = 8;

pub async fn a_history_with_one_channel_is_as_the_model_has_it(harness: &dyn StoreHarness) {
    ModelHistory::begin(harness, 21, TELEGRAM, 12).await.play(240).await;
}

pub async fn a_history_with_two_channels_is_as_the_model_has_it(harness: &dyn StoreHarness) {
    ModelHistory::begin(harness, 22, BOTH, 12).await.play(240).await;
}

/// Time goes fast: much is late, and much is given up.
pub async fn a_history_in_a_hurry_is_as_the_model_has_it(harness: &dyn StoreHarness) {
    ModelHistory::begin(harness, 23, BOTH, 1_500).await.play(240).await;
}

/// A store, the model of it, and what is done to both.
#[derive(Debug)]
struct ModelHistory {
    scene: TestScene,
    model: StoreModel,
    sequence: RandomSequence,
    channels: &'static [Channel],
    /// Seconds that a step takes at most.
    pace: u32,
    now: Time,
    alerts: u32,
}

impl ModelHistory {
    async fn begin(harness: &dyn StoreHarness, seed: u64, channels: &'static [Channel], pace: u32) -> Self {
        let scene = TestScene::new(harness, USERS).await;
        // Half a second off: nothing is decided at the very moment of a deadline.
        let now = at(0) + std::time::Duration::from_millis(500);
        Self {
            scene,
            model: StoreModel::default(),
            sequence: RandomSequence::new(seed),
            channels,
            pace,
            now,
            alerts: 0,
        }
    }

    async fn play(mut self, steps: u32) {
        for step in 1..=steps {
            let seconds = u64::from(self.sequence.below(self.pace));
            self.now = self.now + std::time::Duration::from_secs(seconds);
            match self.sequence.below(20) {
                0..=2 => self.commit().await,
                3..=7 => self.take().await,
                8..=13 => self.record().await,
                14..=15 => self.settle().await,
                16 => self.expire().await,
                17 => self.take_over().await,
                18 => self.defer().await,
                _ => self.look().await,
            }
            if step % COMPARED_EVERY == 0 {
                self.compare().await;
            }
        }
        self.compare().await;
        let states: BTreeSet<_> = self.model.deliveries.values().map(|delivery| delivery.state).collect();
        assert!(states.len() >= 6, "the history is poor: {states:?}");
    }

    /// An alert opens, replaces or closes each user's trade in a configuration.
    async fn commit(&mut self) {
        self.alerts += 1;
        let (by, config) = (self.alerts, self.sequence.below(2) + 1);
        let mut offered = alert(by, config);
        let second = (self.now.millis() - at(0).millis()) / 1_000;
        offered.webhook.received_at = at(second);
        let kept = super::scene::accept(&*self.scene.store, offered).await;
        self.model.alerts.insert(kept.id, kept);
        let chunk = self.chunk(by, config, second);
        self.scene.store.commit(chunk.clone()).await.unwrap();
        self.model.commit(&chunk);
    }

    fn chunk(&mut self, by: u32, config: u32, second: i64) -> ChunkCommit {
        let users = 1..=USERS;
        let open: Vec<Trade> = self
            .model
            .trades
            .values()
            .filter(|trade| trade.alert_config_id == config_id(config) && trade.status == TradeStatus::Open)
            .cloned()
            .collect();
        let seen = open.iter().map(|trade| (trade.id, trade.alertcast.rev.0)).collect();
        let opened_by = |trade: &Trade| number(trade.alerts.entry_alert_id.unwrap().0);
        let mut chunk = match open.first() {
            None => opening_commit(&self.scene.work, by, config, users.clone(), self.channels),
            Some(_) if self.sequence.one_in(3) => {
                let mut chunk = opening_commit(&self.scene.work, by, config, users.clone(), self.channels);
                chunk.plan.ended =
                    open.iter().map(|trade| replace_trade(opened_by(trade), by, trade, self.channels)).collect();
                for delivery in &mut chunk.plan.deliveries {
                    (delivery.kind, delivery.deadline_at) = (MessageKind::Replacement, at(second + 86_400));
                    delivery.entry_deadline_at = Some(at(second + 3_600));
                    let old = open.iter().find(|trade| Some(trade.user_id) == delivery.user_id);
                    delivery.entry_delivery = old.and_then(|old| old.announced_by(delivery.channel));
                    delivery.facts =
                        MessageFacts::Replacement { number: Count(i64::from(by)), replaced: closed_trade() };
                }
                let decisions = &mut chunk.plan.decisions.as_mut().unwrap().decisions;
                for action in decisions.iter_mut().flat_map(|decision| &mut decision.actions) {
                    action.action = TradeAction::Replace;
                }
                chunk
            }
            Some(first) => closing_commit(&self.scene.work, by, config, opened_by(first), users.clone(), self.channels),
        };
        for delivery in &mut chunk.plan.deliveries {
            (delivery.due_at, delivery.queued_at) = (at(second), at(second));
            if delivery.kind != MessageKind::Replacement {
                let length = if delivery.kind == MessageKind::Exit { 86_400 } else { 3_600 };
                delivery.deadline_at = at(second + length);
            }
        }
        for trade in open.iter().filter(|trade| trade.announced_by(Telegram).is_some()) {
            let user = number(trade.user_id.0);
            let mut result = result(by, config, user, opened_by(trade));
            (result.due_at, result.queued_at) = (at(second), at(second));
            result.deadline_at = at(second + 600);
            chunk.plan.deliveries.push(result);
        }
        chunk.plan.open_seen = Some((span(&users), seen));
        finish_commit(chunk, self.now)
    }

    async fn take(&mut self) {
        let channel = self.channel();
        let due = self.model.due(&lane(channel), self.now);
        let ids = if self.sequence.one_in(4) { self.any(8) } else { self.sequence.some(&due, 6) };
        // Whatever is asked for is of the lane whose lease is shown.
        let of_lane = |id: &DeliveryId| self.model.deliveries[id].channel == channel;
        let ids: Vec<_> = ids.into_iter().filter(of_lane).collect();
        let fence = self.scene.fence(channel).clone();
        let answer = self.scene.store.take(&fence, &ids, self.now).await.unwrap();
        let (taken, settle) = self.model.take(&fence, &ids, self.now);
        let pairs: Vec<_> = answer.taken.iter().map(|t| (t.delivery.id, t.entry.as_ref().map(|e| e.id))).collect();
        assert_eq!(pairs, taken, "what was taken of {ids:?}");
        for taken in &answer.taken {
            let want = &self.model.deliveries[&taken.delivery.id];
            assert_eq!(comparable(&taken.delivery), comparable(want));
        }
        assert_eq!(answer.settle.into_iter().collect::<BTreeSet<_>>(), settle);
    }

    async fn record(&mut self) {
        let channel = self.channel();
        let sending: Vec<_> = self
            .model
            .deliveries
            .values()
            .filter(|delivery| delivery.state == DeliveryState::Sending)
            .map(|delivery| delivery.id)
            .collect();
        let ids = if self.sequence.one_in(4) { self.any(6) } else { self.sequence.some(&sending, 6) };
        let of_lane = |id: &DeliveryId| self.model.deliveries[id].channel == channel;
        let ids: Vec<_> = ids.into_iter().filter(of_lane).collect();
        let records: Vec<_> = ids.into_iter().map(|delivery| self.outcome(delivery)).collect();
        let fence = self.scene.fence(channel).clone();
        let answer = self.scene.store.record_attempts(&fence, records.clone(), self.now).await.unwrap();
        let settle = self.model.record(&fence, &records, self.now);
        assert_eq!(answer.into_iter().collect::<BTreeSet<_>>(), settle, "{records:?}");
    }

    fn outcome(&mut self, delivery: DeliveryId) -> AttemptRecord {
        let later = self.now + std::time::Duration::from_secs(u64::from(self.sequence.below(60)));
        let is_replacement = self.model.deliveries[&delivery].kind == MessageKind::Replacement;
        let lapses = is_replacement && self.sequence.one_in(3);
        let outcome = match self.sequence.below(9) {
            0..=3 => AttemptOutcome::Sent { message_id: Some(7), entry_lapsed: lapses, topic_gone: lapses },
            4..=5 => {
                AttemptOutcome::Retry { due_at: later, error: "502".to_owned(), in_doubt: self.sequence.one_in(2) }
            }
            6 => AttemptOutcome::Dead { error: "403".to_owned(), cause: self.cause(delivery) },
            7 => AttemptOutcome::Expired { in_doubt: self.sequence.one_in(2) },
            _ => AttemptOutcome::Dropped { reason: "suspended".to_owned() },
        };
        AttemptRecord { delivery, outcome }
    }

    fn cause(&mut self, delivery: DeliveryId) -> DeathCause {
        match self.sequence.below(3) {
            0 => DeathCause::Refused,
            1 => DeathCause::InVain { in_doubt: self.sequence.one_in(2) },
            _ => {
                let user = self.model.deliveries[&delivery].user_id.unwrap();
                DeathCause::ChatBlocked { chat: chat(number(user.0)) }
            }
        }
    }

    async fn settle(&mut self) {
        let alerts: Vec<AlertId> = self.model.alerts.keys().copied().collect();
        for alert in self.sequence.some(&alerts, 6) {
            let answer = self.scene.store.settle(alert, self.now).await.unwrap();
            assert_eq!(answer, self.model.settle(alert, self.now), "{alert}");
        }
    }

    async fn expire(&mut self) {
        let (settle, more) = self.scene.store.expire_overdue(self.now, 10_000).await.unwrap();
        let want = self.model.expire_overdue(self.now);
        assert_eq!((settle.into_iter().collect::<BTreeSet<_>>(), more), (want, false));
    }

    /// Another owner takes a lane over and, perhaps later, makes pending what the one before was sending.
    async fn take_over(&mut self) {
        let channel = self.channel();
        if self.sequence.one_in(2) {
            let seen = self.scene.store.leases(lane(channel).as_str()).await.unwrap().remove(0);
            let next = self.scene.store.take_lease(lane(channel).as_str(), "next", Some(&seen)).await.unwrap();
            let fence = next.unwrap().fence();
            match channel {
                Telegram => self.scene.bot = fence,
                Email => self.scene.mail = fence,
            }
        }
        let fence = self.scene.fence(channel).clone();
        let answer = self.scene.store.recover(&fence, self.now).await.unwrap();
        assert_eq!(answer, self.model.recover(&fence, self.now));
    }

    async fn defer(&mut self) {
        let chat = chat(self.sequence.below(USERS) + 1);
        let until = self.now + std::time::Duration::from_secs(u64::from(self.sequence.below(40)));
        let fence = self.scene.bot.clone();
        self.scene.store.defer_chat(&fence, &chat, until).await.unwrap();
        self.model.defer(&fence, &chat, until);
    }

    async fn look(&mut self) {
        for channel in [Telegram, Email] {
            let due = self.scene.store.due(&lane(channel), self.now, 10_000).await.unwrap();
            let due: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
            assert_eq!(due, self.model.due(&lane(channel), self.now));
            let next = self.scene.store.next_due(&lane(channel), self.now).await.unwrap();
            assert_eq!(next, self.model.next_due(&lane(channel), self.now));
        }
    }

    async fn compare(&self) {
        let dump = self.scene.dump().await;
        for delivery in dump.all::<Delivery>(Collection::Deliveries) {
            assert_eq!(comparable(&delivery), comparable(&self.model.deliveries[&delivery.id]));
        }
        assert_eq!(dump.documents(Collection::Deliveries).len(), self.model.deliveries.len());
        let trades: BTreeMap<TradeId, Trade> =
            dump.all(Collection::Trades).into_iter().map(|trade: Trade| (trade.id, trade)).collect();
        assert_eq!(trades, self.model.trades);
        for mut alert in dump.all::<Alert>(Collection::Alerts) {
            alert.processing.matched_users.iter_mut().for_each(|matched| matched.error = None);
            assert_eq!(alert, self.model.alerts[&alert.id]);
        }
        for subscription in dump.all::<Subscription>(Collection::UserSubscriptions) {
            let of_user = self.model.used.iter().filter(|((user, _), _)| *user == subscription.user_id);
            let sum = of_user.fold((0, 0), |sum, (_, used)| (sum.0 + used.0, sum.1 + used.1));
            assert_eq!((subscription.usage.alerts_received.0, subscription.usage.trades_opened.0), sum);
        }
        for preference in dump.all::<AlertPreference>(Collection::UserAlertPreferences) {
            let used = self.model.used.get(&(preference.user_id, preference.alert_config_id));
            let statistics = (preference.statistics.alerts_received.0, preference.statistics.trades_opened.0);
            assert_eq!(statistics, used.copied().unwrap_or_default());
        }
        for user in dump.all::<User>(Collection::Users) {
            let is_blocked = user.chat_blocked_since().is_some();
            assert_eq!(is_blocked, self.model.blocked.contains(&user.id));
        }
    }

    fn any(&mut self, at_most: u32) -> Vec<DeliveryId> {
        let all: Vec<_> = self.model.deliveries.keys().copied().collect();
        self.sequence.some(&all, at_most)
    }

    fn channel(&mut self) -> Channel {
        self.sequence.pick(self.channels).copied().unwrap()
    }
}

/// A delivery without what the port leaves open: under which epoch it once was sent, and the words of a drop.
fn comparable(delivery: &Delivery) -> Delivery {
    let mut delivery = delivery.clone();
    if delivery.state != DeliveryState::Sending {
        delivery.epoch = None;
    }
    if delivery.state == DeliveryState::Dropped {
        delivery.last_error = None;
    }
    // Deferring is given no moment.
    delivery.updated_at = Time::default();
    delivery
}

fn replace_trade(opened_by: u32, by: u32, trade: &Trade, channels: &[Channel]) -> TradeEnd {
    TradeEnd {
        status: TradeStatus::Replaced,
        reason: ExitReason::Replaced,
        replaced_by: Some(trade_id(by, number(trade.user_id.0))),
        replacement_reason: Some("a new signal at the limit".to_owned()),
        told_by: told_by(by, number(trade.user_id.0), channels),
        ..ended_trade(opened_by, number(trade.user_id.0), by)
    }
}
