//! Imports into a real store.

use alertcast_sqlite::{SqliteOptions, SqliteStore};
use bson::doc;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::base::ObjectIds;

const NOW: Time = Time::from_millis(1_795_341_600_000);

struct Case {
    folder: tempfile::TempDir,
    store: SqliteStore,
}

impl Case {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("data"), &SqliteOptions::default()).unwrap();
        store.setup().await.unwrap();
        Self { folder, store }
    }

    async fn import(&self, file: &Value) -> anyhow::Result<ImportReport> {
        self.import_as(file, false).await
    }

    async fn import_as(&self, file: &Value, skip_existing: bool) -> anyhow::Result<ImportReport> {
        let path = self.folder.path().join("a.json");
        std::fs::write(&path, file.to_string()).unwrap();
        run(&path, skip_existing, &self.store, &ObjectIds, NOW).await
    }

    /// `place what` of every mistake; nothing must have been written.
    async fn mistakes(&self, file: &Value) -> Vec<String> {
        let before = self.counts().await;
        let error = self.import(file).await.unwrap_err().to_string();
        assert_eq!(self.counts().await, before, "something was written");
        error.lines().skip(1).map(|line| line.trim().to_owned()).collect()
    }

    async fn counts(&self) -> Vec<u64> {
        let mut counts = Vec::new();
        for collection in Collection::ALL {
            counts.push(self.store.count(*collection).await.unwrap());
        }
        counts
    }

    async fn only(&self, collection: Collection) -> bson::Document {
        let all = self.store.page(collection, None, 10).await.unwrap();
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    }
}

fn config() -> Value {
    json!({"name": "N", "symbol": "AAPL", "timeframe": "1h", "strategy": "S"})
}

fn plan() -> Value {
    json!({"name": "P", "description": "D", "pricing": {"amount": 999, "duration": {"months": 1}}})
}

fn user(n: i64) -> Value {
    json!({"email": format!("u{n}@x.de"), "telegram": {"userId": n}, "profile": {"name": "U"}})
}

fn subscription(n: i64) -> Value {
    json!({
        "user": "u1@x.de", "plan": "P", "payment": {"transactionId": format!("T{n}"), "amount": 999, "status": "approved"},
        "subscription": {"status": "active", "startDate": "2026-01-01", "endDate": "2027-01-01"},
    })
}

fn preference() -> Value {
    json!({"user": "u1@x.de", "configuration": {"symbol": "AAPL", "timeframe": "1h", "strategy": "S"}})
}

/// A file with one of each, some of them changed.
fn file(change: impl FnOnce(&mut Value)) -> Value {
    let mut file = json!({
        "configurations": [config()], "plans": [plan()], "users": [user(1)], "subscriptions": [subscription(1)],
        "preferences": [preference()],
    });
    change(&mut file);
    file
}

