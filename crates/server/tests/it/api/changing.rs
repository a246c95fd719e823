//! Changes: what is written, under which condition, and what is noted about it.

use alertcast_core::reading::trouble_of;
use alertcast_core::schema::contract_fields;
use alertcast_core::store::Collection;
use alertcast_core::subscription::Subscription;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::{Value, json};

use super::office::{ADMIN, CONFIG, Office, TOKEN, hex, new_admin, plan, user};

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
async fn no_route_passes_over_a_condition() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let unused = office.made("/users", user(2)).await;
    let token = format!("/api-tokens/{}", hex(TOKEN));
    let documents = [
        ("DELETE", format!("/users/{}", customer.user)),
        ("DELETE", format!("/users/{unused}")),
        ("DELETE", format!("/user-subscriptions/{}", customer.subscription)),
        ("PATCH", format!("/users/{}", customer.user)),
        ("GET", format!("/users/{}", customer.user)),
        ("DELETE", token),
    ];
    let elsewhere = [("POST", "/users".to_owned()), ("GET", "/users".to_owned()), ("GET", "/me".to_owned())];
    for (method, path) in documents.iter().chain(&elsewhere) {
        let ask = |tag: &str| office.request(method, path, &json!({})).header("if-match", tag).send(&office.house);
        for malformed in ["", "x", "é", "\"a", "\"a\",,", "W/x"] {
            let answer = ask(malformed).await;
            assert_eq!(answer.status, 400, "{method} {path} {malformed:?}");
        }
        for other in ["\"x\"", "W/\"x\"", "\"é\"", "\"a\", \"b\""] {
            assert_eq!(ask(other).await.status, 412, "{method} {path} {other:?}");
        }
    }
    assert_eq!(office.house.all(Collection::Users).await.len(), 2, "nobody is gone");
    let one = format!("/users/{}", customer.user);
    let read = office.get(&one).await.assert(200);
    let tag = read.header("etag");
    let again = office.request("GET", &one, &json!(null)).header("if-none-match", tag).send(&office.house).await;
    assert_eq!((again.assert(304).header("etag")), tag);
    let patch = office.request("PATCH", &one, &json!({"status": "inactive"})).header("if-none-match", "*");
    patch.send(&office.house).await.assert(412);
}

/// A document as the API gives it out, and a patch that gives one of its fields again.
fn giving_again(shown: &Value, path: &str) -> Value {
    let value = match path {
        "password" => json!("another long password"),
        _ => shown.pointer(&format!("/{}", path.replace('.', "/"))).cloned().unwrap_or(Value::Null),
    };
    path.rsplit('.').fold(value, |value, name| json!({ name: value }))
}

/// The topmost field around a path, as it was.
fn as_it_was(raw: &Document, path: &str) -> Document {
    let top = path.split('.').next().unwrap();
    raw.get(top).map_or_else(Document::new, |value| doc! { top: value.clone() })
}

/// What nobody takes for a value of any kind.
fn nonsense() -> [Bson; 5] {
    let many = || vec![Bson::Null, Bson::Int32(1)];
    [Bson::MinKey, Bson::Undefined, doc! { "$date": "x" }.into(), many().into(), Bson::Double(f64::NAN)]
}

