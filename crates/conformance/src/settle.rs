//! Rules of [`Outbox::settle`](alertcast_core::store::Outbox::settle): once an alert's deliveries have ended, who got it is
//! written into it, once.

use super::StoreHarness;
use super::scene::{BOTH, TELEGRAM, TestScene, at_once, doors, empty_chunk, finish_commit, insert, opening_commit};
use alertcast_core::alert::document::{AlertStatus, MatchedUser, RECIPIENTS_INLINE_MAX, TradeAction, TradeActionTaken};
use alertcast_core::decision::{DecidedAction, Decision, DecisionChunk, Verdict};
use alertcast_core::delivery::Channel::{self, Email, Telegram};
use alertcast_core::delivery::DeliveryState as S;
use alertcast_core::fixtures::*;
use alertcast_core::fixtures::{dead, retry, sent_outcome};
use alertcast_core::id::AlertId;
use alertcast_core::money::Count;
use alertcast_core::store::{Collection, SettlingOutcome, document};

/// Settles alert `by` at a second.
async fn settle(scene: &TestScene, by: u32, second: i64) -> SettlingOutcome {
    scene.store.settle(alert_id(by), at(second)).await.unwrap()
}

/// Sends alert `by` to a user, at a second.
async fn deliver(scene: &TestScene, channel: Channel, by: u32, user: u32, second: i64) {
    scene.attempt(channel, delivery_id(channel, by, user), sent_outcome(1), second).await;
}

pub async fn an_alert_with_an_open_delivery_is_not_settled(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    scene.open(1, 1..=2, TELEGRAM).await;
    let id = delivery_id(Telegram, 1, 1);
    deliver(&scene, Telegram, 1, 2, 3).await;
    let before = scene.dump().await;
    assert_eq!(settle(&scene, 1, 4).await, SettlingOutcome::NotYet, "pending");
    before.assert_same(&scene.dump().await);
    scene.take(Telegram, &[id], 4).await;
    assert_eq!(settle(&scene, 1, 4).await, SettlingOutcome::NotYet, "sending");
    scene.record(Telegram, id, retry(9), 5).await;
    assert_eq!(settle(&scene, 1, 6).await, SettlingOutcome::NotYet, "to be tried again");
    let hold = super::scene::set(Collection::Deliveries, id, bson::doc! { "state": "held" });
    scene.store.write(vec![hold]).await.unwrap();
    assert_eq!(settle(&scene, 1, 7).await, SettlingOutcome::NotYet, "held");
    assert_eq!(scene.alert(1).await.alertcast.settled_at, None);
}

pub async fn an_alert_that_is_not_processed_is_not_settled(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    assert_eq!(settle(&scene, 1, 2).await, SettlingOutcome::NotYet);
    let mut chunk = opening_commit(&scene.work, 1, 1, 1..=1, TELEGRAM);
    chunk.plan.deliveries.clear();
    scene.store.commit(chunk).await.unwrap();
    assert_eq!(settle(&scene, 1, 3).await, SettlingOutcome::NotYet, "half done");
}

pub async fn an_alert_that_was_not_accepted_here_is_left_as_it_is(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    let matched = MatchedUser {
        user_id: user_id(1),
        subscription_id: subscription_id(1),
        delivered: true,
        delivered_at: Some(at(3)),
        error: None,
    };
    let mut theirs = alert(7, 1);
    theirs.processing.status = AlertStatus::Processed;
    theirs.processing.matched_users = vec![matched];
    // As an application keeps it that knows no Alertcast, or as one that was brought over.
    let mut unknown = document(&theirs).unwrap();
    unknown.remove("alertcast");
    theirs.id = alert_id(8);
    theirs.alertcast.seq = Count(0);
    scene.store.write(vec![insert(Collection::Alerts, &unknown), insert(Collection::Alerts, &theirs)]).await.unwrap();
    scene.accept(1, 1).await;
    scene.store.commit(finish_commit(empty_chunk(&scene.work, 1, 1), at(2))).await.unwrap();
    assert_eq!(scene.store.unsettled(None, 10).await.unwrap(), [alert_id(1)]);
    let before = scene.dump().await;
    for n in [7, 8] {
        assert_eq!(settle(&scene, n, 9).await, SettlingOutcome::Before);
    }
    before.assert_same(&scene.dump().await);
}

