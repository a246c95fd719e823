//! What holds after a crash: what was answered is there, and what was cut off happened wholly or not at all.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Harness;
use super::dump::Dump;
use super::fixtures::*;
use super::invariants;
use super::random::{Sequence, cut_off};
use super::scene::{BOTH, Scene, TELEGRAM, at_once, closing, dead, finished, insert, opening, retry, sent, set};
use crate::alert::document::Alert;
use crate::delivery::Channel::{Email, Telegram};
use crate::delivery::{Channel, Delivery, DeliveryState};
use crate::id::AlertId;
use crate::store::{
    Acceptance, AttemptRecord, ChunkCommit, Collection, Outcome, PARTITIONS, Settled, Store, StoreError, Write,
};

pub async fn what_was_answered_is_there_after_a_crash(harness: &dyn Harness) {
    let mut scene = Scene::new(harness, 4).await;
    scene.open(1, 1..=4, BOTH).await;
    scene.close(5, 1, 1..=2, TELEGRAM).await;
    scene.accept(6, 2).await;
    scene.store.refuse_alert(refused(7, 1, &["too_old"]), vec![notice(1, 7)]).await.unwrap();
    scene.store.reject_webhook(super::intake::rejected(1), vec![notice(1, 8)]).await.unwrap();
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), sent(9), 7).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 3), dead(), 7).await;
    scene.attempt(Email, delivery_id(Email, 1, 1), retry(50), 7).await;
    scene.take(Telegram, &[delivery_id(Telegram, 5, 2)], 8).await;
    scene.store.defer_chat(&scene.bot, &chat(4), at(70)).await.unwrap();
    scene.store.expire_overdue(at(3_601), 2).await.unwrap();
    scene.store.write(vec![set(Collection::Users, user_id(4), bson::doc! { "status": "inactive" })]).await.unwrap();
    let before = scene.dump().await;
    scene.store = harness.reopen(scene.store).await;
    before.assert_same(&scene.dump().await);
    // And again, with nothing done between.
    scene.store = harness.reopen(scene.store).await;
    before.assert_same(&scene.dump().await);
}

pub async fn work_goes_on_behind_the_cursor_after_a_crash(harness: &dyn Harness) {
    let mut scene = Scene::new(harness, 4).await;
    scene.accept(1, 1).await;
    let first = opening(&scene.work, 1, 1, 1..=2, TELEGRAM);
    scene.store.commit(first.clone()).await.unwrap();
    scene.store = harness.reopen(scene.store).await;
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let pending = scene.store.pending_alerts(&partitions, &[], 10).await.unwrap().remove(0);
    assert_eq!((pending.id, pending.alertcast.cursor), (alert_id(1), Some(user_id(2))));
    assert_eq!(scene.store.commit(first).await, Err(StoreError::Conflict));
    let mut last = finished(opening(&scene.work, 1, 1, 3..=4, TELEGRAM), at(3));
    last.cursor_seen = Some(user_id(2));
    scene.store.commit(last).await.unwrap();
    invariants::check(&scene.dump().await);
}

pub async fn keys_and_places_hold_after_a_crash(harness: &dyn Harness) {
    let store = harness.fresh().await;
    let first = super::scene::accept(&*store, alert(1, 1)).await;
    let store = harness.reopen(store).await;
    let again = store.accept_alert(alert(2, 1), vec![own_key(1)], at(2)).await;
    assert_eq!(again, Ok(Acceptance::Duplicate { of: alert_id(1) }));
    assert!(store.receipt_mark(config_id(1)).await.unwrap() >= first.alertcast.seq.0);
    let next = super::scene::accept(&*store, alert(2, 1)).await;
    assert!(next.alertcast.seq > first.alertcast.seq);
}

pub async fn a_crash_amid_many_writers_loses_nothing_that_was_answered(harness: &dyn Harness) {
    let store = harness.fresh().await;
    let answered: Vec<u32> = {
        let offers = (1..=40).map(|n| {
            let store = Arc::clone(&store);
            async move { store.accept_alert(alert(n, n % 3 + 1), vec![own_key(n)], at(1)).await.map(|_| n) }
        });
        at_once(offers).await.into_iter().flatten().collect()
    };
    assert_eq!(answered.len(), 40);
    let store = harness.reopen(store).await;
    assert_eq!(store.count(Collection::Alerts).await, Ok(40));
    let kept = Dump::of(&*store).await.all::<Alert>(Collection::Alerts);
    let places: HashSet<_> = kept.iter().map(|alert| alert.alertcast.seq).collect();
    assert_eq!(places.len(), 40);
}

