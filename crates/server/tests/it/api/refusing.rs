//! What is refused, and in which words.

use serde_json::{Value, json};

use super::office::{CONFIG, Office, config, hex, new_admin, plan, subscription, user};
use crate::support::Answer;

/// `field: code` of each problem, and the status.
async fn refused(office: &Office, path: &str, new: Value) -> (u16, Vec<String>) {
    let answer = office.post(path, new).await;
    (answer.status.as_u16(), told(answer))
}

fn told(answer: Answer) -> Vec<String> {
    assert_eq!(answer.header("content-type"), "application/problem+json");
    answer.problems()
}

fn with(mut value: Value, changes: &[(&str, Value)]) -> Value {
    for (path, change) in changes {
        let (within, name) = path.rsplit_once('/').unwrap();
        value.pointer_mut(within).unwrap()[name] = change.clone();
    }
    value
}

#[tokio::test]
async fn each_mistake_is_named_by_its_field() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let bought = subscription(&customer.user, &customer.plan, "T2");
    let table: &[(&str, Value, u16, &[&str])] = &[
        ("/users", json!([]), 422, &[": invalid"]),
        ("/users", json!({}), 422, &["email: missing", "telegram.userId: missing", "profile.name: missing"]),
        ("/users", with(user(2), &[("/emial", json!("x"))]), 422, &["emial: unknown_field"]),
        ("/users", with(user(2), &[("/profile/timezone", json!("Mars"))]), 422, &["profile.timezone: invalid"]),
        ("/users", with(user(2), &[("/id", json!(hex([1; 12])))]), 422, &["id: read_only"]),
        ("/users", with(user(2), &[("/_id", json!(hex([1; 12])))]), 422, &["_id: unknown_field"]),
        ("/users", with(user(2), &[("/telegram/chatId", json!("my chat"))]), 422, &["telegram.chatId: invalid"]),
        ("/users", with(user(2), &[("/telegram/chatId", json!("7000002:5"))]), 422, &["telegram.chatId: invalid"]),
        ("/users", with(user(2), &[("/telegram/chatId", json!(0))]), 422, &["telegram.chatId: invalid"]),
        ("/users", with(user(2), &[("/createdAt", json!("2026-01-01"))]), 422, &["createdAt: read_only"]),
        (
            "/users",
            with(user(2), &[("/alertcast", json!({"chatBlockedAt": "2026-01-01"}))]),
            422,
            &["alertcast.chatBlockedAt: read_only"],
        ),
        ("/users", with(user(2), &[("/email", json!("u1@example.com"))]), 409, &["email: taken"]),
        ("/users", with(user(1), &[("/email", json!("other@example.com"))]), 409, &["telegram.userId: taken"]),
        ("/subscription-plans", plan("Plan 1"), 409, &["name: taken"]),
        (
            "/subscription-plans",
            with(plan("P"), &[("/alertConfigurations", json!([hex([1; 12])]))]),
            422,
            &["alertConfigurations[0]: unknown_reference"],
        ),
        ("/subscription-plans", with(plan("P"), &[("/pricing/amount", json!(-1))]), 422, &["pricing.amount: invalid"]),
        ("/alert-configurations", with(config("A"), &[("/timeframe", json!("3h"))]), 422, &["timeframe: invalid"]),
        (
            "/alert-configurations",
            with(config("A"), &[("/statistics", json!({"totalAlerts": 1}))]),
            422,
            &["statistics: read_only"],
        ),
        ("/alert-configurations", config("btcusdt"), 409, &["symbol: taken", "timeframe: taken", "strategy: taken"]),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/payment/amount", json!(1))]),
            422,
            &["payment.amount: invalid"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/payment/transactionId", json!("T1"))]),
            409,
            &["payment.transactionId: taken"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/payment/transactionId", json!(" t1 "))]),
            409,
            &["payment.transactionId: taken"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/userId", json!(hex([1; 12])))]),
            422,
            &["userId: unknown_reference"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/subscriptionPlanId", json!(hex([1; 12])))]),
            422,
            &["subscriptionPlanId: unknown_reference"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/payment/approvedBy", json!(hex([1; 12])))]),
            422,
            &["payment.approvedBy: unknown_reference"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/alertcast", json!({"picks": [hex([1; 12])]}))]),
            422,
            &["alertcast.picks[0]: unknown_reference"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/subscription/endDate", json!("2026-01-01"))]),
            422,
            &["subscription.endDate: invalid"],
        ),
        (
            "/user-subscriptions",
            with(bought.clone(), &[("/userId", json!("u1@example.com"))]),
            422,
            &["userId: invalid"],
        ),
        ("/user-subscriptions", with(bought, &[("/user", json!("u1@example.com"))]), 422, &["user: unknown_field"]),
        ("/admin-users", with(new_admin("bob"), &[("/password", json!("short"))]), 422, &["password: invalid"]),
        ("/admin-users", with(new_admin("bob"), &[("/password", json!("ä".repeat(37)))]), 422, &["password: invalid"]),
        ("/admin-users", with(new_admin("bob"), &[("/password", Value::Null)]), 422, &["password: missing"]),
        ("/admin-users", with(new_admin("Chief"), &[("/email", json!("c@x.de"))]), 409, &["username: taken"]),
        (
            "/user-alert-preferences",
            json!({"userId": customer.user, "alertConfigId": hex(CONFIG)}),
            422,
            &["subscriptionId: missing"],
        ),
    ];
    for (path, new, status, problems) in table {
        assert_eq!(
            refused(&office, path, new.clone()).await,
            (*status, problems.iter().map(ToString::to_string).collect()),
            "{path} {new}"
        );
    }
}

#[tokio::test]
async fn a_slip_of_the_finger_is_told_what_was_meant() {
    let office = Office::new().await;
    let answer = office.post("/users", with(user(2), &[("/emial", json!("x"))])).await.assert(422);
    assert_eq!(answer.body["errors"][0]["message"], "is no field; did you mean email?");
    let answer = office.get("/users?statu=active").await.assert(400);
    let told = answer.body["errors"][0]["message"].as_str().unwrap();
    assert!(told.starts_with("is no parameter; did you mean status? There are email, telegramUserId, "), "{told}");
}

#[tokio::test]
async fn an_unknown_parameter_is_answered_with_those_that_there_are() {
    let office = Office::new().await;
    let told = async |path: &str| {
        let answer = office.get(path).await.assert(400);
        answer.body["errors"][0]["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(told("/api-tokens?xyzzy=1").await, "is no parameter: there are adminId, sort, limit, cursor and fields");
    let described = alertcast::http::api::description();
    for route in ["users", "trades", "alerts", "rejected-webhooks"] {
        let told = told(&format!("/{route}?xyzzyxyzzy=1")).await;
        for parameter in described["paths"][format!("/api/v1/{route}")]["get"]["parameters"].as_array().unwrap() {
            let name = parameter["name"].as_str().unwrap();
            assert!(told.split([' ', ',']).any(|word| word == name), "{route}: {name} is not among {told}");
        }
    }
}

#[tokio::test]
async fn a_value_that_is_taken_says_by_which_document() {
    let office = Office::new().await;
    let (one, two) = (office.customer(1).await, office.customer(2).await);
    let told = |answer: Answer| answer.assert(409).body["detail"].as_str().unwrap().to_owned();
    let same = told(office.post("/users", with(user(3), &[("/email", json!("u1@example.com"))])).await);
    assert_eq!(same, format!("another user, {} (\"User 1\"), has this email already", one.user));
    let plan_named = told(office.post("/subscription-plans", plan("Plan 2")).await);
    assert_eq!(plan_named, format!("another subscription plan, {} (\"Plan 2\"), has this name already", two.plan));
    let config_named = told(office.post("/alert-configurations", config("btcusdt")).await);
    assert!(
        config_named.contains(&hex(CONFIG)) && config_named.ends_with("has this symbol, timeframe, strategy already")
    );
    let path = format!("/user-subscriptions/{}", two.subscription);
    let used = told(office.patch(&path, json!({"payment": {"transactionId": "t1"}})).await);
    let expected =
        format!("another subscription, {} (\"T1\"), has this payment.transactionId already", one.subscription);
    assert_eq!(used, expected);
    office.patch(&path, json!({"payment": {"transactionId": "t2"}})).await.assert(200);
    // Who may not see it, does not see its name.
    office.permit(|one| one.as_str() != "users.view").await;
    let same = told(office.post("/users", with(user(3), &[("/email", json!("u1@example.com"))])).await);
    assert_eq!(same, format!("another user, {}, has this email already", one.user));
}

#[tokio::test]
async fn a_document_that_is_referred_to_stays() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let answer = office.delete(&format!("/alert-configurations/{}", hex(CONFIG))).await.assert(409);
    assert_eq!(answer.problems(), ["subscription-plans.alertConfigurations: in_use"]);
    let answer = office.delete(&format!("/subscription-plans/{}", customer.plan)).await.assert(409);
    assert_eq!(answer.problems(), ["user-subscriptions.subscriptionPlanId: in_use"]);
}

#[tokio::test]
async fn requests_that_are_none_are_told_why() {
    let office = Office::new().await;
    let json = "application/json";
    let post = |body: String| office.raw("POST", "/users", body);
    post("{".to_owned()).header("content-type", json).send(&office.house).await.assert(400);
    post("[".repeat(1_000)).header("content-type", json).send(&office.house).await.assert(400);
    post("{}".to_owned()).send(&office.house).await.assert(415);
    post("{}".to_owned()).header("content-type", "text/plain").send(&office.house).await.assert(415);
    let large = format!("{{\"email\": \"{}\"}}", "a".repeat(256 * 1024));
    post(large).header("content-type", json).send(&office.house).await.assert(413);
    post("{}".to_owned())
        .header("content-type", "application/json; charset=utf-8")
        .send(&office.house)
        .await
        .assert(422);
    office.get("/users/xyz").await.assert(404);
    office.get("/nothing").await.assert(404);
    let answer = office.post("/me", json!({})).await.assert(405);
    assert!(answer.header("allow").contains("GET"), "{:?}", answer.headers);
    for key in ["", "a b", &"k".repeat(256)] {
        let post = office.request("POST", "/users", &user(5)).header("idempotency-key", key);
        assert_eq!(post.send(&office.house).await.assert(400).problems(), ["Idempotency-Key: invalid"], "{key:?}");
    }
}

#[tokio::test]
async fn only_what_is_there_can_be_changed_and_only_by_whom_it_belongs() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let user = format!("/users/{}", customer.user);
    for (change, problem) in [
        (json!({"id": hex([1; 12])}), "id: read_only"),
        (json!({"createdAt": null}), "createdAt: read_only"),
        (json!({"alertcast": {"subscriptionsRev": 9}}), "alertcast.subscriptionsRev: read_only"),
        (json!({"email": null}), "email: missing"),
        (json!({"email": "no address"}), "email: invalid"),
        (json!({"profile": {"nmae": "x"}}), "profile.nmae: unknown_field"),
    ] {
        assert_eq!(office.patch(&user, change.clone()).await.assert(422).problems(), [problem], "{change}");
    }
    let bought = format!("/user-subscriptions/{}", customer.subscription);
    let answer = office.patch(&bought, json!({"usage": {"alertsReceived": 9}})).await.assert(422);
    assert_eq!(answer.problems(), ["usage: read_only"]);
}
