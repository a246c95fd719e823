//! What operators do by hand, and what became of an alert.

use std::time::Duration;

use alertcast_core::admin::Permission;
use alertcast_core::store::{Collection, DocumentWrite};
use alertcast_core::token::{TOKEN_BYTES, token_text};
use axum::Router;
use bson::oid::ObjectId;
use bson::{Bson, doc};
use serde_json::{Value, json};
use telegram_sim::{FaultAction, InjectedFault};

use super::office::{ADMIN, CONFIG, Office, TOKEN, admin, kept_token};
use crate::harness::app::START;
use crate::harness::post::{alert, with};
use crate::harness::{App, TestPeople, chat};
use crate::support::{Answer, Post, START as NOW};

/// A program with subscribers, and its API.
pub(super) struct Desk {
    pub(super) app: App,
    router: Router,
    token: String,
}

impl Desk {
    pub(super) async fn new(users: u32) -> Self {
        let world = TestPeople::at(START).config(1, |_| {}).plan(1, &[1], |_| {}).users(1..=users, 1);
        let app = App::start(world).await;
        let token = token_text([9; TOKEN_BYTES]);
        let insert = |collection, document| DocumentWrite::Insert { collection, document };
        app.store
            .write(vec![
                insert(Collection::AdminUsers, admin(ADMIN, "chief")),
                insert(Collection::ApiTokens, kept_token(TOKEN, ADMIN, &token)),
            ])
            .await
            .unwrap();
        Self { router: alertcast::http::router(app.parts.clone()), app, token }
    }

    pub(super) async fn ask(&self, method: &'static str, path: &str, body: &Value, key: Option<&str>) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut post = Post::body(body)
            .by(method)
            .to(&format!("/api/v1{path}"))
            .header("authorization", &format!("Bearer {}", self.token))
            .header("content-type", "application/json");
        if let Some(key) = key {
            post = post.header("idempotency-key", key);
        }
        post.through(self.router.clone()).await
    }

    /// Takes permissions away, or gives them.
    async fn permit(&self, held: impl Fn(Permission) -> bool) {
        let set = Permission::ALL.iter().map(|one| (format!("permissions.{one}"), Bson::Boolean(held(*one)))).collect();
        let update = DocumentWrite::Update {
            collection: Collection::AdminUsers,
            id: ObjectId::from_bytes(ADMIN),
            set,
            unset: Vec::new(),
            expect: Vec::new(),
        };
        self.app.store.write(vec![update]).await.unwrap();
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &Value::Null, None).await.assert(200)
    }
}

fn entry() -> Value {
    with(alert(1, "BUY", 100.0), json!({"tp": 110, "sl": 95}))
}

