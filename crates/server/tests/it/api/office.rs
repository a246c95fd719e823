//! A house with an administrator and their token.

use std::num::NonZeroU32;

use alertcast::settings::Settings;
use alertcast_core::admin::Permission;
use alertcast_core::store::Collection;
use alertcast_core::token::{TOKEN_BYTES, TokenDigest, token_text};
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::{Value, json};

use crate::support::{Answer, House, Post, START};

/// The administrator's id.
pub(super) const ADMIN: [u8; 12] = [7; 12];
/// The token's id.
pub(super) const TOKEN: [u8; 12] = [8; 12];
/// The id of the configuration that a house has.
pub(super) const CONFIG: [u8; 12] = [3; 12];

/// A house whose API is used.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) house: House,
    pub(super) token: String,
}

impl Office {
    /// An administrator with every permission.
    pub(super) async fn new() -> Self {
        Self::with_requests(1_000_000).await
    }

    /// The same, with so many requests a minute.
    pub(super) async fn with_requests(a_minute: u32) -> Self {
        let a_minute = NonZeroU32::new(a_minute).unwrap();
        Self::with(|settings| settings.api.requests_a_minute = a_minute).await
    }

    /// The same, with other settings.
    pub(super) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let house = House::with(change).await;
        let token = token_text([9; TOKEN_BYTES]);
        house.insert(Collection::AdminUsers, admin(ADMIN, "chief")).await;
        house.insert(Collection::ApiTokens, kept_token(TOKEN, ADMIN, &token)).await;
        Self { house, token }
    }

    /// Takes permissions away, or gives them.
    pub(super) async fn permit(&self, held: impl Fn(Permission) -> bool) {
        let set: Document =
            Permission::ALL.iter().map(|one| (format!("permissions.{one}"), Bson::Boolean(held(*one)))).collect();
        self.house.set(Collection::AdminUsers, ObjectId::from_bytes(ADMIN), set).await;
    }

    /// A request with the token.
    pub(super) fn request(&self, method: &'static str, path: &str, body: &Value) -> Post {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(method, path, body).header("content-type", "application/json")
    }

    /// The same, with any body.
    pub(super) fn raw(&self, method: &'static str, path: &str, body: String) -> Post {
        let token = format!("Bearer {}", self.token);
        Post::body(body).by(method).to(&format!("/api/v1{path}")).header("authorization", &token)
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &Value::Null).send(&self.house).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.request("POST", path, &body).send(&self.house).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.request("PATCH", path, &body).send(&self.house).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, &Value::Null).send(&self.house).await
    }

    /// Makes a document that must be accepted; answers its id.
    pub(super) async fn made(&self, path: &str, body: Value) -> String {
        let answer = self.post(path, body).await.assert(201);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// A plan, a user, and a subscription of the one to the other.
    pub(super) async fn customer(&self, n: u32) -> Customer {
        let plan = self.made("/subscription-plans", plan(&format!("Plan {n}"))).await;
        let user = self.made("/users", user(n)).await;
        let subscription = self.made("/user-subscriptions", subscription(&user, &plan, &format!("T{n}"))).await;
        Customer { plan, user, subscription }
    }
}

/// Ids of what belongs together.
#[derive(Debug)]
pub(super) struct Customer {
    pub(super) plan: String,
    pub(super) user: String,
    pub(super) subscription: String,
}

/// An administrator's document with every permission.
pub(super) fn admin(id: [u8; 12], username: &str) -> Document {
    let all: Document = ["users", "subscriptions", "alerts", "system"]
        .into_iter()
        .map(|group| {
            let prefix = format!("{group}.");
            let held = Permission::ALL.iter().filter_map(|one| one.as_str().strip_prefix(&prefix));
            (group.to_owned(), Bson::from(held.map(|name| (name.to_owned(), true.into())).collect::<Document>()))
        })
        .collect();
    doc! {
        "_id": ObjectId::from_bytes(id), "username": username, "email": format!("{username}@example.com"),
        "password": "$2b$12$none", "profile": { "firstName": "A", "lastName": "B" }, "permissions": all,
        "status": "active", "createdAt": Bson::from(START), "updatedAt": Bson::from(START),
    }
}

/// A token as it is kept.
pub(super) fn kept_token(id: [u8; 12], admin: [u8; 12], text: &str) -> Document {
    doc! {
        "_id": ObjectId::from_bytes(id), "adminId": ObjectId::from_bytes(admin), "digest": TokenDigest::of(text).0,
        "createdAt": Bson::from(START),
    }
}

pub(super) fn hex(id: [u8; 12]) -> String {
    ObjectId::from_bytes(id).to_hex()
}

pub(super) fn config(symbol: &str) -> Value {
    json!({"name": format!("{symbol}, hourly"), "symbol": symbol, "timeframe": "1h", "strategy": "EMA Cross"})
}

pub(super) fn plan(name: &str) -> Value {
    json!({
        "name": name, "description": "Every signal", "pricing": {"amount": 999, "duration": {"months": 1}},
        "alertConfigurations": [hex(CONFIG)],
    })
}

pub(super) fn user(n: u32) -> Value {
    json!({
        "email": format!("u{n}@example.com"), "telegram": {"userId": format!("{}", 1000 + n), "chatId": 1000 + n},
        "profile": {"name": format!("User {n}"), "timezone": "Asia/Kolkata"},
    })
}

/// An active subscription, paid and approved.
pub(super) fn subscription(user: &str, plan: &str, transaction: &str) -> Value {
    json!({
        "userId": user, "subscriptionPlanId": plan,
        "payment": {"transactionId": transaction, "amount": 999, "status": "approved"},
        "subscription": {"status": "active", "startDate": "2026-11-01", "endDate": "2027-11-01T00:00:00Z"},
    })
}

pub(super) fn new_admin(username: &str) -> Value {
    json!({
        "username": username, "email": format!("{username}@example.com"), "password": "correct horse battery",
        "profile": {"firstName": "A", "lastName": "B"},
    })
}

/// A body with its ids numbered in the order in which they come, so that it is the same in each run.
pub(super) fn numbered(body: &Value) -> String {
    let text = format!("{body:#}");
    let (mut ids, mut out): (Vec<&str>, String) = (Vec::new(), String::new());
    for (n, part) in text.split('"').enumerate() {
        if n > 0 {
            out.push('"');
        }
        if part.len() == 24 && part.bytes().all(|b| b.is_ascii_hexdigit()) {
            let at = ids.iter().position(|id| *id == part).unwrap_or_else(|| {
                ids.push(part);
                ids.len() - 1
            });
            out.push_str(&format!("[id {}]", at + 1));
        } else {
            out.push_str(part);
        }
    }
    out
}
