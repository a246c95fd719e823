//! Rules of [`Outbox`](alertcast_core::store::Outbox): the queue of a lane, what a crash leaves in it, and deadlines.

use bson::doc;

use super::StoreHarness;
use super::scene::{BOTH, TELEGRAM, TestScene, at_once, doors, set};
use alertcast_core::delivery::{Channel, Delivery, DeliveryState, LaneName, MessageKind};
use alertcast_core::fixtures::*;
use alertcast_core::id::{AlertId, DeliveryId};
use alertcast_core::store::{Collection, DocumentWrite};

/// A delivery of the bot's lane with a number of its own, changed as the rule needs it.
fn queued_delivery(n: u32, change: impl FnOnce(&mut Delivery)) -> Delivery {
    let mut delivery = entry(Channel::Telegram, n, 1, 1);
    delivery.queued_at = at(0);
    delivery.due_at = at(0);
    delivery.rotation = 0;
    change(&mut delivery);
    delivery
}

fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(|delivery| number(delivery.alert_id.unwrap().0)).collect::<Vec<_>>()
}

/// The delivery's number is its alert's.
fn id(n: u32) -> DeliveryId {
    delivery_id(Channel::Telegram, n, 1)
}

pub async fn due_deliveries_come_by_priority_age_rotation_and_id(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let put = [
        queued_delivery(9, |d| (d.priority, d.queued_at, d.rotation) = (0, at(7), 9)),
        queued_delivery(8, |d| (d.priority, d.queued_at, d.rotation) = (1, at(1), 5)),
        queued_delivery(7, |d| (d.priority, d.queued_at, d.rotation) = (1, at(2), 0)),
        queued_delivery(6, |d| (d.priority, d.queued_at, d.rotation) = (1, at(2), 3)),
        queued_delivery(4, |d| (d.priority, d.queued_at, d.rotation) = (1, at(2), 3)),
        queued_delivery(1, |d| (d.priority, d.queued_at, d.rotation) = (5, at(0), 0)),
        // Due later than the one before it, yet due: it keeps its place.
        queued_delivery(5, |d| (d.priority, d.queued_at, d.rotation, d.due_at) = (1, at(2), 3, at(8))),
    ];
    scene.put_deliveries(&put).await;
    let due = scene.store.due(&lane(Channel::Telegram), at(10), 100).await.unwrap();
    assert_eq!(numbers(&due), [9, 8, 7, 4, 5, 6, 1]);
    assert_eq!(due[0], put[0], "as it is kept");
    let first = scene.store.due(&lane(Channel::Telegram), at(10), 3).await.unwrap();
    assert_eq!(numbers(&first), [9, 8, 7]);
}

pub async fn a_long_queue_comes_in_the_same_order(harness: &dyn StoreHarness) {
    const LONG: u32 = 1_500;
    let scene = TestScene::new(harness, 1).await;
    let put: Vec<_> = (1..=LONG)
        .map(|n| {
            queued_delivery(n, |d| {
                (d.priority, d.queued_at) = ((n % 3) as i32, at(i64::from(n % 5)));
                (d.rotation, d.due_at) = ((n * 7_919 % 13) as i32, at(i64::from(n % 11)));
            })
        })
        .collect();
    scene.put_deliveries(&put).await;
    let mut want: Vec<_> = put.iter().filter(|delivery| delivery.due_at <= at(9)).collect();
    want.sort_by_key(|d| (d.priority, d.queued_at, d.rotation, d.id));
    assert!(want.len() > 1_200);
    let want: Vec<_> = want.into_iter().map(|delivery| delivery.id).collect();
    for limit in [want.len() + 1, 700, 10] {
        let due = scene.store.due(&lane(Channel::Telegram), at(9), limit).await.unwrap();
        let due: Vec<_> = due.iter().map(|delivery| delivery.id).collect();
        assert_eq!(due, want[..limit.min(want.len())]);
    }
}

