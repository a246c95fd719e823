//! What holds after a crash: what was answered is there, and what was cut off happened wholly or not at all.

use alertcast_core::fixtures::{dead, retry, sent_outcome};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::StoreHarness;
use super::dump::StoreDump;
use super::history::UserHistory;
use super::invariants;
use super::random::{RandomSequence, cut_off};
use super::scene::{BOTH, TELEGRAM, TestScene, at_once, finish_commit, insert, opening_commit, set};
use alertcast_core::alert::document::Alert;
use alertcast_core::delivery::Channel::{Email, Telegram};
use alertcast_core::fixtures::*;
use alertcast_core::id::AlertId;
use alertcast_core::store::{AlertAcceptance, Collection, DocumentWrite, PARTITIONS, Store, StoreError};

pub async fn what_was_answered_is_there_after_a_crash(harness: &dyn StoreHarness) {
    let mut scene = TestScene::new(harness, 4).await;
    scene.open(1, 1..=4, BOTH).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 1), sent_outcome(9), 3).await;
    scene.attempt(Email, delivery_id(Email, 1, 1), retry(50), 3).await;
    scene.close(5, 1, 1..=2, TELEGRAM).await;
    scene.accept(6, 2).await;
    scene.store.refuse_alert(refused_alert(7, 1, &["too_old"]), vec![notice(1, 7)]).await.unwrap();
    scene.store.reject_webhook(super::intake::rejected_webhook(1), vec![notice(1, 8)]).await.unwrap();
    scene.attempt(Telegram, delivery_id(Telegram, 1, 3), dead(), 7).await;
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

pub async fn work_goes_on_behind_the_cursor_after_a_crash(harness: &dyn StoreHarness) {
    let mut scene = TestScene::new(harness, 4).await;
    scene.accept(1, 1).await;
    let first = opening_commit(&scene.work, 1, 1, 1..=2, TELEGRAM);
    scene.store.commit(first.clone()).await.unwrap();
    scene.store = harness.reopen(scene.store).await;
    let partitions: Vec<i32> = (0..PARTITIONS).collect();
    let pending = scene.store.pending_alerts(&partitions, &[], 10).await.unwrap().remove(0);
    assert_eq!((pending.id, pending.alertcast.cursor), (alert_id(1), Some(user_id(2))));
    assert_eq!(scene.store.commit(first).await, Err(StoreError::Conflict));
    let mut last = finish_commit(opening_commit(&scene.work, 1, 1, 3..=4, TELEGRAM), at(3));
    last.cursor_seen = Some(user_id(2));
    scene.store.commit(last).await.unwrap();
    invariants::check(&scene.dump().await);
}

pub async fn keys_and_places_hold_after_a_crash(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let first = super::scene::accept(&*store, alert(1, 1)).await;
    let store = harness.reopen(store).await;
    let again = store.accept_alert(alert(2, 1), vec![own_key(1)], at(2)).await;
    assert_eq!(again, Ok(AlertAcceptance::Duplicate { of: alert_id(1) }));
    assert!(store.receipt_mark(config_id(1)).await.unwrap() >= first.alertcast.seq.0);
    let next = super::scene::accept(&*store, alert(2, 1)).await;
    assert!(next.alertcast.seq > first.alertcast.seq);
}

pub async fn a_crash_amid_many_writers_loses_nothing_that_was_answered(harness: &dyn StoreHarness) {
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
    let kept = StoreDump::of(&*store).await.all::<Alert>(Collection::Alerts);
    let place = |alert: &Alert| (alert.processing.alert_config_id, alert.alertcast.seq);
    let places: HashSet<_> = kept.iter().map(place).collect();
    assert_eq!(places.len(), 40);
}

pub async fn an_acceptance_that_is_cut_off_stores_the_alert_with_its_keys_or_neither(harness: &dyn StoreHarness) {
    let mut sequence = RandomSequence::new(11);
    let mut store = harness.fresh().await;
    let shared = |n: u32| key(&format!("shared-{}", n / 4), at(100_000));
    let mut stored = HashSet::new();
    for n in 1..=120 {
        let keys = vec![own_key(n), shared(n)];
        let offer = store.accept_alert(alert(n, n % 3 + 1), keys, at(1));
        if cut_off(&mut sequence, offer).await == Some(Ok(AlertAcceptance::Stored)) {
            stored.insert(alert_id(n));
        }
        if n % 40 == 0 {
            store = harness.reopen(store).await;
        }
    }
    let dump = StoreDump::when_quiet(&*store).await;
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

pub async fn writes_that_are_cut_off_happen_wholly_or_not_at_all(harness: &dyn StoreHarness) {
    let mut sequence = RandomSequence::new(12);
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
    let dump = StoreDump::when_quiet(&*store).await;
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
pub async fn a_history_of_operations_that_are_cut_off_is_whole(harness: &dyn StoreHarness) {
    let mut history = UserHistory::begin(TestScene::new(harness, 6).await, 13, true);
    for _ in 0..6 {
        history.play(80).await;
        history = history.crash(harness).await;
    }
    let dump = StoreDump::when_quiet(&*history.scene.store).await;
    invariants::check(&dump);
    for count in [Collection::Trades, Collection::Decisions, Collection::Deliveries] {
        assert!(!dump.documents(count).is_empty(), "the history did something");
    }
}

/// One of many lists of writes fails at its end; none of them leaves anything, however they are cut off.
pub async fn bad_lists_that_are_cut_off_leave_nothing(harness: &dyn StoreHarness) {
    let mut sequence = RandomSequence::new(14);
    let mut store: Arc<dyn Store> = harness.fresh().await;
    store.write(vec![insert(Collection::Users, &user(1))]).await.unwrap();
    for n in 10..50 {
        let mut same = user(n + 1_000);
        same.email = email(1);
        let writes: Vec<DocumentWrite> = vec![insert(Collection::Users, &user(n)), insert(Collection::Users, &same)];
        let answer = cut_off(&mut sequence, store.write(writes)).await;
        assert!(!matches!(answer, Some(Ok(()))));
    }
    store = harness.reopen(store).await;
    let dump = StoreDump::when_quiet(&*store).await;
    assert_eq!(dump.documents(Collection::Users).len(), 1);
    assert_eq!(dump.documents(Collection::Changes).len(), 1);
}
