//! Rules about what is being sent, between taking and recording: however a store keeps that, whoever looks at a delivery
//! finds it `sending`, and a crash leaves exactly that in doubt.

use bson::{Bson, Document};

use super::StoreHarness;
use super::dump::one;
use super::scene::{BOTH, TELEGRAM, TestScene, set};
use super::unreadable::spoil;
use alertcast_core::delivery::Channel::{self, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState as S};
use alertcast_core::erasure::ERASED;
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{dead, expired_outcome, retry, sent_outcome};
use alertcast_core::id::DeliveryId;
use alertcast_core::store::{
    AttemptRecord, Collection, EraseUser, LeaseFence, ListQuery, ResendRequest, SettlingOutcome, StoreError,
};

fn first(user: u32) -> DeliveryId {
    delivery_id(Telegram, 1, user)
}

/// Alert 1 told to so many users, of whom the first two are being sent their messages since second 3.
async fn two_of(harness: &dyn StoreHarness, users: u32) -> TestScene {
    let scene = TestScene::new(harness, users).await;
    scene.open(1, 1..=users, TELEGRAM).await;
    let taken = scene.take(Telegram, &[first(1), first(2)], 3).await;
    assert_eq!(taken.len(), 2);
    scene
}

/// The states of these deliveries of alert 1, in the users' order.
async fn states(scene: &TestScene, users: u32) -> Vec<S> {
    let mut states = Vec::new();
    for user in 1..=users {
        states.push(scene.delivery(Telegram, 1, user).await.state);
    }
    states
}

/// The next owner's fence of the bot's lane.
async fn next_owner(scene: &TestScene) -> LeaseFence {
    let seen = scene.store.leases(BOT).await.unwrap().remove(0);
    scene.store.take_lease(BOT, "other", Some(&seen)).await.unwrap().unwrap().fence()
}

pub async fn what_is_being_sent_is_found_so_wherever_one_looks(harness: &dyn StoreHarness) {
    let scene = two_of(harness, 3).await;
    let store = &scene.store;
    let kept = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((kept.state, kept.attempts.0, kept.epoch), (S::Sending, 1, Some(scene.bot.epoch)));
    assert_eq!(kept.updated_at, at(3));
    let mut looks: Vec<Vec<Document>> = vec![store.page(Collection::Deliveries, None, 10).await.unwrap()];
    looks.push(store.list(&ListQuery::all_of(Collection::Deliveries)).await.unwrap().documents);
    for (field, value) in [("key", Bson::from(kept.key.clone())), ("_id", kept.id.0.into())] {
        looks.push(store.find_unique(Collection::Deliveries, &[(field, value)]).await.unwrap().into_iter().collect());
    }
    for look in looks {
        let found = look.iter().find(|document| document.get("_id") == Some(&kept.id.0.into())).unwrap();
        assert_eq!(alertcast_core::store::read::<Delivery>(Collection::Deliveries, found.clone()).unwrap(), kept);
    }
    let told = store.deliveries_of(alert_id(1), None, 10).await.unwrap();
    assert_eq!(told.iter().map(|one| one.state).collect::<Vec<_>>(), [S::Sending, S::Sending, S::Pending]);
    for (state, count) in [("sending", 2), ("pending", 1), ("sent", 0)] {
        let filters = vec![("state", state.into())];
        let listed = store.list(&ListQuery { filters, ..ListQuery::all_of(Collection::Deliveries) }).await.unwrap();
        assert_eq!(listed.documents.len(), count, "{state}");
    }
    for limit in [1, 10] {
        let due: Vec<_> = store.due(&lane(Telegram), at(9), limit).await.unwrap().iter().map(|one| one.id).collect();
        assert_eq!(due, [first(3)], "{limit}");
    }
    assert_eq!(store.next_due(&lane(Telegram), at(0)).await, Ok(Some(scene.delivery(Telegram, 1, 3).await.due_at)));
    assert_eq!(scene.take(Telegram, &[first(1)], 4).await, [], "it is taken once");
    assert_eq!(store.settle(alert_id(1), at(4)).await, Ok(SettlingOutcome::NotYet));
}

