//! Rules of [`Actions::erase_user`](alertcast_core::store::Actions::erase_user): the person is gone wherever one looks, and the
//! numbers stay.

use alertcast_core::fixtures::{audit, dead, retry, sent_outcome};
use std::fmt::Write as _;

use bson::{Document, doc};

use super::StoreHarness;
use super::actions::record;
use super::dump::{StoreDump, find, one, raw};
use super::invariants;
use super::random::{RandomSequence, cut_off};
use super::scene::{BOTH, TELEGRAM, TestScene, insert, set};
use super::unreadable::spoil;
use alertcast_core::delivery::Channel::{Email, Telegram};
use alertcast_core::delivery::{Delivery, DeliveryState as S, delivery_key};
use alertcast_core::erasure::ERASED;
use alertcast_core::fixtures::*;
use alertcast_core::id::DeliveryId;
use alertcast_core::money::Count;
use alertcast_core::store::{
    AttemptOutcome, Collection, DeathCause, DocumentWrite, EraseUser, ErasureOutcome, StoreError,
};
use alertcast_core::subscription::SubscriptionStatus;
use alertcast_core::trade::document::TradeStatus;
use alertcast_core::user::{User, UserStatus};

fn erase(user: u32, second: i64) -> EraseUser {
    EraseUser { user: user_id(user), now: at(second), expect: Vec::new(), also: Vec::new() }
}

/// What tells who user 1 is.
fn personal() -> Vec<String> {
    let mut personal: Vec<String> =
        ["Asha Rao", "asha_rao", "Ashita", "Raonova", "+91 98", "proof-77", "bot-66"].map(ToOwned::to_owned).to_vec();
    personal.extend([email(1), chat(1), "User 1\"".to_owned()]);
    personal
}

/// Fails where any of it is kept.
#[track_caller]
fn is_gone(dump: &StoreDump) {
    let mut all = String::new();
    for collection in super::dump::PAGED {
        for document in dump.documents(*collection) {
            let _ = writeln!(all, "{collection} {document}");
        }
    }
    for personal in personal() {
        let found = all.lines().find(|line| line.contains(&personal));
        assert!(found.is_none(), "{personal}: {found:?}");
    }
}

/// User 1 in full, with proofs and records of acts about them.
async fn person(scene: &TestScene) {
    let of_user = doc! {
        "profile.name": "Asha Rao", "profile.phone": "+91 98", "telegram.username": "asha_rao",
        "telegram.firstName": "Ashita", "telegram.lastName": "Raonova", "alertcast.botId": "bot-66",
        "alertcast.chatBlockedAt": at(1),
    };
    let of_subscription = doc! { "payment.proofUrl": "proof-77", "subscription.autoRenew": true };
    let mut nested = audit(1, Collection::Users, user_id(1).0);
    nested.before = Some(doc! { "profile": { "name": "Asha Rao", "timezone": "UTC" }, "email": email(1) });
    nested.after = Some(doc! { "status": "active" });
    let mut dotted = audit(2, Collection::Users, user_id(1).0);
    dotted.after = Some(doc! { "profile.phone": "+91 98", "telegram": { "chatId": chat(1) }, "status": "active" });
    let mut of_payment = audit(3, Collection::UserSubscriptions, subscription_id(1).0);
    of_payment.before = Some(doc! { "payment": { "proofUrl": "proof-77", "amount": 999.0 } });
    let mut writes: Vec<DocumentWrite> =
        [nested, dotted, of_payment].iter().map(|entry| insert(Collection::AuditLog, entry)).collect();
    writes.push(set(Collection::Users, user_id(1), of_user));
    writes.push(set(Collection::UserSubscriptions, subscription_id(1), of_subscription));
    writes.push(DocumentWrite::Insert { collection: Collection::IdempotencyKeys, document: answer(1, 1) });
    writes.push(DocumentWrite::Insert { collection: Collection::IdempotencyKeys, document: answer(2, 2) });
    scene.store.write(writes).await.unwrap();
}

/// What was answered to a request about a user, kept for its repetition.
fn answer(n: u32, user: u32) -> Document {
    doc! {
        "_id": oid(21, 0, n), "userId": user_id(user), "request": "digest", "status": 201, "until": at(90_000),
        "headers": [doc! { "name": "location", "value": "/users/1" }], "body": format!("{{\"email\":\"{}\"}}", email(user)),
    }
}