#[tokio::test]
async fn whatever_cannot_be_read_is_shown_and_mended_by_a_patch_of_its_field() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let preference =
        json!({"userId": customer.user, "subscriptionId": customer.subscription, "alertConfigId": hex(CONFIG)});
    let preference = office.made("/user-alert-preferences", preference).await;
    let admin = office.made("/admin-users", new_admin("bob")).await;
    let (mut mended, mut kept_ones) = (0, 0);
    for (collection, path, id) in [
        (Collection::Users, "users", &customer.user),
        (Collection::SubscriptionPlans, "subscription-plans", &customer.plan),
        (Collection::AlertConfigurations, "alert-configurations", &hex(CONFIG)),
        (Collection::UserSubscriptions, "user-subscriptions", &customer.subscription),
        (Collection::UserAlertPreferences, "user-alert-preferences", &preference),
        (Collection::AdminUsers, "admin-users", &admin),
    ] {
        let (path, id) = (format!("/{path}/{id}"), ObjectId::parse_str(id).unwrap());
        let sound = office.get(&path).await.assert(200).body;
        let raw = office.house.app.store.get(collection, &[id]).await.unwrap().remove(0);
        for field in contract_fields(collection) {
            for value in nonsense() {
                let what = format!("{collection} {} {value}", field.path);
                office.house.set(collection, id, doc! { field.path: value }).await;
                let kept = office.house.app.store.get(collection, &[id]).await.unwrap().remove(0);
                if trouble_of(collection, &kept).is_none() {
                    office.house.set(collection, id, as_it_was(&raw, field.path)).await;
                    continue;
                }
                let told = |shown: &Value| {
                    let told = shown["alertcast"]["unreadable"].as_array().cloned().unwrap_or_default();
                    told.iter().any(|one| one["field"].as_str().unwrap().starts_with(field.path))
                };
                assert!(told(&office.get(&path).await.assert(200).body), "{what}: it is shown");
                let list = office.get(path.rsplit_once('/').unwrap().0).await.assert(200).body;
                assert!(list["items"].as_array().unwrap().iter().any(told), "{what}: it is shown in a list");
                let is_given = office.patch(&path, giving_again(&sound, field.path)).await;
                if is_given.status == 422 {
                    // What Alertcast keeps is mended by any change.
                    assert_eq!(is_given.problems(), [format!("{}: read_only", field.path)], "{what}");
                    office.patch(&path, json!({})).await.assert(200);
                    kept_ones += 1;
                } else {
                    is_given.assert(200);
                }
                let kept = office.house.app.store.get(collection, &[id]).await.unwrap().remove(0);
                assert_eq!(trouble_of(collection, &kept), None, "{what}: it is mended");
                let mut shown = office.get(&path).await.assert(200).body;
                for now in ["updatedAt", "createdAt", "security"] {
                    if let Some(shown) = shown.get_mut(now) {
                        shown.clone_from(&sound[now]);
                    }
                }
                assert_eq!(shown, sound, "{what}: as it was");
                let is_undecided = office.house.app.audience.with(|audience| audience.is_undecided(id));
                assert!(!is_undecided, "{what}: entries go out again");
                mended += 1;
            }
        }
    }
    assert!(mended > 250 && kept_ones > 0, "{mended} {kept_ones}");
}

#[tokio::test]
async fn a_patch_of_another_field_guesses_nothing_that_decides_or_must_be_there() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let phone = json!({"profile": {"phone": "1"}});
    let path = format!("/users/{}", customer.user);
    let id = ObjectId::parse_str(&customer.user).unwrap();
    let spoil =
        doc! { "status": 7, "email": 5, "profile.timezone": 9.5, "lastLoginAt": "then", "telegram.chatId": 1001.0 };
    office.house.set(Collection::Users, id, spoil).await;
    assert_eq!(
        office.patch(&path, phone.clone()).await.assert(422).problems(),
        ["email: unreadable", "status: unreadable"]
    );
    let mut whole = phone;
    (whole["status"], whole["email"]) = (json!("suspended"), json!("a@example.com"));
    let answer = office.patch(&path, whole).await.assert(200).body;
    assert_eq!((&answer["profile"]["timezone"], &answer["status"]), (&json!("UTC"), &json!("suspended")));
    let kept = office.house.app.store.get(Collection::Users, &[id]).await.unwrap().remove(0);
    assert_eq!(kept.get_document("telegram").unwrap().get_str("chatId").unwrap(), "1001");
    assert!(!kept.contains_key("lastLoginAt"));
    let entry = log(&office).await.pop().unwrap();
    assert_eq!(entry.get_document("before").unwrap().get_i32("status").unwrap(), 7, "what stood there is noted");
}

#[tokio::test]
async fn what_stands_in_the_place_of_many_fields_weighs_as_the_weightiest() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let path = format!("/user-subscriptions/{}", customer.subscription);
    let id = ObjectId::parse_str(&customer.subscription).unwrap();
    office.house.set(Collection::UserSubscriptions, id, doc! { "payment": "rejected" }).await;
    let kept = office.house.all(Collection::UserSubscriptions).await.remove(0);
    assert!(alertcast_core::store::read::<Subscription>(Collection::UserSubscriptions, kept).is_err());
    let renew = json!({"subscription": {"autoRenew": true}});
    assert!(office.patch(&path, renew).await.assert(422).problems().contains(&"payment: unreadable".to_owned()));
    let again = json!({"payment": {"transactionId": "T1", "amount": 999, "status": "approved"}});
    office.patch(&path, again).await.assert(200);
}

