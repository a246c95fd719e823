//! What is taken in, and what is kept of it.

use alertcast_core::alert::document::Alert;
use alertcast_core::store::Collection;
use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use serde_json::json;

use crate::support::{House, INTO_THE_DAY, Post, START, configuration};

const CONFIG: [u8; 12] = [3; 12];

#[tokio::test]
async fn an_alert_is_kept_whole_in_the_seeds_shape() {
    let house = House::new().await;
    let body = json!({
        "symbol": "BINANCE:BTCUSDT", "interval": "60", "strategy": "EMA Cross", "action": "buy", "price": "64000.5",
        "tp": 66000, "sl": 63000, "time": INTO_THE_DAY, "trade_id": "t-1", "contracts": 0.5, "comment": "breakout",
        "risk": "high", "tp2": 67000, "secret": "not-to-be-kept",
    });
    let post = Post::body(body.to_string()).header("content-type", "text/plain; charset=utf-8");
    let answer = post.send(&house).await.assert(202);

    let kept = house.only(Collection::Alerts).await;
    assert_eq!(answer.alert(), kept.get_object_id("_id").unwrap().to_hex());
    assert_eq!(answer.body, json!({"alertId": answer.alert()}));
    let mut raw = alertcast_core::store::document(&body).unwrap();
    raw.remove("secret");
    for (name, number) in [("tp", 66_000), ("sl", 63_000), ("tp2", 67_000)] {
        raw.insert(name, number);
    }
    let partition = alertcast_core::store::partition_of(ObjectId::from_bytes(CONFIG).into());
    let expected = doc! {
        "_id": kept.get_object_id("_id").unwrap(),
        "source": "tradingview",
        "webhook": { "receivedAt": Bson::from(START), "rawPayload": raw, "ipAddress": "198.51.100.7" },
        "alertData": {
            "symbol": "BTCUSDT", "timeframe": "1h", "strategy": "EMA Cross", "signal": "BUY", "price": 64_000.5,
            "takeProfitPrice": 66_000.0, "stopLossPrice": 63_000.0, "timestamp": Bson::from(START),
            "additionalData": { "tp2": 67_000 },
        },
        "processing": {
            "status": "received", "alertConfigId": ObjectId::from_bytes(CONFIG), "matchedUsers": [],
            "tradeActions": [], "errors": [],
        },
        "statistics": { "deliveryCount": 0, "failureCount": 0 },
        "createdAt": Bson::from(START),
        "updatedAt": Bson::from(START),
        "alertcast": {
            "seq": kept.get_document("alertcast").unwrap().get("seq").unwrap(), "after": 0, "partition": partition,
            "quantity": 0.5, "tradeRef": "t-1", "tradeRefExplicit": true, "risk": "high", "comment": "breakout", "attempts": 0,
        },
    };
    assert_eq!(sorted(&kept), sorted(&expected));
}

/// Fields in the order of their names, at every level.
fn sorted(document: &Document) -> Document {
    let mut fields: Vec<(String, Bson)> = document
        .iter()
        .map(|(name, value)| {
            let value = value.as_document().map_or_else(|| value.clone(), |inner| Bson::from(sorted(inner)));
            (name.clone(), value)
        })
        .collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields.into_iter().collect()
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    for content_type in ["", "text/plain", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "x"]
    {
        let house = House::new().await;
        Post::buy(json!({})).header("content-type", content_type).send(&house).await.assert(202);
    }
}

#[tokio::test]
async fn messages_are_read_as_people_paste_them() {
    let messages = [
        "{symbol: 'BTCUSDT', timeframe: \"1h\", strategy: 'EMA Cross', signal: buy, price: 64000, \
         timestamp: 2026-11-22T10:00:00Z,}",
        "symbol=BTCUSDT\ntimeframe=1h\nstrategy=EMA Cross\nsignal=buy\nprice=64000\ntimestamp=2026-11-22T10:00:00Z",
        "symbol: BTCUSDT, timeframe: 1h, strategy: EMA Cross, signal: buy, price: 64000",
        "\u{feff}{\"TICKER\": \"btcusdt\", \"tf\": \"60\", \"strategyName\": \"EMA Cross\", \"Side\": \"long\", \
         \"close\": \"6.4e4\"}",
    ];
    for message in messages {
        let house = House::new().await;
        Post::body(message).send(&house).await.assert(202);
        let data = house.only(Collection::Alerts).await.get_document("alertData").unwrap().clone();
        assert_eq!(data.get_f64("price").unwrap(), 64_000.0, "{message}");
        assert_eq!(data.get_datetime("timestamp").copied().unwrap(), START.into(), "{message}");
    }
}

#[tokio::test]
async fn levels_and_targets_of_any_shape_are_kept_as_prices() {
    let house = House::new().await;
    let levels = json!({
        "tp": null, "takeProfit": [{"limitPrice": 66000}, {"limitPrice": 67000}], "stopLoss": {"stopPrice": 63000},
    });
    Post::buy(levels).send(&house).await.assert(202);
    let kept = house.only(Collection::Alerts).await;
    let data = kept.get_document("alertData").unwrap();
    let level = |name| data.get_f64(name).unwrap();
    assert_eq!((level("takeProfitPrice"), level("stopLossPrice")), (66_000.0, 63_000.0));
    let alert: Alert = alertcast_core::store::read(Collection::Alerts, kept.clone()).unwrap();
    let further: Vec<String> = alert.alert_data.further_targets().iter().map(ToString::to_string).collect();
    assert_eq!(further, ["67000"]);
}

