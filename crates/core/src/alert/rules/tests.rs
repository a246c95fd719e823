//! Each rule by itself, then together.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::alert::intent::ExitSignal;
use crate::alert::payload::read;
use crate::id::ConfigId;

fn at(text: &str) -> Time {
    text.parse::<jiff::Timestamp>().unwrap().into()
}

pub(super) fn now() -> Time {
    at("2026-11-22T10:00:00Z")
}

fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub(super) fn config() -> AlertConfiguration {
    AlertConfiguration {
        id: ConfigId::MIN,
        name: "AAPL hourly".to_owned(),
        description: None,
        symbol: Symbol::new("AAPL").unwrap(),
        timeframe: Timeframe::H1,
        strategy: "EMA".to_owned(),
        trade_management: Default::default(),
        alert_types: Default::default(),
        validation: Default::default(),
        status: ConfigStatus::Active,
        statistics: Default::default(),
        created_at: Time::default(),
        updated_at: Time::default(),
        alertcast: Default::default(),
    }
}

/// The alert with these fields beside symbol, timeframe, strategy and a price of 100.
fn payload(fields: Value) -> Payload {
    let mut body = json!({"symbol": "NASDAQ:AAPL", "timeframe": "1h", "strategy": "EMA", "price": 100});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    read(body.to_string().as_bytes(), "").unwrap()
}

fn check_now(fields: Value, config: &AlertConfiguration) -> Result<CheckedAlert, Vec<RuleViolation>> {
    check(&payload(fields), config, now(), &[], false)
}

/// `field: code` of every problem; empty where the alert is accepted.
fn codes(result: Result<CheckedAlert, Vec<RuleViolation>>) -> Vec<String> {
    let problems = result.err().unwrap_or_default();
    problems.iter().map(|p| format!("{}: {}", p.field, p.code)).collect()
}

#[test]
fn an_alert_that_keeps_the_rules_has_certain_values() {
    let alert = check_now(json!({"signal": "BUY", "tp": 110, "sl": 90, "tp2": 120, "risk": "low"}), &config()).unwrap();
    assert_eq!(alert.symbol.as_str(), "AAPL", "the configuration's symbol");
    assert_eq!((alert.signal, alert.intent), (Signal::Buy, Intent::Entry { side: Side::Buy }));
    assert_eq!(
        (alert.price, alert.take_profit, alert.stop_loss),
        (price("100"), Some(price("110")), Some(price("90")))
    );
    assert_eq!(alert.timestamp, now(), "no timestamp: that of the receipt");
    assert_eq!(alert.risk, Some(RiskLevel::Low));
    assert_eq!(alert.alert_data().additional_data, Some(bson::doc! {"tp2": 120}));
    assert!(!alert.testing);
}

#[test]
fn the_age_of_an_alert() {
    let check_at = |timestamp: &str, waived| {
        check(&payload(json!({"signal": "BUY", "timestamp": timestamp})), &config(), now(), &[], waived)
    };
    for good in ["2026-11-22T10:00:00Z", "2026-11-22T09:55:00Z", "2026-11-22T10:01:00Z"] {
        assert_eq!(check_at(good, false).unwrap().timestamp, at(good));
    }
    let table = [
        ("2026-11-22T09:54:59.999Z", "timestamp: stale", "{{timenow}}, the moment when"),
        ("2026-11-22T09:00:20Z", "timestamp: stale", "the length of a 1h bar: {{time}} is the bar's start"),
        ("2026-11-22T08:00:00Z", "timestamp: stale", "the length of two 1h bars"),
        ("2026-11-22T04:30:10Z", "timestamp: stale", "local time written as UTC"),
        ("2026-11-20T04:10:10Z", "timestamp: stale", "was 2 d 5 h old"),
        ("2026-11-22T10:01:00.001Z", "timestamp: ahead", "1 min 0 s ahead"),
        ("2026-11-22T15:30:00Z", "timestamp: ahead", "local time written as UTC"),
    ];
    for (timestamp, code, part) in table {
        let problems = check_at(timestamp, false).unwrap_err();
        assert_eq!(format!("{}: {}", problems[0].field, problems[0].code), code, "{timestamp}");
        assert!(problems[0].message.contains(part), "{timestamp}: {}", problems[0].message);
        assert_eq!(check_at(timestamp, true).unwrap().timestamp, at(timestamp), "waived for an operator");
    }
    let intrabar = payload(json!({"signal": "BUY", "timestamp": "2026-11-22T09:00:00Z"}));
    let problems = check(&intrabar, &config(), at("2026-11-22T09:20:00Z"), &[], false).unwrap_err();
    assert!(problems[0].message.contains("when a 1h bar began: {{time}}"), "{}", problems[0].message);
}