#[tokio::test]
async fn what_is_wrong_with_a_field_is_told_with_its_place() {
    let case = Case::new().await;
    let table: [(&str, Value, &str); 34] = [
        ("/configurations/0/timeframe", json!("3h"), "configurations[0].timeframe is \"3h\", which is not a timeframe"),
        ("/configurations/0/symbol", json!(" "), "configurations[0].symbol is empty"),
        (
            "/configurations/0/status",
            json!("on"),
            "configurations[0].status is \"on\"; it is one of active, inactive, testing",
        ),
        (
            "/configurations/0/tradeManagement",
            json!({"maxOpenTrades": 6}),
            "tradeManagement.maxOpenTrades is 6; it is from 1 to 5",
        ),
        (
            "/configurations/0/tradeManagement",
            json!({"maxOpenTrade": 3}),
            "maxOpenTrade is no field; did you mean maxOpenTrades?",
        ),
        ("/configurations/0/tradeManagement", json!(3), "configurations[0].tradeManagement is a number, not an object"),
        (
            "/configurations/0/alertTypes",
            json!({"entry": {"signals": ["BUY", "TP_HIT"]}}),
            "alertTypes.entry.signals[1] is \"TP_HIT\"; it is one of BUY, SELL",
        ),
        (
            "/configurations/0/alertTypes",
            json!({"exit": {"signals": "TP_HIT"}}),
            "alertTypes.exit.signals is text, not a list",
        ),
        (
            "/configurations/0/validation",
            json!({"requiredFields": ["tp", "x"]}),
            "validation.requiredFields[1] is \"x\"",
        ),
        (
            "/configurations/0/validation",
            json!({"priceValidation": {"tolerance": -1}}),
            "tolerance is -1; it is at least 0",
        ),
        ("/configurations/0/statistics", json!({"totalAlerts": -1}), "statistics.totalAlerts is -1; it is at least 0"),
        ("/configurations/0/id", json!("xyz"), "configurations[0].id is \"xyz\"; an id is 24 hexadecimal digits"),
        (
            "/plans/0/pricing",
            json!({"amount": -1, "duration": {"months": 1}}),
            "plans[0].pricing.amount is -1; it is at least 0",
        ),
        ("/plans/0/pricing", json!({"amount": 1}), "plans[0].pricing.duration.months is missing"),
        (
            "/plans/0/pricing",
            json!({"amount": 1, "duration": {"months": 0}}),
            "pricing.duration.months is 0; it is from 1",
        ),
        ("/plans/0/features", json!({"maxAlertConfigs": -2}), "features.maxAlertConfigs is -2; it is at least -1"),
        (
            "/plans/0/alertConfigurations",
            json!([{"symbol": "X", "timeframe": "1h", "strategy": "S"}]),
            "plans[0].alertConfigurations[0] names no configuration",
        ),
        (
            "/plans/0/alertConfigurations",
            json!(["AAPL"]),
            "alertConfigurations[0] is no configuration: write { symbol, timeframe, strategy }",
        ),
        (
            "/plans/0/alertConfigurations",
            json!([{"symbol": "X"}]),
            "alertConfigurations[0] has a timeframe that is nothing",
        ),
        (
            "/users/0/profile",
            json!({"name": "U", "timezone": "Mars/X"}),
            "users[0].profile.timezone is \"Mars/X\", which is no time zone",
        ),
        ("/users/0/telegram", json!({}), "users[0].telegram.userId is missing"),
        ("/users/0/status", json!(1), "users[0].status is a number, not text"),
        (
            "/users/0/preferences",
            json!({"trading": {"riskLevel": "extreme"}}),
            "riskLevel is \"extreme\"; it is one of low, medium, high",
        ),
        (
            "/users/0/preferences",
            json!({"notifications": {"email": "yes"}}),
            "notifications.email is text, not true or false",
        ),
        ("/subscriptions/0/plan", json!("Q"), "subscriptions[0].plan names no plan"),
        ("/subscriptions/0/user", json!("0123456789abcdef01234567"), "subscriptions[0].user names no user"),
        (
            "/subscriptions/0/payment",
            json!({"transactionId": "T", "amount": 998.5}),
            "payment.amount is 998.5 INR, but the plan's price is 999 INR",
        ),
        (
            "/subscriptions/0/payment",
            json!({"transactionId": "T", "amount": 999, "currency": "USD"}),
            "payment.amount is 999 USD, but the plan's price is 999 INR",
        ),
        ("/subscriptions/0/payment", json!({"amount": 999}), "payment.transactionId is missing"),
        (
            "/subscriptions/0/subscription",
            json!({"startDate": "2026-01-02", "endDate": "2026-01-02"}),
            "subscription.endDate is 2026-01-02T00:00:00Z, which is not after startDate",
        ),
        (
            "/subscriptions/0/subscription",
            json!({"status": "active", "startDate": "2026-01-02"}),
            "subscription.endDate is needed",
        ),
        (
            "/preferences/0/preferences",
            json!({"customSettings": {"minPrice": 5, "maxPrice": 4}}),
            "customSettings.maxPrice is 4, which is below minPrice, 5",
        ),
        (
            "/preferences/0/preferences",
            json!({"customSettings": {"minPrice": 0}}),
            "customSettings.minPrice is 0; a price is above 0",
        ),
        ("/preferences/0/user", json!("nobody@x.de"), "preferences[0].user names no user"),
    ];
    for (place, value, told) in table {
        let file = file(|file| {
            let (parent, name) = place.rsplit_once('/').unwrap();
            file.pointer_mut(parent).unwrap()[name] = value.clone();
        });
        let mistakes = case.mistakes(&file).await;
        assert!(mistakes.iter().any(|mistake| mistake.contains(told)), "{place} {value}: {mistakes:#?}");
    }
}

