//! Rules of the change log: what the audience in memory is kept true by.

use alertcast_core::fixtures::{blocked_outcome, dead, sent_outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::doc;
use bson::oid::ObjectId;

use super::StoreHarness;
use super::scene::{TELEGRAM, TestScene, at_once, doors, insert, opening_commit, people, set};
use alertcast_core::delivery::Channel;
use alertcast_core::fixtures::*;
use alertcast_core::store::{AudienceChange, Collection, DocumentWrite, Store};

pub async fn changes_of_the_audience_are_logged_in_their_order(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let start = store.last_change().await.unwrap();
    assert_eq!(store.changes_since(start, 10).await, Ok(Vec::new()));
    store.write(people(1, 1)).await.unwrap();
    let delete = DocumentWrite::Delete { collection: Collection::UserAlertPreferences, id: preference_id(1, 1).0 };
    store.write(vec![set(Collection::Users, user_id(1), doc! { "status": "inactive" })]).await.unwrap();
    store.write(vec![delete]).await.unwrap();
    let changes = store.changes_since(start, 100).await.unwrap();
    let named: Vec<_> = changes.iter().map(|change| (change.collection, change.id)).collect();
    assert_eq!(
        named,
        [
            (Collection::AlertConfigurations, config_id(1).0),
            (Collection::SubscriptionPlans, plan_id(1).0),
            (Collection::Users, user_id(1).0),
            (Collection::UserSubscriptions, subscription_id(1).0),
            (Collection::UserAlertPreferences, preference_id(1, 1).0),
            (Collection::Users, user_id(1).0),
            (Collection::UserAlertPreferences, preference_id(1, 1).0),
        ]
    );
    assert!(changes.iter().all(|change| change.seq > start));
    assert!(changes.is_sorted_by(|a, b| a.seq < b.seq));
    assert_eq!(store.last_change().await, Ok(changes[6].seq));
    let tail = store.changes_since(changes[2].seq, 2).await.unwrap();
    assert_eq!(tail, changes[3..5]);
}

pub async fn changes_of_other_documents_are_not_logged(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let end = store.last_change().await;
    let writes = vec![
        insert(Collection::Trades, &trade(1, 1, 1, 1, &[])),
        insert(Collection::Alerts, &alert(1, 1)),
        insert(Collection::Deliveries, &entry(Channel::Telegram, 1, 1, 1)),
        insert(Collection::Quotas, &quota(1, 1, 1)),
        set(Collection::Trades, trade_id(1, 1), doc! { "metadata.notes": "seen" }),
    ];
    store.write(writes).await.unwrap();
    assert_eq!(store.last_change().await, end);
}

pub async fn counters_are_no_change_of_the_audience(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 2).await;
    let end = scene.store.last_change().await;
    scene.open(1, 1..=2, TELEGRAM).await;
    let id = |user| delivery_id(Channel::Telegram, 1, user);
    scene.attempt(Channel::Telegram, id(1), sent_outcome(1), 3).await;
    scene.attempt(Channel::Telegram, id(2), dead(), 3).await;
    scene.store.settle(alert_id(1), at(4)).await.unwrap();
    assert_eq!(scene.store.last_change().await, end);
}

pub async fn a_blocked_chat_is_a_change_of_the_user(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    let end = scene.store.last_change().await.unwrap();
    scene.open(1, 1..=1, TELEGRAM).await;
    scene.attempt(Channel::Telegram, delivery_id(Channel::Telegram, 1, 1), blocked_outcome(1), 3).await;
    let changes = scene.store.changes_since(end, 10).await.unwrap();
    let named: Vec<_> = changes.iter().map(|change| (change.collection, change.id)).collect();
    assert_eq!(named, [(Collection::Users, user_id(1).0)]);
}