#[test]
fn an_inactive_configuration_takes_exits_only_and_a_testing_one_everything() {
    let inactive = AlertConfiguration { status: ConfigStatus::Inactive, ..config() };
    let testing = AlertConfiguration { status: ConfigStatus::Testing, ..config() };
    assert_eq!(codes(check_now(json!({"signal": "BUY"}), &inactive)), ["configuration: configuration_inactive"]);
    for exit in [
        json!({"signal": "TP_HIT"}),
        json!({"market_position": "flat"}),
        json!({"action": "sell", "market_position": "long"}),
    ] {
        assert!(check_now(exit, &inactive).is_ok());
    }
    assert!(check_now(json!({"signal": "BUY"}), &testing).unwrap().testing);
}

#[test]
fn alert_types_let_signals_through() {
    let only = |entry: (bool, &[Signal]), exit: (bool, &[Signal])| {
        let set = |(enabled, signals): (bool, &[Signal])| SignalSet { enabled, signals: signals.to_vec() };
        AlertConfiguration { alert_types: AlertTypes { entry: set(entry), exit: set(exit) }, ..config() }
    };
    let all = only((true, &[]), (true, &[]));
    let some = only((true, &[Signal::Buy]), (true, &[Signal::TpHit]));
    let none = only((false, &[Signal::Buy]), (false, &[Signal::TpHit]));
    let table = [
        (json!({"signal": "BUY"}), true, true),
        (json!({"signal": "SELL"}), true, false),
        (json!({"signal": "TP_HIT"}), true, true),
        (json!({"signal": "SL_HIT"}), true, false),
        (json!({"market_position": "flat", "comment": "SL"}), true, false),
        (json!({"market_position": "flat"}), true, true),
        (json!({"action": "sell", "market_position": "long"}), true, true),
    ];
    for (fields, by_all, by_some) in table {
        assert_eq!(check_now(fields.clone(), &all).is_ok(), by_all, "{fields}");
        assert_eq!(check_now(fields.clone(), &some).is_ok(), by_some, "{fields}");
        assert_eq!(codes(check_now(fields.clone(), &none)), ["signal: signal_disabled"], "{fields}");
    }
}

#[test]
fn required_levels_are_required_of_entries() {
    let mut config = config();
    config.validation.required_fields = RequiredField::ALL.to_vec();
    assert_eq!(codes(check_now(json!({"signal": "BUY"}), &config)), ["tp: missing", "sl: missing"]);
    assert_eq!(codes(check_now(json!({"signal": "BUY", "tp": 0, "sl": 90}), &config)), ["tp: missing"]);
    assert_eq!(codes(check_now(json!({"signal": "BUY", "tp": "{{x}}", "sl": 90}), &config)), ["tp: placeholder"]);
    assert!(check_now(json!({"signal": "SL_HIT"}), &config).is_ok());
    assert!(check_now(json!({"signal": "BUY", "tp": 110, "sl": 90}), &config).is_ok());
}

