//! Rules of lists: [`Documents::list`](alertcast_core::store::Documents::list).

use bson::oid::ObjectId;
use bson::{Bson, doc};

use super::StoreHarness;
use super::scene::{insert, people, set};
use alertcast_core::fixtures::*;
use alertcast_core::store::listing::{EXAMINED_MAX, MomentRange, SearchedText};
use alertcast_core::store::{Collection, DocumentWrite, ListQuery, Store};

fn users(sort: &'static str, descending: bool, limit: usize) -> ListQuery {
    ListQuery { sort, descending, limit, ..ListQuery::all_of(Collection::Users) }
}

/// All pages of a list, each as the ids that it holds.
async fn pages(store: &dyn Store, mut query: ListQuery) -> Vec<Vec<ObjectId>> {
    let mut pages = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.documents.len() <= query.limit());
        pages.push(page.documents.iter().map(|found| found.get_object_id("_id").unwrap()).collect());
        query.after = page.next;
        if query.after.is_none() {
            return pages;
        }
        assert!(pages.len() < 1_000, "the list has no end");
    }
}

async fn store_of(harness: &dyn StoreHarness, count: u32) -> std::sync::Arc<dyn Store> {
    let store = harness.fresh().await;
    store.write((1..=count).map(|n| insert(Collection::Users, &user(n))).collect()).await.unwrap();
    store
}

pub async fn the_pages_of_a_list_hold_every_document_once_in_order(harness: &dyn StoreHarness) {
    let store = store_of(harness, 7).await;
    let up: Vec<ObjectId> = (1..=7).map(|n| user_id(n).0).collect();
    for limit in [1, 3, 7, 8] {
        let found = pages(&*store, users("_id", false, limit)).await;
        assert_eq!(found.concat(), up, "{limit} a page");
        assert!(found.iter().all(|page| !page.is_empty()), "no page is empty");
        let down: Vec<ObjectId> = up.iter().rev().copied().collect();
        assert_eq!(pages(&*store, users("_id", true, limit)).await.concat(), down, "{limit} a page, downwards");
    }
}

pub async fn documents_of_one_moment_are_listed_by_id(harness: &dyn StoreHarness) {
    let store = store_of(harness, 9).await;
    for n in 1..=9 {
        let moment = doc! { "createdAt": Bson::from(at(i64::from(n / 4))) };
        store.write(vec![set(Collection::Users, user_id(n), moment)]).await.unwrap();
    }
    let up: Vec<ObjectId> = (1..=9).map(|n| user_id(n).0).collect();
    let down: Vec<ObjectId> = up.iter().rev().copied().collect();
    for limit in [1, 2, 5] {
        assert_eq!(pages(&*store, users("createdAt", false, limit)).await.concat(), up);
        assert_eq!(pages(&*store, users("createdAt", true, limit)).await.concat(), down);
    }
}