#[tokio::test]
async fn a_person_who_changed_meanwhile_is_not_erased() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let path = format!("/users/{}", customer.user);
    let tag = office.get(&path).await.header("etag").to_owned();
    office.house.wait(1);
    let changed = office.patch(&path, json!({"profile": {"phone": "1"}})).await.assert(200);
    let erase = |tag: &str| office.request("DELETE", &path, &json!(null)).header("if-match", tag).send(&office.house);
    erase(&tag).await.assert(412);
    assert_eq!(office.get(&path).await.body["profile"]["name"], "User 1");
    erase(changed.header("etag")).await.assert(204);
    assert_eq!(office.get(&path).await.body["profile"]["name"], "Erased");
}

#[tokio::test]
async fn a_rejected_payment_leaves_no_active_subscription_and_no_approval() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let path = format!("/user-subscriptions/{}", customer.subscription);
    let approved = office.get(&path).await.body;
    assert_eq!(approved["payment"]["approvedAt"], "2026-11-22T10:00:00.000Z");
    office.house.wait(60);
    let rejection = json!({"payment": {"status": "rejected", "rejectionReason": "no money came"}});
    let rejected = office.patch(&path, rejection).await.assert(200).body;
    assert_eq!(rejected["subscription"]["status"], "cancelled");
    assert_eq!((rejected["payment"].get("approvedAt"), rejected["payment"].get("approvedBy")), (None, None));
    assert_eq!(rejected["alertcast"].get("approvedByAdmin"), None);
    for change in [
        json!({"subscription": {"status": "active"}}),
        json!({"payment": {"approvedAt": "2026-11-22"}}),
        json!({"payment": {"approvedBy": customer.user}}),
    ] {
        office.patch(&path, change).await.assert(422);
    }
    // The whole document as it came back, with another decision.
    let mut again = rejected.clone();
    again["payment"]["status"] = json!("approved");
    again["subscription"]["status"] = json!("active");
    let again = office.patch(&path, again).await.assert(200).body;
    assert_eq!(again["payment"]["approvedAt"], "2026-11-22T10:01:00.000Z", "now, not as before the rejection");
    assert_eq!(again["payment"].get("rejectionReason"), None);
    assert_eq!(again["alertcast"]["approvedByAdmin"], hex(ADMIN));
    let mut new = super::office::subscription(&customer.user, &customer.plan, "T5");
    for status in ["pending", "rejected"] {
        new["payment"]["status"] = json!(status);
        let told = office.post("/user-subscriptions", new.clone()).await.assert(422).problems();
        assert_eq!(told, ["subscription.status: invalid"]);
    }
}

#[tokio::test]
async fn a_subscription_stays_with_its_user_and_with_the_plan_that_was_paid_for() {
    let office = Office::new().await;
    let (one, other) = (office.customer(1).await, office.customer(2).await);
    let path = format!("/user-subscriptions/{}", one.subscription);
    let told = office.patch(&path, json!({"userId": other.user})).await.assert(422).problems();
    assert_eq!(told, ["userId: read_only"]);
    let told = office.patch(&path, json!({"subscriptionPlanId": other.plan})).await.assert(422).problems();
    assert_eq!(told, ["subscriptionPlanId: read_only"]);
    let mut unpaid = super::office::subscription(&one.user, &one.plan, "T5");
    unpaid["payment"]["status"] = json!("pending");
    unpaid["subscription"] = json!({});
    let unpaid = format!("/user-subscriptions/{}", office.made("/user-subscriptions", unpaid).await);
    office.patch(&unpaid, json!({"subscriptionPlanId": other.plan})).await.assert(200);
    office.patch(&unpaid, json!({"userId": other.user})).await.assert(422);
}

/// As a Mongoose application runs them: active while the payment is pending.
#[tokio::test]
async fn what_another_application_has_made_active_stays_and_is_not_made_longer() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let id = bson::oid::ObjectId::parse_str(&customer.subscription).unwrap();
    let set = bson::doc! { "payment.status": "pending" };
    office.house.set(Collection::UserSubscriptions, id, set).await;
    let path = format!("/user-subscriptions/{}", customer.subscription);
    office.patch(&path, json!({"subscription": {"autoRenew": true}})).await.assert(200);
    office.patch(&path, json!({"subscription": {"endDate": "2027-10-01"}})).await.assert(200);
    let told = office.patch(&path, json!({"subscription": {"endDate": "2028-01-01"}})).await.assert(422).problems();
    assert_eq!(told, ["subscription.status: invalid"]);
    office.patch(&path, json!({"payment": {"status": "approved"}})).await.assert(200);
    office.patch(&path, json!({"subscription": {"endDate": "2028-01-01"}})).await.assert(200);
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
    new["subscription"]["status"] = json!("pending");
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