#[test]
fn levels_stand_on_their_sides() {
    let table: &[(&str, Value, Value, &[&str])] = &[
        ("BUY", json!(110), json!(90), &[]),
        ("BUY", json!(null), json!(null), &[]),
        ("BUY", json!(90), json!(110), &["tp: tp_side", "sl: sl_side"]),
        ("BUY", json!(100), json!(100), &["tp: tp_side", "sl: sl_side"]),
        ("BUY", json!(110), json!(-5), &["sl: not_positive"]),
        ("SELL", json!(90), json!(110), &[]),
        ("SELL", json!(110), json!(90), &["tp: tp_side", "sl: sl_side"]),
        ("SELL", json!(-1), json!(110), &["tp: not_positive"]),
        ("TP_HIT", json!(90), json!(110), &[]),
        ("SL_HIT", json!("abc"), json!("{{plot_0}}"), &[]),
    ];
    for (signal, tp, sl, expected) in table {
        let found = codes(check_now(json!({"signal": signal, "tp": tp, "sl": sl}), &config()));
        assert_eq!(found, *expected, "{signal} {tp} {sl}");
    }
    let further: &[(Value, &[&str])] = &[
        (json!({"signal": "BUY", "tp": [110, 120, 130]}), &[]),
        (json!({"signal": "SELL", "tp": 95, "tp2": 90, "tp3": 80}), &[]),
        (json!({"signal": "BUY", "tp2": 120}), &[]),
        (json!({"signal": "BUY", "tp": 110, "tp2": 105}), &["tp2: target_order"]),
        (json!({"signal": "BUY", "tp": 110, "tp2": 110}), &["tp2: target_order"]),
        (json!({"signal": "BUY", "tp": 110, "tp2": 120, "tp3": 90}), &["tp3: tp_side"]),
        (json!({"signal": "SELL", "tp": 90, "tp2": -5}), &["tp2: not_positive"]),
        (json!({"signal": "SELL", "targets": [90, 80, 85]}), &["tp3: target_order"]),
        (
            json!({"signal": "BUY", "tp": 110, "tp2": "{{plot_2}}", "sl_pips": 20}),
            &["tp2: placeholder", "sl: not_a_number"],
        ),
        (json!({"signal": "BUY", "tp_percent": -2}), &["tp: tp_side"]),
        (json!({"signal": "BUY", "sl": "100%"}), &["sl: not_positive"]),
        (json!({"signal": "BUY", "price": 900_000_000_000_i64, "tp": "500%"}), &["tp: not_a_number"]),
        (json!({"signal": "TP_HIT", "tp": 110, "tp2": "{{plot_2}}", "tp3": "x", "sl_pips": 20, "sl": {"a": 1}}), &[]),
    ];
    for (fields, expected) in further {
        assert_eq!(codes(check_now(fields.clone(), &config())), *expected, "{fields}");
    }
    assert_eq!(codes(check_now(json!({"signal": "BUY", "price": 0}), &config())), ["price: not_positive"]);
    for price in [json!(0), json!(-3), json!("0.00")] {
        for fields in [
            json!({"signal": "TP_HIT"}),
            json!({"signal": "SL_HIT"}),
            json!({"action": "sell", "market_position": "flat", "comment": "SL"}),
            json!({"action": "sell", "market_position": "short", "prev_market_position": "long", "comment": "TP"}),
            json!({"action": "sell", "market_position": "long", "prev_market_position": "long"}),
        ] {
            let mut fields = fields;
            fields["price"] = price.clone();
            assert!(check_now(fields.clone(), &config()).is_ok(), "an exit that says why needs no price: {fields}");
        }
        for fields in [
            json!({"action": "sell", "market_position": "flat"}),
            json!({"action": "sell", "market_position": "short", "prev_market_position": "long"}),
        ] {
            let mut fields = fields;
            fields["price"] = price.clone();
            let found = codes(check_now(fields.clone(), &config()));
            assert!(found.iter().all(|code| code == "price: not_positive") && !found.is_empty(), "{fields}: {found:?}");
        }
    }
    assert_eq!(codes(check_now(json!({"signal": "TP_HIT", "price": null}), &config())), ["price: missing"]);
}

/// A price so many seconds before now.
fn point(price_text: &str, seconds: u64, accepted: bool) -> PricePoint {
    PricePoint { price: price(price_text), at: now() - Duration::from_secs(seconds), accepted }
}

