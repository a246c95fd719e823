//! Changes: what is written, under which condition, and what is noted about it.

use alertcast_core::store::Collection;
use bson::Document;
use serde_json::json;

use super::office::{ADMIN, Office, hex, new_admin, plan, user};

#[tokio::test]
async fn if_match_lets_only_the_first_of_two_pass() {
    let office = Office::new().await;
    let made = office.post("/users", user(1)).await.assert(201);
    let (path, tag) = (format!("/users/{}", made.body["id"].as_str().unwrap()), made.header("etag").to_owned());
    let patch = |status: &str| {
        office.request("PATCH", &path, &json!({"status": status})).header("if-match", &tag).send(&office.house)
    };
    patch("inactive").await.assert(200);
    patch("suspended").await.assert(412);
    let delete = office.request("DELETE", &path, &json!(null)).header("if-match", "*");
    delete.send(&office.house).await.assert(204);
}

#[tokio::test]
async fn a_price_that_changed_does_not_stand_against_other_changes() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let price = json!({"pricing": {"amount": 1999}});
    office.patch(&format!("/subscription-plans/{}", customer.plan), price).await.assert(200);
    let path = format!("/user-subscriptions/{}", customer.subscription);
    office.patch(&path, json!({"subscription": {"autoRenew": true}})).await.assert(200);
    let answer = office.patch(&path, json!({"payment": {"amount": 998}})).await.assert(422);
    assert_eq!(answer.problems(), ["payment.amount: invalid"]);
}

#[tokio::test]
async fn who_approves_is_noted_with_the_payment() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let mut new = super::office::subscription(&customer.user, &customer.plan, "T2");
    new["payment"]["status"] = json!("pending");
    let path = format!("/user-subscriptions/{}", office.made("/user-subscriptions", new).await);
    office.house.wait(5);
    let approved = office.patch(&path, json!({"payment": {"status": "approved"}})).await.assert(200).body;
    assert_eq!(approved["payment"]["approvedAt"], "2026-11-22T10:00:05.000Z");
    assert_eq!(approved["alertcast"]["approvedByAdmin"], hex(ADMIN));
}

async fn log(office: &Office) -> Vec<Document> {
    office.house.all(Collection::AuditLog).await
}

#[tokio::test]
async fn every_change_has_an_entry_in_the_audit_log_and_no_secret_is_in_it() {
    let office = Office::new().await;
    let made = office.made("/admin-users", new_admin("bob")).await;
    let path = format!("/admin-users/{made}");
    let change = json!({"password": "another long password", "status": "inactive"});
    let patch = office.request("PATCH", &path, &change).header("x-reason", "they left").send(&office.house);
    patch.await.assert(200);
    office.patch(&path, change["status"].as_str().map(|status| json!({"status": status})).unwrap()).await.assert(200);
    office.delete(&path).await.assert(204);

    let log = log(&office).await;
    let told: Vec<(&str, &str)> =
        log.iter().map(|entry| (entry.get_str("action").unwrap(), entry.get_str("collection").unwrap())).collect();
    assert_eq!(told, [("create", "admin_users"), ("update", "admin_users"), ("delete", "admin_users")]);
    for entry in &log {
        assert_eq!(entry.get_object_id("documentId").unwrap().to_hex(), made);
        assert_eq!(entry.get_str("username").unwrap(), "chief");
        assert_eq!(entry.get_str("ipAddress").unwrap(), "198.51.100.7");
        assert!(!entry.to_string().contains("$2b$"), "{entry}");
        assert!(!entry.to_string().contains("long password"), "{entry}");
    }
    let (before, after) = (log[1].get_document("before").unwrap(), log[1].get_document("after").unwrap());
    assert_eq!((before.get_str("status").unwrap(), after.get_str("status").unwrap()), ("active", "inactive"));
    assert_eq!(log[1].get_str("reason").unwrap(), "they left");
    assert_eq!(log[2].get_document("before").unwrap().get_str("username").unwrap(), "bob");
    let shown = office.get("/audit-log?action=update").await.assert(200).body;
    assert_eq!(shown["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_leaves_no_trace() {
    let office = Office::new().await;
    office.made("/subscription-plans", plan("P")).await;
    let before = log(&office).await.len();
    office.post("/subscription-plans", plan("P")).await.assert(409);
    office.post("/subscription-plans", json!({})).await.assert(422);
    assert_eq!(log(&office).await.len(), before);
}
