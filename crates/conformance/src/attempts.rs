//! Rules of [`Outbox::record_attempts`](alertcast_core::store::Outbox::record_attempts): what an attempt came to, counted once.

use super::StoreHarness;
use super::dump::{one, raw};
use super::scene::{BOTH, TELEGRAM, TestScene, at_once, doors, insert};
use alertcast_core::delivery::Channel::{Email, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState as S};
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{blocked_outcome, dead, expired_outcome, retry, sent_outcome};
use alertcast_core::store::{AttemptOutcome, AttemptRecord, Collection, DeathCause, TakenEntry};
use alertcast_core::user::User;

/// Users 1 to `users` each have a Telegram message of alert 1, which is being sent.
async fn scene_sending(harness: &dyn StoreHarness, users: u32) -> TestScene {
    let scene = TestScene::new(harness, users).await;
    scene.open(1, 1..=users, TELEGRAM).await;
    let ids: Vec<_> = (1..=users).map(|user| delivery_id(Telegram, 1, user)).collect();
    assert_eq!(scene.take(Telegram, &ids, 3).await.len(), ids.len());
    scene
}

fn record(user: u32, outcome: AttemptOutcome) -> AttemptRecord {
    AttemptRecord { delivery: delivery_id(Telegram, 1, user), outcome }
}

/// What alert 1 counts: sent, failed.
async fn read_counts(scene: &TestScene) -> (i64, i64) {
    let statistics = scene.alert(1).await.statistics;
    (statistics.delivery_count.0, statistics.failure_count.0)
}

pub async fn a_sent_message_has_its_number_and_is_counted(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 1).await;
    let settle = scene.store.record_attempts(&scene.bot, vec![record(1, sent_outcome(42))], at(5)).await;
    assert_eq!(settle, Ok(vec![alert_id(1)]));
    let delivery = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((delivery.state, delivery.message_id, delivery.ended_at), (S::Sent, Some(42), Some(at(5))));
    assert_eq!(delivery.attempts.0, 1);
    assert_eq!(read_counts(&scene).await, (1, 0));
    assert!(!scene.trade(1, 1).await.alertcast.unreached);
}

pub async fn a_failed_attempt_is_tried_again_when_it_says(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 1).await;
    let again =
        |second: i64, in_doubt: bool| AttemptOutcome::Retry { due_at: at(second), error: "502".to_owned(), in_doubt };
    for (second, in_doubt, repeat) in [(20, false, false), (40, true, true), (60, false, true)] {
        let settle = scene.store.record_attempts(&scene.bot, vec![record(1, again(second, in_doubt))], at(5)).await;
        assert_eq!(settle, Ok(Vec::new()));
        let delivery = scene.delivery(Telegram, 1, 1).await;
        assert_eq!((delivery.state, delivery.due_at, delivery.ended_at), (S::Pending, at(second), None));
        assert_eq!((delivery.last_error.as_deref(), delivery.possible_repeat), (Some("502"), repeat));
        assert_eq!(scene.take(Telegram, &[delivery.id], second).await.len(), 1);
    }
    assert_eq!(read_counts(&scene).await, (0, 0));
    assert_eq!(scene.delivery(Telegram, 1, 1).await.attempts.0, 4);
}

pub async fn an_expired_or_dead_message_counts_as_failed(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 2).await;
    let records = vec![record(1, expired_outcome()), record(2, dead())];
    let mut settle = scene.store.record_attempts(&scene.bot, records, at(5)).await.unwrap();
    settle.dedup();
    assert_eq!(settle, [alert_id(1)]);
    assert_eq!(read_counts(&scene).await, (0, 2));
    let [expired, died] = [scene.delivery(Telegram, 1, 1).await, scene.delivery(Telegram, 1, 2).await];
    assert_eq!((expired.state, expired.ended_at), (S::Expired, Some(at(5))));
    assert_eq!((died.state, died.ended_at), (S::Dead, Some(at(5))));
    assert_eq!(died.last_error.as_deref(), Some("Bad Request: chat not found"));
}

