//! Administrators and their tokens.

use alertcast_core::store::Collection;
use alertcast_core::token::{TOKEN_BYTES, token_text};
use serde_json::json;

use super::office::{ADMIN, Office, TOKEN, admin, hex, kept_token, new_admin};

#[tokio::test]
async fn nobody_locks_themselves_out() {
    let office = Office::new().await;
    let me = format!("/admin-users/{}", hex(ADMIN));
    office.delete(&me).await.assert(409);
    office.patch(&me, json!({"permissions": {"system": {"settings": false}}})).await.assert(409);
    office.patch(&me, json!({"status": "suspended"})).await.assert(409);
    office.patch(&me, json!({"permissions": {"system": {"logs": false}}})).await.assert(200);
    office.get("/me").await.assert(200);
}

#[tokio::test]
async fn a_password_goes_in_and_only_its_hash_is_kept() {
    let office = Office::new().await;
    let made = office.post("/admin-users", new_admin("bob")).await.assert(201).body;
    assert_eq!(made.get("password"), None);
    let id = made["id"].as_str().unwrap();
    let kept = async || {
        let all = office.house.all(Collection::AdminUsers).await;
        all.into_iter().find(|admin| admin.get_object_id("_id").unwrap().to_hex() == id).unwrap()
    };
    let first = kept().await.get_str("password").unwrap().to_owned();
    assert!(first.starts_with("$2b$12$") && bcrypt::verify("correct horse battery", &first).unwrap());
    office.patch(&format!("/admin-users/{id}"), json!({"profile": {"phone": "1"}})).await.assert(200);
    assert_eq!(kept().await.get_str("password").unwrap(), first);
    let changed = json!({"password": "another long password"});
    let shown = office.patch(&format!("/admin-users/{id}"), changed).await.assert(200).body;
    assert_eq!(shown["security"]["passwordChangedAt"], "2026-11-22T10:00:00.000Z");
    let second = kept().await.get_str("password").unwrap().to_owned();
    assert!(bcrypt::verify("another long password", &second).unwrap());
}

#[tokio::test]
async fn tokens_are_their_owners_and_end_with_them() {
    let office = Office::new().await;
    let other = token_text([1; TOKEN_BYTES]);
    office.house.insert(Collection::AdminUsers, admin([5; 12], "other")).await;
    office.house.insert(Collection::ApiTokens, kept_token([6; 12], [5; 12], &other)).await;

    let mine = office.get("/api-tokens").await.assert(200).body;
    assert_eq!(mine["items"].as_array().unwrap().len(), 1);
    assert_eq!(mine["items"][0]["id"], hex(TOKEN));
    assert_eq!(mine["items"][0].get("digest"), None);
    let theirs = format!("/api-tokens?adminId={}", hex([5; 12]));
    assert_eq!(office.get(&theirs).await.assert(200).body["items"][0]["id"], hex([6; 12]));
    office.permit(|one| one.as_str() != "system.settings").await;
    office.get(&theirs).await.assert(403);
    office.delete(&format!("/api-tokens/{}", hex([6; 12]))).await.assert(404);
    office.permit(|_| true).await;

    office.delete(&format!("/admin-users/{}", hex([5; 12]))).await.assert(204);
    assert_eq!(office.house.all(Collection::ApiTokens).await.len(), 1);
    office.delete(&format!("/api-tokens/{}", hex(TOKEN))).await.assert(204);
    office.get("/me").await.assert(401);
}

#[tokio::test]
async fn me_tells_who_and_what() {
    let office = Office::new().await;
    office.permit(|one| one.as_str() == "users.view").await;
    let me = office.get("/me").await.assert(200).body;
    assert_eq!(me["admin"]["username"], "chief");
    assert_eq!(me["permissions"], json!(["users.view"]));
    assert!(!me.to_string().contains("$2b$"));
}
