//! Rules of [`Documents::write`](alertcast_core::store::Documents::write): unique fields, references, and all or nothing.

use bson::{Document, doc};

use super::StoreHarness;
use super::dump::StoreDump;
use super::scene::{at_once, doors, insert, people, set};
use alertcast_core::admin::{Admin, AdminProfile, AdminStatus, LoginSecurity, PasswordHash, Permissions};
use alertcast_core::delivery::Channel;
use alertcast_core::fixtures::*;
use alertcast_core::store::{Collection, DocumentWrite, StoreError, document};

pub async fn an_id_is_given_once(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let mut other = user(2);
    other.id = user_id(1);
    let answer = store.write(vec![insert(Collection::Users, &other)]).await;
    assert!(matches!(answer, Err(StoreError::AlreadyExists { collection: Collection::Users, .. })), "{answer:?}");
}

pub async fn every_unique_index_refuses_a_second_document_and_names_its_field(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut writes = people_and_others();
    writes.extend(pairs().into_iter().map(|pair| pair.first));
    store.write(writes).await.unwrap();
    for pair in pairs() {
        let before = StoreDump::of(&*store).await;
        for index in pair.collection.indexes().iter().filter(|index| index.unique) {
            let mut second = pair.second.clone();
            for (path, _) in index.keys {
                copy_path(first_of(&pair.first), &mut second, path);
            }
            let write = DocumentWrite::Insert { collection: pair.collection, document: second };
            refused_for(store.write(vec![write]).await, pair.collection, index.keys[0].0);
            before.assert_same(&StoreDump::of(&*store).await);
        }
        let count = store.count(pair.collection).await.unwrap();
        let write = DocumentWrite::Insert { collection: pair.collection, document: pair.second };
        store.write(vec![write]).await.unwrap();
        assert_eq!(store.count(pair.collection).await, Ok(count + 1), "unlike in all of them");
    }
}

pub async fn an_update_to_a_taken_value_is_refused(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(2, 2)).await.unwrap();
    let before = StoreDump::of(&*store).await;
    for (write, collection, field) in [
        (set(Collection::Users, user_id(1), doc! { "email": email(2) }), Collection::Users, "email"),
        (set(Collection::Users, user_id(1), doc! { "telegram.userId": chat(2) }), Collection::Users, "telegram.userId"),
        (
            set(Collection::AlertConfigurations, config_id(1), doc! { "symbol": "SYM2" }),
            Collection::AlertConfigurations,
            "symbol",
        ),
        (
            set(Collection::UserAlertPreferences, preference_id(1, 1), doc! { "userId": user_id(2) }),
            Collection::UserAlertPreferences,
            "userId",
        ),
    ] {
        refused_for(store.write(vec![write]).await, collection, field);
        before.assert_same(&StoreDump::of(&*store).await);
    }
}

pub async fn a_document_does_not_stand_in_its_own_way(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let same = doc! { "email": email(1), "telegram.userId": chat(1), "status": "inactive" };
    store.write(vec![set(Collection::Users, user_id(1), same)]).await.unwrap();
}

pub async fn a_value_is_unique_within_one_list_of_writes(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut second = user(2);
    second.email = email(1);
    let writes = vec![insert(Collection::Users, &user(1)), insert(Collection::Users, &second)];
    refused_for(store.write(writes).await, Collection::Users, "email");
    assert_eq!(store.count(Collection::Users).await, Ok(0));
}

pub async fn a_deleted_documents_values_are_free_in_the_same_list(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(vec![insert(Collection::Users, &user(1))]).await.unwrap();
    let mut successor = user(2);
    successor.email = email(1);
    let delete = DocumentWrite::Delete { collection: Collection::Users, id: user_id(1).0 };
    store.write(vec![delete, insert(Collection::Users, &successor)]).await.unwrap();
    assert_eq!(store.count(Collection::Users).await, Ok(1));
}

pub async fn of_inserts_with_one_value_at_once_one_succeeds(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let doors = doors(harness, &store, 2).await;
    let inserts = (1..=8).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        let mut same = user(n);
        same.email = email(99);
        store.write(vec![insert(Collection::Users, &same)]).await
    });
    let answers = at_once(inserts).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for answer in answers.into_iter().filter(Result::is_err) {
        refused_for(answer, Collection::Users, "email");
    }
}