pub async fn a_last_attempt_in_doubt_leaves_its_mark_however_it_ends(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 3).await;
    let in_vain =
        |in_doubt| AttemptOutcome::Dead { error: "timeout".to_owned(), cause: DeathCause::InVain { in_doubt } };
    for (user, outcome) in [(1, AttemptOutcome::Expired { in_doubt: true }), (2, in_vain(true)), (3, in_vain(false))] {
        scene.record(Telegram, delivery_id(Telegram, 1, user), outcome, 5).await;
    }
    let mut marks = Vec::new();
    for user in 1..=3 {
        let delivery = scene.delivery(Telegram, 1, user).await;
        let unreached = scene.trade(1, user).await.alertcast.unreached;
        marks.push((delivery.state, delivery.possible_repeat, unreached));
    }
    assert_eq!(marks, [(S::Expired, true, false), (S::Dead, true, false), (S::Dead, false, true)]);
}

pub async fn a_dropped_message_counts_as_nothing(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 1).await;
    let dropped = record(1, AttemptOutcome::Dropped { reason: "suspended".to_owned() });
    let settle = scene.store.record_attempts(&scene.bot, vec![dropped], at(5)).await;
    assert_eq!(settle, Ok(vec![alert_id(1)]));
    let delivery = scene.delivery(Telegram, 1, 1).await;
    assert_eq!((delivery.state, delivery.ended_at), (S::Dropped, Some(at(5))));
    assert_eq!(read_counts(&scene).await, (0, 0));
}

pub async fn a_blocked_chat_is_noted_with_the_user(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 2).await;
    scene.record(Telegram, delivery_id(Telegram, 1, 1), blocked_outcome(1), 5).await;
    let user: User = one(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!((user.chat_blocked_since(), user.updated_at), (Some(at(5)), at(5)));
    assert_eq!(user.alertcast.blocked_chat_id, Some(chat(1)), "it names the chat");
    let document = raw(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!(document.get("foreign"), Some(&foreign().into()));
    assert_eq!(user.preferences, alertcast_core::fixtures::user(1).preferences, "preferences stay");
    scene.record(Telegram, delivery_id(Telegram, 1, 2), dead(), 5).await;
    let other: User = one(&*scene.store, Collection::Users, user_id(2)).await;
    assert_eq!(other.alertcast.chat_blocked_at, None);
}

pub async fn a_chat_that_is_not_the_users_any_more_is_not_noted(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 2).await;
    let moved = bson::doc! { "telegram.chatId": chat(77) };
    scene.store.write(vec![super::scene::set(Collection::Users, user_id(1), moved)]).await.unwrap();
    let before = raw(&*scene.store, Collection::Users, user_id(1)).await;
    scene.record(Telegram, delivery_id(Telegram, 1, 1), blocked_outcome(1), 5).await;
    assert_eq!(raw(&*scene.store, Collection::Users, user_id(1)).await, before);
}

pub async fn a_block_names_the_chat_that_refuses_and_takes_the_place_of_an_older_one(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 3).await;
    let marked = |chat: &str| bson::doc! { "alertcast.chatBlockedAt": at(1), "alertcast.blockedChatId": chat };
    let nameless = bson::doc! { "alertcast.chatBlockedAt": at(1) };
    let (other, same) = (marked("77"), marked(&chat(3)));
    for (user, marked) in [(1, other), (2, nameless), (3, same)] {
        scene.store.write(vec![super::scene::set(Collection::Users, user_id(user), marked)]).await.unwrap();
        scene.record(Telegram, delivery_id(Telegram, 1, user), blocked_outcome(user), 5).await;
    }
    let mut kept = Vec::new();
    for user in 1..=3 {
        let user: User = one(&*scene.store, Collection::Users, user_id(user)).await;
        kept.push((user.chat_blocked_since(), user.alertcast.blocked_chat_id.is_some()));
    }
    // The second was known to be blocked before: the chat that the user has.
    assert_eq!(kept, [(Some(at(5)), true), (Some(at(1)), false), (Some(at(1)), true)]);
}

