//! Rules of [`Documents::signing_key`](alertcast_core::store::Documents::signing_key): one key a name, for good.

use std::collections::HashSet;

use bson::doc;

use super::StoreHarness;
use super::dump::StoreDump;
use super::scene::{at_once, doors};
use alertcast_core::store::{Collection, DocumentWrite, StoreError};

const NAME: &str = "unsubscribe";

pub async fn a_key_stays_as_it_was_first_given(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    assert_eq!(store.signing_key(NAME, [1; 32]).await, Ok([1; 32]));
    let before = StoreDump::of(&*store).await;
    assert_eq!(store.signing_key(NAME, [2; 32]).await, Ok([1; 32]));
    before.assert_same(&StoreDump::of(&*store).await);
    assert_eq!(store.signing_key("other", [3; 32]).await, Ok([3; 32]), "each name has its own");
    assert_eq!(store.signing_key(NAME, [3; 32]).await, Ok([1; 32]));
    assert_eq!(store.count(Collection::Secrets).await, Ok(2));
    assert_eq!(store.last_change().await, Ok(0), "the audience is not made of keys");
}

pub async fn of_first_calls_at_once_everybody_gets_one_key(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let callers = (1..=8_u8).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        // Every caller brings a key of its own.
        store.signing_key(NAME, [n; 32]).await.unwrap()
    });
    let answered: HashSet<[u8; 32]> = at_once(callers).await.into_iter().collect();
    assert_eq!(answered.len(), 1, "{answered:?}");
    let again = store.signing_key(NAME, [99; 32]).await.unwrap();
    assert!(answered.contains(&again));
}

pub async fn a_key_survives_a_crash_and_setting_up_again(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.signing_key(NAME, [1; 32]).await.unwrap();
    let store = harness.reopen(store).await;
    store.setup().await.unwrap();
    assert_eq!(store.signing_key(NAME, [2; 32]).await, Ok([1; 32]));
}

pub async fn what_is_kept_as_a_key_and_is_none_is_named_and_not_shown(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let document = doc! { "_id": NAME, "key": "hunter2" };
    store.write(vec![DocumentWrite::Insert { collection: Collection::Secrets, document }]).await.unwrap();
    let Err(StoreError::Corrupt(told)) = store.signing_key(NAME, [1; 32]).await else { panic!("it is no key") };
    assert!(told.contains(NAME) && !told.contains("hunter2"), "{told}");
}