#[tokio::test]
async fn one_mistake_does_not_bring_others_about() {
    let case = Case::new().await;
    let file = file(|file| {
        file["configurations"][0]["status"] = json!("on");
        file["plans"][0]["description"] = json!("");
        file["users"][0]["profile"]["name"] = json!(5);
    });
    assert_eq!(
        case.mistakes(&file).await,
        [
            "configurations[0].status is \"on\"; it is one of active, inactive, testing",
            "plans[0].description is empty",
            "users[0].profile.name is a number, not text",
        ]
    );
}

#[tokio::test]
async fn what_is_unique_stands_once_in_the_file_too() {
    let case = Case::new().await;
    let file = file(|file| {
        for (list, entry) in
            [("configurations", config()), ("plans", plan()), ("users", user(1)), ("subscriptions", subscription(1))]
        {
            file[list].as_array_mut().unwrap().push(entry);
        }
        // Named by the user's only subscription no longer.
        file["preferences"] = json!([]);
    });
    assert_eq!(
        case.mistakes(&file).await,
        [
            "configurations[1].symbol, timeframe, strategy is the same as in configurations[0]",
            "plans[1].name is the same as in plans[0]",
            "users[1].email is the same as in users[0]",
            "users[1].telegram.userId is the same as in users[0]",
            "subscriptions[1].payment.transactionId is the same as in subscriptions[0]",
        ]
    );
}

#[tokio::test]
async fn a_user_has_at_most_five_active_subscriptions_file_and_store_together() {
    let case = Case::new().await;
    let of = |range: std::ops::RangeInclusive<i64>| range.map(subscription).collect::<Vec<_>>();
    let first = json!({"plans": [plan()], "users": [user(1)], "subscriptions": of(1..=3)});
    case.import(&first).await.unwrap();
    let told = "subscriptions[2].subscription.status is the user's sixth active subscription; at most 5 are allowed";
    assert_eq!(case.mistakes(&json!({"subscriptions": of(4..=6)})).await, [told]);
    let mut expired = subscription(6);
    expired["subscription"]["status"] = json!("expired");
    let mut over = subscription(7);
    over["subscription"] = json!({"status": "active", "startDate": "2025-01-01", "endDate": "2026-01-01"});
    case.import(&json!({"subscriptions": [subscription(4), subscription(5), expired, over]})).await.unwrap();
}

#[tokio::test]
async fn an_active_subscription_takes_an_approved_payment_in_a_file_too() {
    let case = Case::new().await;
    let with = |payment: Value| {
        file(|file| {
            for (name, value) in payment.as_object().unwrap() {
                file["subscriptions"][0]["payment"][name] = value.clone();
            }
        })
    };
    for status in ["pending", "rejected"] {
        let told = format!(
            "subscriptions[0].subscription.status is active, but payment.status is {status}: an active subscription takes \
             an approved payment"
        );
        assert_eq!(case.mistakes(&with(json!({"status": status}))).await, [told]);
    }
    let pending = with(json!({"status": "pending", "approvedAt": "2026-01-01"}));
    assert!(case.mistakes(&pending).await.iter().any(|told| told.contains("payment.approvedAt is of an approved")));
    case.import(&with(json!({}))).await.unwrap();
    let kept = case.only(Collection::UserSubscriptions).await;
    let payment = kept.get_document("payment").unwrap();
    let started = kept.get_document("subscription").unwrap().get_datetime("startDate").unwrap();
    assert_eq!(payment.get_datetime("approvedAt").unwrap(), started, "it was approved when its term began");
}

#[tokio::test]
async fn preferences_belong_to_one_of_the_users_own_subscriptions() {
    let case = Case::new().await;
    let file = |named: Value| {
        let mut wanted = preference();
        wanted["subscription"] = named;
        let mut second = subscription(3);
        second["user"] = json!("u2@x.de");
        json!({
            "configurations": [config()], "plans": [plan()], "users": [user(1), user(2)],
            "subscriptions": [subscription(1), subscription(2), second], "preferences": [wanted],
        })
    };
    let table = [
        (
            Value::Null,
            "preferences[0].subscription is missing, and the user has 2 subscriptions: write one's transaction id",
        ),
        (json!("T3"), "preferences[0].subscription is another user's subscription"),
        (json!("T9"), "preferences[0].subscription names no subscription, neither of the file nor of the store"),
    ];
    for (named, told) in table {
        assert_eq!(case.mistakes(&file(named)).await, [told]);
    }
    case.import(&file(json!("T2"))).await.unwrap();
}