pub async fn an_alert_is_settled_once(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    deliver(&scene, Telegram, 1, 1, 3).await;
    assert_eq!(settle(&scene, 1, 5).await, SettlingOutcome::Now);
    let alert = scene.alert(1).await;
    assert_eq!((alert.alertcast.settled_at, alert.updated_at), (Some(at(5)), at(5)));
    let before = scene.dump().await;
    assert_eq!(settle(&scene, 1, 9).await, SettlingOutcome::Before);
    before.assert_same(&scene.dump().await);
}

pub async fn an_alert_that_is_for_nobody_is_settled_with_its_end(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    for by in 1..=2 {
        scene.accept(by, 1).await;
    }
    let mut chunk = finish_commit(empty_chunk(&scene.work, 1, 1), at(4));
    chunk.finish.as_mut().unwrap().settles = true;
    scene.store.commit(chunk).await.unwrap();
    assert_eq!(scene.store.unsettled(None, 10).await.unwrap(), [], "nothing is left to be done");
    let before = scene.dump().await;
    assert_eq!(settle(&scene, 1, 5).await, SettlingOutcome::Before);
    before.assert_same(&scene.dump().await);
    // The same in two steps: the alert is no other.
    scene.store.commit(finish_commit(empty_chunk(&scene.work, 2, 1), at(4))).await.unwrap();
    assert_eq!(settle(&scene, 2, 4).await, SettlingOutcome::Now);
    let (at_once, in_two) = (scene.alert(1).await, scene.alert(2).await);
    assert_eq!((at_once.processing, at_once.updated_at), (in_two.processing, in_two.updated_at));
    assert_eq!(at_once.alertcast.settled_at, in_two.alertcast.settled_at);
}

pub async fn of_many_who_settle_at_once_one_does(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let doors = doors(harness, &scene.store, 2).await;
    for by in 1..=3 {
        scene.accept(by, 1).await;
        scene.store.commit(finish_commit(empty_chunk(&scene.work, by, 1), at(4))).await.unwrap();
        let settles = doors.iter().cycle().take(16).map(|store| {
            let store = std::sync::Arc::clone(store);
            async move { store.settle(alert_id(by), at(5)).await.unwrap() }
        });
        let answers = at_once(settles).await;
        assert_eq!(answers.iter().filter(|&&answer| answer == SettlingOutcome::Now).count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|&&answer| answer == SettlingOutcome::Before).count(), 15, "{answers:?}");
    }
}

pub async fn a_settled_alert_names_its_recipients_and_what_happened_to_their_trades(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 6).await;
    scene.accept(1, 1).await;
    let mut chunk = opening_commit(&scene.work, 1, 1, 1..=6, TELEGRAM);
    // User 4 gets no message, user 5 is refused, user 6's trade is silent.
    let decisions = &mut chunk.plan.decisions.as_mut().unwrap().decisions;
    decisions[3].actions.clear();
    decisions[4] = Decision { verdict: Verdict::LimitReached, actions: Vec::new(), ..decisions[4].clone() };
    decisions[5].verdict = Verdict::Silent;
    chunk.plan.deliveries.truncate(3);
    chunk.plan.deliveries.push(entry(Email, 1, 1, 2));
    scene.store.commit(finish_commit(chunk, at(2))).await.unwrap();
    deliver(&scene, Telegram, 1, 1, 10).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 2), dead(), 11).await;
    deliver(&scene, Email, 1, 2, 12).await;
    scene.attempt(Telegram, delivery_id(Telegram, 1, 3), dead(), 13).await;
    assert_eq!(settle(&scene, 1, 20).await, SettlingOutcome::Now);

    let alert = scene.alert(1).await;
    let matched = |user: u32, delivered_at: Option<i64>, error: Option<&str>| MatchedUser {
        user_id: user_id(user),
        subscription_id: subscription_id(user),
        delivered: delivered_at.is_some(),
        delivered_at: delivered_at.map(at),
        error: error.map(ToOwned::to_owned),
    };
    let want = [
        matched(1, Some(10), None),
        matched(2, Some(12), None),
        matched(3, None, Some("Bad Request: chat not found")),
        matched(4, None, None),
        matched(6, None, None),
    ];
    assert_eq!(alert.processing.matched_users, want);
    let opened =
        |user: u32| TradeActionTaken { action: TradeAction::Open, trade_id: trade_id(1, user), user_id: user_id(user) };
    assert_eq!(alert.processing.trade_actions, [1, 2, 3, 6].map(opened));
    assert_eq!(alert.alertcast.recipients_in, None);
    assert_eq!((alert.statistics.delivery_count.0, alert.statistics.failure_count.0), (2, 2));
}

