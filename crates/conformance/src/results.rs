//! Rules of results: the edits by which an entry's message tells what became of its trade. They go last, may be left
//! undone, and nothing waits for them or counts them.

use alertcast_core::fixtures::{dead, retry, sent_outcome};
use bson::doc;

use super::StoreHarness;
use super::dump::one;
use super::scene::{TELEGRAM, TestScene, set, with_results};
use alertcast_core::delivery::Channel::Telegram;
use alertcast_core::delivery::{Delivery, DeliveryState as S, LATE, MessageKind, NOTHING_TO_EDIT};
use alertcast_core::fixtures::*;
use alertcast_core::id::DeliveryId;
use alertcast_core::store::{AttemptOutcome, AttemptRecord, Collection, SettlingOutcome};
use alertcast_core::user::User;

/// The Telegram message of alert `by` to user 1.
fn id(by: u32) -> DeliveryId {
    delivery_id(Telegram, by, 1)
}

/// The result that alert 5 caused for user 1.
const RESULT: DeliveryId = result_id(5, 1);

/// Users have a trade that alert 1 opened, at second 2, with an entry that was sent, and alert 5 closed, at second 6, with
/// a result each.
async fn closed_for(harness: &dyn StoreHarness, users: u32) -> TestScene {
    let scene = TestScene::new(harness, users).await;
    scene.open(1, 1..=users, TELEGRAM).await;
    for user in 1..=users {
        scene.attempt(Telegram, delivery_id(Telegram, 1, user), sent_outcome(4_711), 3).await;
    }
    close(&scene, users).await;
    scene
}

/// Alert 5 closes the trades, with a result each.
async fn close(scene: &TestScene, users: u32) {
    scene.accept(5, 1).await;
    let chunk = super::scene::closing_commit(&scene.work, 5, 1, 1, 1..=users, TELEGRAM);
    let chunk = super::scene::finish_commit(with_results(chunk, 5, 1, 1), at(6));
    scene.store.commit(chunk).await.unwrap();
}

/// User 1's entry and exit have been sent.
async fn scene_told(harness: &dyn StoreHarness) -> TestScene {
    let scene = closed_for(harness, 1).await;
    scene.attempt(Telegram, id(5), sent_outcome(4_712), 8).await;
    scene
}

async fn result_now(scene: &TestScene) -> Delivery {
    one(&*scene.store, Collection::Deliveries, RESULT).await
}

/// Changes a delivery as no courier would.
async fn change(scene: &TestScene, delivery: DeliveryId, fields: bson::Document) {
    scene.store.write(vec![set(Collection::Deliveries, delivery, fields)]).await.unwrap();
}

/// Takes the result, which must not be taken: where it stands then.
async fn not_taken(scene: &TestScene, seconds: i64) -> Delivery {
    let answer = scene.store.take(&scene.bot, &[RESULT], at(seconds)).await.unwrap();
    assert_eq!((answer.taken.len(), answer.settle), (0, Vec::new()));
    result_now(scene).await
}

pub async fn a_result_is_taken_with_its_entry_once_the_exit_has_gone_out(harness: &dyn StoreHarness) {
    let scene = scene_told(harness).await;
    let taken = scene.take(Telegram, &[RESULT], 9).await.remove(0);
    assert_eq!((taken.delivery.state, taken.delivery.kind), (S::Sending, MessageKind::Result));
    assert_eq!((taken.delivery.epoch, taken.delivery.attempts.0), (Some(scene.bot.epoch), 1));
    assert_eq!(*taken.delivery, result_now(&scene).await, "as it is kept");
    let entry = taken.entry.unwrap();
    assert_eq!((entry.id, entry.state, entry.message_id), (id(1), S::Sent, Some(4_711)));
    scene.record(Telegram, RESULT, sent_outcome(4_711), 10).await;
    let result = result_now(&scene).await;
    assert_eq!((result.state, result.message_id, result.ended_at), (S::Sent, Some(4_711), Some(at(10))));
}