pub async fn what_is_done_to_those_that_wait_passes_over_what_is_being_sent(harness: &dyn StoreHarness) {
    let scene = two_of(harness, 4).await;
    let store = &scene.store;
    let before = scene.delivery(Telegram, 1, 1).await;
    for chat in [chat(1), chat(2), chat(3)] {
        store.defer_chat(&scene.bot, &chat, at(70)).await.unwrap();
    }
    assert_eq!(store.move_chat(&chat(1), "-5", at(4)).await, Ok(1), "the user alone");
    assert_eq!(scene.delivery(Telegram, 1, 1).await, before);
    assert_eq!(scene.delivery(Telegram, 1, 3).await.due_at, at(70));
    // They are the first to be overdue, and keep no place from the others.
    let (settle, more) = store.expire_overdue(at(99_999), 1).await.unwrap();
    assert_eq!((settle, more), (vec![alert_id(1)], true));
    let (_, more) = store.expire_overdue(at(99_999), 1).await.unwrap();
    assert!(!more);
    assert_eq!(states(&scene, 4).await, [S::Sending, S::Sending, S::Expired, S::Expired]);
}

pub async fn an_attempt_is_recorded_whatever_was_written_into_its_delivery_meanwhile(harness: &dyn StoreHarness) {
    let scene = two_of(harness, 3).await;
    let store = &scene.store;
    store.note_copies(&[(first(1), 77)], at(4)).await.unwrap();
    let erase = EraseUser { user: user_id(2), now: at(4), expect: Vec::new(), also: Vec::new() };
    let erased = store.erase_user(erase).await.unwrap();
    assert_eq!((erased.deliveries_cleaned, erased.deliveries_dropped), (1, 0));
    for user in 1..=2 {
        let kept = scene.delivery(Telegram, 1, user).await;
        assert_eq!((kept.state, kept.attempts.0, kept.epoch), (S::Sending, 1, Some(scene.bot.epoch)), "{user}");
        assert_eq!(scene.take(Telegram, &[first(user)], 5).await, []);
    }
    let records = [1, 2].map(|user| AttemptRecord { delivery: first(user), outcome: sent_outcome(user.into()) });
    let settle = store.record_attempts(&scene.bot, records.to_vec(), at(6)).await.unwrap();
    assert_eq!(settle, [alert_id(1)]);
    let (one, other) = (scene.delivery(Telegram, 1, 1).await, scene.delivery(Telegram, 1, 2).await);
    assert_eq!((one.state, one.message_id, one.copies, one.attempts.0), (S::Sent, Some(1), vec![77], 1));
    assert_eq!((other.state, other.to, other.attempts.0), (S::Sent, ERASED.to_owned(), 1));
    assert_eq!(store.recover(&next_owner(&scene).await, at(9)).await, Ok(0));
    assert_eq!(states(&scene, 3).await, [S::Sent, S::Sent, S::Pending]);
}

pub async fn what_is_being_sent_is_not_sent_again_by_hand(harness: &dyn StoreHarness) {
    let scene = two_of(harness, 2).await;
    let again = |delivery| ResendRequest {
        delivery,
        due_at: at(50),
        deadline_at: at(5_000),
        entry_deadline_at: None,
        now: at(50),
        also: Vec::new(),
    };
    assert_eq!(scene.store.resend(again(first(1))).await, Err(StoreError::Conflict));
    // One that has ended and is sent again is as one that was never sent: it waits, and is taken.
    scene.record(Telegram, first(1), dead(), 4).await;
    scene.store.resend(again(first(1))).await.unwrap();
    assert_eq!(states(&scene, 2).await, [S::Pending, S::Sending]);
    let taken = scene.take(Telegram, &[first(1)], 51).await;
    assert_eq!((taken[0].delivery.attempts.0, taken[0].delivery.state), (2, S::Sending));
    assert_eq!(scene.delivery(Telegram, 1, 1).await, *taken[0].delivery);
}

pub async fn what_is_set_aside_while_it_is_being_sent_does_not_come_back(harness: &dyn StoreHarness) {
    let scene = two_of(harness, 2).await;
    spoil(&scene, Collection::Deliveries, first(1), "facts", 5).await;
    let kept = super::dump::raw(&*scene.store, Collection::Deliveries, first(1)).await;
    assert_eq!((kept.get("state"), kept.get_i32("attempts").ok()), (Some(&"sending".into()), Some(1)));
    let unreadable = alertcast_core::reading::read_bytes::<Delivery>(Collection::Deliveries, &kept.to_vec().unwrap());
    scene.store.set_aside(&unreadable.unwrap_err(), at(4), Vec::new()).await.unwrap();
    let state = |document: Document| document.get_str("state").unwrap().to_owned();
    assert_eq!(state(super::dump::raw(&*scene.store, Collection::Deliveries, first(1)).await), "dead");
    assert_eq!(scene.store.recover(&next_owner(&scene).await, at(9)).await, Ok(1), "the other one");
    assert_eq!(state(super::dump::raw(&*scene.store, Collection::Deliveries, first(1)).await), "dead");
    let other: Delivery = one(&*scene.store, Collection::Deliveries, first(2)).await;
    assert!(other.possible_repeat && other.state == S::Pending);
}