pub async fn a_transaction_id_is_used_once_whatever_its_case(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(3, 1)).await.unwrap();
    let key = |key: &str| doc! { "alertcast.transactionKey": key };
    store.write(vec![set(Collection::UserSubscriptions, subscription_id(1), key("upi-1"))]).await.unwrap();
    let before = StoreDump::of(&*store).await;
    // Of another document, of two in one list, and of a new one.
    let taken = vec![set(Collection::UserSubscriptions, subscription_id(2), key("upi-1"))];
    let both = [2, 3].map(|n| set(Collection::UserSubscriptions, subscription_id(n), key("upi-2"))).to_vec();
    let mut new = subscription(7);
    new.user_id = user_id(2);
    new.alertcast.transaction_key = Some("upi-1".to_owned());
    for writes in [taken, both, vec![insert(Collection::UserSubscriptions, &new)]] {
        refused_for(store.write(writes).await, Collection::UserSubscriptions, "payment.transactionId");
        before.assert_same(&StoreDump::of(&*store).await);
    }
    let found = store.find_unique(Collection::UserSubscriptions, &[("alertcast.transactionKey", "upi-1".into())]).await;
    assert_eq!(found.unwrap().unwrap().get_object_id("_id").unwrap(), subscription_id(1).0);
    // Its own is no other's, and one that is free again is free.
    store.write(vec![set(Collection::UserSubscriptions, subscription_id(1), key("upi-1"))]).await.unwrap();
    store.write(vec![set(Collection::UserSubscriptions, subscription_id(1), key("upi-3"))]).await.unwrap();
    store.write(vec![insert(Collection::UserSubscriptions, &new)]).await.unwrap();
}

pub async fn of_two_uses_of_a_transaction_id_at_once_one_succeeds(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(6, 1)).await.unwrap();
    let doors = doors(harness, &store, 2).await;
    let uses = (1..=6).zip(doors.into_iter().cycle()).map(|(n, store)| async move {
        let key = doc! { "alertcast.transactionKey": "upi-1" };
        store.write(vec![set(Collection::UserSubscriptions, subscription_id(n), key)]).await
    });
    let answers = at_once(uses).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for answer in answers.into_iter().filter(Result::is_err) {
        refused_for(answer, Collection::UserSubscriptions, "payment.transactionId");
    }
}

pub async fn every_reference_must_lead_somewhere(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people_and_others()).await.unwrap();
    let before = StoreDump::of(&*store).await;
    let nowhere = oid(99, 0, 1);
    let mut seen = 0;
    for pair in pairs() {
        for reference in pair.collection.references() {
            let mut dangling = pair.second.clone();
            if matches!(dangling.get(reference.field), Some(bson::Bson::Array(_))) {
                dangling.insert(reference.field, vec![config_id(1).0, nowhere]);
            } else {
                dangling.insert(reference.field, nowhere);
            }
            let write = DocumentWrite::Insert { collection: pair.collection, document: dangling };
            let missing = StoreError::MissingReference {
                collection: pair.collection,
                field: reference.field.to_owned(),
                id: nowhere,
            };
            assert_eq!(store.write(vec![write]).await, Err(missing));
            before.assert_same(&StoreDump::of(&*store).await);
            seen += 1;
        }
    }
    assert_eq!(seen, 8, "the suite has a document for each collection with references");
}

pub async fn an_update_to_a_reference_that_leads_nowhere_is_refused(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    let before = StoreDump::of(&*store).await;
    let nowhere = oid(99, 0, 1);
    for (collection, id, field, value) in [
        (Collection::UserSubscriptions, subscription_id(1).0, "subscriptionPlanId", bson::Bson::from(nowhere)),
        (
            Collection::SubscriptionPlans,
            plan_id(1).0,
            "alertConfigurations",
            bson::Bson::from(vec![config_id(1).0, nowhere]),
        ),
    ] {
        let answer = store.write(vec![set(collection, id, doc! { field: value })]).await;
        let missing = StoreError::MissingReference { collection, field: field.to_owned(), id: nowhere };
        assert_eq!(answer, Err(missing));
        before.assert_same(&StoreDump::of(&*store).await);
    }
}

pub async fn references_may_lead_to_earlier_writes_but_not_to_later_ones(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    let mut writes = people(1, 1);
    // The subscription before its user.
    let at_user = position(&writes, Collection::Users);
    let user = writes.remove(at_user);
    writes.push(user);
    let answer = store.write(writes).await;
    let missing = StoreError::MissingReference {
        collection: Collection::UserSubscriptions,
        field: "userId".to_owned(),
        id: user_id(1).0,
    };
    assert_eq!(answer, Err(missing));
    store.write(people(1, 1)).await.unwrap();
}