#[tokio::test]
async fn an_alert_of_a_delayed_feed_is_taken_and_marked() {
    let house = House::new().await;
    Post::buy(json!({"symbol": "BITSTAMP_DLY:BTCUSDT"})).send(&house).await.assert(202);
    let kept = house.only(Collection::Alerts).await;
    assert_eq!(kept.get_document("alertData").unwrap().get_str("symbol").unwrap(), "BTCUSDT");
    assert_eq!(kept.get_document("alertcast").unwrap().get_str("delayedFeed").unwrap(), "BITSTAMP_DLY");
}

#[tokio::test]
async fn messages_that_are_nearly_there_are_read() {
    let alert = json!({
        "symbol": "BTCUSDT", "timeframe": "1h", "strategy": "EMA Cross", "signal": "BUY", "price": 64000,
    });
    let alert = alert.to_string();
    for body in [
        alert.replace('"', "&quot;"),
        format!("```json\n{alert}\n```"),
        format!("BTCUSDT alert: {alert}"),
        json!({"content": alert}).to_string(),
        "symbol=BTCUSDT; timeframe=1h; strategy=EMA Cross; signal=BUY; price=64000".to_owned(),
    ] {
        let house = House::new().await;
        Post::body(body.clone()).send(&house).await.assert(202);
        let data = house.only(Collection::Alerts).await.get_document("alertData").unwrap().clone();
        assert_eq!(data.get_f64("price").unwrap(), 64_000.0, "{body}");
    }
}

#[tokio::test]
async fn what_the_body_lacks_stands_in_the_url() {
    let house = House::new().await;
    let body = "BTCUSDT Crossing 64000";
    let query = "symbol=BTCUSDT&timeframe=1h&strategy=EMA%20Cross&signal=sell&price=64000";
    Post::body(body).query(query).send(&house).await.assert(202);
    let kept = house.only(Collection::Alerts).await;
    assert_eq!(kept.get_document("alertData").unwrap().get_str("signal").unwrap(), "SELL");
    assert_eq!(kept.get_document("webhook").unwrap().get_document("rawPayload").unwrap(), &doc! {"_text": body});
}

#[tokio::test]
async fn a_strategys_flat_position_is_kept_as_what_it_asks_for() {
    let house = House::new().await;
    let order = json!({"signal": null, "action": "sell", "market_position": "flat", "prev_market_position": "long"});
    Post::buy(order).send(&house).await.assert(202);
    let kept = house.only(Collection::Alerts).await;
    let intent = kept.get_document("alertcast").unwrap().get_document("intent").unwrap();
    assert_eq!(intent, &doc! {"kind": "flat", "side": "BUY"});
}

#[tokio::test]
async fn an_alert_of_a_testing_configuration_is_marked() {
    let house = House::new().await;
    house.set(Collection::AlertConfigurations, ObjectId::from_bytes(CONFIG), doc! {"status": "testing"}).await;
    house.app.audience.catch_up(&*house.app.store).await.unwrap();
    Post::buy(json!({})).send(&house).await.assert(202);
    assert!(house.only(Collection::Alerts).await.get_document("alertcast").unwrap().get_bool("testing").unwrap());
}

#[tokio::test]
async fn of_a_turn_whose_entry_breaks_a_rule_the_exit_is_taken_and_says_so() {
    let house = House::new().await;
    let turn = json!({
        "signal": null, "action": "buy", "market_position": "long", "prev_market_position": "short", "tp": 60000,
    });
    Post::buy(turn).send(&house).await.assert(202);
    let kept = house.only(Collection::Alerts).await;
    let intent = kept.get_document("alertcast").unwrap().get_document("intent").unwrap();
    assert_eq!(intent, &doc! {"kind": "flat", "side": "SELL"});
    let errors = kept.get_document("processing").unwrap().get_array("errors").unwrap();
    assert!(errors[0].as_document().unwrap().get_str("message").unwrap().contains("tp"), "{errors:?}");
}

#[tokio::test]
async fn alerts_know_which_were_answered_before_they_came() {
    let house = House::new().await;
    for n in 0..3 {
        Post::buy(json!({"signal": "TP_HIT", "n": n})).send(&house).await.assert(202);
    }
    let alerts = house.all(Collection::Alerts).await;
    let of = |alert: &Document, name: &str| {
        let extension = alert.get_document("alertcast").unwrap();
        extension.get_i32(name).map(i64::from).or_else(|_| extension.get_i64(name)).unwrap()
    };
    for pair in alerts.windows(2) {
        assert!(of(&pair[1], "after") >= of(&pair[0], "seq"), "{pair:#?}");
        assert!(of(&pair[1], "seq") > of(&pair[1], "after"));
    }
}

#[tokio::test]
async fn the_processor_is_woken() {
    let house = House::new().await;
    let knocks = house.app.wake.on_alerts();
    Post::buy(json!({})).send(&house).await.assert(202);
    assert!(knocks.has_changed().unwrap());
}

#[tokio::test]
async fn a_configuration_made_a_moment_ago_is_known() {
    let house = House::new().await;
    let alert = || Post::buy(json!({"symbol": "ETHUSDT", "price": 3000, "tp": 3100, "sl": 2900}));
    alert().send(&house).await.assert(422);
    let mut other = configuration();
    other.extend(doc! {"_id": ObjectId::from_bytes([4; 12]), "symbol": "ETHUSDT"});
    house.insert(Collection::AlertConfigurations, other).await;
    alert().send(&house).await.assert(202);
}