#[test]
fn an_entrys_price_is_near_the_last_one_or_agrees_with_one_refused_since() {
    let table: &[(&str, Vec<PricePoint>, bool)] = &[
        ("no other price", vec![], true),
        ("within 5 %", vec![point("95.3", 60, true)], true),
        ("exactly 5 %", vec![point("100", 60, true)], true),
        ("a slipped digit", vec![point("10", 60, true)], false),
        ("an old reference", vec![point("10", 300, true)], true),
        ("a reference just young enough", vec![point("10", 299, true)], false),
        ("the second that says so", vec![point("101", 10, false), point("10", 60, true)], true),
        ("the refused one said something else", vec![point("1000", 10, false), point("10", 60, true)], false),
        (
            "only the last refused one counts",
            vec![point("1000", 5, false), point("101", 10, false), point("10", 60, true)],
            false,
        ),
        (
            "accepted since the refusal",
            vec![point("10", 5, true), point("101", 10, false), point("10", 60, true)],
            false,
        ),
        ("refused ones alone are no reference", vec![point("10", 5, false)], true),
        ("the newest accepted one is the reference", vec![point("101", 5, true), point("10", 60, true)], true),
    ];
    for (case, recent, accepted) in table {
        let result = check(&payload(json!({"signal": "BUY"})), &config(), now(), recent, false);
        let expected: &[&str] = if *accepted { &[] } else { &["price: price_tolerance"] };
        assert_eq!(codes(result), expected, "{case}");
        let exit = check(&payload(json!({"signal": "SL_HIT"})), &config(), now(), recent, false);
        assert!(exit.is_ok(), "an exit is never refused for its price");
    }
    let mut off = config();
    off.validation.price_validation.enabled = false;
    assert!(check(&payload(json!({"signal": "BUY"})), &off, now(), &[point("10", 60, true)], false).is_ok());
    let result = check(&payload(json!({"signal": "BUY"})), &config(), now(), &[point("10", 65, true)], false);
    let message = &result.unwrap_err()[0].message;
    assert!(message.starts_with("price 100 is more than 5 % away from 10, the last one, 1 min 5 s ago"), "{message}");
}

#[test]
fn a_turn_keeps_its_exit_where_only_its_entry_breaks_a_rule() {
    let turn = |more: Value| {
        let mut fields = json!({"action": "buy", "market_position": "long", "prev_market_position": "short"});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        fields
    };
    let whole = check_now(turn(json!({"tp": 110})), &config()).unwrap();
    assert_eq!(whole.intent, Intent::Turn { closes: Side::Sell, reason: None, opens: Side::Buy });
    assert_eq!((whole.signal, whole.left_out.len()), (Signal::Buy, 0));

    let wrong_side = check_now(turn(json!({"tp": 90, "comment": "SL"})), &config()).unwrap();
    assert_eq!(wrong_side.intent, Intent::Flat { side: Some(Side::Sell), reason: Some(ExitSignal::SlHit) });
    assert_eq!(wrong_side.signal, Signal::SlHit);
    assert_eq!(codes(Err(wrong_side.left_out)), ["tp: tp_side"]);

    let inactive = AlertConfiguration { status: ConfigStatus::Inactive, ..config() };
    assert!(matches!(check_now(turn(json!({})), &inactive).unwrap().intent, Intent::Flat { .. }));

    let mut no_exits = config();
    no_exits.alert_types.exit.enabled = false;
    let entry = check_now(turn(json!({})), &no_exits).unwrap();
    assert_eq!(entry.intent, Intent::Entry { side: Side::Buy });
    assert_eq!(codes(Err(entry.left_out)), ["signal: signal_disabled"]);
    assert_eq!(
        codes(check_now(turn(json!({"tp": 90})), &no_exits)),
        ["tp: tp_side", "signal: signal_disabled"],
        "nothing is left"
    );
    assert_eq!(
        codes(check_now(turn(json!({"tp": 90, "timestamp": "2026-11-22T09:00:00Z"})), &config())),
        ["timestamp: stale", "tp: tp_side"]
    );
}