pub async fn a_reference_to_what_an_earlier_write_deleted_is_refused(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 1)).await.unwrap();
    store.write(vec![insert(Collection::Users, &user(2))]).await.unwrap();
    let delete = DocumentWrite::Delete { collection: Collection::Users, id: user_id(2).0 };
    let writes = vec![delete, insert(Collection::UserSubscriptions, &subscription(2))];
    let missing = StoreError::MissingReference {
        collection: Collection::UserSubscriptions,
        field: "userId".to_owned(),
        id: user_id(2).0,
    };
    assert_eq!(store.write(writes).await, Err(missing));
    assert_eq!(store.count(Collection::Users).await, Ok(2));
}

pub async fn what_is_referred_to_is_not_deleted(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(1, 2)).await.unwrap();
    let delete = |collection, id: bson::oid::ObjectId| DocumentWrite::Delete { collection, id };
    let before = StoreDump::of(&*store).await;
    for (collection, id, by, field) in [
        (Collection::Users, user_id(1).0, Collection::UserSubscriptions, "userId"),
        (Collection::SubscriptionPlans, plan_id(1).0, Collection::UserSubscriptions, "subscriptionPlanId"),
        (Collection::UserSubscriptions, subscription_id(1).0, Collection::UserAlertPreferences, "subscriptionId"),
    ] {
        let refused = StoreError::MissingReference { collection: by, field: field.to_owned(), id };
        assert_eq!(store.write(vec![delete(collection, id)]).await, Err(refused));
    }
    // An element of a list refers too, where nothing else does.
    let preference = delete(Collection::UserAlertPreferences, preference_id(2, 1).0);
    let config = delete(Collection::AlertConfigurations, config_id(2).0);
    let refused = StoreError::MissingReference {
        collection: Collection::SubscriptionPlans,
        field: "alertConfigurations".to_owned(),
        id: config_id(2).0,
    };
    assert_eq!(store.write(vec![preference.clone(), config.clone()]).await, Err(refused));
    before.assert_same(&StoreDump::of(&*store).await);
    let plan = set(Collection::SubscriptionPlans, plan_id(1), doc! { "alertConfigurations": [config_id(1)] });
    store.write(vec![preference, plan, config]).await.unwrap();
    assert_eq!(store.count(Collection::AlertConfigurations).await, Ok(1));
}

pub async fn of_a_list_with_one_bad_write_nothing_happens(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(2, 1)).await.unwrap();
    let good = || {
        vec![
            insert(Collection::Users, &user(5)),
            set(Collection::Users, user_id(1), doc! { "status": "suspended" }),
            DocumentWrite::Delete { collection: Collection::UserAlertPreferences, id: preference_id(1, 2).0 },
            insert(Collection::Alerts, &alert(1, 1)),
        ]
    };
    let mut same_email = user(6);
    same_email.email = email(1);
    let mut nowhere = subscription(5);
    nowhere.subscription_plan_id = plan_id(99);
    let failed_expectation = DocumentWrite::Update {
        collection: Collection::Users,
        id: user_id(2).0,
        set: doc! { "status": "active" },
        unset: Vec::new(),
        expect: vec![("status".to_owned(), "suspended".into())],
    };
    let before = StoreDump::of(&*store).await;
    for bad in [
        insert(Collection::Users, &same_email),
        insert(Collection::UserSubscriptions, &nowhere),
        insert(Collection::Users, &user(1)),
        set(Collection::Users, user_id(99), doc! { "status": "active" }),
        failed_expectation,
    ] {
        let mut writes = good();
        writes.push(bad.clone());
        let answer = store.write(writes).await;
        assert!(answer.is_err(), "{bad:?}");
        before.assert_same(&StoreDump::of(&*store).await);
    }
    store.write(good()).await.unwrap();
}

/// A document that is kept, and one unlike it in every unique field.
struct DocumentPair {
    collection: Collection,
    first: DocumentWrite,
    second: Document,
}

/// Two users with everything, and two who have nothing yet.
fn people_and_others() -> Vec<DocumentWrite> {
    let mut writes = people(2, 2);
    writes.extend((3..=4).map(|n| insert(Collection::Users, &user(n))));
    writes
}

