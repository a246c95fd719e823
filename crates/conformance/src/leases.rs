//! Rules of [`Leases`](alertcast_core::store::Leases): who works on what, and that nobody works under an epoch that is over.

use alertcast_core::fixtures::sent_outcome;
use std::sync::Arc;

use bson::Bson;

use super::StoreHarness;
use super::dump::StoreDump;
use super::scene::{TELEGRAM, TestScene, at_once, doors, opening_commit, spoil_lease};
use alertcast_core::alert::document::AlertError;
use alertcast_core::delivery::Channel;
use alertcast_core::fixtures::*;
use alertcast_core::store::{AttemptRecord, Lease, LeaseFence, Store, StoreError};

pub async fn a_lease_that_nobody_has_is_taken_by_one(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let takers = (0..8).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        let owner = format!("owner-{n}");
        store.take_lease(BOT, &owner, None).await.unwrap()
    });
    let taken: Vec<Lease> = at_once(takers).await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
    assert_eq!(taken[0].name, BOT);
    assert_eq!(store.leases("").await, Ok(taken));
}

pub async fn a_take_over_raises_the_epoch(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let first = take_lease(&*store, "one", None).await;
    let second = take_lease(&*store, "two", Some(&first)).await;
    assert_eq!((second.name.as_str(), second.owner.as_str()), (BOT, "two"));
    assert!(second.epoch > first.epoch);
    let again = take_lease(&*store, "two", Some(&second)).await;
    assert!(again.epoch > second.epoch, "its own lease taken again is a new right");
    assert_eq!(store.leases(BOT).await, Ok(vec![again]));
}

pub async fn a_lease_that_stands_otherwise_than_seen_is_not_taken(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let unknown = Lease { name: BOT.to_owned(), owner: "one".to_owned(), epoch: 1, renewal: 0 };
    assert_eq!(store.take_lease(BOT, "two", Some(&unknown)).await, Ok(None));
    let seen = take_lease(&*store, "one", None).await;
    assert_eq!(store.take_lease(BOT, "two", None).await, Ok(None));
    assert_eq!(store.renew_lease(&seen).await, Ok(true));
    let standing = store.leases(BOT).await.unwrap();
    assert_eq!(store.take_lease(BOT, "two", Some(&seen)).await, Ok(None), "renewed since");
    assert_eq!(store.leases(BOT).await, Ok(standing));
}

pub async fn of_many_take_overs_at_once_one_succeeds(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let seen = take_lease(&*store, "gone", None).await;
    let doors = doors(harness, &store, 2).await;
    let takers = (0..8).zip(doors.into_iter().cycle()).map(|(n, store)| {
        let seen = seen.clone();
        async move {
            let owner = format!("owner-{n}");
            store.take_lease(BOT, &owner, Some(&seen)).await.unwrap()
        }
    });
    let taken: Vec<Lease> = at_once(takers).await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "{taken:?}");
}

pub async fn a_renewal_shows_and_keeps_the_epoch(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let lease = take_lease(&*store, "one", None).await;
    let mut last = lease.renewal;
    for _ in 0..3 {
        assert_eq!(store.renew_lease(&lease).await, Ok(true));
        let standing = store.leases(BOT).await.unwrap().remove(0);
        assert!(standing.renewal > last);
        assert_eq!((standing.epoch, standing.owner.as_str()), (lease.epoch, "one"));
        last = standing.renewal;
    }
}

pub async fn a_lease_in_other_hands_is_neither_renewed_nor_given_back(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let lost = take_lease(&*store, "one", None).await;
    take_lease(&*store, "two", Some(&lost)).await;
    let standing = store.leases(BOT).await;
    assert_eq!(store.renew_lease(&lost).await, Ok(false));
    assert_eq!(store.release_lease(&lost).await, Ok(()));
    assert_eq!(store.leases(BOT).await, standing);
    // Its own, taken again: the older right is over all the same.
    let seen = standing.unwrap().remove(0);
    take_lease(&*store, "two", Some(&seen)).await;
    assert_eq!(store.renew_lease(&seen).await, Ok(false));
}

