//! Requests at the same time.

use alertcast_core::store::Collection;
use futures::future::join_all;
use serde_json::json;

use super::office::{Office, subscription, user};
use crate::support::Post;

pub(super) fn statuses(answers: &[crate::support::Answer]) -> Vec<u16> {
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    statuses
}

/// Sends all of them at once, on tasks of their own.
pub(super) async fn at_once(office: &Office, posts: Vec<Post>) -> Vec<crate::support::Answer> {
    let sent = posts.into_iter().map(|post| tokio::spawn(post.through(office.house.router.clone())));
    join_all(sent).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_post_at_the_same_time_makes_one_document() {
    let office = Office::new().await;
    let posts = (0..6).map(|_| office.request("POST", "/users", &user(1)).header("idempotency-key", "k")).collect();
    let answers = at_once(&office, posts).await;
    assert_eq!(statuses(&answers), [201; 6]);
    for answer in &answers {
        assert_eq!(answer.body, answers[0].body);
        for header in ["etag", "location"] {
            assert_eq!(answer.header(header), answers[0].header(header));
        }
    }
    assert_eq!(office.house.all(Collection::Users).await.len(), 1);
    assert_eq!(office.house.all(Collection::AuditLog).await.len(), 1);
    let other = office.request("POST", "/users", &user(2)).header("idempotency-key", "k");
    assert_eq!(other.send(&office.house).await.assert(422).problems(), ["Idempotency-Key: taken"]);
    office.house.wait(24 * 60 * 60);
    let free = office.request("POST", "/users", &user(2)).header("idempotency-key", "k");
    free.send(&office.house).await.assert(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_six_active_subscriptions_at_once_five_are_made() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let buy = |n: u32| subscription(&customer.user, &customer.plan, &format!("N{n}"));
    let posts = (0..7).map(|n| office.request("POST", "/user-subscriptions", &buy(n))).collect();
    let answers = at_once(&office, posts).await;
    let all = office.house.all(Collection::UserSubscriptions).await;
    assert_eq!(all.len(), 5, "{:?}", statuses(&answers));
    for answer in answers {
        assert!([201, 409, 422].contains(&answer.status.as_u16()), "{:#}", answer.body);
    }
    let sixth = office.post("/user-subscriptions", buy(9)).await.assert(422);
    assert_eq!(sixth.problems(), ["subscription.status: invalid"]);
    // Changing one of the five is not a sixth.
    let path = format!("/user-subscriptions/{}", customer.subscription);
    office.patch(&path, json!({"subscription": {"autoRenew": true}})).await.assert(200);
    office.patch(&path, json!({"subscription": {"status": "expired"}})).await.assert(200);
    office.post("/user-subscriptions", buy(9)).await.assert(201);
    office.patch(&path, json!({"subscription": {"status": "active"}})).await.assert(422);
}

#[tokio::test]
async fn subscriptions_that_have_ended_take_none_of_the_five_places() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let dated = |n: u32, start: &str, end: &str| {
        let mut new = subscription(&customer.user, &customer.plan, &format!("D{n}"));
        new["subscription"]["startDate"] = json!(start);
        new["subscription"]["endDate"] = json!(end);
        new
    };
    let over = office.made("/user-subscriptions", dated(0, "2026-01-01", "2026-02-01")).await;
    for n in 1..=6 {
        office.made("/user-subscriptions", dated(n, "2026-01-01", "2026-02-01")).await;
    }
    for n in 7..=10 {
        office.made("/user-subscriptions", dated(n, "2026-11-01", "2027-11-01")).await;
    }
    let sixth = || office.post("/user-subscriptions", dated(11, "2026-11-01", "2027-11-01"));
    sixth().await.assert(422);
    // A renewal follows a running one of the same plan.
    office.made("/user-subscriptions", dated(12, "2027-11-01", "2028-11-01")).await;
    let over = format!("/user-subscriptions/{over}");
    office.patch(&over, json!({"subscription": {"endDate": "2027-01-01"}})).await.assert(422);
    office.house.wait(366 * 24 * 60 * 60);
    office.made("/user-subscriptions", dated(13, "2027-11-01", "2028-11-01")).await;
}

#[tokio::test]
async fn a_key_that_is_free_again_shows_nothing_of_its_former_use() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let trade = bson::oid::ObjectId::from_bytes([4; 12]);
    let id = |text: &str| bson::oid::ObjectId::parse_str(text).unwrap();
    let open = bson::doc! {
        "_id": trade, "tradeNumber": 1, "userId": id(&customer.user), "subscriptionId": id(&customer.subscription),
        "alertConfigId": bson::oid::ObjectId::from_bytes(super::office::CONFIG), "status": "open",
        "timestamps": { "openedAt": bson::Bson::from(crate::support::START) },
        "tradeData": {
            "symbol": "BTCUSDT", "timeframe": "1h", "strategy": "EMA Cross", "signal": "BUY", "entryPrice": 100.0,
        },
    };
    office.house.insert(Collection::Trades, open).await;
    let keyed = |method, path: String, body: serde_json::Value| {
        office.request(method, &path, &body).header("idempotency-key", "k").send(&office.house)
    };
    keyed("POST", format!("/trades/{trade}/close"), json!({"price": 105})).await.assert(200);
    office.house.wait(24 * 60 * 60);
    let made = keyed("POST", "/users".to_owned(), user(7)).await.assert(201);
    let again = keyed("POST", "/users".to_owned(), user(7)).await.assert(201);
    assert_eq!(again.body, made.body);
}