pub async fn a_list_holds_what_all_its_filters_let_through(harness: &dyn StoreHarness) {
    let store = store_of(harness, 6).await;
    for n in [2, 4, 5] {
        let change = doc! { "status": "suspended", "telegram.chatId": if n == 4 { "a" } else { "b" } };
        store.write(vec![set(Collection::Users, user_id(n), change)]).await.unwrap();
    }
    let by = |filters: Vec<(&'static str, Bson)>| ListQuery { filters, ..users("_id", false, 2) };
    let suspended = ("status", Bson::from("suspended"));
    let found = pages(&*store, by(vec![suspended.clone()])).await;
    assert_eq!(found.concat(), [2, 4, 5].map(|n| user_id(n).0));
    let both = by(vec![suspended, ("telegram.chatId", "b".into())]);
    assert_eq!(pages(&*store, both).await.concat(), [2, 5].map(|n| user_id(n).0));
    let none = by(vec![("email", "nobody@example.com".into())]);
    assert_eq!(pages(&*store, none).await.concat(), []);
}

pub async fn a_list_by_a_moment_leaves_out_what_has_none(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    store.write(people(3, 1)).await.unwrap();
    let unset = DocumentWrite::Update {
        collection: Collection::UserSubscriptions,
        id: subscription_id(2).0,
        set: doc! {},
        unset: vec!["subscription.endDate".to_owned()],
        expect: Vec::new(),
    };
    store.write(vec![unset]).await.unwrap();
    let query = ListQuery { sort: "subscription.endDate", ..ListQuery::all_of(Collection::UserSubscriptions) };
    assert_eq!(pages(&*store, query).await.concat(), [1, 3].map(|n| subscription_id(n).0));
}

pub async fn a_list_between_two_moments_holds_what_lies_between_them(harness: &dyn StoreHarness) {
    let store = store_of(harness, 9).await;
    for n in 1..=8 {
        let status = if n % 2 == 0 { "suspended" } else { "active" };
        let moment = doc! { "createdAt": Bson::from(at(i64::from(n / 2))), "status": status };
        store.write(vec![set(Collection::Users, user_id(n), moment)]).await.unwrap();
    }
    store.write(vec![set(Collection::Users, user_id(9), doc! { "createdAt": Bson::Null })]).await.unwrap();
    // The moments of 1 to 8: 0 1 1 2 2 3 3 4.
    let table: [(Option<i64>, Option<i64>, &[u32]); 6] = [
        (Some(1), Some(3), &[2, 3, 4, 5]),
        (Some(2), None, &[4, 5, 6, 7, 8]),
        (None, Some(2), &[1, 2, 3]),
        (Some(2), Some(2), &[]),
        (Some(3), Some(2), &[]),
        (None, None, &[1, 2, 3, 4, 5, 6, 7, 8]),
    ];
    for (from, before, expected) in table {
        let range = MomentRange { from: from.map(at), before: before.map(at) };
        let up: Vec<ObjectId> = expected.iter().map(|n| user_id(*n).0).collect();
        let down: Vec<ObjectId> = up.iter().rev().copied().collect();
        for limit in [1, 2, 10] {
            let by = |descending| ListQuery { range, ..users("createdAt", descending, limit) };
            assert_eq!(pages(&*store, by(false)).await.concat(), up, "{range:?}, {limit} a page");
            assert_eq!(pages(&*store, by(true)).await.concat(), down, "{range:?}, {limit} a page, downwards");
            let few = ListQuery { filters: vec![("status", "suspended".into())], ..by(false) };
            let even: Vec<ObjectId> = expected.iter().filter(|n| **n % 2 == 0).map(|n| user_id(*n).0).collect();
            assert_eq!(pages(&*store, few).await.concat(), even, "{range:?}, {limit} a page, suspended");
        }
    }
}

pub async fn a_list_of_few_may_lie_between_moments_too(harness: &dyn StoreHarness) {
    let store = store_of(harness, 4).await;
    for n in 1..=4 {
        let moment = doc! { "createdAt": Bson::from(at(i64::from(n))), "telegram.chatId": "one" };
        store.write(vec![set(Collection::Users, user_id(n), moment)]).await.unwrap();
    }
    let range = MomentRange { from: Some(at(2)), before: Some(at(4)) };
    let filters = vec![("telegram.chatId", Bson::from("one"))];
    for (descending, expected) in [(false, [2, 3]), (true, [3, 2])] {
        let query = ListQuery { filters: filters.clone(), range, ..users("createdAt", descending, 1) };
        assert_eq!(pages(&*store, query).await.concat(), expected.map(|n| user_id(n).0));
    }
}

pub async fn a_search_finds_a_user_by_a_part_of_a_name_an_address_or_a_telegram_account(harness: &dyn StoreHarness) {
    let store = store_of(harness, 5).await;
    for (n, name, email, telegram, username) in [
        (1, "Asha Rao", "asha@example.com", "55501", Some("ash_trades")),
        (2, "Ravi Menon", "ravi@asha-capital.in", "55502", None),
        (3, "ÉLODIE", "e@example.com", "80001", Some("Asha_fan")),
        (4, "Bo", "bo@example.com", "80002", None),
    ] {
        let change = doc! {
            "profile.name": name, "email": email, "telegram.userId": telegram, "telegram.username": username,
            "status": if n == 3 { "suspended" } else { "active" },
        };
        store.write(vec![set(Collection::Users, user_id(n), change)]).await.unwrap();
    }
    let search = |text: &str, limit| ListQuery { search: SearchedText::new(text), ..users("_id", false, limit) };
    let table: [(&str, &[u32]); 8] = [
        ("ASHA", &[1, 2, 3]),
        (" rao ", &[1]),
        ("élodie", &[3]),
        ("5550", &[1, 2]),
        ("@ash_trades", &[1]),
        ("bo@EXAMPLE.com", &[4]),
        ("capital", &[2]),
        (".*", &[]),
    ];
    for (text, expected) in table {
        let expected: Vec<ObjectId> = expected.iter().map(|n| user_id(*n).0).collect();
        for limit in [1, 2, 10] {
            assert_eq!(pages(&*store, search(text, limit)).await.concat(), expected, "{text:?}, {limit} a page");
        }
    }
    let active = ListQuery { filters: vec![("status", "active".into())], ..search("asha", 10) };
    assert_eq!(pages(&*store, active).await.concat(), [1, 2].map(|n| user_id(n).0));
    let by_address = ListQuery { sort: "email", descending: true, ..search("asha", 10) };
    assert_eq!(pages(&*store, by_address).await.concat(), [2, 3, 1].map(|n| user_id(n).0));
}

pub async fn a_search_looks_at_a_bounded_number_of_documents(harness: &dyn StoreHarness) {
    let count = u32::try_from(EXAMINED_MAX).unwrap() + 10;
    let store = store_of(harness, count).await;
    store.write(vec![set(Collection::Users, user_id(count), doc! { "profile.name": "Sought" })]).await.unwrap();
    let query = ListQuery { search: SearchedText::new("sought"), ..users("_id", false, 5) };
    let first = store.list(&query).await.unwrap();
    assert_eq!((first.documents.len(), first.next.is_some()), (0, true), "there is more to look at");
    assert_eq!(pages(&*store, query).await.concat(), [user_id(count).0]);
}

pub async fn a_page_looks_at_a_bounded_number_of_documents(harness: &dyn StoreHarness) {
    let count = u32::try_from(EXAMINED_MAX).unwrap() + 10;
    let store = store_of(harness, count).await;
    let last = set(Collection::Users, user_id(count), doc! { "telegram.username": "x", "status": "inactive" });
    store.write(vec![last]).await.unwrap();
    // By a moment, no index helps with the status.
    let query = ListQuery { filters: vec![("status", "inactive".into())], ..users("createdAt", false, 5) };
    let first = store.list(&query).await.unwrap();
    assert_eq!(first.documents.len(), 0);
    assert!(first.next.is_some(), "there is more to look at");
    assert_eq!(pages(&*store, query).await.concat(), [user_id(count).0]);
}

pub async fn a_list_that_is_not_declared_is_an_error(harness: &dyn StoreHarness) {
    let store = harness.fresh().await;
    assert!(store.list(&users("profile.name", false, 5)).await.is_err());
}
