//! What people send, and what is read of it.

use bson::{Bson, doc};
use serde_json::json;

use super::*;
use crate::alert::intent::ExitSignal;
use crate::market::Side;

fn of(body: &str) -> Payload {
    read(body.as_bytes(), "").unwrap_or_else(|e| panic!("{e}\n{body}"))
}

fn price(text: &str) -> Option<Price> {
    Some(Price::parse(text).unwrap())
}

fn at(text: &str) -> Option<Time> {
    Some(text.parse::<jiff::Timestamp>().unwrap().into())
}

/// `field: code` of every problem.
pub(super) fn problems(payload: &Payload) -> Vec<String> {
    payload.problems.iter().map(|p| format!("{}: {}", p.field, p.code)).collect()
}

/// What every body in `shapes` says.
fn assert_whole(payload: &Payload, body: &str) {
    assert_eq!(payload.problems, [], "{body}");
    assert_eq!(payload.symbol, Symbol::new("NASDAQ:AAPL"), "{body}");
    assert_eq!(payload.timeframe, Some(GivenTimeframe::Known(Timeframe::H1)), "{body}");
    assert_eq!(payload.strategy.as_deref(), Some("EMA Cross"), "{body}");
    assert_eq!(payload.intent, Some(Intent::Entry { side: Side::Buy }), "{body}");
    assert_eq!(payload.price, price("190.5"), "{body}");
    assert_eq!(payload.take_profit, price("200"), "{body}");
    assert_eq!(payload.stop_loss, price("185.25"), "{body}");
    assert_eq!(payload.timestamp, at("2026-11-22T10:00:00Z"), "{body}");
    assert!(payload.timestamp_in_body, "{body}");
}

const JSON: &str = r#"{"symbol":"NASDAQ:AAPL","timeframe":"1h","strategy":"EMA Cross","signal":"BUY","price":190.5,
    "tp":200,"sl":185.25,"timestamp":"2026-11-22T10:00:00Z"}"#;

#[test]
fn every_shape_of_body_says_the_same() {
    let shapes = [
        JSON.to_owned(),
        format!("\u{feff}\n  {JSON}\r\n\t"),
        // Unquoted timenow and words.
        r#"{"symbol": NASDAQ:AAPL, "timeframe": 60, "strategy": EMA Cross, "signal": BUY, "price": 190.5,
            "tp": 200, "sl": 185.25, "timestamp": 2026-11-22T10:00:00Z}"#
            .to_owned(),
        // Single quotes, trailing comma, comments, unquoted names.
        "{symbol: 'NASDAQ:AAPL', timeframe: '1h', // hourly\n strategy: 'EMA Cross', /* the old one */ signal: 'buy',
            price: '190.5', tp: 200.0, sl: 185.25 // close enough\n, timestamp: '2026-11-22T10:00:00Z',}"
            .to_owned(),
        // Typographic quotes, as word processors and phones make them.
        "{“symbol”: “NASDAQ:AAPL”, „timeframe“: „1h“, ‘strategy’: ‘EMA Cross’, “signal”: “buy”, “price”: 190.5,
            “tp”: “200”, “sl”: “185.25”, “timestamp”: “2026-11-22T11:00:00+01:00”}"
            .to_owned(),
        // Commas left out at the lines' ends, doubled, = for :.
        "{\n\"symbol\": \"NASDAQ:AAPL\"\n\"timeframe\": \"60\"\n\"strategy\" = \"EMA Cross\",,\nsignal=long\nprice=190.5\n
            tp=200\nsl=185.25\ntime=1795341600\n}"
            .to_owned(),
        // Out of a page.
        JSON.replace('"', "&quot;"),
        JSON.replace('"', "&#34;"),
        JSON.replace('"', "&amp;quot;"),
        JSON.replace('"', "&ldquo;"),
        JSON.replace('"', "&QUOT;"),
        // Escaped once more, or twice, without quotes around it; encoded as a form.
        JSON.replace('"', "\\\""),
        JSON.replace('"', "\\\\\\\""),
        form_urlencoded::byte_serialize(JSON.as_bytes()).collect(),
        format!("payload={}", form_urlencoded::byte_serialize(JSON.as_bytes()).collect::<String>()),
        // With wide marks, and with semicolons.
        JSON.replace(',', "，").replace("\":", "\"："),
        JSON.replace('"', "＂"),
        JSON.replace(',', ";"),
        // In a code fence, and behind a text.
        format!("```json\n{JSON}\n```"),
        format!("```\n{JSON}```\nsent by my script: all well"),
        format!("`{JSON}`"),
        format!("{JSON}\n```"),
        json!({"text": serde_json::from_str::<Value>(JSON).unwrap()}).to_string(),
        format!("🚨 Alert on {{{{ticker}}}} from NASDAQ:AAPL: {JSON}"),
        "New signal!\n\n{symbol: NASDAQ:AAPL, tf: 60, strategy: EMA Cross, signal: buy, price: 190.5, tp: 200,
            sl: 185.25, time: 1795341600}"
            .to_owned(),
        // Wrapped in another object, or encoded once more.
        json!({"content": JSON, "username": "TradingView"}).to_string(),
        json!({"text": format!("```json\n{JSON}\n```")}).to_string(),
        json!({"message": format!("Alert: {JSON}"), "type": "message"}).to_string(),
        json!({"payload": JSON.replace('"', "&quot;")}).to_string(),
        json!({"message": {"text": "x"}, "content": JSON}).to_string(),
        json!({"text": "symbol: NASDAQ:AAPL\ntf: 60\nstrategy: EMA Cross\nsignal: buy\nprice: 190.5\ntp: 200\nsl: 185.25\n\
            time: 1795341600"})
        .to_string(),
        Value::String(JSON.to_owned()).to_string(),
        format!("content={}", "") + "\n" + JSON,
        // Pairs, by line, by comma, by semicolon and by bar.
        "symbol=NASDAQ:AAPL; timeframe=1h; strategy=EMA Cross; signal=BUY; price=190.5; tp=200; sl=185.25; \
            time=1795341600;"
            .to_owned(),
        "symbol: NASDAQ:AAPL | tf: 60 | strategy: 'EMA Cross' | signal: long | price: 190.5 | tp: 200 | sl: 185.25 | \
            time: 1795341600"
            .to_owned(),
        "symbol=NASDAQ:AAPL\ttimeframe=1h\tstrategy=EMA Cross\tsignal=BUY\tprice=190.5\ttp=200\tsl=185.25\t\
            timestamp=2026-11-22T10:00:00Z"
            .to_owned(),
        "symbol：NASDAQ:AAPL\ntimeframe：1h\nstrategy：EMA Cross\nsignal：BUY\nprice：190.5\ntp：200\nsl：185.25\n\
            time：1795341600"
            .to_owned(),
        "symbol=NASDAQ:AAPL\ntimeframe=1h\nstrategy=EMA Cross\nsignal=BUY\nprice=190.5\ntp=200\nsl=185.25\n
            timestamp=2026-11-22T10:00:00Z"
            .to_owned(),
        "Symbol: NASDAQ:AAPL\r\nTimeframe: 1h\r\nStrategy: EMA Cross\r\nSignal: Buy\r\nPrice: 190.5\r\n
            Take Profit: 200\r\nStop Loss: 185.25\r\nTime: 2026-11-22T10:00:00Z"
            .to_owned(),
        "symbol: NASDAQ:AAPL, timeframe: 1h, strategy: EMA Cross, signal: buy, price: 190.5, tp: 200, sl: 185.25,
            time: 1795341600000"
            .to_owned(),
        "symbol=NASDAQ%3AAAPL&timeframe=1h&strategy=EMA+Cross&signal=buy&price=190.5&tp=200&sl=185.25&time=1795341600"
            .to_owned(),
        "📈 New alert!\n• Symbol = \"NASDAQ:AAPL\"\n• TF: 60, Strategy: 'EMA Cross'\n• Direction: LONG\n• Entry: 190.5\n
            • TP1: 200\n• Stop-Loss: 185.25\n• timenow: 2026-11-22T10:00:00Z"
            .to_owned(),
    ];
    for body in &shapes {
        assert_whole(&of(body), body);
    }
}

