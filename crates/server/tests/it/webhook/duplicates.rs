//! A resend is answered with the first alert, and changes nothing.

use alertcast::operator::{RehearsedRequest, rehearse};
use alertcast_core::store::Collection;
use bson::doc;
use bson::oid::ObjectId;
use serde_json::json;

use crate::support::{House, Post, buy};

#[tokio::test]
async fn a_resend_within_ten_minutes_is_a_duplicate_however_old_it_is_by_then() {
    let house = House::new().await;
    let first = Post::buy(json!({})).send(&house).await.assert(202);
    for wait in [5, 5, 289, 300] {
        house.wait(wait);
        let again = Post::buy(json!({})).send(&house).await.assert(200);
        assert_eq!(again.body, json!({"alertId": first.alert(), "duplicate": true}));
    }
    assert_eq!(house.kept().await, (1, 0));
    house.wait(2);
    let late = Post::buy(json!({})).send(&house).await.assert(422);
    assert_eq!(late.problems(), ["timestamp: stale"]);
}

#[tokio::test]
async fn without_a_timestamp_a_resend_counts_for_three_quarters_of_a_minute() {
    let house = House::new().await;
    let undated = || Post::buy(json!({"timestamp": null}));
    let first = undated().send(&house).await.assert(202);
    house.wait(44);
    assert_eq!(undated().send(&house).await.assert(200).alert(), first.alert());
    house.wait(1);
    let next = undated().send(&house).await.assert(202);
    assert_ne!(next.alert(), first.alert());
}

#[tokio::test]
async fn another_body_another_query_or_another_secret_is_another_alert() {
    let other = "another-secret-of-the-tests";
    let house = House::with(|settings| settings.webhook.secrets.push(other.into())).await;
    Post::buy(json!({})).send(&house).await.assert(202);
    Post::buy(json!({"note": "x"})).send(&house).await.assert(202);
    Post::buy(json!({})).query("a=1").send(&house).await.assert(202);
    Post::buy(json!({})).to(&format!("/webhook/{other}")).send(&house).await.assert(202);
    assert_eq!(house.kept().await, (4, 0));
}

#[tokio::test]
async fn an_alert_id_is_remembered_for_a_day_for_its_configuration_and_signal() {
    let house = House::new().await;
    let alert =
        |n: i64, signal: &str| Post::buy(json!({"alert_id": "a-1", "n": n, "signal": signal, "timestamp": null}));
    let first = alert(1, "BUY").send(&house).await.assert(202);
    house.wait(23 * 3600);
    assert_eq!(alert(2, "BUY").send(&house).await.assert(200).alert(), first.alert());
    alert(3, "TP_HIT").send(&house).await.assert(202);
    house.wait(3600);
    alert(4, "BUY").send(&house).await.assert(202);
}

#[tokio::test]
async fn a_resend_of_an_accepted_alert_is_one_though_its_configuration_is_inactive_now() {
    let house = House::new().await;
    let first = Post::buy(json!({})).send(&house).await.assert(202);
    house.set(Collection::AlertConfigurations, ObjectId::from_bytes([3; 12]), doc! {"status": "inactive"}).await;
    house.app.audience.catch_up(&*house.app.store).await.unwrap();
    assert_eq!(Post::buy(json!({})).send(&house).await.assert(200).alert(), first.alert());
    Post::buy(json!({"note": "new"})).send(&house).await.assert(422);
}

#[tokio::test]
async fn a_refused_alert_is_judged_anew() {
    let house = House::new().await;
    let wrong = || Post::buy(json!({"tp": 1}));
    wrong().send(&house).await.assert(422);
    wrong().send(&house).await.assert(422);
    assert_eq!(house.kept().await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_equal_requests_at_once_one_is_stored() {
    let house = House::new().await;
    let requests = (0..40).map(|_| tokio::spawn(Post::buy(json!({})).through(house.router.clone())));
    let mut accepted = Vec::new();
    let mut named = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.unwrap();
        named.push(answer.alert().to_owned());
        if answer.status == 202 {
            accepted.push(answer.alert().to_owned());
        } else {
            answer.assert(200);
        }
    }
    assert_eq!(accepted.len(), 1);
    assert!(named.iter().all(|alert| *alert == accepted[0]));
    assert_eq!(house.kept().await, (1, 0));
}

#[tokio::test]
async fn a_rehearsal_knows_a_resend_exactly_where_the_webhook_does() {
    let other = "another-secret-of-the-tests";
    let house = House::with(|settings| settings.webhook.secrets.push(other.into())).await;
    let (dated, undated) = (json!({}), json!({"timestamp": null, "signal": "TP_HIT"}));
    let steps = [
        (0, &dated, "", 202),
        (0, &undated, "", 202),
        (5, &dated, "", 200),
        (5, &undated, "", 200),
        (0, &dated, "a=1", 202),
        (0, &json!({"note": "x"}), "", 202),
        (0, &json!({"alert_id": "a-1"}), "", 202),
        (0, &json!({"alert_id": "a-1", "n": 2}), "", 200),
        (0, &json!({"symbol": "NOTHING"}), "", 422),
        (40, &undated, "", 202),
        // Too old for its rules by now, and known all the same.
        (549, &dated, "", 200),
        (2, &dated, "", 422),
    ];
    for (wait, changes, query, status) in steps {
        house.wait(wait);
        let told = rehearse(&house.app, buy(changes.clone()).as_bytes(), query).await.unwrap();
        let path = format!("/webhook/{other}");
        let answer = Post::buy(changes.clone()).to(&path).query(query).send(&house).await.assert(status);
        match told {
            RehearsedRequest::Duplicate { of } => {
                assert_eq!((status, answer.alert()), (200, of.to_string().as_str()), "{changes}")
            }
            RehearsedRequest::Accepted { .. } => assert_eq!(status, 202, "{changes}"),
            RehearsedRequest::Refused { .. } => assert_eq!(status, 422, "{changes}"),
            RehearsedRequest::Unreadable(why) => panic!("{changes}: {why}"),
        }
    }
}