pub async fn a_result_waits_for_its_exit(harness: &dyn StoreHarness) {
    let scene = closed_for(harness, 1).await;
    let waiting = not_taken(&scene, 8).await;
    assert_eq!((waiting.state, waiting.due_at, waiting.attempts.0), (S::Pending, at(9), 0), "pending");
    scene.take(Telegram, &[id(5)], 9).await;
    assert_eq!(not_taken(&scene, 10).await.due_at, at(11), "sending");
    scene.record(Telegram, id(5), retry(40), 11).await;
    assert_eq!(not_taken(&scene, 12).await.due_at, at(40), "to be tried again later");
    scene.attempt(Telegram, id(5), sent_outcome(4_712), 40).await;
    assert_eq!(scene.take(Telegram, &[RESULT], 40).await.len(), 1);
}

pub async fn a_result_whose_exit_failed_is_taken(harness: &dyn StoreHarness) {
    let scene = closed_for(harness, 1).await;
    scene.attempt(Telegram, id(5), dead(), 8).await;
    assert_eq!(scene.take(Telegram, &[RESULT], 9).await.len(), 1, "all the more is it worth something");
}

pub async fn a_result_waits_for_an_entry_that_is_still_to_be_sent(harness: &dyn StoreHarness) {
    let scene = scene_told(harness).await;
    for state in [S::Pending, S::Sending] {
        change(&scene, id(1), doc! { "state": state }).await;
        let waiting = not_taken(&scene, 20).await;
        assert_eq!((waiting.state, waiting.due_at), (S::Pending, at(21)), "{state}");
        let entry = scene.delivery(Telegram, 1, 1).await;
        assert_eq!((entry.state, entry.superseded_by), (state, None), "it tells no entry");
    }
    change(&scene, id(1), doc! { "state": S::Pending }).await;
    let late = not_taken(&scene, 5 + 601).await;
    assert_eq!((late.state, late.last_error.as_deref()), (S::Dropped, Some(LATE)));
}

pub async fn a_result_of_a_replacement_waits_for_the_exit_that_tells_it(harness: &dyn StoreHarness) {
    let scene = scene_told(harness).await;
    // It follows a replacement, alert 8's, which is told by the exit of its own trade, alert 9's.
    let (mut replacement, mut exit) = (entry(Telegram, 8, 1, 1), exit(Telegram, 9, 1, 1, 8));
    (replacement.kind, replacement.state) = (MessageKind::Replacement, S::Superseded);
    (replacement.superseded_by, exit.combines) = (Some(exit.id), Some(replacement.id));
    exit.due_at = at(30);
    let follows = doc! { "follows": bson::Bson::from(replacement.id) };
    scene.put_deliveries(&[replacement, exit]).await;
    change(&scene, RESULT, follows).await;
    assert_eq!(not_taken(&scene, 20).await.due_at, at(30));
    change(&scene, id(9), doc! { "state": S::Sent }).await;
    assert_eq!(scene.take(Telegram, &[RESULT], 30).await.len(), 1);
}

pub async fn a_result_whose_entry_has_no_message_of_its_own_is_dropped(harness: &dyn StoreHarness) {
    let scene = scene_told(harness).await;
    let entry = scene.delivery(Telegram, 1, 1).await;
    let of = |n: u32| DeliveryId(oid(8, 100 + n, 1));
    let unfit = [
        Delivery { state: S::Superseded, superseded_by: Some(id(5)), ..entry.clone() },
        Delivery { state: S::Expired, ..entry.clone() },
        Delivery { state: S::Dead, ..entry.clone() },
        Delivery { state: S::Dropped, ..entry.clone() },
        Delivery { message_id: None, ..entry.clone() },
        // It told only of an older trade's end.
        Delivery { entry_lapsed: true, ..entry.clone() },
    ];
    let mut ids = Vec::new();
    for (n, unfit) in (0..).zip(unfit) {
        let mut key = unfit.key.clone();
        key.bytes.push(n as u8);
        scene.put_deliveries(&[Delivery { id: of(n), key, ..unfit }]).await;
        let mut result = result(5, 1, 1, 1);
        result.key.bytes.push(n as u8);
        (result.id, result.entry_delivery) = (result_id(100 + n, 1), Some(of(n)));
        ids.push(result.id);
        scene.put_deliveries(&[result]).await;
    }
    // And one whose entry was removed by a purge.
    change(&scene, RESULT, doc! { "entryDelivery": bson::Bson::from(of(99)) }).await;
    ids.push(RESULT);
    let answer = scene.store.take(&scene.bot, &ids, at(9)).await.unwrap();
    assert_eq!((answer.taken.len(), answer.settle), (0, Vec::new()));
    for id in ids {
        let result: Delivery = one(&*scene.store, Collection::Deliveries, id).await;
        assert_eq!((result.state, result.ended_at), (S::Dropped, Some(at(9))), "{id}");
        assert_eq!(result.last_error.as_deref(), Some(NOTHING_TO_EDIT), "{id}");
    }
}