pub async fn an_address_without_a_mailbox_is_noted_with_the_user(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, BOTH).await;
    let bounced = |address: String| AttemptOutcome::Dead {
        error: "550 5.1.1 no such user".to_owned(),
        cause: DeathCause::NoMailbox { address },
    };
    scene.attempt(Email, delivery_id(Email, 1, 1), bounced(email(1)), 5).await;
    scene.attempt(Email, delivery_id(Email, 1, 2), bounced("old@example.com".to_owned()), 5).await;
    let [user, other] = [
        one::<User>(&*scene.store, Collection::Users, user_id(1)).await,
        one::<User>(&*scene.store, Collection::Users, user_id(2)).await,
    ];
    assert_eq!((user.email_bounced_since(), user.alertcast.bounced_email.clone()), (Some(at(5)), Some(email(1))));
    assert_eq!(user.chat_blocked_since(), None);
    assert_eq!(other.alertcast.email_bounced_at, None, "it was another address");
    let changed = User { email: "new@example.com".to_owned(), ..user };
    assert_eq!(changed.email_bounced_since(), None, "another address is written to");
}

pub async fn a_message_to_nobody_in_particular_ends_as_any(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let words = operator(alertcast_core::delivery::MessageKind::Operator, 1, 1);
    scene.put_deliveries(std::slice::from_ref(&words)).await;
    scene.take(Telegram, &[words.id], 3).await;
    let records = vec![AttemptRecord { delivery: words.id, outcome: blocked_outcome(1) }];
    assert_eq!(scene.store.record_attempts(&scene.bot, records, at(4)).await, Ok(Vec::new()));
    assert_eq!(one::<Delivery>(&*scene.store, Collection::Deliveries, words.id).await.state, S::Dead);
}

pub async fn a_record_counts_once(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 2).await;
    let records = vec![record(1, sent_outcome(1)), record(1, sent_outcome(2)), record(2, dead()), record(1, dead())];
    scene.store.record_attempts(&scene.bot, records.clone(), at(5)).await.unwrap();
    assert_eq!(read_counts(&scene).await, (1, 1));
    assert_eq!(scene.delivery(Telegram, 1, 1).await.message_id, Some(1));
    let before = scene.dump().await;
    let settle = scene.store.record_attempts(&scene.bot, records, at(6)).await;
    assert_eq!(settle, Ok(Vec::new()));
    before.assert_same(&scene.dump().await);
}

pub async fn records_of_an_older_epochs_sending_are_ignored(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 5).await;
    let seen = scene.store.leases(BOT).await.unwrap().remove(0);
    let next = scene.store.take_lease(BOT, "other", Some(&seen)).await.unwrap().unwrap().fence();
    let before = scene.dump().await;
    let records = vec![
        record(1, sent_outcome(1)),
        record(2, retry(9)),
        record(3, dead()),
        record(4, expired_outcome()),
        record(5, AttemptOutcome::Dropped { reason: "suspended".to_owned() }),
    ];
    assert_eq!(scene.store.record_attempts(&next, records, at(5)).await, Ok(Vec::new()));
    before.assert_same(&scene.dump().await);
}

pub async fn what_is_pending_is_ended_only_by_expiry_or_a_drop(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 5).await;
    scene.open(1, 1..=5, TELEGRAM).await;
    let before = scene.dump().await;
    let fitting_none = vec![record(1, sent_outcome(1)), record(2, retry(9)), record(3, dead())];
    assert_eq!(scene.store.record_attempts(&scene.bot, fitting_none, at(5)).await, Ok(Vec::new()));
    before.assert_same(&scene.dump().await);
    let ending = vec![record(4, expired_outcome()), record(5, AttemptOutcome::Dropped { reason: "gone".to_owned() })];
    let mut settle = scene.store.record_attempts(&scene.bot, ending, at(5)).await.unwrap();
    settle.dedup();
    assert_eq!(settle, [alert_id(1)]);
    assert_eq!(scene.delivery(Telegram, 1, 4).await.state, S::Expired);
    assert_eq!(scene.delivery(Telegram, 1, 5).await.state, S::Dropped);
    assert_eq!(read_counts(&scene).await, (0, 1));
}