#[test]
fn every_name_is_read_in_every_spelling() {
    let base = json!({"symbol": "AAPL", "timeframe": "1h", "strategy": "S", "signal": "BUY", "price": 1});
    let lists: &[(&str, &[&str], Value)] = &[
        ("symbol", &["symbol", "ticker", "asset", "pair", "market"], json!("MSFT")),
        ("timeframe", &["timeframe", "interval", "tf"], json!("240")),
        ("strategy", &["strategy", "strategy_id", "strategy_name", "indicator"], json!("Other")),
        ("signal", &["signal", "action", "order_action", "side", "direction", "type"], json!("sell")),
        ("price", &["price", "order_price", "entry", "entry_price", "close"], json!(7.5)),
        (
            "tp",
            &["tp", "take_profit", "takeProfitPrice", "tp1", "target", "target1", "take_profit_1", "tp_price"],
            json!(8),
        ),
        ("sl", &["sl", "stop_loss", "stopLossPrice", "stop", "sl_price", "stop_loss_1"], json!(6)),
        ("timestamp", &["timestamp", "timenow", "time", "tv_time"], json!("2026-11-22T10:00:00Z")),
        ("alert_id", &["alert_id", "idempotency_key"], json!("a-1")),
        ("quantity", &["quantity", "contracts", "size", "qty"], json!("3")),
        ("trade_id", &["trade_id", "order_id"], json!("t-1")),
        ("comment", &["comment", "order_comment"], json!("why")),
        ("risk", &["risk"], json!("High")),
    ];
    for (field, names, value) in lists {
        let expected = {
            let mut body = base.clone();
            body[field] = value.clone();
            of(&body.to_string())
        };
        assert_eq!(expected.problems, [], "{field}");
        for name in names.iter().flat_map(|name| spellings(name)) {
            let mut body = base.clone();
            body.as_object_mut().unwrap().remove(*field);
            body[&name] = value.clone();
            let payload = of(&body.to_string());
            // Whether it is the trade's own name or an order's is kept apart.
            let trade_ref_explicit = payload.trade_ref.is_some();
            assert_eq!(Payload { raw: expected.raw.clone(), trade_ref_explicit, ..payload }, expected, "{name}");
        }
    }
}