#[tokio::test]
async fn who_got_an_alert_and_what_they_were_sent_is_told_in_pages() {
    let mut desk = Desk::new(5).await;
    let id = desk.app.done(entry()).await;
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk.get(&format!("/alerts/{id}/recipients?limit=2{cursor}")).await.body;
        items.extend(page["items"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(items.len(), 5);
    for item in &items {
        assert_eq!(item["verdict"], "sent");
        let user = desk.get(&format!("/users/{}", item["userId"].as_str().unwrap())).await.body;
        assert_eq!(item["userName"], user["profile"]["name"]);
        assert!(item["planName"].is_string(), "{item}");
        assert_eq!(item["actions"][0]["action"], "OPEN_TRADE");
        assert_eq!(item["deliveries"][0]["state"], "sent");
        assert_eq!(item["deliveries"][0]["userId"], item["userId"]);
        assert_eq!(item["deliveries"].as_array().unwrap().len(), 1);
    }
    let alert = desk.get(&format!("/alerts/{id}")).await.body;
    assert_eq!(alert["processing"]["matchedUsers"].as_array().unwrap().len(), 5);
    let listed = desk.get("/alerts").await.body;
    assert_eq!(listed["items"][0]["processing"].get("matchedUsers"), None, "lists are short");
    let user = items[0]["userId"].as_str().unwrap();
    let open = desk.get(&format!("/users/{user}/open-trades")).await.body;
    assert_eq!((&open["items"][0]["count"], open["items"].as_array().unwrap().len()), (&json!(1), 1));
    assert_eq!(open["items"][0]["alertConfiguration"]["symbol"], "SYM1");
    desk.ask("GET", &format!("/alerts/{}/recipients", ObjectId::from_bytes([1; 12])), &Value::Null, None)
        .await
        .assert(404);
    desk.app.finish().await;
}

#[tokio::test]
async fn names_stand_beside_ids_for_those_alone_who_may_see_them() {
    let mut desk = Desk::new(1).await;
    let id = desk.app.done(entry()).await;
    for (hidden, shown) in [("users.view", "planName"), ("subscriptions.view", "userName")] {
        desk.permit(|one| one.as_str() != hidden).await;
        let item = desk.get(&format!("/alerts/{id}/recipients")).await.body["items"][0].clone();
        let names: Vec<&str> = ["userName", "planName"].into_iter().filter(|name| item.get(name).is_some()).collect();
        assert_eq!(names, [shown], "without {hidden}");
    }
    desk.app.finish().await;
}

#[tokio::test]
async fn one_subscriber_among_many_is_asked_for_by_their_id() {
    let mut desk = Desk::new(5).await;
    let id = desk.app.done(entry()).await;
    let path = format!("/alerts/{id}/recipients");
    let all = desk.get(&path).await.body;
    assert_eq!(all["items"].as_array().unwrap().len(), 5);
    for item in all["items"].as_array().unwrap() {
        let user = item["userId"].as_str().unwrap();
        let one = desk.get(&format!("{path}?userId={user}&limit=1")).await.body;
        assert_eq!(one, json!({"items": [item], "next": null}));
    }
    let stranger = desk.get(&format!("{path}?userId={}", ObjectId::from_bytes([0xee; 12]))).await.body;
    assert_eq!(stranger, json!({"items": [], "next": null}));
    let wrong = async |query: &str| {
        desk.ask("GET", &format!("{path}?{query}"), &Value::Null, None).await.assert(400).problems()
    };
    assert_eq!(wrong("userId=me").await, ["userId: invalid"]);
    let cursor = desk.get(&format!("{path}?limit=2")).await.body["next"].as_str().unwrap().to_owned();
    let user = ObjectId::from_bytes([1; 12]);
    assert_eq!(wrong(&format!("userId={user}&cursor={cursor}")).await, ["cursor: invalid"]);
    assert_eq!(wrong("user=1").await, ["user: unknown_field"]);
    desk.app.finish().await;
}

#[tokio::test]
async fn a_message_that_was_given_up_arrives_when_it_is_sent_again() {
    let mut desk = Desk::new(2).await;
    desk.app.sim.inject_fault(InjectedFault::new(FaultAction::Forbidden).chat(chat(2)).times(1));
    desk.app.done(entry()).await;
    assert!(desk.app.messages(2).is_empty());
    let dead = desk.get("/deliveries?state=dead").await.body["items"][0].clone();
    let (id, user) = (dead["id"].as_str().unwrap(), dead["userId"].as_str().unwrap());
    let recipients = format!("/alerts/{}/recipients", dead["alertId"].as_str().unwrap());
    let verdicts = async || {
        let page = desk.get(&recipients).await.body;
        let verdict = |item: &Value| (item["userId"] == user, item["verdict"].as_str().unwrap().to_owned());
        page["items"].as_array().unwrap().iter().map(verdict).collect::<Vec<_>>()
    };
    assert_eq!(verdicts().await, [(false, "sent".to_owned()), (true, "dead".to_owned())]);
    desk.app.allow.audience_changed = true;
    let blocked = async || desk.get("/users?sort=-chatBlockedAt").await.body["items"].clone();
    assert_eq!(blocked().await[0]["id"], user);
    let unblock = async || desk.ask("POST", &format!("/users/{user}/unblock"), &Value::Null, None).await;
    assert!(unblock().await.assert(200).body.pointer("/alertcast/chatBlockedAt").is_none());
    unblock().await.assert(409);
    assert_eq!(blocked().await, json!([]));
    let log = desk.get("/audit-log?action=unblock").await.body;
    assert_eq!(log["items"].as_array().unwrap().len(), 1);
    let path = format!("/deliveries/{id}/resend");
    let resend = async || desk.ask("POST", &path, &Value::Null, Some("again")).await;
    assert_eq!(resend().await.assert(200).body["state"], "pending");
    desk.app.quiet().await;
    assert_eq!(desk.app.messages(2).len(), 1);
    assert_eq!(desk.get(&format!("/deliveries/{id}")).await.body["state"], "sent");
    // The same key: answered as it is now, and nothing is sent.
    assert_eq!(resend().await.assert(200).body["state"], "sent");
    desk.ask("POST", &path, &Value::Null, Some("another")).await.assert(409);
    desk.app.quiet().await;
    assert_eq!(desk.app.messages(2).len(), 1);
    let log = desk.get("/audit-log?action=resend").await.body;
    assert_eq!((log["items"].as_array().unwrap().len(), &log["items"][0]["username"]), (1, &json!("chief")));
    desk.app.finish().await;
}

#[tokio::test]
async fn a_refused_alert_is_processed_once_what_it_broke_is_mended() {
    let mut desk = Desk::new(2).await;
    let refused = desk.app.post(&with(entry(), json!({"strategy": "Cross"}))).await;
    assert_eq!(refused.status, 422);
    let id = refused.alert().unwrap();
    desk.app.quiet().await;
    let process = format!("/alerts/{id}/process");
    let still = desk.ask("POST", &process, &Value::Null, Some("a")).await.assert(422).problems();
    assert!(still.iter().any(|problem| problem.ends_with("unknown_configuration")), "{still:?}");
    desk.app.allow.audience_changed = true;
    let config = format!("/alert-configurations/{}", alertcast_core::fixtures::config_id(1));
    desk.ask("PATCH", &config, &json!({"strategy": "Cross"}), None).await.assert(200);
    desk.app.advance(Duration::from_secs(3 * 60 * 60));
    let accepted = desk.ask("POST", &process, &Value::Null, Some("b")).await.assert(200).body;
    assert_eq!(accepted["processing"]["status"], "received");
    desk.app.quiet().await;
    for n in 1..=2 {
        assert_eq!(desk.app.messages(n).len(), 1);
        assert!(desk.app.last_text(n).contains("old"), "{}", desk.app.last_text(n));
    }
    let alert = desk.get(&format!("/alerts/{id}")).await.body;
    assert_eq!(alert["processing"]["status"], "processed");
    assert_eq!(alert["processing"]["matchedUsers"].as_array().unwrap().len(), 2);
    desk.ask("POST", &process, &Value::Null, Some("c")).await.assert(409);
    desk.app.finish().await;
}

#[tokio::test]
async fn an_operator_says_by_the_api_what_an_unclear_message_means() {
    let desk = Desk::new(2).await;
    let unclear = with(entry(), json!({"signal": "whatever"}));
    assert_eq!(desk.app.post(&unclear).await.status, 422);
    desk.app.quiet().await;
    let kept = desk.get("/rejected-webhooks").await.body["items"][0].clone();
    let path = format!("/rejected-webhooks/{}/process", kept["id"].as_str().unwrap());
    let say = async |meaning: Value| desk.ask("POST", &path, &meaning, Some("said")).await;
    for (meaning, problem) in [
        (json!({"as": "entry"}), "side: missing"),
        (json!({"as": "turn"}), "side: missing"),
        (json!({"side": "BUY"}), "as: missing"),
        (json!({"as": "nothing", "side": "BUY"}), "as: invalid"),
        (json!({"as": "exit", "side": "UP"}), "side: invalid"),
        (json!({"as": "exit", "sides": "BUY"}), "sides: unknown_field"),
    ] {
        assert_eq!(say(meaning.clone()).await.assert(422).problems(), [problem], "{meaning}");
    }
    let accepted = say(json!({"as": "entry", "side": "BUY"})).await.assert(200).body;
    assert_eq!((&accepted["alertData"]["signal"], &accepted["id"]), (&json!("BUY"), &kept["id"]));
    desk.app.quiet().await;
    assert_eq!(desk.app.messages(1).len(), 1);
    assert_eq!(say(json!({"as": "entry", "side": "BUY"})).await.assert(200).body["id"], kept["id"], "once a key");
    desk.app.quiet().await;
    assert_eq!(desk.app.messages(1).len(), 1);
    let log = desk.get("/audit-log?action=accept_alert").await.body;
    assert_eq!(
        (&log["items"][0]["after"]["readAs"], &log["items"][0]["after"]["side"]),
        (&json!("entry"), &json!("BUY"))
    );
    desk.app.finish().await;
}

#[tokio::test]
async fn a_trade_is_closed_by_hand_once_for_each_key() {
    let office = Office::new().await;
    let customer = office.customer(1).await;
    let trade = ObjectId::from_bytes([4; 12]);
    let id = |text: &str| ObjectId::parse_str(text).unwrap();
    let open = doc! {
        "_id": trade, "tradeNumber": 1, "userId": id(&customer.user), "alertConfigId": ObjectId::from_bytes(CONFIG),
        "subscriptionId": id(&customer.subscription), "status": "open", "timestamps": { "openedAt": Bson::from(NOW) },
        "tradeData": {
            "symbol": "BTCUSDT", "timeframe": "1h", "strategy": "EMA Cross", "signal": "BUY", "entryPrice": 100.0,
        },
    };
    office.house.insert(Collection::Trades, open).await;
    let path = format!("/trades/{trade}/close");
    let close = async |closing: Value, key: &'static str| {
        office.request("POST", &path, &closing).header("idempotency-key", key).send(&office.house).await
    };
    assert_eq!(close(json!({"price": 0}), "a").await.assert(422).problems(), ["price: invalid"]);
    let mistyped = close(json!({"prize": 1}), "a").await.assert(422).problems();
    assert_eq!(mistyped, ["price: missing", "prize: unknown_field"]);
    let closing = json!({"price": 105, "reason": "holiday"});
    let closed = close(closing.clone(), "k").await.assert(200).body;
    assert_eq!((&closed["status"], &closed["tradeData"]["exitReason"]), (&json!("closed"), &json!("MANUAL")));
    assert_eq!(closed["pnl"]["percentage"], 5);
    assert_eq!(close(closing.clone(), "k").await.assert(200).body, closed);
    close(closing, "other").await.assert(409);
    assert_eq!(close(json!({"price": 1}), "k").await.assert(422).problems(), ["Idempotency-Key: taken"]);
    let log = office.get("/audit-log?action=close_trade").await.assert(200).body;
    assert_eq!((log["items"].as_array().unwrap().len(), &log["items"][0]["reason"]), (1, &json!("holiday")));
}

#[tokio::test]
async fn an_alert_is_rehearsed_and_nothing_comes_of_it() {
    let desk = Desk::new(3).await;
    let rehearse = async |body: &Value| desk.ask("POST", "/alerts/rehearse", body, None).await.assert(200).body;
    let accepted = rehearse(&entry()).await;
    assert_eq!(accepted["outcome"], "accepted", "{accepted:#}");
    assert_eq!((&accepted["opened"], &accepted["verdicts"]["sent"]), (&json!(3), &json!(3)));
    assert!(accepted["texts"][0]["plain"].as_str().unwrap().contains("BUY"));
    assert!(accepted["subscribers"][0]["userName"].is_string(), "{accepted}");
    let refused = rehearse(&with(entry(), json!({"symbol": "NOTHING"}))).await;
    assert_eq!(
        (&refused["outcome"], &refused["errors"][0]["code"]),
        (&json!("refused"), &json!("unknown_configuration"))
    );
    assert_eq!(rehearse(&json!("nothing")).await["outcome"], "unreadable");
    assert_eq!(desk.get("/alerts").await.body["items"], json!([]));
    desk.app.finish().await;
}

#[tokio::test]
async fn a_user_without_a_history_is_deleted_and_one_with_a_history_erased() {
    let office = Office::new().await;
    let plain = office.made("/users", super::office::user(9)).await;
    office.delete(&format!("/users/{plain}")).await.assert(204);
    office.get(&format!("/users/{plain}")).await.assert(404);
    let customer = office.customer(1).await;
    let path = format!("/users/{}", customer.user);
    office.delete(&path).await.assert(204);
    let erased = office.get(&path).await.assert(200).body;
    assert_eq!(erased["profile"]["name"], "Erased");
    assert!(!erased.to_string().contains("u1@example.com"));
    let all = office.house.all(Collection::AuditLog).await;
    assert!(all.iter().all(|entry| !entry.to_string().contains("u1@example.com")), "{all:#?}");
}

#[tokio::test]
async fn what_was_not_done_is_told_why() {
    let desk = Desk::new(1).await;
    let nothing = ObjectId::from_bytes([1; 12]);
    for path in [
        format!("/trades/{nothing}/close"),
        format!("/deliveries/{nothing}/resend"),
        format!("/alerts/{nothing}/process"),
        format!("/rejected-webhooks/{nothing}/process"),
    ] {
        desk.ask("POST", &path, &json!({"price": 1}), Some("k2")).await.assert(404);
    }
    desk.app.finish().await;
}
