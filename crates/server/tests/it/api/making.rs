//! Each resource: made, read, listed, changed, deleted.

use alertcast_core::store::Collection;
use serde_json::{Value, json};

use super::office::{CONFIG, Office, config, hex, new_admin, numbered, plan, subscription, user};

/// Goes through the life of a document; answers it as it was made.
async fn life(office: &Office, path: &str, new: Value, change: Value) -> Value {
    let made = office.post(path, new).await.assert(201);
    let one = format!("{path}/{}", made.body["id"].as_str().unwrap());
    assert_eq!(made.header("location"), format!("/api/v1{one}"));
    let read = office.get(&one).await.assert(200);
    assert_eq!((&read.body, read.header("etag")), (&made.body, made.header("etag")));
    let list = office.get(path).await.assert(200);
    assert!(list.body["items"].as_array().unwrap().contains(&made.body), "{:#}", list.body);

    office.house.wait(1);
    let changed = office.patch(&one, change.clone()).await.assert(200);
    assert_ne!(changed.header("etag"), made.header("etag"));
    assert_ne!(changed.body["updatedAt"], made.body["updatedAt"]);
    assert_eq!(office.get(&one).await.assert(200).body, changed.body);
    let again = office.patch(&one, change).await.assert(200);
    assert_eq!(again.body, changed.body, "what changes nothing is not written");
    // What Alertcast keeps may be sent back as it came.
    assert_eq!(office.patch(&one, changed.body.clone()).await.assert(200).body, changed.body);

    office.delete(&one).await.assert(204);
    for method in ["GET", "PATCH", "DELETE"] {
        office.request(method, &one, &json!({})).send(&office.house).await.assert(404);
    }
    made.body
}

#[tokio::test]
async fn configurations() {
    let office = Office::new().await;
    let change =
        json!({"status": "testing", "validation": {"requiredFields": ["tp"]}, "alertcast": {"currency": "eur"}});
    let made = life(&office, "/alert-configurations", config("ethusdt"), change).await;
    insta::assert_snapshot!("configuration", numbered(&made));
}

#[tokio::test]
async fn plans() {
    let office = Office::new().await;
    let change = json!({"pricing": {"amount": 1499.5}, "metadata": {"tags": ["new"]}});
    let made = life(&office, "/subscription-plans", plan("Crypto"), change).await;
    insta::assert_snapshot!("plan", numbered(&made));
}

#[tokio::test]
async fn users() {
    let office = Office::new().await;
    let change = json!({"profile": {"phone": "+91 1"}, "telegram": {"chatId": null}});
    let made = life(&office, "/users", user(1), change).await;
    insta::assert_snapshot!("user", numbered(&made));
}

#[tokio::test]
async fn subscriptions() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let new = subscription(&customer.user, &customer.plan, "T2");
    let change = json!({"subscription": {"status": "cancelled"}, "alertcast": {"picks": [hex(CONFIG)]}});
    let made = life(&office, "/user-subscriptions", new, change).await;
    insta::assert_snapshot!("subscription", numbered(&made));
}

#[tokio::test]
async fn preferences() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let new = json!({
        "userId": customer.user, "subscriptionId": customer.subscription, "alertConfigId": hex(CONFIG),
        "preferences": {"customSettings": {"minPrice": 0.5}},
    });
    let change = json!({"preferences": {"enabled": false, "customSettings": {"minPrice": null, "maxPrice": 3}}});
    let made = life(&office, "/user-alert-preferences", new, change).await;
    insta::assert_snapshot!("preference", numbered(&made));
}

#[tokio::test]
async fn administrators() {
    let office = Office::new().await;
    let change = json!({"permissions": {"system": {"settings": true}}, "username": "Bobby"});
    let made = life(&office, "/admin-users", new_admin("Bob"), change).await;
    insta::assert_snapshot!("administrator", numbered(&made));
}

#[tokio::test]
async fn what_others_keep_in_a_document_survives_a_change() {
    let office = Office::new().await;
    let id = office.made("/users", user(1)).await;
    let of = bson::oid::ObjectId::parse_str(&id).unwrap();
    office.house.set(Collection::Users, of, bson::doc! { "__v": 3, "alertcast.theirs": "x" }).await;
    office.patch(&format!("/users/{id}"), json!({"status": "inactive", "alertcast": {"botId": 101}})).await.assert(200);
    let kept = office.house.only(Collection::Users).await;
    assert_eq!((kept.get_i32("__v").unwrap(), kept.get_str("status").unwrap()), (3, "inactive"));
    let ours = kept.get_document("alertcast").unwrap();
    assert_eq!((ours.get_str("theirs").unwrap(), ours.get_str("botId").unwrap()), ("x", "101"));
}

#[tokio::test]
async fn what_is_made_is_seen_by_the_next_alert() {
    let office = Office::new().await;
    office.made("/alert-configurations", config("SOLUSDT")).await;
    let found = office.house.app.audience.with(|audience| audience.configs().count());
    assert_eq!(found, 2);
}

#[tokio::test]
async fn a_configuration_whose_alerts_cannot_reach_everybody_in_time_warns() {
    let office = Office::with(|settings| {
        settings.telegram.limits.bot_per_second = std::num::NonZeroU32::MIN;
        settings.delivery.entry_deadline = Some(std::time::Duration::from_secs(1));
    })
    .await;
    let path = format!("/alert-configurations/{}", hex(CONFIG));
    for (n, warned) in [(1, false), (2, true)] {
        office.customer(n).await;
        let saved = office.patch(&path, json!({"description": format!("{n}")})).await.assert(200);
        let warning = saved.header("alertcast-warning");
        assert_eq!(warning.starts_with("2 subscribers at 1 messages a second"), warned, "{warning}");
        assert_eq!(warning.is_empty(), !warned);
    }
}
