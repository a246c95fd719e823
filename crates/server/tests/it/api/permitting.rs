//! Who may do what: every route of the declaration.

use alertcast::http::api::{Needs, ROUTES, Route};
use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use bson::oid::ObjectId;
use bson::{Bson, doc};
use serde_json::json;

use super::office::{ADMIN, Office, TOKEN, hex};
use crate::support::{Answer, Post, START};

/// The route's address, of a document that does not exist.
fn path(route: &Route) -> String {
    route.path.replace("{id}", &hex([1; 12]))
}

fn method(route: &Route) -> &'static str {
    ["GET", "POST", "PATCH", "DELETE"].into_iter().find(|name| route.method.as_str() == *name).unwrap()
}

async fn knock(office: &Office, route: &Route) -> Answer {
    office.request(method(route), &path(route), &json!({})).send(&office.house).await
}

#[tokio::test]
async fn each_route_takes_exactly_its_permission() {
    let office = Office::new().await;
    for missing in Permission::ALL {
        office.permit(|one| one != *missing).await;
        for route in ROUTES.iter() {
            let answer = knock(&office, route).await;
            let refused = route.needs == Needs::Permission(*missing);
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
    let path = format!("/user-subscriptions/{}", customer.subscription);
    for change in [json!({"status": "rejected"}), json!({"approvedAt": null}), json!({"rejectionReason": "no"})] {
        office.patch(&path, json!({"payment": change})).await.assert(403);
    }
    office.patch(&path, json!({"subscription": {"autoRenew": true}})).await.assert(200);
    let mut new = super::office::subscription(&customer.user, &customer.plan, "T9");
    office.post("/user-subscriptions", new.clone()).await.assert(403);
    new["payment"]["status"] = json!("pending");
    office.post("/user-subscriptions", new).await.assert(201);
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