pub async fn an_erased_person_leaves_the_numbers(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    person(&scene).await;
    let before_user = scene.store.get(Collection::Users, &[user_id(2).0]).await.unwrap();
    // Alert 1 reached both; 2 failed with an error that names the address; 3 waits, and 4 is held.
    scene.open(1, 1..=2, BOTH).await;
    for user in 1..=2 {
        scene.attempt(Telegram, delivery_id(Telegram, 1, user), sent_outcome(1), 3).await;
        scene.attempt(Email, delivery_id(Email, 1, user), sent_outcome(1), 3).await;
    }
    scene.close(5, 1, 1..=1, BOTH).await;
    let refused = AttemptOutcome::Dead { error: format!("550 <{}> is unknown", email(1)), cause: DeathCause::Refused };
    scene.attempt(Email, delivery_id(Email, 5, 1), refused, 7).await;
    scene.attempt(Telegram, delivery_id(Telegram, 5, 1), dead(), 7).await;
    scene.store.settle(alert_id(5), at(8)).await.unwrap();
    scene.open(9, 1..=1, BOTH).await;
    let hold = set(Collection::Deliveries, delivery_id(Email, 9, 1), doc! { "state": "held" });
    scene.store.write(vec![hold]).await.unwrap();
    let usage = scene.subscription(1).await.usage;
    let seq = scene.store.last_change().await.unwrap();

    let act = EraseUser { also: record(7), ..erase(1, 50) };
    let mut erased = scene.store.erase_user(act).await.unwrap();
    erased.settle.sort();
    let expected = ErasureOutcome {
        subscriptions_cancelled: 1,
        deliveries_dropped: 2,
        deliveries_cleaned: 6,
        audit_entries_cleaned: 3,
        answers_cleaned: 1,
        settle: vec![alert_id(9)],
    };
    assert_eq!(erased, expected);
    let dump = scene.dump().await;
    is_gone(&dump);
    let user: User = one(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!((user.status, user.profile.name.as_str()), (UserStatus::Inactive, "Erased"));
    assert_eq!(user.email, format!("erased-{}@erased.invalid", user_id(1)));
    assert_eq!(user.telegram.user_id, format!("erased:{}", user_id(1)));
    let kept = raw(&*scene.store, Collection::Users, user_id(1)).await;
    assert_eq!(kept.get_document("foreign").unwrap(), &foreign());
    assert!(kept.get_document("alertcast").unwrap().get_datetime("erasedAt").is_ok());
    let subscription = scene.subscription(1).await;
    assert_eq!(subscription.subscription.status, SubscriptionStatus::Cancelled);
    assert!(!subscription.subscription.auto_renew);
    // What was dropped is taken back, everything else stays.
    assert_eq!(subscription.usage.alerts_received.0, usage.alerts_received.0 - 1);
    assert_eq!(subscription.usage.trades_opened.0, usage.trades_opened.0 - 1);
    assert_eq!(scene.trade(1, 1).await.status, TradeStatus::Closed);
    let open = scene.trade(9, 1).await;
    assert_eq!((open.status, open.alertcast.unreached), (TradeStatus::Open, true));
    for channel in [Telegram, Email] {
        assert_eq!(scene.delivery(channel, 9, 1).await.state, S::Dropped);
    }
    assert_eq!(scene.delivery(Email, 5, 1).await.last_error.as_deref(), Some("550 <erased> is unknown"));
    let record = raw(&*scene.store, Collection::AuditLog, oid(20, 0, 1)).await;
    assert_eq!(record.get_document("before").unwrap(), &doc! { "profile": { "timezone": "UTC" } });
    assert!(find(&*scene.store, Collection::AuditLog, oid(20, 0, 7)).await.is_some());
    let answered = raw(&*scene.store, Collection::IdempotencyKeys, oid(21, 0, 1)).await;
    assert!(answered.get_bool("erased").unwrap() && answered.get_str("request").is_ok(), "that it was done stays");
    assert!(!answered.to_string().contains(&email(1)), "{answered}");
    let others = raw(&*scene.store, Collection::IdempotencyKeys, oid(21, 0, 2)).await;
    assert!(others.get_str("body").unwrap().contains(&email(2)));
    assert_eq!(scene.store.get(Collection::Users, &[user_id(2).0]).await.unwrap(), before_user);
    assert_eq!(scene.delivery(Email, 1, 2).await.to, email(2));
    let changed: Vec<_> = scene.store.changes_since(seq, 10).await.unwrap().iter().map(|change| change.id).collect();
    assert!(changed.contains(&user_id(1).0) && changed.contains(&subscription_id(1).0), "{changed:?}");
    invariants::check(&dump);
}

pub async fn a_person_who_is_not_as_the_caller_saw_them_is_not_erased(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let kept = raw(&*scene.store, Collection::Users, user_id(1)).await;
    let seen = vec![("updatedAt".to_owned(), kept.get("updatedAt").cloned().unwrap())];
    scene.store.write(vec![set(Collection::Users, user_id(1), doc! { "updatedAt": at(40) })]).await.unwrap();
    let before = scene.dump().await;
    let stale = EraseUser { also: record(1), expect: seen, ..erase(1, 50) };
    assert_eq!(scene.store.erase_user(stale).await, Err(StoreError::Conflict));
    before.assert_same(&scene.dump().await);
    let now = vec![("updatedAt".to_owned(), at(40).into()), ("alertcast.nothing".to_owned(), bson::Bson::Null)];
    scene.store.erase_user(EraseUser { expect: now, ..erase(1, 50) }).await.unwrap();
    is_gone(&scene.dump().await);
}

/// Ended messages to user 1, as many as one asks for.
async fn old_messages(scene: &TestScene, count: u32) {
    let message = |n: u32| {
        let mut message: Delivery = entry(Telegram, 100 + n, 1, 1);
        message.state = S::Sent;
        message.ended_at = Some(at(5));
        message.attempts = Count(1);
        message.key = delivery_key(
            message.cause,
            alertcast_core::delivery::DeliveryRecipient::User(user_id(1)),
            Telegram,
            message.kind,
            message.trade_id,
        );
        message
    };
    let messages: Vec<Delivery> = (1..=count).map(message).collect();
    scene.put_deliveries(&messages).await;
}

pub async fn many_old_messages_lose_their_recipient(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    old_messages(&scene, 1_203).await;
    let erased = scene.store.erase_user(erase(1, 50)).await.unwrap();
    assert_eq!((erased.deliveries_cleaned, erased.deliveries_dropped), (1_203, 0));
    let kept = scene.dump().await.all::<Delivery>(Collection::Deliveries);
    assert_eq!(kept.len(), 1_203);
    assert!(kept.iter().all(|message| message.to == ERASED && message.state == S::Sent));
}

pub async fn erasing_again_takes_away_what_has_come_since(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.store.erase_user(erase(1, 50)).await.unwrap();
    // A chunk that was planned before it knew.
    scene.open(60, 1..=1, TELEGRAM).await;
    let again = EraseUser { also: record(1), ..erase(1, 70) };
    let erased = scene.store.erase_user(again).await.unwrap();
    assert_eq!((erased.deliveries_dropped, erased.subscriptions_cancelled), (1, 0));
    assert!(find(&*scene.store, Collection::AuditLog, oid(20, 0, 1)).await.is_some());
    is_gone(&scene.dump().await);
}

pub async fn an_erasure_that_is_cut_off_goes_on_when_it_is_repeated(harness: &dyn StoreHarness) {
    let mut sequence = RandomSequence::new(31);
    let mut scene = TestScene::new(harness, 1).await;
    person(&scene).await;
    old_messages(&scene, 603).await;
    scene.open(1, 1..=1, BOTH).await;
    for n in 10..18 {
        let act = EraseUser { also: record(n), ..erase(1, 50) };
        let _ = cut_off(&mut sequence, scene.store.erase_user(act)).await;
        if n % 4 == 0 {
            scene.store = harness.reopen(scene.store).await;
        }
        let dump = StoreDump::when_quiet(&*scene.store).await;
        let user: User = one(&*scene.store, Collection::Users, user_id(1)).await;
        let is_erased = user.status == UserStatus::Inactive;
        assert_eq!(is_erased, scene.subscription(1).await.subscription.status == SubscriptionStatus::Cancelled);
        assert_eq!(is_erased, scene.delivery(Telegram, 1, 1).await.state == S::Dropped);
        let recorded = dump.documents(Collection::AuditLog).len();
        assert_eq!(is_erased, recorded > 3, "with the act's own record");
        if is_erased {
            is_gone(&dump);
        }
    }
    scene.store.erase_user(erase(1, 50)).await.unwrap();
    is_gone(&scene.dump().await);
}

pub async fn nobody_is_erased_who_is_not_there(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let before = scene.dump().await;
    let act = EraseUser { also: record(1), ..erase(99, 50) };
    assert_eq!(scene.store.erase_user(act).await, Err(StoreError::Conflict));
    before.assert_same(&scene.dump().await);
}

pub async fn a_message_that_is_being_sent_goes_on_without_its_recipient(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, BOTH).await;
    let ids: [DeliveryId; 2] = [Telegram, Email].map(|channel| delivery_id(channel, 1, 1));
    scene.take(Telegram, &ids[..1], 5).await;
    scene.take(Email, &ids[1..], 5).await;
    scene.store.erase_user(erase(1, 6)).await.unwrap();
    is_gone(&scene.dump().await);
    scene.record(Telegram, ids[0], sent_outcome(1), 7).await;
    scene.record(Email, ids[1], retry(9), 7).await;
    assert_eq!(scene.delivery(Telegram, 1, 1).await.state, S::Sent);
    let waiting = scene.delivery(Email, 1, 1).await;
    assert_eq!((waiting.state, waiting.to.as_str()), (S::Pending, ERASED));
}

