//! Who may do what: every route of the declaration.

use alertcast::http::api::{ApiRoute, ROUTES, RoutePermission};
use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use bson::oid::ObjectId;
use bson::{Bson, doc};
use serde_json::json;

use super::office::{ADMIN, Office, TOKEN, hex};
use crate::support::{Answer, Post, START};

/// The route's address, of a document that does not exist.
fn path(route: &ApiRoute) -> String {
    route.path.replace("{id}", &hex([1; 12]))
}

fn method(route: &ApiRoute) -> &'static str {
    ["GET", "POST", "PATCH", "DELETE"].into_iter().find(|name| route.method.as_str() == *name).unwrap()
}

async fn knock(office: &Office, route: &ApiRoute) -> Answer {
    office.request(method(route), &path(route), &json!({})).send(&office.house).await
}

#[tokio::test]
async fn each_route_takes_exactly_its_permission() {
    let office = Office::new().await;
    for missing in Permission::ALL {
        office.permit(|one| one != *missing).await;
        for route in ROUTES.iter() {
            let answer = knock(&office, route).await;
            let refused = route.needs == RoutePermission::Permission(*missing);
            let what = format!("{} {} without {missing}: {:#}", route.method, route.path, answer.body);
            assert_eq!(answer.status == 403, refused, "{what}");
            if refused {
                assert!(answer.body["detail"].as_str().unwrap().contains(missing.as_str()), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn with_every_permission_every_route_opens_and_without_a_token_none() {
    let office = Office::new().await;
    for route in ROUTES.iter() {
        let answer = knock(&office, route).await;
        assert!(![401, 403, 405].contains(&answer.status.as_u16()), "{} {}", route.method, route.path);
        assert!(answer.status.as_u16() < 500, "{} {}", route.method, route.path);
        assert_eq!(answer.header("cache-control"), "no-store");
        for token in [None, Some("Bearer "), Some("Bearer act_00"), Some("Basic YTpi"), Some("act_00")] {
            let mut post = Post::body("{}").by(method(route)).to(&format!("/api/v1{}", path(route)));
            if let Some(token) = token {
                post = post.header("authorization", token);
            }
            let answer = post.send(&office.house).await.assert(401);
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(answer.header("cache-control"), "no-store");
        }
    }
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_sleeps_with_its_administrator() {
    let office = Office::new().await;
    let admin = ObjectId::from_bytes(ADMIN);
    for status in ["inactive", "suspended"] {
        office.house.set(Collection::AdminUsers, admin, doc! { "status": status }).await;
        office.get("/me").await.assert(401);
    }
    office.house.set(Collection::AdminUsers, admin, doc! { "status": "active" }).await;
    let end = START + std::time::Duration::from_secs(60);
    office.house.set(Collection::ApiTokens, ObjectId::from_bytes(TOKEN), doc! { "expiresAt": Bson::from(end) }).await;
    office.get("/me").await.assert(200);
    office.house.wait(60);
    office.get("/me").await.assert(401);
}

#[tokio::test]
async fn approving_a_payment_takes_a_permission_of_its_own() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    office.permit(|one| one != Permission::SubscriptionsApprove).await;
    office.house.wait(1);
    let path = format!("/user-subscriptions/{}", customer.subscription);
    for change in [
        json!({"payment": {"status": "rejected"}}),
        json!({"payment": {"status": "pending"}, "subscription": {"status": "pending"}}),
        json!({"payment": {"approvedAt": null}}),
        json!({"payment": {"approvedAt": "2199-01-01"}}),
        json!({"payment": {"approvedBy": customer.user}}),
        json!({"payment": {"rejectionReason": "no"}}),
        json!({"payment": {"transactionId": "another"}}),
        json!({"subscription": {"endDate": "2199-01-01"}}),
        json!({"subscription": {"startDate": "2026-01-01"}}),
        json!({"subscription": {"autoRenew": true, "endDate": "2199-01-01"}}),
    ] {
        let refused = office.patch(&path, change.clone()).await;
        assert_eq!(refused.status, 403, "{change} {:#}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains("subscriptions.approve"), "{:#}", refused.body);
    }
    // What makes it shorter, or says nothing of it.
    for change in [
        json!({"subscription": {"autoRenew": true}}),
        json!({"payment": {"proofUrl": "https://example.com/proof"}}),
        json!({"subscription": {"endDate": "2027-10-01"}}),
        json!({"subscription": {"status": "cancelled"}}),
    ] {
        office.patch(&path, change).await.assert(200);
    }
    office.patch(&path, json!({"subscription": {"status": "active"}})).await.assert(403);
    let mut new = super::office::subscription(&customer.user, &customer.plan, "T9");
    office.post("/user-subscriptions", new.clone()).await.assert(403);
    new["subscription"]["status"] = json!("pending");
    office.post("/user-subscriptions", new.clone()).await.assert(403);
    new["payment"]["status"] = json!("pending");
    let pending = office.made("/user-subscriptions", new).await;
    let path = format!("/user-subscriptions/{pending}");
    office.patch(&path, json!({"payment": {"transactionId": "T10"}})).await.assert(200);
    // Neither a pending payment nor an editor makes it active.
    office.patch(&path, json!({"subscription": {"status": "active"}})).await.assert(422);
    let both = json!({"payment": {"status": "approved"}, "subscription": {"status": "active"}});
    office.patch(&path, both).await.assert(403);
}

#[tokio::test]
async fn who_may_approve_alone_approves_rejects_and_changes_nothing_else() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let mut new = super::office::subscription(&customer.user, &customer.plan, "T9");
    new["payment"]["status"] = json!("pending");
    new["subscription"] = json!({});
    let path = format!("/user-subscriptions/{}", office.made("/user-subscriptions", new).await);
    office.permit(|one| one == Permission::SubscriptionsApprove).await;
    let approval = json!({
        "payment": {"status": "approved"},
        "subscription": {"status": "active", "startDate": "2026-11-22", "endDate": "2026-12-22"},
    });
    let approved = office.patch(&path, approval).await.assert(200).body;
    assert_eq!(approved["alertcast"]["approvedByAdmin"], hex(ADMIN));
    for change in [
        json!({"payment": {"transactionId": "T11"}}),
        json!({"payment": {"proofUrl": "https://example.com/proof"}}),
        json!({"subscription": {"autoRenew": true}}),
        json!({"payment": {"status": "rejected", "method": "other"}}),
        json!({"alertcast": {"picks": [hex(super::office::CONFIG)]}}),
    ] {
        let refused = office.patch(&path, change.clone()).await;
        assert_eq!(refused.status, 403, "{change} {:#}", refused.body);
        assert!(refused.body["detail"].as_str().unwrap().contains("subscriptions.edit"), "{:#}", refused.body);
    }
    office.patch(&path, json!({"payment": {"status": "rejected", "rejectionReason": "no money"}})).await.assert(200);
    office.post("/user-subscriptions", json!({})).await.assert(403);
    office.delete(&path).await.assert(403);
}

#[tokio::test]
async fn a_token_has_its_allowance_and_gets_it_back_with_time() {
    let office = Office::with_requests(3).await;
    for _ in 0..3 {
        office.get("/me").await.assert(200);
    }
    assert_eq!(office.get("/me").await.assert(429).header("retry-after"), "20");
    office.house.wait(20);
    office.get("/me").await.assert(200);
}

#[tokio::test]
async fn who_has_no_right_token_is_limited_by_address_before_it_is_looked_up() {
    let office = Office::new().await;
    // The first time, nobody knows yet that it is right.
    office.get("/me").await.assert(200);
    let guess =
        |n: u32| Post::body("").by("GET").to("/api/v1/me").header("authorization", &format!("Bearer guess-{n}"));
    for n in 1..300 {
        guess(n).send(&office.house).await.assert(401);
    }
    let answer = guess(300).send(&office.house).await.assert(429);
    assert!(answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
    office.get("/me").await.assert(200);
    guess(301).from("198.51.100.99").send(&office.house).await.assert(401);
}