#[tokio::test]
async fn an_erased_person_does_not_come_back_by_a_key() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let keyed = |key: &str, path: &str, body: serde_json::Value| {
        office.request("POST", path, &body).header("idempotency-key", key).send(&office.house)
    };
    let without_history = keyed("a", "/users", user(8)).await.assert(201);
    let mut bought = subscription(&customer.user, &customer.plan, "K1");
    bought["payment"]["proofUrl"] = json!("https://example.com/face.png");
    keyed("b", "/user-subscriptions", bought.clone()).await.assert(201);
    office.delete(&format!("/users/{}", without_history.body["id"].as_str().unwrap())).await.assert(204);
    office.delete(&format!("/users/{}", customer.user)).await.assert(204);
    for (key, path, body) in [("a", "/users", user(8)), ("b", "/user-subscriptions", bought)] {
        let again = keyed(key, path, body).await.assert(409);
        assert_eq!(again.body["title"], "Erased");
    }
    let kept = format!("{:?}", office.house.all(Collection::IdempotencyKeys).await);
    for personal in ["u8@example.com", "face.png"] {
        assert!(!kept.contains(personal), "{kept}");
    }
    assert_eq!(office.house.all(Collection::Users).await.len(), 1, "the one with a history");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_different_fields_at_once_all_hold() {
    let office = Office::new().await;
    let path = format!("/users/{}", office.made("/users", user(1)).await);
    let changes = [
        json!({"status": "inactive"}),
        json!({"profile": {"phone": "1"}}),
        json!({"preferences": {"trading": {"maxDailyAlerts": 3}}}),
        json!({"telegram": {"username": "u"}}),
    ];
    let posts = changes.iter().map(|change| office.request("PATCH", &path, change)).collect();
    assert_eq!(statuses(&at_once(&office, posts).await), [200; 4]);
    let after = office.get(&path).await.assert(200).body;
    for change in &changes {
        let mut merged = after.clone();
        merge(&mut merged, change);
        assert_eq!(merged, after, "{change} was lost");
    }
    assert_eq!(office.house.all(Collection::AuditLog).await.len(), 5);
}

fn merge(into: &mut serde_json::Value, change: &serde_json::Value) {
    match change.as_object() {
        Some(fields) => fields.iter().for_each(|(name, value)| merge(&mut into[name.as_str()], value)),
        None => *into = change.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_changes_under_one_etag_one_holds() {
    let office = Office::new().await;
    let made = office.post("/users", user(1)).await.assert(201);
    let path = format!("/users/{}", made.body["id"].as_str().unwrap());
    let change = |n: u32| {
        let change = json!({"profile": {"phone": n.to_string()}});
        office.request("PATCH", &path, &change).header("if-match", made.header("etag"))
    };
    let answers = at_once(&office, (0..4).map(change).collect()).await;
    assert_eq!(statuses(&answers), [200, 412, 412, 412]);
}