pub async fn an_acceptance_that_is_cut_off_stores_the_alert_with_its_keys_or_neither(harness: &dyn Harness) {
    let mut sequence = Sequence::new(11);
    let mut store = harness.fresh().await;
    let shared = |n: u32| key(&format!("shared-{}", n / 4), at(100_000));
    let mut stored = HashSet::new();
    for n in 1..=120 {
        let keys = vec![own_key(n), shared(n)];
        let offer = store.accept_alert(alert(n, n % 3 + 1), keys, at(1));
        if cut_off(&mut sequence, offer).await == Some(Ok(Acceptance::Stored)) {
            stored.insert(alert_id(n));
        }
        if n % 40 == 0 {
            store = harness.reopen(store).await;
        }
    }
    let dump = Dump::when_quiet(&*store).await;
    let kept: HashSet<AlertId> = dump.all::<Alert>(Collection::Alerts).iter().map(|alert| alert.id).collect();
    assert!(stored.is_subset(&kept), "answered, and lost: {:?}", stored.difference(&kept));
    let mut holders: HashMap<u32, u32> = HashMap::new();
    for n in 1..=120 {
        let holder = store.find_duplicate(&[own_key(n)], at(2)).await.unwrap();
        assert_eq!(holder, kept.contains(&alert_id(n)).then_some(alert_id(n)), "alert {n} and its own key");
        if kept.contains(&alert_id(n)) {
            let holder = store.find_duplicate(&[shared(n)], at(2)).await.unwrap();
            assert_eq!(holder, Some(alert_id(n)), "alert {n} and the key that it shares");
            assert_eq!(holders.insert(n / 4, n), None, "one alert for each shared key");
        }
    }
    assert_eq!(dump.documents(Collection::IntakeKeys)[0].get_i64("count").unwrap(), 2 * kept.len() as i64);
    invariants::check(&dump);
}

pub async fn writes_that_are_cut_off_happen_wholly_or_not_at_all(harness: &dyn Harness) {
    let mut sequence = Sequence::new(12);
    let mut store = harness.fresh().await;
    let mut done = HashSet::new();
    for n in 1..=80 {
        let pair = [2 * n, 2 * n + 1].map(|n| insert(Collection::Users, &user(n)));
        if cut_off(&mut sequence, store.write(pair.to_vec())).await == Some(Ok(())) {
            done.insert(n);
        }
        if n % 30 == 0 {
            store = harness.reopen(store).await;
        }
    }
    let dump = Dump::when_quiet(&*store).await;
    let kept: HashSet<_> = super::documents::ids_of(dump.documents(Collection::Users)).into_iter().collect();
    let logged: HashSet<_> =
        dump.documents(Collection::Changes).iter().map(|change| change.get_object_id("id").unwrap()).collect();
    assert_eq!(kept, logged, "the log has what was written, and nothing else");
    for n in 1..=80 {
        let [first, second] = [2 * n, 2 * n + 1].map(|n| kept.contains(&user_id(n).0));
        assert_eq!(first, second, "pair {n}");
        assert!(first || !done.contains(&n), "answered, and lost: pair {n}");
    }
}

/// Alerts open and close trades in chunks, deliveries are taken and recorded, alerts settled; every operation may be
/// cut off anywhere, and now and then everything is.
pub async fn a_history_of_operations_that_are_cut_off_is_whole(harness: &dyn Harness) {
    const STEPS: u32 = 480;
    let mut history = History {
        scene: Scene::new(harness, 6).await,
        sequence: Sequence::new(13),
        now: 0,
        offered: 0,
        settled: HashMap::new(),
    };
    for step in 1..=STEPS {
        history.step().await;
        if step % 80 == 0 {
            history = history.crash(harness).await;
        }
    }
    history = history.crash(harness).await;
    let dump = Dump::when_quiet(&*history.scene.store).await;
    for count in [Collection::Trades, Collection::Decisions, Collection::Deliveries] {
        assert!(!dump.documents(count).is_empty(), "the history did something");
    }
}

/// A store, and what is done to it.
#[derive(Debug)]
struct History {
    scene: Scene,
    sequence: Sequence,
    now: i64,
    offered: u32,
    settled: HashMap<AlertId, u32>,
}

impl History {
    async fn step(&mut self) {
        self.now += i64::from(self.sequence.below(12));
        match self.sequence.below(18) {
            0 => self.offer().await,
            1..=3 => self.commit().await,
            4..=8 => self.take().await,
            9..=13 => self.record().await,
            14..=15 => self.settle().await,
            16 => {
                let sweep = self.scene.store.expire_overdue(at(self.now), 3);
                cut_off(&mut self.sequence, sweep).await;
            }
            _ => {
                let recover = self.scene.store.recover(&self.scene.bot, at(self.now));
                cut_off(&mut self.sequence, recover).await;
            }
        }
    }

    /// The process is gone: the next one takes the lanes over and finds what was left.
    async fn crash(mut self, harness: &dyn Harness) -> Self {
        self.scene.store = harness.reopen(self.scene.store).await;
        invariants::check(&Dump::when_quiet(&*self.scene.store).await);
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
        cut_off(&mut self.sequence, offer).await;
    }

