//! Levels in every shape, as people send them.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::alert::payload::{Payload, read};
use crate::money::Price;
use crate::time::Time;

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

fn prices(texts: &[&str]) -> Vec<Price> {
    texts.iter().map(|text| price(text)).collect()
}

/// An entry at 100, with these fields.
fn entry(signal: &str, fields: &Value) -> Payload {
    entry_with_query(signal, fields, "")
}

fn entry_with_query(signal: &str, fields: &Value, query: &str) -> Payload {
    let mut body = json!({"symbol": "AAPL", "timeframe": "1h", "strategy": "EMA", "signal": signal, "price": 100});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    read(body.to_string().as_bytes(), query).unwrap()
}

/// The take profits, from the first; and the stop loss.
fn levels(payload: &Payload) -> (Vec<Price>, Option<Price>) {
    let targets = payload.take_profit.into_iter().chain(payload.targets.iter().copied()).collect();
    (targets, payload.stop_loss)
}

fn problems(payload: &Payload) -> Vec<String> {
    payload.problems.iter().map(|p| format!("{}: {}", p.field, p.code)).collect()
}

#[test]
fn levels_are_read_in_every_shape() {
    let table = [
        (json!({"stopLoss": {"stopPrice": 95}, "takeProfit": {"limitPrice": 110}}), &["110"][..], Some("95")),
        (
            json!({"takeProfit": {"limitPrice": "110"}, "stopLoss": {"type": "stop", "stopPrice": "95"}}),
            &["110"],
            Some("95"),
        ),
        (json!({"tp": [110, 120]}), &["110", "120"], None),
        (json!({"tp": ["110", null, "130"]}), &["110", "130"], None),
        (json!({"tp": "[110, 120]", "sl": [95, 90]}), &["110", "120"], Some("95")),
        (json!({"targets": [{"price": 110, "percent": 50}, {"price": 120, "qty": 1}]}), &["110", "120"], None),
        (json!({"take_profits": {"1": 110, "2": 120, "3": 130}}), &["110", "120", "130"], None),
        (json!({"targets": {"tp1": 110, "tp2": {"price": 120}, "sl": 95}}), &["110", "120"], Some("95")),
        (json!({"tp_price": 110, "sl_price": 95}), &["110"], Some("95")),
        (json!({"targets": "110, 120"}), &["110", "120"], None),
        (json!({"targets": "110,120,130"}), &["110", "120", "130"], None),
        (json!({"tps": "110 / 120", "stops": [95]}), &["110", "120"], Some("95")),
        (json!({"take_profit_targets": [110, 120]}), &["110", "120"], None),
        (json!({"targets": {"first": 110, "second": 120}, "sl": "95"}), &["110", "120"], Some("95")),
        (json!({"first_target": 110, "second_target": 120, "hard_stop": 95}), &["110", "120"], Some("95")),
        (json!({"exits": "{\"tp\": 110, \"sl\": 95}"}), &["110"], Some("95")),
        (json!({"tp": "false", "sl": 95}), &[], Some("95")),
        (json!({"target1": 110, "target2": 120, "invalidation_level": 95}), &["110", "120"], Some("95")),
        (json!({"target1": 110, "target2": 120, "stoploss": 95}), &["110", "120"], Some("95")),
        (json!({"target_1": 110, "target_2": 120, "stop_loss_1": 95}), &["110", "120"], Some("95")),
        (json!({"take_profit_1": 110, "take_profit_2": 120, "take_profit_3": 0}), &["110", "120"], None),
        (json!({"TP 1": "110", "TP 2": "120", "Stop-Loss": "95"}), &["110", "120"], Some("95")),
        (json!({"tp10": 140, "tp2": 120, "tp1": 110}), &["110", "120", "140"], None),
        (json!({"tp1_price": 110, "takeProfit2Price": 120, "take_profit_price_3": 130}), &["110", "120", "130"], None),
        (json!({"tp": {"order": {"limit_price": 110}}}), &["110"], None),
        (json!({"bracket": {"takeProfit": {"price": 110}, "stopLoss": {"price": 95}}}), &["110"], Some("95")),
        (json!({"order": {"exits": {"tp": 110, "tp2": 120, "sl": 95}}}), &["110", "120"], Some("95")),
        (
            json!({"exits": [{"type": "tp1", "price": 110}, {"type": "TP2", "price": 120}, {"type": "stop_loss", "price": 95}]}),
            &["110", "120"],
            Some("95"),
        ),
        (json!({"tp": 110, "targets": [120, 130]}), &["110", "120", "130"], None),
        (json!({"tp": 110, "targets": [110, 120, 130]}), &["110", "120", "130"], None),
        (json!({"tp": "2%", "sl": "1.5 %"}), &["102"], Some("98.5")),
        (json!({"tp_percent": 2, "sl_pct": "1.5"}), &["102"], Some("98.5")),
        (json!({"take_profit_percent": "0.02", "stop_loss_percentage": -1}), &["100.02"], Some("99")),
        (json!({"tp": "2 percent", "SL%": "+1.5%"}), &["102"], Some("98.5")),
        (json!({"tp1_percent": 2, "tp2_percent": 4}), &["102", "104"], None),
        (json!({"tp": ["2%", "4%"]}), &["102", "104"], None),
        (json!({"tp": 2, "tp_type": "percent", "sl": 95, "sl_type": "stop"}), &["102"], Some("95")),
        (json!({"takeProfit": {"type": "percentage", "value": 2}, "stopLoss": {"percent": 1}}), &["102"], Some("99")),
        (json!({"tp": 110, "tp_percent": 50, "tp1_pips": 30, "sl": 95, "sl_atr": 1.5}), &["110"], Some("95")),
        (json!({"tp": {"enabled": false, "price": 110}, "sl": {}}), &[], None),
        (json!({"tp": false, "sl": [], "tp2": "NaN", "tp3": [null, 0], "tp_pips": 0, "sl_percent": null}), &[], None),
        (json!({"tp_mode": "trail", "sl_type": "hard", "tp_enabled": true, "tpsl": true, "use_tp": 1}), &[], None),
        (json!({"t1": 110, "T2": "120", "sl": 95}), &["110", "120"], Some("95")),
        (json!({"pt": 110, "stop": 95}), &["110"], Some("95")),
        (json!({"targets": {"t1": 110, "t2": 120}}), &["110", "120"], None),
        (json!({"tp": {"level1": 110, "level2": 120}}), &["110", "120"], None),
        (json!({"bracket": {"t1": 110, "t2": 120}}), &["110", "120"], None),
        (json!({"limit_tp": 110, "sl_price1": 95}), &["110"], Some("95")),
        (json!({"target_one": 110, "target_two": 120, "takeProfitLevel3": 130}), &["110", "120", "130"], None),
        (json!({"tp": "110, 120, 130"}), &["110", "120", "130"], None),
        (json!({"tp": "110/120/130", "sl": "95/90"}), &["110", "120", "130"], Some("95")),
        (json!({"takeProfit": "110; 120"}), &["110", "120"], None),
        (json!({"tp": "2% / 4%"}), &["102", "104"], None),
        (
            json!({"exits": "[{\"type\": \"tp\", \"price\": 110}, {\"type\": \"sl\", \"price\": 95}]"}),
            &["110"],
            Some("95"),
        ),
        (json!({"order": {"exits": "{\"tp\": 110, \"sl\": 95}"}}), &["110"], Some("95")),
        (json!({"tp_long": 110, "sl_long": 95, "tp_short": 90, "sl_short": 105}), &["110"], Some("95")),
        (json!({"short_tp": 90, "shortStop": 105, "long_tp1": 110, "long_tp2": 120}), &["110", "120"], None),
        (json!({"tp": 111, "tp_long": 110, "tp_first": 112, "tp_second": 120}), &["111", "120"], None),
        // Times, thresholds and texts are no levels, and no entry is refused for them.
        (json!({"t1": 1_764_000_000_000_i64, "t2": 90, "t3": "10:30", "t4": [1, 2], "pt": "Lisbon"}), &[], None),
        (json!({"tp": 110, "t1": 105, "t2": 120}), &["110", "120"], None),
        (json!({"prev_trade": {"tp": 120, "sl": 80}, "inputs": {"tp": 3}, "bar": {"stop": 1}}), &[], None),
    ];
    for (fields, targets, stop) in table {
        let payload = entry("BUY", &fields);
        assert_eq!(payload.problems, [], "{fields}");
        assert_eq!(levels(&payload), (prices(targets), stop.map(price)), "{fields}");
    }
}