pub async fn a_person_has_a_history_as_soon_as_something_is_kept(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let users: Vec<DocumentWrite> = (2..=6).map(|n| insert(Collection::Users, &user(n))).collect();
    scene.store.write(users).await.unwrap();
    let has = async |n: u32| scene.store.has_history(user_id(n)).await.unwrap();
    assert!(has(1).await, "a subscription");
    for n in 2..=6 {
        assert!(!has(n).await);
    }
    let mut message = entry(Telegram, 7, 1, 3);
    message.alert_id = None;
    let writes = vec![
        insert(Collection::Trades, &trade(7, 1, 2, 1, &[])),
        insert(Collection::Deliveries, &message),
        insert(Collection::Quotas, &quota(4, 1, 1)),
    ];
    scene.store.write(writes).await.unwrap();
    assert!(has(2).await && has(3).await && has(4).await);
    assert!(!has(5).await && !has(99).await);
    let gone = vec![DocumentWrite::Delete { collection: Collection::Users, id: user_id(5).0 }];
    scene.store.write(gone).await.unwrap();
    assert_eq!(find(&*scene.store, Collection::Users, user_id(5)).await, None::<Document>);
}

pub async fn a_person_is_erased_whatever_of_theirs_cannot_be_read(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let named = |by: u32, state: S| {
        let error = Some(format!("550 <{}> is unknown", email(1)));
        Delivery { state, last_error: error, ..entry(Email, by, 1, 1) }
    };
    let put = [named(11, S::Sent), named(12, S::Pending), named(13, S::Held), named(14, S::Sending)];
    scene.put_deliveries(&put).await;
    for one in &put {
        spoil(&scene, Collection::Deliveries, one.id, "facts", 5).await;
    }
    // An alert that names the address, and cannot be read either.
    scene.open(1, 1..=1, &[Email]).await;
    let refused = AttemptOutcome::Dead { error: format!("550 <{}> is unknown", email(1)), cause: DeathCause::Refused };
    scene.attempt(Email, delivery_id(Email, 1, 1), refused, 3).await;
    scene.store.settle(alert_id(1), at(4)).await.unwrap();
    spoil(&scene, Collection::Alerts, alert_id(1), "alertcast.cursor", "nobody").await;

    let erased = scene.store.erase_user(erase(1, 50)).await.unwrap();
    assert_eq!((erased.deliveries_cleaned, erased.deliveries_dropped), (5, 2));
    is_gone(&scene.dump().await);
    for (one, state) in put.iter().zip([S::Sent, S::Dropped, S::Dropped, S::Sending]) {
        let kept = raw(&*scene.store, Collection::Deliveries, one.id).await;
        assert_eq!((kept.get_str("state").unwrap(), kept.get_str("to").unwrap()), (state.as_str(), ERASED));
        assert_eq!(kept.get_datetime("endedAt").is_ok(), state == S::Dropped);
    }
}

pub async fn what_was_taken_back_is_not_taken_back_again_with_the_person(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.take(Telegram, &[delivery_id(Telegram, 1, 1)], 3).await;
    scene.close(5, 1, 1..=1, TELEGRAM).await;
    scene.record(Telegram, delivery_id(Telegram, 1, 1), dead(), 7).await;
    assert!(scene.take(Telegram, &[delivery_id(Telegram, 5, 1)], 8).await.is_empty());
    assert_eq!(scene.delivery(Telegram, 5, 1).await.state, S::Dropped, "its entry never arrived");
    let usage = scene.subscription(1).await.usage;
    assert_eq!(usage.alerts_received.0, 0);
    scene.store.erase_user(erase(1, 50)).await.unwrap();
    assert_eq!(scene.subscription(1).await.usage, usage);
}