#[test]
fn every_problem_is_named_at_once() {
    let mut config = config();
    config.status = ConfigStatus::Inactive;
    config.alert_types.entry.enabled = false;
    config.validation.required_fields = vec![RequiredField::StopLoss];
    let fields = json!({"signal": "BUY", "tp": 90, "timestamp": "2026-11-22T09:00:00Z", "strategy": null});
    let result = check(&payload(fields), &config, now(), &[point("10", 60, true)], false);
    assert_eq!(
        codes(result),
        [
            "strategy: missing",
            "timestamp: stale",
            "configuration: configuration_inactive",
            "signal: signal_disabled",
            "sl: missing",
            "tp: tp_side",
            "price: price_tolerance",
        ]
    );
    let unclear = json!({"signal": "up", "price": "x", "tp": "y", "timestamp": "2026-11-22T09:00:00Z"});
    assert_eq!(
        codes(check_now(unclear, &config)),
        ["signal: unknown_signal", "price: not_a_number", "timestamp: stale", "tp: not_a_number"]
    );
}

#[test]
fn without_a_configuration_the_words_that_were_looked_for_are_named() {
    let problems = without_configuration(&payload(json!({"signal": "BUY"})), now(), false, None);
    assert_eq!(codes(Err(problems.clone())), ["configuration: unknown_configuration"]);
    assert!(problems[0].message.contains("symbol \"NASDAQ:AAPL\" (or \"AAPL\"), timeframe 1h and strategy \"EMA\""));
    let near = without_configuration(
        &payload(json!({"signal": "BUY", "strategy": "ema\u{a0}x"})),
        now(),
        false,
        Some("EMA x"),
    );
    assert!(near[0].message.contains("strategy \"ema\\u{a0}x\": did you mean \"EMA x\"?"), "{}", near[0].message);
    let partly = payload(json!({"signal": "TP_HIT", "timeframe": "3h", "tp": "x"}));
    assert_eq!(codes(Err(without_configuration(&partly, now(), false, None))), ["timeframe: unknown_timeframe"]);
}

proptest! {
    #[test]
    fn an_accepted_entry_keeps_every_rule(
        signal in prop::sample::select(vec!["BUY", "SELL", "TP_HIT", "SL_HIT", "?"]),
        position in prop::sample::select(vec!["", "long", "short", "flat"]),
        prev in prop::sample::select(vec!["", "long", "short", "flat"]),
        (price, tp, sl) in (-2_i32..8, -2_i32..8, -2_i32..8),
        age_seconds in -120_i64..700,
        status in prop::sample::select(ConfigStatus::ALL),
        last in prop::option::of((1_i64..8, 0_u64..600, any::<bool>())),
    ) {
        let config = AlertConfiguration { status, ..config() };
        let fields = json!({
            "signal": signal, "market_position": position, "prev_market_position": prev, "price": price, "tp": tp, "sl": sl,
            "timestamp": now().millis() - age_seconds * 1000,
        });
        let recent: Vec<_> = last.map(|(price, age, accepted)| point(&price.to_string(), age, accepted)).into_iter().collect();
        match check(&payload(fields), &config, now(), &recent, false) {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(alert) => {
                prop_assert!((-60..=300).contains(&age_seconds));
                if let Some(side) = alert.intent.opens() {
                    let above = |level: Option<Price>| level.is_none_or(|level| level > alert.price);
                    let below = |level: Option<Price>| level.is_none_or(|level| level.is_positive() && level < alert.price);
                    prop_assert!(status != ConfigStatus::Inactive && alert.price.is_positive());
                    let right_sides = match side {
                        Side::Buy => above(alert.take_profit) && below(alert.stop_loss),
                        Side::Sell => below(alert.take_profit) && above(alert.stop_loss),
                    };
                    prop_assert!(right_sides);
                }
            }
        }
    }
}