    async fn commit(&mut self) {
        let partitions: Vec<i32> = (0..PARTITIONS).collect();
        let pending = self.scene.store.pending_alerts(&partitions, &[], 4).await.unwrap();
        let Some(alert) = self.sequence.pick(&pending) else { return };
        let chunk = next_chunk(&self.scene, alert, self.now).await;
        let again = self.sequence.one_in(4).then(|| chunk.clone());
        let first = cut_off(&mut self.sequence, self.scene.store.commit(chunk)).await;
        if let Some(again) = again {
            let second = cut_off(&mut self.sequence, self.scene.store.commit(again)).await;
            assert!((first, second) != (Some(Ok(())), Some(Ok(()))), "one chunk applied twice");
        }
    }

    async fn take(&mut self) {
        let channel = self.channel();
        let due = self.scene.store.due(lane(channel), at(self.now), 8).await.unwrap();
        let ids: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
        let ids = self.sequence.some(&ids, 5);
        let take = self.scene.store.take(self.scene.fence(channel), &ids, at(self.now));
        cut_off(&mut self.sequence, take).await;
    }

    async fn record(&mut self) {
        let channel = self.channel();
        let all: Vec<Delivery> = super::dump::every(&*self.scene.store, Collection::Deliveries)
            .await
            .into_iter()
            .map(|document| crate::store::read(Collection::Deliveries, document).unwrap())
            .collect();
        let sending = |delivery: &&Delivery| delivery.state == DeliveryState::Sending && delivery.channel == channel;
        let ids: Vec<_> = all.iter().filter(sending).map(|delivery| delivery.id).collect();
        let records: Vec<_> = self.sequence.some(&ids, 5).into_iter().map(|id| self.outcome(id)).collect();
        let record = self.scene.store.record_attempts(self.scene.fence(channel), records, at(self.now));
        cut_off(&mut self.sequence, record).await;
    }

    fn outcome(&mut self, delivery: crate::id::DeliveryId) -> AttemptRecord {
        let outcome = match self.sequence.below(7) {
            0..=2 => sent(i64::from(self.sequence.below(1_000))),
            3 => retry(self.now + 10),
            4 => dead(),
            5 => Outcome::Expired,
            _ => Outcome::Dropped { reason: "suspended".to_owned() },
        };
        AttemptRecord { delivery, outcome }
    }

    async fn settle(&mut self) {
        let unsettled = self.scene.store.unsettled(None, 10).await.unwrap();
        let Some(&alert) = self.sequence.pick(&unsettled) else { return };
        let settle = self.scene.store.settle(alert, at(self.now));
        if cut_off(&mut self.sequence, settle).await == Some(Ok(Settled::Now)) {
            let times = self.settled.entry(alert).or_default();
            *times += 1;
            assert_eq!(*times, 1, "{alert} was settled twice");
        }
    }

    fn channel(&mut self) -> Channel {
        if self.sequence.one_in(3) { Email } else { Telegram }
    }
}

/// The configuration of an alert: an opening one's and its closing one's are the same.
fn config_of(alert: u32) -> u32 {
    alert.div_ceil(2) % 2 + 1
}

/// What an alert does next to the three users behind its cursor, from what is there now.
async fn next_chunk(scene: &Scene, alert: &Alert, now: i64) -> ChunkCommit {
    let by = number(alert.id.0);
    let config = config_of(by);
    let first = alert.alertcast.cursor.map_or(1, |cursor| number(cursor.0) + 1);
    let users = first..=first + 2;
    let span = super::scene::span(&users);
    let state = scene.store.load_chunk(config_id(config), span, &[]).await.unwrap();
    let open = |user: u32| state.open_trades.iter().any(|trade| trade.id == trade_id(by - 1, user));
    let mut chunk = if by % 2 == 1 || !users.clone().all(open) {
        opening(&scene.work, by, config, users, BOTH)
    } else {
        closing(&scene.work, by, config, by - 1, users, BOTH)
    };
    let seen = state.open_trades.iter().map(|trade| (trade.id, trade.alertcast.rev.0));
    chunk.open_seen = Some((span, seen.collect()));
    chunk.cursor_seen = alert.alertcast.cursor;
    chunk.now = at(now);
    if first == 4 { finished(chunk, at(now)) } else { chunk }
}

/// One of many lists of writes fails at its end; none of them leaves anything, however they are cut off.
pub async fn bad_lists_that_are_cut_off_leave_nothing(harness: &dyn Harness) {
    let mut sequence = Sequence::new(14);
    let mut store: Arc<dyn Store> = harness.fresh().await;
    store.write(vec![insert(Collection::Users, &user(1))]).await.unwrap();
    for n in 10..50 {
        let mut same = user(n + 1_000);
        same.email = email(1);
        let writes: Vec<Write> = vec![insert(Collection::Users, &user(n)), insert(Collection::Users, &same)];
        let answer = cut_off(&mut sequence, store.write(writes)).await;
        assert!(!matches!(answer, Some(Ok(()))));
    }
    store = harness.reopen(store).await;
    let dump = Dump::when_quiet(&*store).await;
    assert_eq!(dump.documents(Collection::Users).len(), 1);
    assert_eq!(dump.documents(Collection::Changes).len(), 1);
}