pub async fn due_are_the_pending_ones_of_the_lane_whose_time_has_come(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let states = DeliveryState::ALL.iter().zip(10..);
    let mut put: Vec<_> = states.map(|(&state, n)| queued_delivery(n, |d| d.state = state)).collect();
    put.push(queued_delivery(1, |d| d.due_at = at(20)));
    put.push(queued_delivery(2, |d| d.due_at = at(21)));
    put.push(queued_delivery(3, |d| d.lane = LaneName::of_bot("12")));
    put.push(entry(Channel::Email, 4, 1, 1));
    scene.put_deliveries(&put).await;
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Telegram), at(19), 100).await.unwrap()), [10]);
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Telegram), at(20), 100).await.unwrap()), [1, 10]);
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Email), at(20), 100).await.unwrap()), [4]);
    assert_eq!(scene.store.due(&LaneName::of_bot("9"), at(20), 100).await, Ok(Vec::new()));
}

pub async fn next_due_is_when_the_next_pending_one_becomes_due(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    assert_eq!(scene.store.next_due(&lane(Channel::Telegram), at(0)).await, Ok(None));
    let put = [
        queued_delivery(1, |d| d.due_at = at(5)),
        queued_delivery(2, |d| (d.due_at, d.priority) = (at(30), 0)),
        queued_delivery(3, |d| (d.due_at, d.priority) = (at(20), 5)),
        queued_delivery(4, |d| (d.due_at, d.state) = (at(10), DeliveryState::Sending)),
        queued_delivery(5, |d| (d.due_at, d.lane) = (at(11), lane(Channel::Email))),
    ];
    scene.put_deliveries(&put).await;
    for (now, next) in [(0, Some(5)), (4, Some(5)), (5, Some(20)), (19, Some(20)), (20, Some(30)), (30, None)] {
        assert_eq!(scene.store.next_due(&lane(Channel::Telegram), at(now)).await, Ok(next.map(at)), "at {now}");
    }
}

pub async fn recovery_makes_what_an_older_epoch_was_sending_pending_and_in_doubt(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 4).await;
    scene.open(1, 1..=4, BOTH).await;
    let bot = |user| delivery_id(Channel::Telegram, 1, user);
    scene.take(Channel::Telegram, &[bot(1), bot(2)], 3).await;
    scene.take(Channel::Email, &[delivery_id(Channel::Email, 1, 1)], 3).await;
    let seen = scene.store.leases(BOT).await.unwrap().remove(0);
    let next = scene.store.take_lease(BOT, "other", Some(&seen)).await.unwrap().unwrap().fence();
    scene.store.take(&next, &[bot(3)], at(4)).await.unwrap();
    assert_eq!(scene.store.recover(&next, at(9)).await, Ok(2));
    for user in 1..=2 {
        let delivery = scene.delivery(Channel::Telegram, 1, user).await;
        assert_eq!(delivery.state, DeliveryState::Pending);
        assert!(delivery.possible_repeat && delivery.due_at <= at(9));
        assert_eq!(delivery.attempts.0, 1, "the attempt may have arrived");
    }
    assert_eq!(scene.delivery(Channel::Telegram, 1, 3).await.state, DeliveryState::Sending, "its own");
    let untouched = scene.delivery(Channel::Telegram, 1, 4).await;
    assert!(!untouched.possible_repeat);
    assert_eq!(scene.delivery(Channel::Email, 1, 1).await.state, DeliveryState::Sending, "another lane's");
    assert_eq!(scene.store.recover(&next, at(9)).await, Ok(0));
    let again = scene.store.take(&next, &[bot(1)], at(10)).await.unwrap().taken.remove(0).delivery;
    assert!(again.possible_repeat);
    assert_eq!(again.attempts.0, 2);
}