#[test]
fn a_trades_own_name_stands_before_an_orders_and_is_kept_apart() {
    let read = |more: &str| {
        let body =
            format!(r#"{{"symbol": "A", "timeframe": "1h", "strategy": "S", "signal": "BUY", "price": 1{more}}}"#);
        let payload = of(&body);
        (payload.trade_ref, payload.trade_ref_explicit)
    };
    assert_eq!(read(""), (None, false));
    assert_eq!(read(r#", "trade_id": "t", "order_id": "o""#), (Some("t".to_owned()), true));
    assert_eq!(read(r#", "order_id": "o""#), (Some("o".to_owned()), false));
    assert_eq!(read(r#", "trade_id": "{{x}}", "order_id": "o""#), (Some("o".to_owned()), false));
}

fn spellings(name: &str) -> [String; 4] {
    let words: String =
        name.split('_').map(|word| word.chars().next().unwrap().to_uppercase().to_string() + &word[1..]).collect();
    [name.to_owned(), name.to_uppercase(), name.replace('_', "-"), words]
}

#[test]
fn the_first_name_with_a_usable_value_wins_whatever_the_order_in_the_body() {
    let payload = of(r#"{"close": 9, "entry": "n/a", "price": "", "order_price": "8", "target": 5, "tp": 0,
        "takeProfit": null, "tp1": "NaN", "take_profit_price": 4, "type": "market", "side": "sell"}"#);
    assert_eq!(payload.price, price("8"));
    assert_eq!(payload.take_profit, price("4"));
    assert_eq!(payload.signal, Some(Signal::Sell));
    assert_eq!(
        payload.additional,
        doc! {"close": 9, "entry": "n/a", "target": 5, "tp": 0, "tp1": "NaN", "type": "market"},
        "what was not used is kept"
    );
}

#[test]
fn an_unknown_word_is_never_passed_over_for_another_field() {
    for (body, word) in [
        (r#"{"signal": "EMA Cross", "side": "buy"}"#, "signal is \"EMA Cross\""),
        (r#"{"action": "order", "direction": "long"}"#, "action is \"order\""),
        (r#"{"strategy": {"order": {"action": "foo"}}, "type": "sell"}"#, "strategy.order.action is \"foo\""),
        (r#"{"action": ["buy", {"x": 1}], "type": "sell"}"#, "action is [a list]"),
    ] {
        let payload = of(body);
        assert_eq!(payload.intent, None, "{body}");
        let problem = payload.problems.iter().find(|problem| problem.field == "signal").unwrap();
        assert_eq!(problem.code, ProblemCode::UnknownSignal, "{body}");
        assert!(problem.message.starts_with(word), "{}", problem.message);
    }
    assert_eq!(of(r#"{"action": "sell", "type": "EMA Cross"}"#).intent, Some(Intent::Entry { side: Side::Sell }));
}

#[test]
fn two_readings_are_both_shown() {
    let payload = of(r#"{"action": "sell", "type": "exit"}"#);
    assert_eq!((payload.signal, payload.intent), (Some(Signal::TpHit), None), "not kept as an entry");
    let problem = payload.problems.iter().find(|problem| problem.field == "signal").unwrap();
    assert_eq!(problem.code, ProblemCode::Contradictory);
    assert!(problem.message.contains("type \"exit\", and action \"sell\""), "{}", problem.message);
    let in_url = read(br#"{"action": "sell"}"#, "type=exit").unwrap();
    assert!(in_url.problems.iter().any(|p| p.message.contains("type (in the webhook's URL) \"exit\"")));
    assert_eq!(in_url.intent, None);
}

#[test]
fn signals_in_every_spelling() {
    let table: &[(Signal, &[&str])] = &[
        (Signal::Buy, &["BUY", "buy", "Long", " LONG ", "buy now", "Strong Buy", "BUY 2"]),
        (Signal::Sell, &["SELL", "sell", "short"]),
        (Signal::TpHit, &["TP_HIT", "tp-hit", "TP HIT", "tpHit", "tp", "take_profit", "Take Profit hit"]),
        (Signal::SlHit, &["SL_HIT", "sl-hit", "sl hit", "SL", "StopLoss", "stop loss", "STOP_LOSS_HIT"]),
    ];
    for (signal, words) in table {
        for word in *words {
            let payload = of(&json!({"signal": word}).to_string());
            assert_eq!((payload.signal, payload.intent), (Some(*signal), Some((*signal).into())), "{word}");
        }
    }
    for word in ["b", "2", "buy 50%", "buy TSLA", "{{strategy.order.action}}"] {
        assert_eq!(of(&json!({"signal": word}).to_string()).intent, None, "{word}");
    }
}

#[test]
fn levels_that_mean_none_are_absent() {
    for none in ["null", "\"\"", "0", "\"0.00\"", "\"NaN\"", "\"na\"", "\"null\"", "-0.0", "NaN", "", "\"N/A\""] {
        let payload = of(&format!("{{\"tp\": {none}, \"sl\": {none}}}"));
        assert_eq!((payload.take_profit, payload.stop_loss), (None, None), "{none}");
        assert!(!problems(&payload).iter().any(|p| p.starts_with("tp") || p.starts_with("sl")), "{none}");
    }
}

#[test]
fn a_number_that_is_none_says_what_to_change() {
    let message = |body: Value| {
        let payload = of(&body.to_string());
        let problem = payload.problems.into_iter().find(|p| p.field == "price" || p.field == "tp").unwrap();
        (problem.code.as_str(), problem.message)
    };
    let table = [
        (
            json!({"price": "64,250.5"}),
            "not_a_number",
            "price is \"64,250.5\", which is not a number: write it with a point",
        ),
        (json!({"entry_price": "abc"}), "not_a_number", "entry_price is \"abc\", which is not a number"),
        (json!({"price": true}), "not_a_number", "price is true"),
        (json!({"price": "NaN"}), "not_a_number", "price is \"NaN\", which is not finite"),
        (json!({"price": 1e300}), "not_a_number", "is larger than 1000000000000"),
        (json!({"price": "5%"}), "not_a_number", "not a percentage"),
        (json!({"price": 1, "tp": "4000.5 + 40"}), "not_a_number", "calculates nothing"),
        (
            json!({"price": "{{close}}"}),
            "placeholder",
            "price is still the placeholder {{close}}: TradingView did not fill it",
        ),
        (json!({"price": 1, "tp": "{{plot(\"TP\")}}"}), "placeholder", "no plot of that number or title"),
        (json!({"order_price": "{{strategy.order.price}}"}), "placeholder", "an alert on a strategy"),
        (json!({"price": null}), "missing", "price is missing: add price to the message, with {{close}}"),
    ];
    for (body, code, part) in table {
        let (found, message) = message(body.clone());
        assert_eq!(found, code, "{body}");
        assert!(message.contains(part), "{body}: {message}");
    }
}

#[test]
fn a_number_that_is_nearly_one_says_what_is_wrong_with_it() {
    let table = [
        ("42 000.50", "write its digits together"),
        ("42\u{a0}000.50", "write its digits together"),
        ("42'000.50", "write its digits together"),
        ("42_5", "write its digits together"),
        ("42000,5", "its decimals stand behind a comma"),
        ("42.000,50", "its decimals stand behind a comma"),
        ("42,000.50", "nothing between the thousands"),
        ("42,000", "nothing between the thousands"),
        ("1,00,000", "nothing between the thousands"),
        ("$42000.5", "write the number alone"),
        ("42000.5 USDT", "write the number alone"),
        ("₹42000", "write the number alone"),
        ("~42", "write the number alone"),
        ("41-42", "that is a range"),
        ("41 – 42", "that is a range"),
        ("41 to 42", "that is a range"),
        ("41..42", "that is a range"),
        ("1.5k", "it is abbreviated"),
        ("2 M", "it is abbreviated"),
        ("42*1.02", "calculates nothing"),
        ("4000.5 + 40", "calculates nothing"),
        ("1.2.3", "more than one point"),
        ("0x10", "in decimal digits"),
        ("１２", "as 0 to 9"),
        ("4２", "as 0 to 9"),
        ("٤٢", "as 0 to 9"),
        ("2%", "not a percentage"),
        ("inf", "is not finite"),
        ("-Infinity", "is not finite"),
        ("abc", "is not a number"),
    ];
    for (text, part) in table {
        let payload = of(&json!({"price": text, "sl": format!("x{text}")}).to_string());
        let problem = payload.problems.iter().find(|problem| problem.field == "price").unwrap();
        assert_eq!((problem.code, payload.price), (ProblemCode::NotANumber, None), "{text}");
        assert!(problem.message.contains(part), "{text}: {}", problem.message);
        assert!(payload.problems.iter().any(|problem| problem.field == "sl"), "{text}: a level is read no other way");
        assert_eq!(of(&json!({"quantity": text}).to_string()).quantity, None, "{text}");
    }
    for (text, read) in [("+5", "5"), ("4e5", "400000"), (" 42.50 ", "42.5"), (".5", "0.5")] {
        assert_eq!(of(&json!({"price": text}).to_string()).price, price(read), "{text}");
    }
    for time in ["1_795_341_600", "0x6b02b5a0", "１７９５３４１６００"] {
        assert!(
            problems(&of(&json!({"time": time}).to_string())).contains(&"timestamp: bad_timestamp".to_owned()),
            "{time}"
        );
    }
}

#[test]
fn a_value_of_another_type_is_called_what_it_is() {
    let values =
        [(json!([41]), "a list"), (json!({"a": 1}), "an object"), (json!(true), "true"), (json!(false), "false")];
    for (value, what) in values {
        for field in ["symbol", "timeframe", "price", "timestamp", "strategy", "signal"] {
            // An object under these names groups the alert's own fields.
            if value.is_object() && matches!(field, "strategy" | "signal") {
                continue;
            }
            let payload = of(&json!({field: value}).to_string());
            let problem = payload.problems.iter().find(|problem| problem.field == field).unwrap();
            let said = problem.message.replace(['[', ']', '"'], "");
            assert!(said.starts_with(&format!("{field} is {what}")), "{}", problem.message);
            assert_ne!(problem.code, ProblemCode::Missing);
        }
    }
    let payload = of(r#"{"price": [41], "close": 42, "symbol": {"a": 1}, "ticker": "AAPL"}"#);
    assert_eq!((payload.price, payload.symbol), (price("42"), Symbol::new("AAPL")), "another name has a usable one");
}

#[test]
fn an_unfilled_placeholder_is_named_in_every_body() {
    let bodies = [
        r#"{"symbol": "{{ticker}}", "price": {{close}}, "time": {{timenow}}, "interval": "{{interval}}"}"#,
        "symbol={{ticker}}, price={{close}}, time={{timenow}}, interval={{interval}}",
    ];
    for body in bodies {
        let payload = of(body);
        for field in ["symbol", "price", "timestamp", "timeframe"] {
            assert!(problems(&payload).contains(&format!("{field}: placeholder")), "{field} in {body}");
        }
    }
    let payload = of(r#"{"alert_id": "{{x}}", "comment": "{{y}}", "quantity": "{{z}}", "order_id": "{{w}}"}"#);
    assert_eq!((payload.alert_id, payload.comment, payload.quantity, payload.trade_ref), (None, None, None, None));
    assert_eq!(payload.additional.len(), 4);
}

#[test]
fn missing_fields_are_all_named() {
    let expected = ["symbol: missing", "timeframe: missing", "strategy: missing", "signal: missing", "price: missing"];
    assert_eq!(problems(&of("{}x=1".trim_start_matches("{}"))), expected);
    assert_eq!(of("x=1").alert_data(Time::default()), None);
}

#[test]
fn timestamps_in_every_spelling() {
    let ten = at("2026-11-22T10:00:00Z");
    let table = [
        (json!("2026-11-22T10:00:00Z"), ten),
        (json!("2026-11-22T10:00:00.000Z"), ten),
        (json!("2026-11-22T15:30:00+05:30"), ten),
        (json!("2026-11-22t10:00:00z"), ten),
        (json!("2026-11-22 10:00:00Z"), ten),
        (json!(1_795_341_600), ten),
        (json!("1795341600"), ten),
        (json!(1_795_341_600_000_i64), ten),
        (json!("1795341600000"), ten),
        (json!(1_795_341_600.25), at("2026-11-22T10:00:00.25Z")),
        (json!(""), None),
        (json!(null), None),
    ];
    for (value, expected) in table {
        let payload = of(&json!({"time": value.clone()}).to_string());
        assert_eq!(payload.timestamp, expected, "{value}");
        assert!(!problems(&payload).contains(&"timestamp: bad_timestamp".to_owned()), "{value}");
    }
    for bad in ["2026-11-22T10:00:00", "yesterday", "22.11.2026 10:00", "-5", "1795341600000000", "9e99"] {
        let payload = of(&json!({"time": bad}).to_string());
        assert_eq!(payload.timestamp, None, "{bad}");
        assert!(problems(&payload).contains(&"timestamp: bad_timestamp".to_owned()), "{bad}");
    }
}

#[test]
fn an_unknown_timeframe_is_kept_and_named() {
    let payload = of(r#"{"timeframe": "3h"}"#);
    assert_eq!(payload.timeframe, Some(GivenTimeframe::Unknown("3h".to_owned())));
    assert!(problems(&payload).contains(&"timeframe: unknown_timeframe".to_owned()));
    let month = of(r#"{"interval": "1M"}"#);
    assert!(month.problems.iter().any(|p| p.message.contains("month")));
    assert_eq!(of(r#"{"interval": 15}"#).timeframe, Some(GivenTimeframe::Known(Timeframe::M15)));
}

#[test]
fn symbols_are_tried_with_their_exchange_and_without() {
    let names = |body: &str| of(body).symbols().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(r#"{"ticker": "nasdaq:aapl"}"#), ["NASDAQ:AAPL", "AAPL"]);
    assert_eq!(names(r#"{"ticker": "BTCUSDT.P"}"#), ["BTCUSDT.P"]);
    assert_eq!(names(r#"{"ticker": 7203}"#), ["7203"]);
    assert_eq!(names("symbol=0700"), ["0700"], "a leading zero is part of the name");
}

#[test]
fn risk_is_read_in_words_only() {
    let table = [("low", RiskLevel::Low), ("HIGH RISK", RiskLevel::High), ("Medium", RiskLevel::Medium)];
    for (word, level) in table {
        assert_eq!(of(&json!({"risk": word}).to_string()).risk, Some(level), "{word}");
    }
    let percent = of(r#"{"risk": 1}"#);
    assert_eq!(percent.risk, None);
    assert_eq!(percent.additional, doc! {"risk": 1});
}

#[test]
fn what_the_body_lacks_stands_in_the_query() {
    let payload =
        read(b"{\"ticker\": \"AAPL\", \"close\": 5}", "?strategy=EMA%20Cross&timeframe=1h&price=9&note=x").unwrap();
    assert_eq!(payload.strategy.as_deref(), Some("EMA Cross"));
    assert_eq!(payload.price, price("5"), "the body wins");
    assert_eq!(payload.additional, doc! {"note": "x"});
    assert_eq!(payload.raw, doc! {"ticker": "AAPL", "close": 5}, "the raw payload is the body");

    let plain = read(b"AAPL Crossing 190.5", "signal=buy&symbol=AAPL&strategy=S&tf=1h&price=1").unwrap();
    assert_eq!(plain.problems, []);
    assert_eq!(plain.raw, doc! {"_text": "AAPL Crossing 190.5"});

    let unfilled = read(b"{}", "price={{close}}").unwrap();
    assert!(unfilled.problems.iter().any(|p| p.message.starts_with("price (in the webhook's URL) is still")));
}

#[test]
fn unreadable_bodies_say_why() {
    let table: &[(&[u8], &str)] = &[
        (b"\xff\xfe{\x00", "not UTF-8"),
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"[{\"symbol\": \"AAPL\"}]", "a list"),
        (b"[{symbol: AAPL}]", "a list"),
        (b"5", "a number"),
        (b"\"symbol=AAPL\"", "a quoted text"),
        (b"null", "null"),
        (b"{\"symbol\": \"AAPL\", \"price\": 5", "line 1, column 30, the closing } is missing"),
        (b"{\"a\": 1,\n b 2}", "line 2, column 5, a : is missing"),
        (b"{\"symbol\": \"AAPL}", "a closing quote is missing"),
        (b"{\"a\": 1 \"b\": 2}", "a comma is missing"),
        (b"{\"a\": 1} and more", "after the closing }"),
        (b"Alert: {\"symbol\": \"AAPL\", \"price\": 5", "the closing } is missing"),
        (b"```json\n{\"symbol\": \"AAPL\", \"sl\": \n```", "the closing } is missing"),
        (br#"{"content": "{\"symbol\": \"AAPL\", \"price\": 5"}"#, "the closing } is missing"),
        (b"{price: 64,250.5}", "a : is missing"),
        (b"Price is going up", "no field"),
        (b"{}", "no field"),
    ];
    for (body, part) in table {
        let error = read(body, "").unwrap_err().to_string();
        assert!(error.contains(part), "{}: {error}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_message_of_several_orders_is_refused_as_such() {
    let order = r#"{"symbol": "AAPL", "timeframe": "1h", "strategy": "S", "signal": "BUY", "price": 5}"#;
    let other = order.replace("AAPL", "MSFT");
    let bodies = [
        format!("[{order}, {other}]"),
        format!("[{order}, {{symbol: MSFT}},]"),
        format!("{order}\n{other}"),
        format!("{order}{other}"),
        format!("{order},{other}"),
        format!("```json\n{order}\n```\n```json\n{other}\n```"),
        format!("Alerts: {order} {other}"),
        format!("{{\"orders\": [{order}, {other}]}}"),
        format!("{{\"orders\": [{order}]}}"),
        format!("{{\"symbol\": \"AAPL\", \"signal\": \"BUY\", \"price\": 5, \"alerts\": [{order}, {other}]}}"),
        json!({"content": format!("{order}\n{other}")}).to_string(),
        json!({"content": format!("[{order}, {other}]")}).to_string(),
        json!({"text": format!("{{\"orders\": [{order}, {other}]}}")}).to_string(),
        format!("[{order}, {other}]").replace('"', "&quot;"),
        "symbol: AAPL, signal: buy, price: 5\nsymbol: MSFT, signal: buy, price: 6".to_owned(),
        "signal=buy; price=5 | signal=sell; price=6".to_owned(),
        format!("{{\"batch\": [{order}, {other}]}}"),
        format!("{{\"1\": {order}, \"2\": {other}}}"),
        // Of two words the reader must not pick one.
        order.replace("\"price\"", "\"signal\": \"exit\", \"price\""),
        order.replace("\"price\"", "\"reduceOnly\": true, \"reduceOnly\": false, \"price\""),
        order.replace("\"price\"", "comment: Exit Long, comment: x, \"price\""),
        "symbol=AAPL&signal=exit&price=5&signal=buy".to_owned(),
        "symbol: AAPL\nsignal: buy\nprice: 5\nTP: 6\nTP: 7".to_owned(),
        "symbol: AAPL; signal: buy; price: 5; SL: 4; stop: 3; sl: 4.5".to_owned(),
        "symbol=AAPL,signal=buy,price=5,stop_loss=4,stopLoss=3".to_owned(),
        // Nor in what a text writes out.
        order.replace("\"price\"", r#""params": "{\"reduceOnly\":true,\"reduceOnly\":false}", "price""#),
        order.replace("\"price\"", r#""exits": "[{\"type\":\"sl\",\"price\":4,\"price\":3}]", "price""#),
        order.replace("\"price\"", r#""a": ["{\"b\":\"{\\\"sl\\\":4,\\\"sl\\\":3}\"}"], "price""#),
        json!({"content": order.replace("\"price\"", "\"sl\": 4, \"sl\": 3, \"price\"")}).to_string(),
        // Nor around an alert and within it.
        json!({"sl": 4, "content": order.replace("\"price\"", "\"sl\": 3, \"price\"")}).to_string(),
        json!({"reduceOnly": true, "text": order.replace("\"price\"", "\"reduceOnly\": false, \"price\"")}).to_string(),
        json!({"type": "exit", "text": order.replace("\"price\"", "\"type\": \"market\", \"price\"")}).to_string(),
    ];
    for body in bodies {
        let error = read(body.as_bytes(), "").unwrap_err();
        assert!(matches!(error, UnreadableBody::SeveralOrders(_)), "{body}: {error}");
        assert!(error.to_string().contains("several orders"), "{error}");
    }
    for query in ["sl=4&sl=3", "sl=4&SL=3", "reduceOnly=true&reduceOnly=0", "p=%7B%22sl%22:4,%22sl%22:3%7D"] {
        assert!(matches!(read(order.as_bytes(), query).unwrap_err(), UnreadableBody::SeveralOrders(_)), "{query}");
    }
    let enveloped = json!({"type": "message", "id": "17", "text": order.replace("\"price\"", "\"type\": \"market\", \"id\": \"L\", \"price\"")});
    assert_eq!(of(&enveloped.to_string()).signal, Some(Signal::Buy), "an envelope has a type and an id of its own");
    let legs =
        r#"{"symbol": "AAPL", "signal": "BUY", "price": 5, "orders": [{"type": "limit", "qty": 1}, {"qty": 2}]}"#;
    assert_eq!(of(legs).price, price("5"), "what does not say what it is for is no order of its own");
}

#[test]
fn an_object_that_says_something_itself_is_not_overruled_by_a_text_in_it() {
    let inner = r#"{"symbol": "MSFT", "signal": "SELL", "price": 9}"#;
    for outer in
        [json!({"symbol": "AAPL"}), json!({"signal": "BUY"}), json!({"price": 5}), json!({"order": {"price": 5}})]
    {
        let mut body = outer.clone();
        body["message"] = inner.into();
        let payload = of(&body.to_string());
        assert_ne!(payload.symbol, Symbol::new("MSFT"), "{body}");
        assert_eq!(payload.additional.get_str("message").unwrap(), inner, "{body}");
    }
    let payload = of(r#"{"content": "AAPL is going up: buy at 5", "signal": null}"#);
    assert!(problems(&payload).contains(&"symbol: missing".to_owned()));
}

#[test]
fn near_json_keeps_what_pairs_and_quotes_would_break() {
    let payload = of(r#"{comment: 'the trader's "best" pick, again', url: https://x.test/a?b=c, // note
        "multi": "first
        second", "escaped": 'a\tb \u20ac \ud83d\ude00 \q', list: [1, two, 'three',], nested: {a: 1,}, "empty": ,
        zero: 0700, big: 123456789012345678901234567890, tp: [1, 2]}"#);
    assert_eq!(payload.comment.as_deref(), Some("the trader's \"best\" pick, again"));
    assert_eq!(
        payload.additional,
        doc! {
            "url": "https://x.test/a?b=c", "multi": "first\n        second", "escaped": "a\tb € 😀 q",
            "list": [1, "two", "three"], "nested": {"a": 1}, "zero": "0700",
            "big": "123456789012345678901234567890", "tp": [1, 2],
        }
    );
}

#[test]
fn pairs_keep_colons_commas_and_quotes_in_values() {
    let payload = of("comment=Long, strong trend, signal=buy, symbol = BINANCE:BTCUSDT, note: \"a, b=c\", \
        link=https://x.test/?a=1, price: 64,250.5");
    assert_eq!(payload.comment.as_deref(), Some("Long, strong trend"));
    assert_eq!(payload.symbol, Symbol::new("BINANCE:BTCUSDT"));
    assert!(problems(&payload).contains(&"price: not_a_number".to_owned()), "and not a price of 64");
    assert_eq!(payload.additional, doc! {"note": "a, b=c", "link": "https://x.test/?a=1", "price": "64,250.5"});
}

#[test]
fn raw_payload_keeps_types_and_additional_data_what_was_not_read() {
    let payload = of(r#"{"symbol": "AAPL", "price": 190.5, "tp2": 210, "tp3": "220", "volume": 9007199254740993,
        "huge": 18446744073709551615, "bar": {"open": 1.5, "close": 2}, "flag": true, "none": null, "a.b": 1, "$c": 2,
        "nul\u0000key": 3, "list": [1, {"x": null}]}"#);
    assert_eq!(
        payload.raw,
        doc! {
            "symbol": "AAPL", "price": 190.5, "tp2": 210, "tp3": "220", "volume": 9_007_199_254_740_993_i64,
            "huge": 18_446_744_073_709_551_615.0, "bar": {"open": 1.5, "close": 2}, "flag": true, "none": Bson::Null,
            "a.b": 1, "$c": 2, "nul\u{fffd}key": 3, "list": [1, {"x": Bson::Null}],
        }
    );
    let mut left = payload.raw.clone();
    for read in ["symbol", "price", "none"] {
        left.remove(read);
    }
    assert_eq!(payload.additional, left);
    assert!(bson::serialize_to_vec(&payload.raw).is_ok());
    let text = of("symbol=AAPL\nprice=5");
    assert_eq!(text.raw, doc! {"symbol": "AAPL", "price": 5, "_text": "symbol=AAPL\nprice=5"});
}

const SECRET: &str = "hunter2-0123456789";

#[test]
fn secrets_are_nowhere() {
    let bodies = [
        format!(
            r#"{{"secret": "{SECRET}", "signal": "x", "a": {{"Api_Key": "{SECRET}", "b": [{{"token": "{SECRET}"}}]}}}}"#
        ),
        format!("{{secret: '{SECRET}', signal: x, 'pass-phrase': \"{SECRET}\", note: see {SECRET}}}"),
        format!("{{\"signal\": \"x\", \"message\": \"token={SECRET} go\",}}"),
        format!("symbol=AAPL\npassphrase: {SECRET}\nsignal=x"),
        format!("symbol=AAPL, apikey = \"{SECRET}\", signal=buy secret={SECRET}"),
        format!("signal=buy password:{SECRET}"),
        format!("*Secret* : {SECRET}\n• signal: x"),
        format!("signal=x&token={SECRET}&note={SECRET}"),
        format!("{{\"passphrase\" : \"{SECRET}\" \"a\""),
    ];
    for body in bodies {
        assert!(!scrub(&body).contains(SECRET), "{body}");
        match read(body.as_bytes(), &format!("token={SECRET}&x=1&note={SECRET}")) {
            Ok(payload) => assert!(!format!("{payload:?}").contains(SECRET), "{payload:?}"),
            Err(error) => assert!(!error.to_string().contains(SECRET), "{error}"),
        }
    }
}

#[test]
fn what_only_a_secret_is_called_is_cut_out_everywhere() {
    const SHORT: &str = "q7Zx1";
    for name in ["key", "auth", "auth_key", "authKey", "pin", "PWD", "pass", "license"] {
        let inner = json!({"symbol": "AAPL", "signal": "BUY", "price": 5, name: SHORT}).to_string();
        let bodies = [
            inner.clone(),
            json!({"symbol": "AAPL", "a": {"b": [{name: {"c": SHORT}}]}}).to_string(),
            json!({"content": inner}).to_string(),
            inner.replace('"', "&quot;"),
            format!("```json\n{inner}\n```"),
            format!("symbol=AAPL\n{name}={SHORT}\nsignal=buy"),
            format!("symbol=AAPL; {name}: {SHORT} | signal=buy"),
            format!("symbol=AAPL&{name}={SHORT}"),
            format!("signal=buy {name}={SHORT}"),
            format!(r#"{{"symbol": "AAPL", "headers.{name}": "{SHORT}", "a[{name}]": "{SHORT}"}}"#),
            json!({"symbol": "AAPL", "params": json!({"inner": json!({name: SHORT}).to_string()}).to_string()})
                .to_string(),
            format!("{{\"{name}\": \"{SHORT}\" oops"),
            format!("{{&quot;{name}&quot;: &quot;{SHORT}&quot; oops"),
        ];
        for body in bodies {
            let query = format!("{name}={SHORT}&amp;x=1");
            assert!(!scrub(&body).contains(SHORT), "{name}: {body}: {}", scrub(&body));
            assert_eq!(scrub_query(&query), "x=1");
            if let Ok(payload) = read(body.as_bytes(), &query) {
                assert!(!format!("{payload:?}").contains(SHORT), "{name}: {payload:?}");
            }
        }
    }
    let labelled =
        of(r#"{"symbol": "AAPL", "headers": [{"name": "X-Api-Key", "value": "q7Zx1"}, {"name": "rsi", "value": 5}],
        "field": {"key": "pin", "val": "q7Zx1"}}"#);
    assert!(!format!("{labelled:?}").contains(SHORT), "{labelled:?}");
    assert!(format!("{labelled:?}").contains("rsi"), "{labelled:?}");
    let kept = of(r#"{"idempotency_key": "q7Zx1", "pin_bar": 1, "key": "BTCUSDT", "strategy": "BTCUSDT pass 2"}"#);
    assert_eq!((kept.alert_id.as_deref(), kept.strategy.as_deref()), (Some("q7Zx1"), Some("BTCUSDT pass 2")));
    assert_eq!(kept.additional, doc! {"pin_bar": 1});
    assert_eq!(scrub("idempotency_key=a-1, Idempotency Key=b"), "idempotency_key=a-1, Idempotency Key=b");
}

#[test]
fn cutting_out_secrets_leaves_the_rest() {
    assert_eq!(scrub("symbol=AAPL, secret=abc, price=5"), "symbol=AAPL, secret=[removed], price=5");
    assert_eq!(scrub("{\"api_key\": \"a\\\"b\", 'x': 1}"), "{\"api_key\": \"[removed]\", 'x': 1}");
    assert_eq!(scrub("no secrets here: 5"), "no secrets here: 5");
    assert_eq!(scrub("**Token** = ab\nprice = 5"), "**Token** = [removed]\nprice = 5");
    let payload = of(r#"{"secret": "BTCUSDT", "symbol": "BTCUSDT", "strategy": "BTCUSDT scalper"}"#);
    assert_eq!(payload.symbol, Symbol::new("BTCUSDT"), "a short secret that is a whole value is a word");
}

#[test]
fn a_kept_query_has_no_secrets_and_reads_as_before() {
    let query = format!("?strategy=EMA%20Cross&api%5Fkey={SECRET}&note=see+{SECRET}&price={{{{close}}}}");
    let kept = scrub_query(&query);
    assert_eq!(kept, "strategy=EMA+Cross&note=see+%5Bremoved%5D&price=%7B%7Bclose%7D%7D");
    assert_eq!(read(b"{}", &kept), read(b"{}", &query));
}

#[test]
fn texts_are_bounded_however_long() {
    let long = "x".repeat(5_000);
    let payload =
        of(&json!({"strategy": long, "comment": long, "alert_id": long, "symbol": long, "signal": long}).to_string());
    assert_eq!(payload.comment.unwrap().len(), COMMENT_CHARS_MAX);
    for problem in &payload.problems {
        assert!(problem.message.chars().count() < 400, "{}", problem.message);
    }
    let codes: Vec<_> = payload.problems.iter().map(|p| p.code).collect();
    assert_eq!(codes.iter().filter(|code| **code == ProblemCode::TooLong).count(), 2);
    assert!(codes.contains(&ProblemCode::BadSymbol));
}

#[test]
fn strategy_orders_as_people_group_them() {
    let grouped = of(r#"{"passphrase": "x", "time": "2026-11-22T10:00:00Z", "exchange": "NASDAQ", "ticker": "AAPL",
        "interval": "60", "strategy_name": "Swing",
        "bar": {"time": "2026-11-22T09:00:00Z", "open": 1, "high": 3, "low": 1, "close": 2, "volume": 9},
        "strategy": {"position_size": 0, "order_action": "sell", "order_contracts": 5, "order_price": 2.5,
            "order_id": "Exit Long TP", "market_position": "flat", "market_position_size": 0,
            "prev_market_position": "long", "prev_market_position_size": 5}}"#);
    assert_eq!(grouped.problems, []);
    assert_eq!(grouped.intent, Some(Intent::Flat { side: Some(Side::Buy), reason: Some(ExitSignal::TpHit) }));
    assert_eq!(grouped.price, price("2.5"));
    assert_eq!(grouped.timestamp, at("2026-11-22T10:00:00Z"), "not the bar's start");
    assert_eq!(grouped.trade_ref.as_deref(), Some("Exit Long TP"));
    assert_eq!(grouped.strategy.as_deref(), Some("Swing"));

    let signal_bot =
        of(r#"{"secret": "x", "max_lag": "300", "timestamp": "2026-11-22T10:00:00Z", "trigger_price": "5",
        "tv_instrument": "BTCUSDT", "action": "buy", "bot_uuid": "u",
        "strategy_info": {"market_position": "long", "market_position_size": "1", "prev_market_position": "short",
            "prev_market_position_size": "1"}, "order": {"amount": "2", "currency_type": "base"}}"#);
    assert_eq!(signal_bot.intent, Some(Intent::Turn { closes: Side::Sell, reason: None, opens: Side::Buy }));
    assert_eq!(signal_bot.additional.get_document("order").unwrap(), &doc! {"amount": "2", "currency_type": "base"});

    let mirrored =
        of(r#"{"ticker": "A", "strategy": {"name": "S", "order": {"action": "buy", "id": "L", "price": 3}}}"#);
    assert_eq!(mirrored.intent, Some(Intent::Entry { side: Side::Buy }));
    assert_eq!((mirrored.price, mirrored.trade_ref.as_deref()), (price("3"), Some("L")));
    assert_eq!(mirrored.strategy.as_deref(), Some("S"));

    let targets =
        of(r#"{"ticker": "A", "action": "buy", "takeProfit": {"price": 110}, "stopLoss": {"stopPrice": 90}}"#);
    assert_eq!(targets.price, None, "a price within takeProfit is not the alert's");
    assert_eq!((targets.take_profit, targets.stop_loss), (price("110"), price("90")));
    assert_eq!(targets.additional.len(), 2, "an object may hold more than the level");
}

#[test]
fn contradictions_and_unknown_positions_are_named() {
    let table = [
        (
            json!({"action": "buy", "market_position": "flat", "prev_market_position": "long"}),
            "market_position: contradictory",
        ),
        (
            json!({"action": "sell", "market_position": "long", "prev_market_position": "flat"}),
            "market_position: contradictory",
        ),
        (json!({"action": "sell", "prev_market_position": "long"}), "market_position: missing"),
        (json!({"action": "sell", "market_position": "up"}), "market_position: unknown_position"),
        (json!({"action": "sell", "market_position": "{{strategy.market_position}}"}), "market_position: placeholder"),
        (json!({"market_position": "long"}), "signal: missing"),
        (
            json!({"action": "order", "market_position": "long", "prev_market_position": "flat"}),
            "signal: unknown_signal",
        ),
    ];
    for (body, expected) in table {
        let payload = of(&body.to_string());
        assert!(problems(&payload).contains(&expected.to_owned()), "{body}: {:?}", payload.problems);
    }
}