/// As many are marked as were taken and have no result; what ended, was put back or never taken is as it was.
pub async fn a_crash_marks_what_was_taken_and_has_no_result_and_nothing_else(harness: &dyn StoreHarness) {
    let mut scene = TestScene::new(harness, 40).await;
    scene.open(1, 1..=40, BOTH).await;
    scene.close(5, 1, 31..=32, TELEGRAM).await;
    for users in [1..=10, 11..=20, 21..=30] {
        let batch: Vec<DeliveryId> = users.map(first).collect();
        assert_eq!(scene.take(Telegram, &batch, 3).await.len(), 10);
    }
    // Two exits that tell their entries too: they change by being taken.
    assert_eq!(scene.take(Telegram, &[31, 32].map(|user| delivery_id(Telegram, 5, user)), 6).await.len(), 2);
    scene.take(Channel::Email, &[delivery_id(Channel::Email, 1, 1)], 3).await;
    let outcomes = (1..=9).map(|user| (user, sent_outcome(user.into())));
    let outcomes = outcomes.chain([(11, retry(50)), (12, dead()), (13, expired_outcome())]);
    let records = outcomes.map(|(user, outcome)| AttemptRecord { delivery: first(user), outcome });
    scene.store.record_attempts(&scene.bot, records.collect(), at(7)).await.unwrap();
    scene.record(Telegram, delivery_id(Telegram, 5, 31), sent_outcome(99), 7).await;
    // Sent again: in doubt by this attempt, not by the one that was put back.
    assert_eq!(scene.take(Telegram, &[first(11)], 50).await.len(), 1);
    scene.store = harness.reopen(scene.store).await;
    let without_result: Vec<u32> = [10, 11].into_iter().chain(14..=30).collect();
    let next = next_owner(&scene).await;
    assert_eq!(scene.store.recover(&next, at(60)).await, Ok(without_result.len() as u64 + 1));
    let all: Vec<Delivery> = scene.dump().await.all(Collection::Deliveries);
    let mut marked: Vec<DeliveryId> = all.iter().filter(|one| one.possible_repeat).map(|one| one.id).collect();
    let mut want: Vec<DeliveryId> = without_result.into_iter().map(first).collect();
    want.push(delivery_id(Telegram, 5, 32));
    marked.sort();
    want.sort();
    assert_eq!(marked, want);
    assert_eq!(scene.delivery(Telegram, 1, 11).await.attempts.0, 2);
    assert_eq!(scene.delivery(Channel::Email, 1, 1).await.state, S::Sending, "another lane's");
    assert_eq!(scene.store.recover(&next, at(61)).await, Ok(0));
    let due = scene.store.due(&lane(Telegram), at(60), 100).await.unwrap();
    assert!(want.iter().all(|id| due.iter().any(|one| one.id == *id)), "all of it is due at once");
}

pub async fn a_delivery_that_is_deleted_while_it_is_being_sent_is_gone(harness: &dyn StoreHarness) {
    let scene = two_of(harness, 2).await;
    let delete = alertcast_core::store::DocumentWrite::Delete { collection: Collection::Deliveries, id: first(1).0 };
    scene.store.write(vec![delete, set(Collection::Deliveries, first(2), bson::doc! { "foreign": 1 })]).await.unwrap();
    let records = [1, 2].map(|user| AttemptRecord { delivery: first(user), outcome: sent_outcome(1) });
    scene.store.record_attempts(&scene.bot, records.to_vec(), at(6)).await.unwrap();
    assert_eq!(scene.store.get(Collection::Deliveries, &[first(1).0]).await, Ok(Vec::new()));
    let kept = super::dump::raw(&*scene.store, Collection::Deliveries, first(2)).await;
    assert_eq!((kept.get("state"), kept.get_i32("foreign").ok()), (Some(&"sent".into()), Some(1)));
    assert_eq!(scene.store.recover(&next_owner(&scene).await, at(9)).await, Ok(0));
}