#[tokio::test]
async fn documents_may_come_as_mongoexport_writes_them() {
    let case = Case::new().await;
    let (config_id, plan_id) = ("0123456789abcdef01234567", "0123456789abcdef01234568");
    let file = json!({
        "alert_configurations": [{
            "_id": {"$oid": config_id}, "name": "N", "symbol": "AAPL", "timeframe": "1h", "strategy": "S", "__v": 0,
            "statistics": {"totalAlerts": 7, "lastAlertAt": {"$date": "2026-01-01T00:00:00Z"}},
            "createdAt": {"$date": {"$numberLong": "1767225600000"}},
        }],
        "subscription_plans": [{
            "_id": {"$oid": plan_id}, "name": "P", "description": "D", "alertConfigurations": [{"$oid": config_id}],
            "pricing": {"amount": {"$numberDouble": "99.5"}, "currency": "USD", "duration": {"months": 3, "days": 5}},
        }],
    });
    case.import(&file).await.unwrap();
    let kept = case.only(Collection::AlertConfigurations).await;
    assert_eq!(kept.get_object_id("_id").unwrap().to_hex(), config_id);
    assert_eq!(kept.get_datetime("createdAt").unwrap().timestamp_millis(), 1_767_225_600_000);
    assert_eq!(kept.get("updatedAt"), kept.get("createdAt"));
    assert_eq!(kept.get_document("statistics").unwrap().get_i32("totalAlerts").unwrap(), 7);
    let plan = case.only(Collection::SubscriptionPlans).await;
    assert_eq!(
        plan.get_document("pricing").unwrap(),
        &doc! {"amount": 99.5, "currency": "USD", "duration": {"months": 3, "days": 5}}
    );
    // And by id from another file.
    let more = json!({"users": [user(1)], "subscriptions": [{
        "userId": "u1@x.de", "subscriptionPlanId": plan_id, "payment": {"transactionId": "T", "amount": 99.5},
    }]});
    case.import(&more).await.unwrap();
    assert_eq!(
        case.only(Collection::UserSubscriptions).await.get_object_id("subscriptionPlanId").unwrap().to_hex(),
        plan_id
    );
}

#[tokio::test]
async fn entries_that_exist_are_left_out_on_request_and_referred_to() {
    let case = Case::new().await;
    let one = file(|_| {});
    case.import(&one).await.unwrap();
    let more = file(|file| {
        file["subscriptions"].as_array_mut().unwrap().push(subscription(2));
        file["plans"][0]["description"] = json!("another");
    });
    let report = case.import_as(&more, true).await.unwrap();
    let of =
        |collection| report.collections.iter().find(|(c, ..)| *c == collection).map(|(_, made, left)| (*made, *left));
    assert_eq!(of(Collection::UserSubscriptions), Some((1, 1)));
    assert_eq!(of(Collection::SubscriptionPlans), Some((0, 1)));
    assert_eq!(case.only(Collection::SubscriptionPlans).await.get_str("description").unwrap(), "D");
    // A Telegram account is one person's, also then.
    let mut other = user(1);
    other["email"] = json!("other@x.de");
    let error = case.import_as(&json!({"users": [other]}), true).await.unwrap_err().to_string();
    assert!(error.contains("users[0].telegram.userId is in the store already: users "), "{error}");
}

#[tokio::test]
async fn lists_that_are_none_are_named() {
    let case = Case::new().await;
    assert_eq!(
        case.mistakes(&json!({"users": {}, "trades": [], "plan": [], "configurations": [5]})).await,
        [
            "users is not a list",
            "trades is no list that can be imported",
            "plan is no list that can be imported; did you mean plans?",
            "configurations[0] is a number, not an object",
            "configurations[0].symbol is missing",
            "configurations[0].timeframe is missing",
            "configurations[0].strategy is missing",
            "configurations[0].name is missing",
        ]
    );
    assert_eq!(case.mistakes(&json!(5)).await.len(), 1);
}

/// Imports a file of this name.
async fn named(case: &Case, name: &str, text: &str) -> Result<usize, String> {
    let path = case.folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let report = run(&path, false, &case.store, &ObjectIds, NOW).await.map_err(|error| error.to_string())?;
    Ok(report.collections.iter().map(|(_, made, _)| made).sum())
}

