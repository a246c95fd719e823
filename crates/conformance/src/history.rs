//! A random history that one process lives through: alerts open and close trades in chunks, deliveries are taken and
//! recorded, alerts settled. It can be cut off anywhere, and several can run side by side on one store.

use alertcast_core::fixtures::{dead, retry, sent_outcome};
use std::collections::HashMap;

use super::StoreHarness;
use super::dump::{StoreDump, every};
use super::invariants;
use super::random::{RandomSequence, cut_off};
use super::scene::{BOTH, TestScene, closing_commit, finish_commit, opening_commit, span, with_results};
use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::Channel::{self, Email, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState};
use alertcast_core::fixtures::*;
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::store::{
    AttemptOutcome, AttemptRecord, ChunkCommit, Collection, PARTITIONS, SettlingOutcome, StoreError, read,
};

/// A history for six users; it leaves alone what it finds changed by others.
#[derive(Debug)]
pub struct UserHistory {
    pub scene: TestScene,
    sequence: RandomSequence,
    /// Whether operations are dropped on their way.
    cuts: bool,
    now: i64,
    /// The last alert offered; those of different histories lie apart.
    offered: u32,
    /// How often each alert was settled, as far as this history was told.
    pub settled: HashMap<AlertId, u32>,
}

impl UserHistory {
    pub fn begin(scene: TestScene, seed: u32, cuts: bool) -> Self {
        let sequence = RandomSequence::new(u64::from(seed));
        Self { scene, sequence, cuts, now: 0, offered: seed * 1_000, settled: HashMap::new() }
    }

    pub async fn play(&mut self, steps: u32) {
        for _ in 0..steps {
            self.now += i64::from(self.sequence.below(12));
            match self.sequence.below(18) {
                0 => self.offer().await,
                1..=3 => self.commit().await,
                4..=8 => self.take().await,
                9..=13 => self.record().await,
                14..=15 => self.settle().await,
                16 => {
                    let store = &self.scene.store;
                    perform(&mut self.sequence, self.cuts, store.expire_overdue(at(self.now), 3)).await;
                }
                _ => {
                    let (store, fence) = (&self.scene.store, &self.scene.bot);
                    perform(&mut self.sequence, self.cuts, store.recover(fence, at(self.now))).await;
                }
            }
        }
    }

    /// The process is gone: the next one takes the lanes over and finds what was left.
    pub async fn crash(mut self, harness: &dyn StoreHarness) -> Self {
        self.scene.store = harness.reopen(self.scene.store).await;
        invariants::check(&StoreDump::when_quiet(&*self.scene.store).await);
        for name in [WORK, BOT, MAIL] {
            let seen = self.scene.store.leases(name).await.unwrap().remove(0);
            let next = self.scene.store.take_lease(name, "next", Some(&seen)).await.unwrap().unwrap().fence();
            match name {
                WORK => self.scene.work = next,
                BOT => self.scene.bot = next,
                _ => self.scene.mail = next,
            }
        }
        for channel in [Telegram, Email] {
            self.scene.store.recover(self.scene.fence(channel), at(self.now)).await.unwrap();
        }
        self
    }

    /// Odd alerts open, even ones close what the alert before them opened.
    async fn offer(&mut self) {
        self.offered += 1;
        let mut offered = alert(self.offered, config_of(self.offered));
        offered.webhook.received_at = at(self.now);
        let offer = self.scene.store.accept_alert(offered, vec![own_key(self.offered)], at(self.now));
        perform(&mut self.sequence, self.cuts, offer).await;
    }

    async fn commit(&mut self) {
        let partitions: Vec<i32> = (0..PARTITIONS).collect();
        let pending = self.scene.store.pending_alerts(&partitions, &[], 4).await.unwrap();
        let Some(alert) = self.sequence.pick(&pending) else { return };
        let chunk = self.next_chunk(alert).await;
        let again = self.sequence.one_in(4).then(|| chunk.clone());
        let store = &self.scene.store;
        let first = perform(&mut self.sequence, self.cuts, store.commit(chunk)).await;
        if let Some(again) = again {
            let second = perform(&mut self.sequence, self.cuts, store.commit(again)).await;
            assert!(first.is_none() || second.is_none(), "one chunk applied twice");
        }
    }

