//! What is refused says what to change, is kept, and reaches the operators.

use alertcast::settings::Settings;
use alertcast_core::store::Collection;
use bson::{Bson, Document, doc};
use serde_json::json;

use crate::support::{Answer, House, Post, SECRET, START};

fn operators(settings: &mut Settings) {
    settings.telegram.tokens = vec!["77:token".into()];
    settings.telegram.operator_chats = vec!["-100".to_owned()];
}

fn strings(document: &Document, name: &str) -> Vec<String> {
    document.get_array(name).unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_alert_that_breaks_rules_is_kept_as_failed_with_all_of_them() {
    let house = House::with(operators).await;
    let answer = Post::buy(json!({"tp": 60000, "sl": 65000})).send(&house).await.assert(422);
    assert_eq!(answer.problems(), ["tp: tp_side", "sl: sl_side"]);

    let kept = house.only(Collection::Alerts).await;
    assert_eq!(answer.alert(), kept.get_object_id("_id").unwrap().to_hex());
    let processing = kept.get_document("processing").unwrap();
    assert_eq!(processing.get_str("status").unwrap(), "failed");
    assert_eq!(processing.get_object_id("alertConfigId").unwrap().bytes(), [3; 12]);
    let errors = processing.get_array("errors").unwrap();
    for (error, told) in errors.iter().zip(answer.body["errors"].as_array().unwrap()) {
        let error = error.as_document().unwrap();
        assert_eq!(error.get_str("message").unwrap(), told["message"].as_str().unwrap());
        assert_eq!(error.get("timestamp"), Some(&Bson::from(START)));
    }
    assert_eq!(errors.len(), 2);
    assert_eq!(strings(kept.get_document("alertcast").unwrap(), "refusedFor"), ["tp_side", "sl_side"]);
    assert_eq!(kept.get_document("alertData").unwrap().get_f64("takeProfitPrice").unwrap(), 60_000.0);

    let told = house.only(Collection::Deliveries).await;
    assert_eq!(told.get_str("lane").unwrap(), "tg:77");
    assert_eq!(told.get_str("to").unwrap(), "-100");
    let facts = told.get_document("facts").unwrap();
    assert_eq!(facts.get_str("title").unwrap(), "Alert refused: BUY BTCUSDT 1h EMA Cross");
    assert_eq!(strings(facts, "lines").len(), 3);
    assert!(house.app.wake.on_deliveries().borrow().gt(&0));
}

#[tokio::test]
async fn what_looks_like_a_level_or_a_number_and_is_none_is_refused() {
    let house = House::with(operators).await;
    for (fields, problem) in [
        (json!({"price": "42_5"}), "price: not_a_number"),
        (json!({"price": [41]}), "price: not_a_number"),
        (json!({"sl": null, "sl_pips": 30}), "sl: not_a_number"),
        (json!({"tp": [66000, 65000.5]}), "tp2: target_order"),
        (json!({"tp": 66000, "tp2": "{{plot_2}}"}), "tp2: placeholder"),
    ] {
        let answer = Post::buy(fields.clone()).send(&house).await.assert(422);
        assert_eq!(answer.problems(), [problem], "{fields}");
    }
}

#[tokio::test]
async fn a_strategy_that_is_nearly_right_is_answered_with_the_one_that_is_meant() {
    let house = House::with(operators).await;
    for strategy in ["ema cross", "EMA  Cross", "EMA\u{a0}Cross", "EMA Cross."] {
        let answer = Post::buy(json!({"strategy": strategy})).send(&house).await.assert(422);
        let told = answer.body["errors"][0]["message"].as_str().unwrap();
        assert!(told.contains("did you mean \"EMA Cross\"?"), "{told}");
    }
}

#[tokio::test]
async fn several_orders_in_one_message_are_refused_as_such() {
    let house = House::with(operators).await;
    let order =
        json!({"symbol": "BTCUSDT", "timeframe": "1h", "strategy": "EMA Cross", "signal": "BUY", "price": 64000});
    Post::body(json!([order, order]).to_string()).send(&house).await.assert(400);
    let kept = house.only(Collection::RejectedWebhooks).await;
    assert!(strings(&kept, "errors")[0].contains("several orders"), "{kept}");
}

#[tokio::test]
async fn the_operators_hear_how_to_say_what_an_unclear_message_means() {
    let house = House::with(operators).await;
    Post::buy(json!({"signal": "whatever"})).send(&house).await.assert(422);
    let kept = house.only(Collection::RejectedWebhooks).await.get_object_id("_id").unwrap();
    let told = house.only(Collection::Deliveries).await;
    let lines = strings(told.get_document("facts").unwrap(), "lines");
    let how = format!("POST /api/v1/rejected-webhooks/{kept}/process with {{\"as\": \"exit\", \"side\": \"BUY\"}}");
    assert!(lines.iter().any(|line| line.contains(&how)), "{lines:?}");
}

#[tokio::test]
async fn the_same_trouble_is_told_once_and_then_counted() {
    let house = House::with(operators).await;
    for n in 0..5 {
        Post::buy(json!({"tp": 1, "n": n})).send(&house).await.assert(422);
    }
    Post::buy(json!({"sl": 99999})).send(&house).await.assert(422);
    let told = house.all(Collection::Deliveries).await;
    let counts: Vec<_> = told.iter().filter_map(|d| d.get_document("facts").unwrap().get_i32("count").ok()).collect();
    assert_eq!((told.len(), counts), (3, vec![4]));
}

#[tokio::test]
async fn every_rule_is_named_by_field_and_code() {
    let house = House::new().await;
    let table = [
        (json!({"strategy": "Other"}), "configuration: unknown_configuration"),
        (json!({"timestamp": "2026-11-22T09:54:59Z"}), "timestamp: stale"),
        (json!({"timestamp": "2026-11-22T09:00:00Z"}), "timestamp: stale"),
        (json!({"timestamp": "2026-11-22T10:01:01Z"}), "timestamp: ahead"),
        (json!({"timestamp": "soon"}), "timestamp: bad_timestamp"),
        (json!({"price": "NaN"}), "price: not_a_number"),
        (json!({"price": "{{close}}"}), "price: placeholder"),
        (json!({"price": 0, "tp": null, "sl": null}), "price: not_positive"),
        (json!({"price": null}), "price: missing"),
        (json!({"signal": "HOLD"}), "signal: unknown_signal"),
        (json!({"timeframe": "1M"}), "timeframe: unknown_timeframe"),
        (json!({"timeframe": "3h"}), "timeframe: unknown_timeframe"),
        (json!({"symbol": "x".repeat(200)}), "symbol: bad_symbol"),
    ];
    for (change, problem) in table {
        let answer = Post::buy(change.clone()).send(&house).await.assert(422);
        assert!(answer.problems().contains(&problem.to_owned()), "{change}: {:?}", answer.problems());
    }
}

#[tokio::test]
async fn the_edges_of_time_are_within() {
    for timestamp in ["2026-11-22T09:55:00Z", "2026-11-22T10:01:00Z", "1795341600", "1795341600000"] {
        let house = House::new().await;
        Post::buy(json!({"timestamp": timestamp})).send(&house).await.assert(202);
    }
}

#[tokio::test]
async fn an_age_of_one_bar_is_explained() {
    let house = House::new().await;
    let answer = Post::buy(json!({"timestamp": "2026-11-22T09:00:00Z"})).send(&house).await.assert(422);
    let message = answer.body["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("{{timenow}}"), "{message}");
}

#[tokio::test]
async fn a_slipped_digit_is_refused_and_a_second_price_that_agrees_is_believed() {
    let house = House::new().await;
    let at = |price: i64, n: i64| Post::buy(json!({"price": price, "tp": null, "sl": null, "n": n}));
    for (n, (price, status)) in
        [(64_000, 202), (6_400, 422), (64_100, 202), (80_000, 422), (80_100, 202)].into_iter().enumerate()
    {
        house.wait(1);
        let answer = at(price, n as i64).send(&house).await.assert(status);
        let expected = if status == 202 { vec![] } else { vec!["price: price_tolerance".to_owned()] };
        assert_eq!(answer.problems(), expected);
    }
}

#[tokio::test]
async fn an_alert_that_lacks_what_the_schema_requires_is_kept_as_a_request() {
    let house = House::with(operators).await;
    let post = Post::buy(json!({"price": null, "strategy": null, "passphrase": "hunter2-hunter2"}));
    let answer = post.query("token=hunter3-hunter3&x=1").send(&house).await.assert(422);
    assert_eq!(answer.problems(), ["strategy: missing", "price: missing"]);
    assert_eq!(answer.alert(), "");

    let kept = house.only(Collection::RejectedWebhooks).await;
    assert_eq!(kept.get("receivedAt"), Some(&Bson::from(START)));
    assert_eq!(kept.get_str("ipAddress").unwrap(), "198.51.100.7");
    assert_eq!(kept.get_i32("status").unwrap(), 422);
    assert_eq!(strings(&kept, "errors").len(), 2);
    assert!(kept.get_str("body").unwrap().contains("BTCUSDT"));
    assert!(kept.get_str("query").unwrap().contains("x=1"));
    assert!(!kept.to_string().contains("hunter"), "{kept}");
    assert_eq!(house.kept().await, (0, 1));
    let facts = house.only(Collection::Deliveries).await.get_document("facts").unwrap().clone();
    assert_eq!(facts.get_str("title").unwrap(), "Alert refused");
    let id = kept.get_object_id("_id").unwrap();
    assert_eq!(strings(&facts, "lines")[2], format!("Kept as rejected webhook {id}"));
}

async fn unreadable(body: impl Into<axum::body::Body>) -> (House, Answer) {
    let house = House::with(operators).await;
    let answer = Post::body(body).send(&house).await.assert(400);
    assert_eq!(house.kept().await, (0, 1));
    assert_eq!(house.only(Collection::RejectedWebhooks).await.get_i32("status").unwrap(), 400);
    assert_eq!(house.all(Collection::Deliveries).await.len(), 1);
    (house, answer)
}

#[tokio::test]
async fn what_cannot_be_read_says_why_and_is_kept() {
    let deep = format!("{}1{}", "{\"a\":".repeat(60_000 / 6), "}".repeat(60_000 / 6));
    let table: &[(&[u8], &str)] = &[
        (b"", "empty"),
        (b"\xff\xfe\x00\x01", "UTF-8"),
        (b"[1, 2]", "a list"),
        (b"{\"symbol\": \"BTCUSDT\", \"price\": }x", "line 1"),
        (b"the price is going up", "no field"),
        (deep.as_bytes(), "nested"),
    ];
    for (body, why) in table {
        let (_, answer) = unreadable(body.to_vec()).await;
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(why), "{detail}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_kept_within_the_bound() {
    let (house, _) = unreadable(vec![0xff; 64 * 1024]).await;
    let kept = house.only(Collection::RejectedWebhooks).await;
    let body = kept.get_str("body").unwrap();
    assert!(body.len() <= 64 * 1024 && body.starts_with('\u{fffd}'));
}

#[tokio::test]
async fn refusals_are_kept_without_operators_too() {
    let house = House::new().await;
    Post::buy(json!({"tp": 1})).send(&house).await.assert(422);
    Post::body("?").send(&house).await.assert(400);
    assert_eq!(house.kept().await, (1, 1));
    assert_eq!(house.all(Collection::Deliveries).await.len(), 0);
}

#[tokio::test]
async fn an_exit_is_not_refused_for_its_price_or_because_its_configuration_is_inactive() {
    let house = House::new().await;
    house.set(Collection::AlertConfigurations, [3; 12].into(), doc! {"status": "inactive"}).await;
    house.app.audience.catch_up(&*house.app.store).await.unwrap();
    Post::buy(json!({"signal": "SL_HIT", "price": 1})).send(&house).await.assert(202);
    let entry = Post::buy(json!({})).send(&house).await.assert(422);
    assert_eq!(entry.problems(), ["configuration: configuration_inactive"]);
    assert!(!entry.body.to_string().contains(SECRET));
}