pub async fn a_deferred_chat_is_not_due_before(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let put = [
        queued_delivery(1, |d| d.due_at = at(5)),
        queued_delivery(2, |d| d.due_at = at(90)),
        queued_delivery(3, |d| d.to = chat(9)),
        queued_delivery(4, |d| d.state = DeliveryState::Sending),
        queued_delivery(5, |d| d.state = DeliveryState::Held),
        // Another bot's talk with the same person has its own pace.
        queued_delivery(6, |d| d.lane = LaneName::of_bot("2")),
    ];
    scene.put_deliveries(&put).await;
    scene.store.defer_chat(&scene.bot, &chat(1), at(60)).await.unwrap();
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Telegram), at(59), 10).await.unwrap()), [3]);
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Telegram), at(60), 10).await.unwrap()), [1, 3]);
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Telegram), at(90), 10).await.unwrap()), [1, 2, 3]);
    assert_eq!(numbers(&scene.store.due(&LaneName::of_bot("2"), at(59), 10).await.unwrap()), [6]);
    let held: Delivery = super::dump::one(&*scene.store, Collection::Deliveries, id(5)).await;
    assert_eq!(held.state, DeliveryState::Held);
}

pub async fn overdue_deliveries_end_as_expired_or_as_dead_if_tried_in_vain(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for n in 1..=9 {
        scene.accept(n, 1).await;
    }
    let late = |n: u32, kind: MessageKind, attempts: i64| {
        queued_delivery(n, |d| (d.kind, d.attempts.0, d.deadline_at, d.trade_id) = (kind, attempts, at(50), None))
    };
    let put = [
        late(1, MessageKind::Entry, 0),
        late(2, MessageKind::Entry, 3),
        late(3, MessageKind::Replacement, 3),
        late(4, MessageKind::Exit, 0),
        late(5, MessageKind::Exit, 1),
        late(6, MessageKind::Notice, 1),
        queued_delivery(7, |d| d.deadline_at = at(51)),
        queued_delivery(8, |d| (d.deadline_at, d.state) = (at(50), DeliveryState::Sending)),
        queued_delivery(9, |d| (d.deadline_at, d.state) = (at(50), DeliveryState::Held)),
    ];
    scene.put_deliveries(&put).await;
    let (settle, more) = scene.store.expire_overdue(at(51) - std::time::Duration::from_millis(1), 100).await.unwrap();
    assert!(!more);
    assert_eq!(sort_alerts(settle), (1..=6).map(alert_id).collect::<Vec<_>>());
    use DeliveryState as S;
    let want = [S::Expired, S::Expired, S::Dead, S::Expired, S::Dead, S::Dead, S::Pending, S::Sending, S::Held];
    for (n, want) in (1..).zip(want) {
        let delivery = scene.delivery(Channel::Telegram, n, 1).await;
        assert_eq!(delivery.state, want, "{n}");
        assert_eq!(delivery.ended_at.is_some(), want.is_ended(), "{n}");
        let statistics = scene.alert(n).await.statistics;
        assert_eq!(statistics.failure_count.0, i64::from(want.is_ended()), "{n}");
        assert_eq!(statistics.delivery_count.0, 0);
    }
}

pub async fn overdue_deliveries_end_in_bounded_steps(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for n in 1..=7 {
        scene.accept(n, 1).await;
    }
    let put: Vec<_> = (1..=7).map(|n| queued_delivery(n, |d| (d.deadline_at, d.trade_id) = (at(50), None))).collect();
    scene.put_deliveries(&put).await;
    let mut ended: Vec<AlertId> = Vec::new();
    loop {
        let before = ended.len();
        let (settle, more) = scene.store.expire_overdue(at(99), 3).await.unwrap();
        ended.extend(settle);
        assert!(ended.len() - before <= 3);
        assert!(more || ended.len() == 7, "there is more after {}", ended.len());
        if !more {
            break;
        }
    }
    assert_eq!(sort_alerts(ended), (1..=7).map(alert_id).collect::<Vec<_>>());
    assert_eq!(scene.store.expire_overdue(at(99), 3).await, Ok((Vec::new(), false)));
}

pub async fn overdue_deliveries_end_once_however_many_look(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 3).await;
    scene.open(1, 1..=3, TELEGRAM).await;
    let doors = doors(harness, &scene.store, 2).await;
    let sweeps = doors.into_iter().cycle().take(6).map(|store| async move {
        store.expire_overdue(at(9_999), 2).await.unwrap();
    });
    at_once(sweeps).await;
    while scene.store.expire_overdue(at(9_999), 2).await.unwrap().1 {}
    assert_eq!(scene.alert(1).await.statistics.failure_count.0, 3);
    for user in 1..=3 {
        assert_eq!(scene.subscription(user).await.usage.alerts_received.0, 0, "taken back once");
    }
}