#[test]
fn a_percentage_is_on_the_right_side_of_either_entry() {
    let table = [
        ("SELL", json!({"tp": "2%", "sl": "1%"}), "98", "101"),
        ("SELL", json!({"tp_percent": -2, "sl_percent": -1}), "98", "101"),
        ("BUY", json!({"tp_percent": 2, "sl_percent": -1}), "102", "99"),
        ("short", json!({"tp_pct": "0.1", "sl_pct": "0.15"}), "99.9", "100.15"),
    ];
    for (signal, fields, tp, sl) in table {
        let payload = entry(signal, &fields);
        assert_eq!((payload.take_profit, payload.stop_loss), (Some(price(tp)), Some(price(sl))), "{signal} {fields}");
    }
    let uneven = read(br#"{"signal": "BUY", "price": "1.09345", "sl": "0.3%"}"#, "").unwrap();
    assert_eq!(uneven.stop_loss, Some(price("1.09016965")), "in decimals");
}

#[test]
fn what_looks_like_a_level_and_is_none_is_named() {
    let table = [
        (json!({"tp": {"foo": 110}}), "tp: not_a_number", "tp is an object without a price that can be read"),
        (
            json!({"takeProfit": {"limitPrice": "x"}}),
            "tp: not_a_number",
            "takeProfit.limitPrice is \"x\", which is not a number",
        ),
        (json!({"sl": {"pips": 30}}), "sl: not_a_number", "sl.pips is \"30\", a distance"),
        (json!({"sl_pips": 30}), "sl: not_a_number", "sl_pips is \"30\", a distance"),
        (json!({"stop_loss_offset": "0.5"}), "sl: not_a_number", "a distance"),
        (json!({"tp_atr": 1.5}), "tp: not_a_number", "a distance"),
        (json!({"tp2_ticks": 1.5}), "tp2: not_a_number", "a distance"),
        (json!({"tp": 20, "tp_unit": "pips"}), "tp: not_a_number", "a distance"),
        (json!({"tp": true}), "tp: not_a_number", "tp is true"),
        (json!({"tp": [110, "abc"]}), "tp2: not_a_number", "tp[2] is \"abc\""),
        (json!({"tp": [[110, 50]]}), "tp: not_a_number", "tp[1] is a list within a list"),
        (json!({"tp2": [110, 120]}), "tp2: not_a_number", "tp2 is a list"),
        (json!({"tp2": "110/120"}), "tp2: not_a_number", "tp2 is a list"),
        (json!({"tp": "110,120"}), "tp: not_a_number", "which is not a number"),
        (json!({"target2": "{{plot_3}}"}), "tp2: placeholder", "target2 is still the placeholder {{plot_3}}"),
        (json!({"tp": 110, "tp3": "{{plot(\"TP3\")}}"}), "tp3: placeholder", "tp3 is still"),
        (json!({"tp_percent": "{{plot_1}}"}), "tp: placeholder", "tp_percent is still"),
        (json!({"tp": {"price": "{{plot_1}}"}}), "tp: placeholder", "tp.price is still"),
        (json!({"tp0": 110}), "tp: not_a_number", "levels count from 1"),
        (json!({"tp": "5000%"}), "tp: not_a_number", "more than 1000 percent"),
        (json!({"sl": "1R"}), "sl: not_a_number", "which is not a number"),
    ];
    for (fields, code, part) in table {
        let payload = entry("BUY", &fields);
        assert_eq!(problems(&payload), [code], "{fields}: {:?}", payload.problems);
        assert!(payload.problems[0].message.contains(part), "{fields}: {}", payload.problems[0].message);
    }
    let payload = entry_with_query("BUY", &json!({}), "tp2=x");
    assert!(payload.problems[0].message.starts_with("tp2 (in the webhook's URL) is"), "{:?}", payload.problems);
}

#[test]
fn what_the_body_lacks_of_the_levels_stands_in_the_query() {
    let payload = entry_with_query("BUY", &json!({"tp": 110, "tp2": 120}), "?tp=105&target2=115&tp3=130&sl=1%25");
    assert_eq!(levels(&payload), (prices(&["110", "120", "130"]), Some(price("99"))));
    assert_eq!(payload.alert_data(Time::default()).unwrap().further_targets(), payload.targets);
}

#[test]
fn an_alert_that_is_asked_for_something_else_has_the_levels_of_that() {
    let mut payload = entry("TP_HIT", &json!({"tp": "2%", "sl": "1%", "tp2": 120}));
    assert_eq!(levels(&payload), (prices(&["120"]), None), "an exit has no price to take percents of");
    payload.ask(crate::market::Signal::Sell.into());
    assert_eq!((payload.take_profit, payload.stop_loss), (Some(price("98")), Some(price("101"))));
}

/// Names and values that levels come in.
fn level_fields() -> impl Strategy<Value = Value> {
    let names = prop::sample::select(vec![
        "tp",
        "tp1",
        "tp2",
        "TP 3",
        "target",
        "target_2",
        "targets",
        "takeProfit",
        "take_profit_percent",
        "tp_type",
        "t1",
        "t2",
        "pt",
        "limit_tp",
        "tp_long",
        "short_tp2",
        "tp2_pct",
        "sl",
        "stop",
        "stopLoss",
        "sl_pct",
        "sl_pips",
        "tp0",
        "bracket",
        "price",
    ]);
    let scalars = prop_oneof![
        prop::sample::select(vec![
            json!(null),
            json!(true),
            json!(false),
            json!(""),
            json!("2%"),
            json!("-3 %"),
            json!("{{plot_1}}"),
            json!("NaN"),
            json!("[101, 102]"),
            json!("101 / 102"),
            json!("percent"),
            json!("12_0"),
            json!("1e400"),
            json!(0),
        ]),
        (90_i32..130).prop_map(|number| json!(number)),
        (90_i32..130).prop_map(|number| json!(number.to_string())),
    ];
    let value = scalars.prop_recursive(3, 12, 4, |inner| {
        let members = prop::sample::select(vec![
            "price",
            "limitPrice",
            "stopPrice",
            "percent",
            "type",
            "1",
            "2",
            "tp2",
            "sl",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((members, inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    });
    prop::collection::vec((names, value), 0..5)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

proptest! {
    /// Whatever comes: the same targets are checked at acceptance and read of the stored alert later.
    #[test]
    fn the_targets_of_a_stored_alert_are_those_that_were_read(
        fields in level_fields(), query in prop::sample::select(vec!["", "tp=105", "target2=120&tp3=2%25", "tp_percent=2"]),
        signal in prop::sample::select(vec!["BUY", "SELL"]),
    ) {
        let payload = entry_with_query(signal, &fields, query);
        let named: Vec<&String> = payload.problems.iter().map(|problem| &problem.field).collect();
        let mut distinct = named.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(named.len(), distinct.len(), "each field at most once");
        let positive = payload.targets.iter().all(|target| target.is_positive());
        if let Some(data) = payload.alert_data(Time::default()) && payload.problems.is_empty() && positive {
            prop_assert_eq!(data.further_targets(), payload.targets, "{}", fields);
        }
    }
}