pub async fn a_lease_given_back_stands_without_owner_at_its_epoch(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let lease = take_lease(&*store, "one", None).await;
    store.renew_lease(&lease).await.unwrap();
    store.release_lease(&lease).await.unwrap();
    let free = store.leases(BOT).await.unwrap().remove(0);
    assert_eq!((free.owner.as_str(), free.epoch), ("", lease.epoch));
    assert_eq!(store.renew_lease(&lease).await, Ok(false));
    let next = take_lease(&*store, "two", Some(&free)).await;
    assert!(next.epoch > lease.epoch);
}

pub async fn leases_are_listed_by_how_their_names_begin(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let names = ["tg:1", "tg:12", "tg_1", "tgx1", "TG:1", "mail:0", "t%", "tg:\u{10ffff}"];
    for name in names {
        store.take_lease(name, "one", None).await.unwrap().unwrap();
    }
    let listed = async |prefix: &str| {
        let mut names: Vec<_> = store.leases(prefix).await.unwrap().into_iter().map(|l| l.name).collect();
        names.sort();
        names
    };
    assert_eq!(listed("tg:").await, ["tg:1", "tg:12", "tg:\u{10ffff}"]);
    assert_eq!(listed("tg:1").await, ["tg:1", "tg:12"]);
    assert_eq!(listed("tg_").await, ["tg_1"]);
    assert_eq!(listed("t%").await, ["t%"]);
    assert_eq!(listed("TG").await, ["TG:1"]);
    assert_eq!(listed("x").await, [""; 0]);
    assert_eq!(listed("").await.len(), names.len());
}

pub async fn leases_survive_a_crash(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let lease = take_lease(&*store, "one", None).await;
    let standing = store.leases("").await;
    let store = harness.reopen(store).await;
    assert_eq!(store.leases("").await, standing);
    let next = take_lease(&*store, "two", Some(&lease)).await;
    assert!(next.epoch > lease.epoch);
}

pub async fn a_lease_that_cannot_be_read_is_freed_as_it_was_seen_under_a_new_epoch(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let held = take_lease(&*store, "one", None).await;
    store.take_lease("tg:beside", "one", None).await.unwrap().unwrap();
    assert_eq!(store.broken_leases().await, Ok(Vec::new()));
    spoil_lease(&*store, BOT, "owner", 5).await;
    assert_eq!(store.leases("").await.unwrap().len(), 1, "the other stands");
    let seen = store.broken_leases().await.unwrap();
    assert_eq!(seen.iter().map(|broken| broken.name.as_str()).collect::<Vec<_>>(), [BOT]);
    assert_eq!(store.take_lease(BOT, "two", None).await, Ok(None), "there is one");
    spoil_lease(&*store, BOT, "renewal", "many").await;
    assert_eq!(store.free_lease(&seen[0], 100).await, Ok(false), "it stands otherwise");
    let seen = store.broken_leases().await.unwrap();
    let freed = at_once(doors(harness, &store, 2).await.into_iter().map(|store| {
        let seen = seen[0].clone();
        async move { store.free_lease(&seen, 100).await.unwrap() }
    }));
    assert_eq!(freed.await.into_iter().filter(|freed| *freed).count(), 1, "one does it");
    let free = store.leases(BOT).await.unwrap().remove(0);
    assert_eq!((free.owner.as_str(), free.epoch, free.name.as_str()), ("", 100, BOT));
    let new = &take_lease(&*store, "two", Some(&free)).await;
    assert_eq!(store.renew_lease(&held).await, Ok(false));
    assert_eq!(store.renew_lease(new).await, Ok(true));
    assert_eq!(store.broken_leases().await, Ok(Vec::new()));
}