pub async fn a_result_past_its_deadline_is_dropped_when_it_is_taken(harness: &dyn StoreHarness) {
    let scene = scene_told(harness).await;
    assert_eq!(result_now(&scene).await.deadline_at, at(5 + 600));
    let late = not_taken(&scene, 5 + 601).await;
    assert_eq!((late.state, late.last_error.as_deref(), late.attempts.0), (S::Dropped, Some(LATE), 0));
}

pub async fn overdue_results_are_dropped_tried_or_not(harness: &dyn StoreHarness) {
    let scene = closed_for(harness, 2).await;
    for user in [1, 2] {
        scene.attempt(Telegram, delivery_id(Telegram, 5, user), sent_outcome(2), 8).await;
    }
    scene.attempt(Telegram, RESULT, retry(700), 9).await;
    let at_deadline = scene.store.expire_overdue(at(5 + 600), 100).await.unwrap();
    assert_eq!(at_deadline, (Vec::new(), false));
    assert_eq!(result_now(&scene).await.state, S::Pending);
    assert_eq!(scene.store.expire_overdue(at(5 + 601), 100).await.unwrap(), (Vec::new(), false));
    for user in [1, 2] {
        let result: Delivery = one(&*scene.store, Collection::Deliveries, result_id(5, user)).await;
        assert_eq!((result.state, result.last_error.as_deref()), (S::Dropped, Some(LATE)), "{user}");
        assert_eq!(result.ended_at, Some(at(5 + 601)));
    }
}

pub async fn a_result_that_cannot_be_written_is_dropped(harness: &dyn StoreHarness) {
    let scene = closed_for(harness, 3).await;
    let dropped = AttemptOutcome::Dropped { reason: "gone".to_owned() };
    let ends = [
        (dead(), "Bad Request: chat not found"),
        (alertcast_core::fixtures::expired_outcome(), LATE),
        (dropped, "gone"),
    ];
    for (user, (outcome, why)) in (1..).zip(ends) {
        scene.attempt(Telegram, delivery_id(Telegram, 5, user), sent_outcome(2), 8).await;
        let result = result_id(5, user);
        assert_eq!(scene.take(Telegram, &[result], 9).await.len(), 1);
        let records = vec![AttemptRecord { delivery: result, outcome }];
        assert_eq!(scene.store.record_attempts(&scene.bot, records, at(10)).await, Ok(Vec::new()));
        let result: Delivery = one(&*scene.store, Collection::Deliveries, result).await;
        assert_eq!((result.state, result.last_error.as_deref()), (S::Dropped, Some(why)));
        assert_eq!((result.ended_at, result.epoch), (Some(at(10)), None));
    }
}