pub async fn the_first_channel_to_deliver_dates_the_delivery(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, BOTH).await;
    deliver(&scene, Email, 1, 1, 10).await;
    deliver(&scene, Telegram, 1, 1, 15).await;
    assert_eq!(settle(&scene, 1, 20).await, SettlingOutcome::Now);
    assert_eq!(scene.alert(1).await.processing.matched_users[0].delivered_at, Some(at(10)));
}

pub async fn an_alerts_recipients_come_from_all_its_chunks(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 6).await;
    scene.accept(1, 1).await;
    for (users, seen) in [(1..=2, None), (3..=4, Some(2)), (5..=6, Some(4))] {
        let mut chunk = opening_commit(&scene.work, 1, 1, users, TELEGRAM);
        chunk.cursor_seen = seen.map(user_id);
        let chunk = if seen == Some(4) { finish_commit(chunk, at(3)) } else { chunk };
        scene.store.commit(chunk).await.unwrap();
    }
    scene.store.expire_overdue(at(9_999), 100).await.unwrap();
    assert_eq!(settle(&scene, 1, 10_000).await, SettlingOutcome::Now);
    let alert = scene.alert(1).await;
    let users: Vec<_> = alert.processing.matched_users.iter().map(|matched| number(matched.user_id.0)).collect();
    assert_eq!(users, [1, 2, 3, 4, 5, 6]);
    assert!(alert.processing.matched_users.iter().all(|matched| !matched.delivered));
    assert_eq!(alert.processing.trade_actions.len(), 6);
}

pub async fn an_entry_told_by_its_exit_is_settled_with_it(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    let exit = delivery_id(Telegram, 5, 1);
    scene.attempt(Telegram, exit, retry(9), 7).await;
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Superseded);
    assert_eq!(settle(&scene, 1, 8).await, SettlingOutcome::NotYet, "its news is still on its way");
    scene.take(Telegram, &[exit], 9).await;
    assert_eq!(settle(&scene, 1, 9).await, SettlingOutcome::NotYet);
    let records = vec![alertcast_core::store::AttemptRecord { delivery: exit, outcome: sent_outcome(1) }];
    let mut to_settle = scene.store.record_attempts(&scene.bot, records, at(10)).await.unwrap();
    to_settle.sort();
    to_settle.dedup();
    assert_eq!(to_settle, [alert_id(1), alert_id(5)]);
    for by in [1, 5] {
        assert_eq!(settle(&scene, by, 11).await, SettlingOutcome::Now);
        let matched = &scene.alert(by).await.processing.matched_users[0];
        assert_eq!((matched.delivered, matched.delivered_at), (true, Some(at(10))), "alert {by}");
    }
    let counts = async |by: u32| scene.alert(by).await.statistics.delivery_count.0;
    assert_eq!((counts(1).await, counts(5).await), (0, 1), "one message was sent");
}

pub async fn an_entry_whose_telling_exit_failed_was_not_delivered(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), dead(), 7).await;
    for by in [1, 5] {
        assert_eq!(settle(&scene, by, 9).await, SettlingOutcome::Now);
        let matched = &scene.alert(by).await.processing.matched_users[0];
        assert_eq!((matched.delivered, matched.delivered_at), (false, None), "alert {by}");
    }
}

/// A chunk of decisions about made-up users: `count` who get a message, and one who does not.
fn many(by: u32, first: u32, count: u32) -> DecisionChunk {
    let mut decisions: Vec<_> = (first..first + count)
        .map(|user| Decision {
            user: user_id(user),
            subscription: Some(subscription_id(user)),
            verdict: Verdict::Sent,
            actions: vec![DecidedAction { action: TradeAction::Open, trade: trade_id(by, user) }],
        })
        .collect();
    decisions.push(Decision {
        user: user_id(first + count),
        subscription: None,
        verdict: Verdict::Disabled,
        actions: Vec::new(),
    });
    DecisionChunk { alert_id: alert_id(by), first_user: user_id(first), last_user: user_id(first + count), decisions }
}