pub async fn a_purge_removes_what_is_over_and_nothing_else(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let store = &scene.store;
    let ended = |n: u32, state: DeliveryState, at: alertcast_core::time::Time| {
        queued_delivery(n, |d| (d.state, d.ended_at) = (state, Some(at)))
    };
    use DeliveryState as S;
    let mut put: Vec<_> = [S::Sent, S::Expired, S::Dead, S::Superseded, S::Dropped]
        .into_iter()
        .zip(1..)
        .map(|(state, n)| ended(n, state, at(10)))
        .collect();
    put.push(ended(6, S::Sent, at(100)));
    put.extend(
        [S::Pending, S::Sending, S::Held]
            .into_iter()
            .zip(7..)
            .map(|(state, n)| queued_delivery(n, |d| d.state = state)),
    );
    scene.put_deliveries(&put).await;
    for n in [10, 60] {
        store.reject_webhook(super::intake::rejected_webhook(n), Vec::new()).await.unwrap();
    }
    for (n, until) in [(1, 30), (2, 500)] {
        let keys = vec![key(&format!("k{n}"), at(until))];
        store.accept_alert(alert(n, 1), keys, at(0)).await.unwrap();
    }
    for (n, until) in [(1_u8, 30), (2, 31), (3, 30), (4, 29)] {
        let record = bson::doc! { "_id": bson::oid::ObjectId::from_bytes([n; 12]), "until": at(until) };
        let insert = DocumentWrite::Insert { collection: Collection::IdempotencyKeys, document: record };
        store.write(vec![insert]).await.unwrap();
    }
    while store.purge(at(100), at(60), at(30), 2).await.unwrap() {}
    let kept: Vec<Delivery> = scene.dump().await.all(Collection::Deliveries);
    assert_eq!(numbers(&kept), [6, 7, 8, 9]);
    assert_eq!(store.count(Collection::RejectedWebhooks).await, Ok(1));
    assert_eq!(store.count(Collection::IntakeKeys).await, Ok(1));
    assert_eq!(store.count(Collection::IdempotencyKeys).await, Ok(1));
    assert_eq!(store.count(Collection::Alerts).await, Ok(2), "alerts are kept for good");
    assert_eq!(store.find_duplicate(&[key("k2", at(0))], at(499)).await, Ok(Some(alert_id(2))));
    let before = scene.dump().await;
    assert_eq!(store.purge(at(100), at(60), at(30), 2).await, Ok(false));
    before.assert_same(&scene.dump().await);
}

pub async fn a_purge_goes_in_bounded_steps(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let put: Vec<_> =
        (1..=7).map(|n| queued_delivery(n, |d| (d.state, d.ended_at) = (DeliveryState::Sent, Some(at(1))))).collect();
    scene.put_deliveries(&put).await;
    let mut left = 7;
    loop {
        let more = scene.store.purge(at(100), at(0), at(0), 3).await.unwrap();
        let now = scene.store.count(Collection::Deliveries).await.unwrap();
        assert!(left - now <= 3, "{left} to {now}");
        assert!(more || now == 0);
        left = now;
        if !more {
            break;
        }
    }
    assert_eq!(left, 0);
}

pub async fn a_released_delivery_is_due(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.put_deliveries(&[queued_delivery(1, |d| d.state = DeliveryState::Held)]).await;
    let release = set(Collection::Deliveries, id(1), doc! { "state": "pending", "dueAt": at(3) });
    scene.store.write(vec![release]).await.unwrap();
    assert_eq!(numbers(&scene.store.due(&lane(Channel::Telegram), at(3), 10).await.unwrap()), [1]);
    assert_eq!(scene.take(Channel::Telegram, &[id(1)], 3).await.len(), 1);
}

fn sort_alerts(mut alerts: Vec<AlertId>) -> Vec<AlertId> {
    alerts.sort();
    alerts
}