pub async fn a_result_that_meets_a_blocked_chat_notes_it(harness: &dyn StoreHarness) {
    let scene = scene_told(harness).await;
    let blocked = alertcast_core::fixtures::blocked_outcome(1);
    scene.attempt(Telegram, RESULT, blocked, 9).await;
    assert_eq!(result_now(&scene).await.state, S::Dropped);
    let user: User = one(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!(user.chat_blocked_since(), Some(at(9)));
}

pub async fn a_result_is_tried_again_and_recovered_as_any(harness: &dyn StoreHarness) {
    let mut scene = scene_told(harness).await;
    scene.attempt(Telegram, RESULT, retry(20), 9).await;
    let again = result_now(&scene).await;
    assert_eq!((again.state, again.due_at, again.attempts.0), (S::Pending, at(20), 1));
    scene.take(Telegram, &[RESULT], 20).await;
    let seen = scene.store.leases(BOT).await.unwrap().remove(0);
    scene.bot = scene.store.take_lease(BOT, "next", Some(&seen)).await.unwrap().unwrap().fence();
    assert_eq!(scene.store.recover(&scene.bot, at(25)).await, Ok(1));
    let recovered = result_now(&scene).await;
    assert_eq!((recovered.state, recovered.possible_repeat), (S::Pending, true));
    scene.store.defer_chat(&scene.bot, &chat(1), at(60)).await.unwrap();
    assert_eq!(result_now(&scene).await.due_at, at(60));
    assert_eq!(scene.take(Telegram, &[RESULT], 60).await.len(), 1);
}

pub async fn a_result_counts_nowhere_and_holds_up_nothing(harness: &dyn StoreHarness) {
    let scene = closed_for(harness, 1).await;
    scene.attempt(Telegram, id(5), dead(), 8).await;
    let usage = scene.subscription(1).await.usage;
    assert_eq!(scene.store.settle(alert_id(5), at(9)).await, Ok(SettlingOutcome::Now), "its result is open");
    scene.attempt(Telegram, RESULT, sent_outcome(4_711), 10).await;
    assert_eq!(scene.subscription(1).await.usage, usage);
    let closing = scene.alert(5).await;
    let counted = (closing.statistics.delivery_count.0, closing.statistics.failure_count.0);
    assert_eq!(counted, (0, 1), "the exit that failed");

    assert!(!scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn a_written_result_delivers_no_alert(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(2, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, id(2), sent_outcome(4_713), 4).await;
    scene.accept(6, 1).await;
    let chunk = super::scene::closing_commit(&scene.work, 6, 1, 2, 1..=1, TELEGRAM);
    let chunk = super::scene::finish_commit(with_results(chunk, 6, 1, 2), at(11));
    scene.store.commit(chunk).await.unwrap();
    scene.attempt(Telegram, id(6), dead(), 13).await;
    scene.attempt(Telegram, result_id(6, 1), sent_outcome(4_713), 14).await;
    assert_eq!(scene.store.settle(alert_id(6), at(15)).await, Ok(SettlingOutcome::Now));
    let matched = &scene.alert(6).await.processing.matched_users;
    assert_eq!((matched.len(), matched[0].delivered, matched[0].delivered_at), (1, false, None));
    assert_eq!(matched[0].error.as_deref(), Some("Bad Request: chat not found"), "the exit's");
}

pub async fn a_result_is_listed_with_its_alert_and_goes_last(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    close(&scene, 1).await;
    let listed = scene.store.deliveries_of(alert_id(5), None, 10).await.unwrap();
    assert_eq!(listed.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [id(5), RESULT]);
    let due = scene.store.due(&lane(Telegram), at(9), 10).await.unwrap();
    assert_eq!(due.iter().map(|delivery| delivery.id).collect::<Vec<_>>(), [id(5), id(1), RESULT]);
}

pub async fn a_copy_is_noted_once_whatever_became_of_its_delivery(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    scene.attempt(Telegram, id(1), sent_outcome(4_711), 3).await;
    let pending = delivery_id(Telegram, 1, 2);
    let copies = [(id(1), 4_710), (id(1), 4_710), (id(1), 4_711), (pending, 4_700), (delivery_id(Telegram, 77, 1), 1)];
    scene.store.note_copies(&copies, at(4)).await.unwrap();
    scene.store.note_copies(&copies[..1], at(5)).await.unwrap();
    let told = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((told.message_id, told.copies.clone(), told.updated_at), (Some(4_711), vec![4_710], at(4)));
    assert_eq!(told.standing_messages().collect::<Vec<_>>(), [4_711, 4_710]);
    scene.attempt(Telegram, pending, sent_outcome(4_700), 6).await;
    assert_eq!(scene.delivery(Telegram, 1, 2).await.standing_messages().collect::<Vec<_>>(), [4_700], "once");
}