/// One pair for each collection with unique fields or references. They refer to [`people_and_others`].
fn pairs() -> Vec<DocumentPair> {
    let pair = |collection, first: Document, second: Document| DocumentPair {
        collection,
        first: DocumentWrite::Insert { collection, document: first },
        second,
    };
    let subscribed = |n: u32| {
        let mut subscription = subscription(n);
        subscription.user_id = user_id(1);
        document(&subscription).unwrap()
    };
    let preferred = |n: u32, config: u32, user: u32| {
        let mut preference = preference(config, user);
        preference.id = preference_id(9, n);
        preference.subscription_id = subscription_id(1);
        document(&preference).unwrap()
    };
    let traded = |n: u32| document(&trade(n, 1, 1, i64::from(n), &[])).unwrap();
    let delivered = |n: u32| document(&entry(Channel::Telegram, n, 1, 1)).unwrap();
    let of = |n: u32| document(&user(n)).unwrap();
    vec![
        pair(Collection::Users, of(11), of(12)),
        pair(Collection::SubscriptionPlans, plan_document(11), plan_document(12)),
        pair(Collection::AlertConfigurations, configuration_document(11), configuration_document(12)),
        pair(Collection::UserSubscriptions, subscribed(11), subscribed(12)),
        pair(Collection::UserAlertPreferences, preferred(1, 1, 3), preferred(2, 2, 4)),
        pair(Collection::Trades, traded(11), traded(12)),
        pair(Collection::AdminUsers, administrator(1), administrator(2)),
        pair(Collection::Deliveries, delivered(11), delivered(12)),
        pair(Collection::Decisions, decision_document(11), decision_document(12)),
    ]
}

/// A chunk of decisions as a backup brings it back.
fn decision_document(n: u32) -> Document {
    let users = (user_id(n), user_id(n + 5));
    doc! {
        "_id": oid(15, 0, n), "alertId": alert_id(n), "firstUser": users.0, "lastUser": users.1,
        "decisions": [{ "u": users.0, "v": "disabled" }],
    }
}

fn plan_document(n: u32) -> Document {
    document(&plan(n, &[config_id(1)])).unwrap()
}

/// Unlike the others in each of its three names.
fn configuration_document(n: u32) -> Document {
    let mut configuration = document(&config(n)).unwrap();
    configuration.insert("strategy", format!("Strategy {n}"));
    configuration
}

fn administrator(n: u32) -> Document {
    let admin = Admin {
        id: admin_id(n),
        username: format!("admin{n}"),
        email: format!("admin{n}@example.com"),
        password: PasswordHash("$2b$10$abcdefghijklmnopqrstuv".to_owned()),
        profile: AdminProfile { first_name: "Ada".to_owned(), last_name: "Min".to_owned(), phone: None },
        permissions: Permissions::default(),
        status: AdminStatus::Active,
        security: LoginSecurity::default(),
        created_at: at(0),
        updated_at: at(0),
    };
    document(&admin).unwrap()
}

fn first_of(write: &DocumentWrite) -> &Document {
    match write {
        DocumentWrite::Insert { document, .. } => document,
        other => panic!("{other:?} inserts nothing"),
    }
}

fn position(writes: &[DocumentWrite], of: Collection) -> usize {
    let inserts =
        |write: &DocumentWrite| matches!(write, DocumentWrite::Insert { collection, .. } if *collection == of);
    writes.iter().position(inserts).unwrap()
}

/// Copies the value at a dotted path.
fn copy_path(from: &Document, to: &mut Document, path: &str) {
    match path.split_once('.') {
        None => {
            to.insert(path, from.get(path).unwrap().clone());
        }
        Some((first, rest)) => copy_path(from.get_document(first).unwrap(), to.get_document_mut(first).unwrap(), rest),
    }
}

/// Fails unless the write was refused for a field of the index whose first key this is. A compound index is named by
/// its keys, joined by a comma.
#[track_caller]
fn refused_for(answer: Result<(), StoreError>, collection: Collection, first_key: &str) {
    let index = collection.indexes().iter().find(|index| index.unique && index.keys[0].0 == first_key).unwrap();
    let keys: Vec<_> = index.keys.iter().map(|(path, _)| *path).collect();
    let want = StoreError::AlreadyExists { collection, field: keys.join(", ") };
    assert_eq!(answer, Err(want));
}