pub async fn the_epoch_after_one_that_can_be_read_is_above_it_and_one_beyond_all_counting_is_none(
    harness: &dyn StoreHarness,
) {
    let store = harness.fresh().await;
    take_lease(&*store, "one", None).await;
    for (epoch, next) in [(Bson::Int64(500), 501), (Bson::Int64(i64::MAX), 100), ("x".into(), 100)] {
        spoil_lease(&*store, BOT, "epoch", epoch).await;
        spoil_lease(&*store, BOT, "owner", 5).await;
        let seen = store.broken_leases().await.unwrap().remove(0);
        assert_eq!(store.free_lease(&seen, 100).await, Ok(true));
        assert_eq!(store.leases(BOT).await.unwrap()[0].epoch, next);
    }
    spoil_lease(&*store, BOT, "epoch", i64::MAX).await;
    assert_eq!(store.leases("").await, Ok(Vec::new()), "nothing is above it");
    let seen = store.broken_leases().await.unwrap().remove(0);
    assert_eq!(store.free_lease(&seen, 100).await, Ok(true));
    assert_eq!(store.leases(BOT).await.unwrap()[0].epoch, 100);
}

pub async fn a_lease_that_cannot_be_read_is_removed_as_it_was_seen(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    take_lease(&*store, "one", None).await;
    spoil_lease(&*store, BOT, "owner", 5).await;
    let seen = store.broken_leases().await.unwrap().remove(0);
    spoil_lease(&*store, BOT, "owner", 6).await;
    store.remove_broken_lease(&seen).await.unwrap();
    let seen = store.broken_leases().await.unwrap().remove(0);
    store.remove_broken_lease(&seen).await.unwrap();
    assert_eq!(store.broken_leases().await, Ok(Vec::new()));
    assert_eq!(take_lease(&*store, "two", None).await.epoch, 1);
}

pub async fn what_was_being_sent_under_a_lease_that_was_freed_is_recovered(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let waits = entry(Channel::Telegram, 1, 1, 1);
    scene.put_deliveries(std::slice::from_ref(&waits)).await;
    let old = scene.fence(Channel::Telegram).clone();
    assert_eq!(scene.store.take(&old, &[waits.id], at(1)).await.unwrap().taken.len(), 1);
    // The old work carries a number above that of the new lease.
    spoil_lease(&*scene.store, BOT, "epoch", i64::MAX).await;
    let seen = scene.store.broken_leases().await.unwrap().remove(0);
    assert_eq!(scene.store.free_lease(&seen, old.epoch - 2).await, Ok(true));
    let free = scene.store.leases(BOT).await.unwrap().remove(0);
    let new = take_lease(&*scene.store, "two", Some(&free)).await.fence();
    assert_eq!(scene.store.recover(&new, at(2)).await, Ok(1));
    let fenced = StoreError::Fenced { lease: BOT.to_owned() };
    assert_eq!(scene.store.take(&old, &[waits.id], at(3)).await.map(drop), Err(fenced));
    let again = scene.store.take(&new, &[waits.id], at(3)).await.unwrap().taken;
    assert!(again[0].delivery.possible_repeat);
}

pub async fn a_lease_is_forgotten_only_as_it_was_seen(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let seen = take_lease(&*store, "one", None).await;
    store.take_lease("tg:beside", "one", None).await.unwrap().unwrap();
    assert_eq!(store.renew_lease(&seen).await, Ok(true));
    let standing = store.leases("").await.unwrap();
    assert_eq!(store.forget_lease(&seen).await, Ok(()), "it was renewed since: nothing happens");
    assert_eq!(store.leases("").await, Ok(standing.clone()));
    let renewed = standing.iter().find(|lease| lease.name == BOT).unwrap();
    for other in [
        Lease { owner: "two".to_owned(), ..renewed.clone() },
        Lease { epoch: renewed.epoch + 1, ..renewed.clone() },
        Lease { name: "tg:unknown".to_owned(), ..renewed.clone() },
    ] {
        assert_eq!(store.forget_lease(&other).await, Ok(()));
        assert_eq!(store.leases("").await, Ok(standing.clone()), "{other:?}");
    }
    assert_eq!(store.forget_lease(renewed).await, Ok(()));
    let left: Vec<String> = store.leases("").await.unwrap().into_iter().map(|lease| lease.name).collect();
    assert_eq!(left, ["tg:beside"]);
    assert_eq!(store.forget_lease(renewed).await, Ok(()), "once more changes nothing");
    assert_eq!(store.renew_lease(renewed).await, Ok(false));
}