    /// What an alert does next to the three users behind its cursor, from what is there now.
    async fn next_chunk(&self, alert: &Alert) -> ChunkCommit {
        let by = number(alert.id.0);
        let config = config_of(by);
        let first = alert.alertcast.cursor.map_or(1, |cursor| number(cursor.0) + 1);
        let users = first..=first + 2;
        let span = span(&users);
        let state = self.scene.store.load_chunk(config_id(config), span, &[]).await.unwrap();
        let open = |user: u32| state.open_trades.iter().any(|trade| trade.id == trade_id(by - 1, user));
        let mut chunk = if by % 2 == 1 || !users.clone().all(open) {
            opening_commit(&self.scene.work, by, config, users, BOTH)
        } else {
            with_results(closing_commit(&self.scene.work, by, config, by - 1, users, BOTH), by, config, by - 1)
        };
        for delivery in &mut chunk.plan.deliveries {
            delivery.deadline_at = at(self.now + 900);
        }
        let seen = state.open_trades.iter().map(|trade| (trade.id, trade.alertcast.rev.0));
        chunk.plan.open_seen = Some((span, seen.collect()));
        chunk.cursor_seen = alert.alertcast.cursor;
        chunk.now = at(self.now);
        if first == 4 { finish_commit(chunk, at(self.now)) } else { chunk }
    }

    async fn take(&mut self) {
        let channel = self.channel();
        let due = self.scene.store.due(&lane(channel), at(self.now), 8).await.unwrap();
        let ids: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
        let ids = self.sequence.some(&ids, 5);
        let take = self.scene.store.take(self.scene.fence(channel), &ids, at(self.now));
        perform(&mut self.sequence, self.cuts, take).await;
    }

    async fn record(&mut self) {
        let channel = self.channel();
        let all = every(&*self.scene.store, Collection::Deliveries).await;
        let sending = |delivery: &Delivery| delivery.state == DeliveryState::Sending && delivery.channel == channel;
        let ids: Vec<_> = all
            .into_iter()
            .map(|document| read(Collection::Deliveries, document).unwrap())
            .filter(sending)
            .map(|delivery| delivery.id)
            .collect();
        let records: Vec<_> = self.sequence.some(&ids, 5).into_iter().map(|id| self.outcome(id)).collect();
        let record = self.scene.store.record_attempts(self.scene.fence(channel), records, at(self.now));
        perform(&mut self.sequence, self.cuts, record).await;
    }

    fn outcome(&mut self, delivery: DeliveryId) -> AttemptRecord {
        let outcome = match self.sequence.below(8) {
            0..=3 => sent_outcome(i64::from(self.sequence.below(1_000))),
            4 => retry(self.now + 10),
            5 => dead(),
            6 => alertcast_core::fixtures::expired_outcome(),
            _ => AttemptOutcome::Dropped { reason: "suspended".to_owned() },
        };
        AttemptRecord { delivery, outcome }
    }

    async fn settle(&mut self) {
        let unsettled = self.scene.store.unsettled(None, 20).await.unwrap();
        let Some(&alert) = self.sequence.pick(&unsettled) else { return };
        let settle = self.scene.store.settle(alert, at(self.now));
        if perform(&mut self.sequence, self.cuts, settle).await == Some(SettlingOutcome::Now) {
            *self.settled.entry(alert).or_default() += 1;
        }
    }

    fn channel(&mut self) -> Channel {
        if self.sequence.one_in(2) { Email } else { Telegram }
    }
}

/// Performs an operation, or some of it. None where it was cut off, or what it rested on had changed.
async fn perform<T>(
    sequence: &mut RandomSequence,
    cuts: bool,
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Option<T> {
    let answer = if cuts { cut_off(sequence, operation).await } else { Some(operation.await) };
    match answer {
        Some(Ok(value)) => Some(value),
        None | Some(Err(StoreError::Conflict)) => None,
        Some(Err(other)) => panic!("{other}"),
    }
}

/// The configuration of an alert: an opening one's and its closing one's are the same.
const fn config_of(alert: u32) -> u32 {
    alert.div_ceil(2) % 2 + 1
}