pub async fn up_to_the_limit_recipients_stand_in_the_alert_and_above_they_do_not(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let limit = u32::try_from(RECIPIENTS_INLINE_MAX).unwrap();
    for (by, second_chunk) in [(1, limit - 6_000), (2, limit - 5_999)] {
        scene.accept(by, 1).await;
        let mut chunk = empty_chunk(&scene.work, by, 1);
        chunk.plan.decisions = Some(many(by, 1, 6_000));
        chunk.cursor = Some(user_id(6_001));
        scene.store.commit(chunk).await.unwrap();
        let mut chunk = finish_commit(empty_chunk(&scene.work, by, 1), at(9));
        chunk.plan.decisions = Some(many(by, 10_000, second_chunk));
        chunk.cursor_seen = Some(user_id(6_001));
        chunk.cursor = Some(user_id(20_000));
        scene.store.commit(chunk).await.unwrap();
        assert_eq!(settle(&scene, by, 10).await, SettlingOutcome::Now);
    }
    let within = scene.alert(1).await;
    assert_eq!(within.processing.matched_users.len(), RECIPIENTS_INLINE_MAX);
    assert_eq!(within.processing.trade_actions.len(), RECIPIENTS_INLINE_MAX);
    assert_eq!(within.alertcast.recipients_in, None);
    let above = scene.alert(2).await;
    assert_eq!((above.processing.matched_users.len(), above.processing.trade_actions.len()), (0, 0));
    assert_eq!(above.alertcast.recipients_in.as_deref(), Some("deliveries"));
    assert_eq!(above.alertcast.settled_at, Some(at(10)));
    assert_eq!(settle(&scene, 2, 11).await, SettlingOutcome::Before);
}

pub async fn unsettled_are_the_processed_alerts_that_are_not_settled(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    // Accepted in another order than that of their ids.
    for by in [4, 2, 6, 3, 5, 1] {
        scene.accept(by, 1).await;
    }
    scene.store.refuse_alert(refused_alert(7, 1, &["too_old"]), Vec::new()).await.unwrap();
    for by in [6, 2, 3, 5] {
        scene.store.commit(finish_commit(empty_chunk(&scene.work, by, 1), at(9))).await.unwrap();
    }
    assert_eq!(settle(&scene, 3, 10).await, SettlingOutcome::Now);
    let unsettled = async |after: Option<AlertId>, limit: usize| {
        let alerts = scene.store.unsettled(after, limit).await.unwrap();
        alerts.into_iter().map(|alert| number(alert.0)).collect::<Vec<_>>()
    };
    assert_eq!(unsettled(None, 10).await, [2, 5, 6]);
    assert_eq!(unsettled(None, 2).await, [2, 5]);
    assert_eq!(unsettled(Some(alert_id(5)), 2).await, [6]);
    assert_eq!(unsettled(Some(alert_id(6)), 2).await, [0; 0]);
}

pub async fn the_drop_of_an_exit_lets_its_alert_be_settled(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.record(Telegram, delivery_id(Telegram, 1, 1), alertcast_core::fixtures::expired_outcome(), 6).await;
    assert_eq!(scene.take(Telegram, &[delivery_id(Telegram, 5, 1)], 7).await, []);
    for by in [1, 5] {
        assert_eq!(settle(&scene, by, 8).await, SettlingOutcome::Now);
        assert!(!scene.alert(by).await.processing.matched_users[0].delivered);
    }
}

pub async fn a_settled_alert_keeps_what_others_wrote(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    deliver(&scene, Telegram, 1, 1, 3).await;
    let fields = bson::doc! { "__v": 2, "foreign": foreign(), "processing.foreign": 1 };
    let foreign_fields = super::scene::set(Collection::Alerts, alert_id(1), fields);
    scene.store.write(vec![foreign_fields]).await.unwrap();
    assert_eq!(settle(&scene, 1, 5).await, SettlingOutcome::Now);
    let alert = super::dump::raw(&*scene.store, Collection::Alerts, alert_id(1)).await;
    assert_eq!((alert.get("__v"), alert.get("foreign")), (Some(&2.into()), Some(&foreign().into())));
    assert_eq!(alert.get_document("processing").unwrap().get("foreign"), Some(&1.into()));
}