pub async fn a_forgotten_lease_is_taken_by_one_as_if_it_had_never_been(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let seen = take_lease(&*store, "one", None).await;
    store.forget_lease(&seen).await.unwrap();
    assert_eq!(store.take_lease(BOT, "two", Some(&seen)).await, Ok(None));
    let again = take_lease(&*store, "two", None).await;
    assert_eq!(store.leases("").await, Ok(vec![again]));
}

pub async fn a_commit_under_another_epoch_is_fenced(harness: &dyn StoreHarness) {
    check_fenced(harness, WORK, |scene, fence| {
        Box::pin(async move { scene.store.commit(opening_commit(&fence, 2, 2, 1..=1, TELEGRAM)).await })
    })
    .await;
}

pub async fn a_failure_recorded_under_another_epoch_is_fenced(harness: &dyn StoreHarness) {
    check_fenced(harness, WORK, |scene, fence| {
        let error = AlertError { message: "broken".to_owned(), timestamp: at(5), stack: None };
        let notices = vec![notice(1, 1)];
        Box::pin(async move { scene.store.record_failure(&fence, alert_id(2), error, true, notices).await })
    })
    .await;
}

pub async fn taking_under_another_epoch_is_fenced(harness: &dyn StoreHarness) {
    check_fenced(harness, BOT, |scene, fence| {
        let ids = [delivery_id(Channel::Telegram, 1, 1)];
        Box::pin(async move { scene.store.take(&fence, &ids, at(5)).await.map(drop) })
    })
    .await;
}

pub async fn attempts_recorded_under_another_epoch_are_fenced(harness: &dyn StoreHarness) {
    check_fenced(harness, BOT, |scene, fence| {
        let records = vec![AttemptRecord { delivery: delivery_id(Channel::Telegram, 1, 2), outcome: sent_outcome(5) }];
        Box::pin(async move { scene.store.record_attempts(&fence, records, at(5)).await.map(drop) })
    })
    .await;
}

pub async fn recovering_under_another_epoch_is_fenced(harness: &dyn StoreHarness) {
    check_fenced(harness, BOT, |scene, fence| {
        Box::pin(async move { scene.store.recover(&fence, at(5)).await.map(drop) })
    })
    .await;
}

pub async fn deferring_a_chat_under_another_epoch_is_fenced(harness: &dyn StoreHarness) {
    check_fenced(harness, BOT, |scene, fence| {
        Box::pin(async move { scene.store.defer_chat(&fence, &chat(1), at(99)).await })
    })
    .await;
}

type LeaseStep = std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// A step that would do something under the lease: alert 1 has deliveries to users 1 (pending) and 2 (sending), alert 2
/// is pending. It must fail under an epoch that is over, one that never was, and a lease that nobody took.
async fn check_fenced(harness: &dyn StoreHarness, lease: &str, step: impl Fn(Arc<TestScene>, LeaseFence) -> LeaseStep) {
    let scene = Arc::new(TestScene::new(harness, 2).await);
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.accept(2, 2).await;
    scene.take(Channel::Telegram, &[delivery_id(Channel::Telegram, 1, 2)], 2).await;
    let seen = scene.store.leases(lease).await.unwrap().remove(0);
    let next = scene.store.take_lease(lease, "other", Some(&seen)).await.unwrap().unwrap();
    let of_epoch = |epoch| LeaseFence { lease: lease.to_owned(), epoch };
    let unknown = LeaseFence { lease: "nobody".to_owned(), epoch: seen.epoch };
    let before = StoreDump::of(&*scene.store).await;
    for fence in [seen.fence(), of_epoch(next.epoch + 1), unknown] {
        let name = fence.lease.clone();
        let answer = step(Arc::clone(&scene), fence.clone()).await;
        assert_eq!(answer, Err(StoreError::Fenced { lease: name }), "{fence:?}");
        before.assert_same(&StoreDump::of(&*scene.store).await);
    }
}

async fn take_lease(store: &dyn Store, owner: &str, seen: Option<&Lease>) -> Lease {
    store.take_lease(BOT, owner, seen).await.unwrap().unwrap()
}