pub async fn the_log_goes_on_after_a_crash(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(2, 1)).await.unwrap();
    let end = store.last_change().await.unwrap();
    let store = harness.reopen(store).await;
    assert_eq!(store.last_change().await, Ok(end));
    store.write(vec![insert(Collection::Users, &user(9))]).await.unwrap();
    let next = store.changes_since(end, 10).await.unwrap();
    assert_eq!(next.iter().map(|change| change.id).collect::<Vec<_>>(), [user_id(9).0]);
}

/// Who tails the log by the last number seen must not miss a change that becomes visible late.
pub async fn who_tails_the_log_misses_nothing(harness: &dyn StoreHarness) {
    const WRITERS: u32 = 6;
    const WRITES: u32 = 12;
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let done = Arc::new(AtomicBool::new(false));
    let tail = tokio::spawn(tail(Arc::clone(&store), Arc::clone(&done)));
    let writers = (0..WRITERS).zip(doors.into_iter().cycle()).map(|(writer, store)| async move {
        for n in 0..WRITES {
            let user = user(writer * WRITES + n);
            store.write(vec![insert(Collection::Users, &user)]).await.unwrap();
        }
    });
    at_once(writers).await;
    done.store(true, Ordering::SeqCst);
    let mut seen: Vec<ObjectId> = tail.await.unwrap().into_iter().map(|change| change.id).collect();
    seen.sort();
    assert_eq!(seen, (0..WRITERS * WRITES).map(|n| user_id(n).0).collect::<Vec<_>>());
}

/// A commit between two writes of others leaves no hole either.
pub async fn a_chunk_that_fails_leaves_nothing_in_the_log(harness: &dyn StoreHarness) {
    let scene = TestScene::new(harness, 1).await;
    scene.accept(1, 1).await;
    let end = scene.store.last_change().await;
    let mut chunk = opening_commit(&scene.work, 1, 1, 1..=1, TELEGRAM);
    chunk.cursor_seen = Some(user_id(5));
    assert!(scene.store.commit(chunk).await.is_err());
    let mut same = user(2);
    same.email = email(1);
    assert!(scene.store.write(vec![insert(Collection::Users, &same)]).await.is_err());
    assert_eq!(scene.store.last_change().await, end);
}

pub async fn what_is_purged_of_the_log_is_what_lies_before_and_its_last_entry_stays(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    assert_eq!((store.first_change().await, store.purge_changes(5, 10).await), (Ok(None), Ok(false)));
    store.write(people(3, 1)).await.unwrap();
    let all = store.changes_since(0, 100).await.unwrap();
    let (end, kept) = (store.last_change().await.unwrap(), all.len() - 4);
    assert_eq!(store.first_change().await, Ok(Some(all[0].seq)));
    assert_eq!(store.purge_changes(all[4].seq, 3).await, Ok(true));
    assert_eq!(store.purge_changes(all[4].seq, 3).await, Ok(false));
    assert_eq!(store.first_change().await, Ok(Some(all[4].seq)));
    let left = store.changes_since(0, 100).await.unwrap();
    assert_eq!((left.len(), &left[..]), (kept, &all[4..]));
    assert_eq!(store.purge_changes(i64::MAX, 100).await, Ok(false));
    assert_eq!(store.changes_since(0, 100).await.as_deref(), Ok(&all[all.len() - 1..]));
    let store = harness.reopen(store).await;
    assert_eq!(store.last_change().await, Ok(end));
    store.write(vec![set(Collection::Users, user_id(1), doc! { "status": "inactive" })]).await.unwrap();
    assert_eq!(store.last_change().await, Ok(end + 1), "the numbers go on");
}

/// Reads on from the last number seen, until the writers are done and nothing more comes.
async fn tail(store: Arc<dyn Store>, done: Arc<AtomicBool>) -> Vec<AudienceChange> {
    let mut seen: Vec<AudienceChange> = Vec::new();
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let after = seen.last().map_or(i64::MIN, |change| change.seq);
        let next = store.changes_since(after, 5).await.unwrap();
        if next.is_empty() && was_done {
            return seen;
        }
        seen.extend(next);
        tokio::task::yield_now().await;
    }
}