pub async fn records_about_nothing_are_ignored(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 1).await;
    let before = scene.dump().await;
    let unknown = AttemptRecord { delivery: delivery_id(Telegram, 99, 1), outcome: sent_outcome(1) };
    assert_eq!(scene.store.record_attempts(&scene.bot, vec![unknown], at(5)).await, Ok(Vec::new()));
    assert_eq!(scene.store.record_attempts(&scene.bot, Vec::new(), at(5)).await, Ok(Vec::new()));
    before.assert_same(&scene.dump().await);
}

pub async fn what_was_held_meanwhile_stays_held(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 1).await;
    let hold = bson::doc! { "state": "held" };
    let held = super::scene::set(Collection::Deliveries, delivery_id(Telegram, 1, 1), hold);
    scene.store.write(vec![held]).await.unwrap();
    let before = scene.dump().await;
    for outcome in [sent_outcome(1), dead(), expired_outcome(), AttemptOutcome::Dropped { reason: "gone".to_owned() }] {
        assert_eq!(scene.store.record_attempts(&scene.bot, vec![record(1, outcome)], at(5)).await, Ok(Vec::new()));
    }
    before.assert_same(&scene.dump().await);
}

pub async fn attempts_recorded_at_once_are_all_counted(harness: &dyn StoreHarness) {
    const USERS: u32 = 24;
    let scene = TestScene::new(harness, USERS).await;
    scene.open(1, 1..=USERS, BOTH).await;
    for channel in [Telegram, Email] {
        let ids: Vec<_> = (1..=USERS).map(|user| delivery_id(channel, 1, user)).collect();
        scene.take(channel, &ids, 3).await;
    }
    let doors = doors(harness, &scene.store, 2).await;
    let records = (0..2 * USERS).zip(doors.into_iter().cycle()).map(|(n, store)| {
        let channel = if n % 2 == 0 { Telegram } else { Email };
        let fence = scene.fence(channel).clone();
        let outcome = if n % 3 == 0 { dead() } else { sent_outcome(1) };
        let records = vec![AttemptRecord { delivery: delivery_id(channel, 1, n / 2 + 1), outcome }];
        async move { store.record_attempts(&fence, records, at(5)).await.unwrap() }
    });
    at_once(records).await;
    assert_eq!(read_counts(&scene).await, (32, 16));
}

pub async fn an_alert_keeps_what_others_wrote_while_it_is_counted(harness: &dyn StoreHarness) {
    let scene = scene_sending(harness, 1).await;
    let fields = bson::doc! { "__v": 2, "foreign": foreign(), "statistics.foreign": 1 };
    scene.store.write(vec![super::scene::set(Collection::Alerts, alert_id(1), fields)]).await.unwrap();
    scene.record(Telegram, delivery_id(Telegram, 1, 1), sent_outcome(1), 5).await;
    let alert = raw(&*scene.store, Collection::Alerts, alert_id(1)).await;
    assert_eq!(alert.get("foreign"), Some(&foreign().into()));
    assert_eq!(alert.get_document("statistics").unwrap().get("foreign"), Some(&1.into()));
    assert_eq!(alert.get("updatedAt"), Some(&at(5).into()));
}

pub async fn a_message_to_a_user_who_is_gone_ends_as_any(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    let orphan = entry(Telegram, 1, 1, 77);
    scene.store.write(vec![insert(Collection::Deliveries, &orphan)]).await.unwrap();
    let taken: Vec<TakenEntry> = scene.take(Telegram, &[orphan.id], 3).await;
    assert_eq!(taken.len(), 1);
    scene.record(Telegram, orphan.id, blocked_outcome(77), 4).await;
    assert_eq!(read_counts(&scene).await, (0, 1));
}