#[tokio::test]
async fn what_mongoexport_writes_is_read_by_the_name_of_its_file() {
    let case = Case::new().await;
    let person = |n: i64| {
        let mut person = user(n);
        person["telegram"]["userId"] = json!({"$numberLong": n.to_string()});
        person["preferences"] = json!({"trading": {"maxDailyAlerts": {"$numberInt": "9"}}});
        person
    };
    let lines = format!("{}\r\n\r\n{}\n", person(1), person(2));
    assert_eq!(named(&case, "users.json", &lines).await, Ok(2));
    let list = json!([person(3), person(4)]).to_string();
    assert_eq!(named(&case, "trading_alerts.users.json", &list).await, Ok(2));
    let mut one = plan();
    one["_id"] = json!({"$oid": "0123456789abcdef01234568"});
    one["pricing"]["amount"] = json!({"$numberLong": "999"});
    assert_eq!(named(&case, "subscription_plans.jsonl", &one.to_string()).await, Ok(1));
    let told = named(&case, "users.ndjson", &format!("{}\n{{\"email\": \n", person(5))).await.unwrap_err();
    assert!(told.contains("what begins in line 2 is none"), "{told}");
    let pretty = [person(7), person(8)].map(|one| format!("{one:#}"));
    assert_eq!(named(&case, "users.json", &pretty.join("\n")).await, Ok(2));
    assert_eq!(named(&case, "users.jsonl", &user(9).to_string()).await, Ok(1), "one that has no id");
    let told = named(&case, "users.json", &format!("{}\n{}\n", person(6), json!({"email": "x"}))).await.unwrap_err();
    assert!(told.contains("line 2.email is \"x\""), "{told}");
    let told = named(&case, "people.json", &lines).await.unwrap_err();
    assert!(told.contains("does not say of which collection"), "{told}");
    let told = named(&case, "users.toml", &lines).await.unwrap_err();
    assert!(told.contains("is no TOML"), "{told}");
    for (name, nothing) in [
        ("a.json", "{}"),
        ("b.json", ""),
        ("c.json", "{\"users\": []}"),
        ("d.toml", ""),
        ("e.json", "[]"),
        ("users.json", "[]"),
    ] {
        assert_eq!(named(&case, name, nothing).await, Ok(0), "{name}");
    }
}

#[tokio::test]
async fn a_transaction_id_is_used_once_whatever_its_case_in_a_file_too() {
    let case = Case::new().await;
    case.import(&file(|_| {})).await.unwrap();
    let mut second = subscription(2);
    second["payment"]["transactionId"] = json!(" t1 ");
    let told = case.mistakes(&json!({"subscriptions": [second.clone(), second]})).await;
    let id = case.only(Collection::UserSubscriptions).await.get_object_id("_id").unwrap();
    let which = format!("is in the store already: user_subscriptions {id} (\"T1\")");
    assert!(told[0].contains(&which), "{told:?}");
    let preferences = case.only(Collection::UserAlertPreferences).await;
    assert_eq!(preferences.get_object_id("subscriptionId").unwrap(), id);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-zA-Z0-9@.: -]{0,12}".prop_map(Value::from),
        Just(json!({"$date": {"$numberLong": "x"}})),
        Just(json!({"$oid": 5})),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z]{1,6}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever stands in a field, the file is taken or refused; nothing breaks.
    #[test]
    fn any_value_in_any_field_is_judged(value in any_json(), which in 0_usize..40) {
        let mut file = file(|_| {});
        let mut places = Vec::new();
        walk(&file, String::new(), &mut places);
        let place = &places[which % places.len()];
        *file.pointer_mut(place).unwrap() = value;
        let problems = InputProblems::default();
        let mut reading = InputReading::new(KnownDocuments::default(), &problems, ReferenceStyle::ByNameToo, &ObjectIds, NOW);
        read(&mut reading, ImportContent::Lists(file));
        let (writes, _) = finish(reading);
        prop_assert!(writes.len() <= 5);
        prop_assert!(writes.len() == 5 || !problems.into_inner().is_empty() || place.matches('/').count() == 1);
    }
}

fn walk(value: &Value, place: String, places: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(n, item)| (n.to_string(), item)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inner {
        let place = format!("{place}/{name}");
        places.push(place.clone());
        walk(value, place, places);
    }
}
