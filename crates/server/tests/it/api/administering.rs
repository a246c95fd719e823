//! Administrators and their tokens.

use alertcast_core::store::Collection;
use alertcast_core::token::{TOKEN_BYTES, token_text};
use serde_json::json;

use super::office::{ADMIN, Office, TOKEN, admin, hex, kept_token, new_admin};
use crate::support::Post;

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

#[tokio::test]
async fn a_token_ends_with_a_change_of_its_administrators_password() {
    let office = Office::new().await;
    let (other, theirs) = ([5; 12], token_text([1; TOKEN_BYTES]));
    office.house.insert(Collection::AdminUsers, admin(other, "other")).await;
    office.house.insert(Collection::ApiTokens, kept_token([6; 12], other, &theirs)).await;
    let ask = |token: &str| {
        let bearer = format!("Bearer {token}");
        Post::body("").by("GET").to("/api/v1/me").header("authorization", &bearer).send(&office.house)
    };
    ask(&theirs).await.assert(200);
    let path = format!("/admin-users/{}", hex(other));
    office.patch(&path, json!({"profile": {"phone": "1"}})).await.assert(200);
    ask(&theirs).await.assert(200);
    office.patch(&path, json!({"password": "another long password"})).await.assert(200);
    ask(&theirs).await.assert(401);
    assert_eq!(office.house.all(Collection::ApiTokens).await.len(), 1, "it is not listed any more");
    office.get("/me").await.assert(200);
    // Changed by another application, or made while it was changed.
    let id = bson::oid::ObjectId::from_bytes(ADMIN);
    let change = |seconds: u64| {
        let at = crate::support::START + std::time::Duration::from_secs(seconds);
        office.house.set(Collection::AdminUsers, id, bson::doc! { "security.passwordChangedAt": bson::Bson::from(at) })
    };
    change(0).await;
    office.get("/me").await.assert(200);
    change(1).await;
    office.get("/me").await.assert(401);
}

#[tokio::test]
async fn who_is_turned_away_is_counted_by_why() {
    let office = Office::with_requests(6).await;
    let other = token_text([1; TOKEN_BYTES]);
    office.house.insert(Collection::AdminUsers, admin([5; 12], "other")).await;
    office.house.insert(Collection::ApiTokens, kept_token([6; 12], [5; 12], &other)).await;
    let set = async |collection, id: [u8; 12], set| {
        office.house.set(collection, bson::oid::ObjectId::from_bytes(id), set).await;
    };
    let ask =
        |token: &str| Post::body("").by("GET").to("/api/v1/me").header("authorization", token).send(&office.house);
    ask("nothing").await.assert(401);
    ask("Bearer act_00").await.assert(401);
    let bearer = format!("Bearer {other}");
    let twice = Post::body("").by("GET").to("/api/v1/me").header("authorization", &bearer);
    twice.header("authorization", &bearer).send(&office.house).await.assert(401);
    set(Collection::AdminUsers, [5; 12], bson::doc! { "status": "suspended" }).await;
    ask(&bearer).await.assert(401);
    set(Collection::ApiTokens, [6; 12], bson::doc! { "expiresAt": bson::Bson::from(crate::support::START) }).await;
    ask(&bearer).await.assert(401);
    office.permit(|_| false).await;
    office.get("/users").await.assert(403);
    while office.get("/me").await.status != 429 {}
    let told = Post::body("").by("GET").to("/metrics").from("127.0.0.1").send(&office.house).await.text;
    for (reason, count) in [
        ("no_token", 2),
        ("unknown_token", 1),
        ("expired_token", 1),
        ("inactive_administrator", 1),
        ("password_changed", 0),
        ("not_permitted", 1),
        ("too_many_requests", 1),
    ] {
        let line = format!("alertcast_api_refused_total{{reason=\"{reason}\"}} {count}");
        assert!(told.contains(&line), "{line}: {told}");
    }
}
