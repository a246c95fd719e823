//! Bodies that mean no good, bodies made at random, and the way there and back through `render`.

use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::alert::intent::phrase::{PhraseMeaning, PhrasePlace, understand};
use crate::alert::intent::{ExitSignal, PositionChange, remark};
use crate::alert::render::render;
use crate::market::Side;

#[test]
fn bounds_are_kept_in_every_shape() {
    let deep = format!("{}1{}", "{\"a\":".repeat(40), "}".repeat(40));
    assert_eq!(read(deep.as_bytes(), ""), Err(UnreadableBody::TooDeep));
    assert_eq!(read(deep.replace('"', "").as_bytes(), ""), Err(UnreadableBody::TooDeep));
    let just = format!("{}1{}", "{\"a\":".repeat(16), "}".repeat(16));
    assert!(read(just.as_bytes(), "").is_ok());
    assert!(read(just.replace('"', "").as_bytes(), "").is_ok());
    let wide: String = (0..300).map(|i| format!("\"k{i}\": 1,")).collect();
    assert_eq!(read(format!("{{{}\"z\":1}}", wide).as_bytes(), ""), Err(UnreadableBody::TooManyFields));
    assert_eq!(read(format!("{{{wide}}}").as_bytes(), ""), Err(UnreadableBody::TooManyFields));
    assert_eq!(read("a=1\n".repeat(300).as_bytes(), ""), Err(UnreadableBody::TooManyFields));
    assert_eq!(read("a=1,".repeat(300).as_bytes(), ""), Err(UnreadableBody::TooManyFields));
    assert_eq!(read(b"{\"a\": 1}", &"a=1&".repeat(300)), Err(UnreadableBody::TooManyFields));
    let half: String = (0..150).map(|i| format!("\"k{i}\": 1,")).collect();
    let wrapped = json!({"content": format!("{{{half}\"symbol\":\"A\"}}"), "a": vec![1; 150]});
    assert_eq!(read(wrapped.to_string().as_bytes(), ""), Err(UnreadableBody::TooManyFields));
    let far = format!("{{\"tp\": {}110{}}}", "[".repeat(10), "]".repeat(10));
    assert_eq!(read(far.as_bytes(), "").unwrap().take_profit, None);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "it measures the reader, whose cost is what is tested")]
fn hostile_bodies_cost_no_more_than_long_ones() {
    let n = 64 * 1024;
    let bodies = [
        "[".repeat(n),
        "{".repeat(n),
        "{\"a\":".repeat(n / 5),
        "{a:{{".repeat(n / 5),
        format!("{{a:{}", "{{".repeat(n / 2)),
        format!("{{a:{}", "[".repeat(n)),
        format!("{{a:'{}", "' ".repeat(n / 2)),
        format!("{{a:'{}", "\\u".repeat(n / 2)),
        format!("{{a:{}", "/*".repeat(n / 2)),
        format!("{{{}", ",".repeat(n)),
        format!("{{a: b{}", " /".repeat(n / 2)),
        format!("a={}", "='x,a".repeat(n / 5)),
        "a='x,".repeat(n / 5),
        "a=\"x\" ,".repeat(n / 7),
        ":=".repeat(n / 2),
        ",".repeat(n),
        format!("a={}", " secret=".repeat(n / 8)),
        format!("x{}:", " ".repeat(n)),
        "\" :".repeat(n / 3),
        (0..n / 16).map(|i| format!("secret=abcd{i:04},")).collect(),
        "secret=remove,token=[remov,".repeat(n / 27),
        format!("{{\"x\":\"{}\"}}", "token:".repeat(n / 6)),
        "\n".repeat(n),
        "&quot;".repeat(n / 6),
        format!("{{{}", "&amp;quot;".repeat(n / 10)),
        "&".repeat(n),
        "```{".repeat(n / 4),
        format!("```\n{{{}", "```\n{".repeat(n / 5)),
        format!("x {}", "{{".repeat(n / 2)),
        format!("x {{\"a\":{}", "[".repeat(n)),
        format!("x {}", "{".repeat(n)),
        "a=1;|".repeat(n / 5),
        "a='x|".repeat(n / 5),
        json!({"content": "{\"a\":".repeat(n / 6)}).to_string(),
        json!({"content": "[".repeat(n)}).to_string(),
        json!({"tp": "[".repeat(n), "tp2": "{".repeat(n), "price": "1-".repeat(n / 2)}).to_string(),
        json!({"tp".repeat(n / 2): 1, "percent".repeat(n / 8): 2, "9".repeat(n): 3}).to_string(),
        "symbol=A,".repeat(n / 9),
    ];
    let measure = |body: &str| {
        let start = Instant::now();
        let _ = read(body.as_bytes(), body);
        let _ = scrub(body);
        start.elapsed()
    };
    for body in bodies {
        // Of a machine that does much else at once, one time of three is taken for the reader's.
        let in_time = (0..3).map(|_| measure(&body)).find(|took| took.as_secs() < 5);
        // A long body takes a few milliseconds without optimisation; one that is read quadratically takes minutes.
        assert!(in_time.is_some(), "{}…", &body[..20]);
    }
}

fn payloads() -> impl Strategy<Value = Payload> {
    let sides = prop::sample::select(vec![Side::Buy, Side::Sell]);
    let reasons = prop::option::of(prop::sample::select(vec![ExitSignal::TpHit, ExitSignal::SlHit]));
    let intents = (sides, reasons, 0..9).prop_map(|(side, reason, kind)| match kind {
        0 => Intent::Entry { side },
        1 => Intent::exit(reason.unwrap_or(ExitSignal::SlHit)),
        2 => Intent::Flat { side: Some(side), reason },
        3 => Intent::Flat { side: None, reason },
        4 => Intent::Turn { closes: side, reason: None, opens: side.opposite() },
        5 => Intent::Partial { side: Some(side), reason, change: PositionChange::Reduced },
        6 => Intent::Partial { side: None, reason: None, change: PositionChange::Breakeven },
        7 => Intent::Partial { side: Some(side), reason: None, change: PositionChange::StopMoved },
        _ => Intent::Exit {
            reason: reason.unwrap_or(ExitSignal::TpHit),
            side: Some(side),
            target: reason.is_none().then_some(2),
        },
    });
    let prices = || prop::option::of((1_i64..999_999_999_999_999, 3_u32..15));
    let words = || prop::option::of("[A-Za-zäß€😀'\",:={}\\[\\]\\\\/][A-Za-z0-9äß '\",:=\n\\\\/]{0,20}[a-z0-9\"'}]");
    (
        (
            "[A-Z]{1,6}(:[A-Z0-9.!]{1,8})?",
            prop::sample::select(Timeframe::ALL),
            "[A-Za-z]{2,10}[ a-z0-9',\"]{0,10}x",
            intents,
        ),
        (prices(), prices(), prices(), prop::option::of(0_i64..99_999_999_999_000), words(), words(), words()),
        (prop::option::of(1_u32..1_000_000), prop::option::of(prop::sample::select(RiskLevel::ALL))),
    )
        .prop_map(
            |((symbol, timeframe, strategy, intent), (price, tp, sl, at, id, trade, comment), (quantity, risk))| {
                let decimal = |(m, s)| Price::new(rust_decimal::Decimal::new(m, s)).unwrap();
                let plain = |text: Option<String>| {
                    text.filter(|t| {
                        !t.contains("{{")
                            && understand(t, PhrasePlace::Remark) == PhraseMeaning::Unknown
                            && remark(t).is_none()
                            && scrub(t) == *t
                            && !t.contains("}}")
                    })
                };
                Payload {
                    symbol: Symbol::new(&symbol),
                    exchange: None,
                    timeframe: Some(GivenTimeframe::Known(timeframe)),
                    strategy: Some(strategy),
                    signal: Some(intent.signal()),
                    intent: Some(intent),
                    price: price.map(decimal),
                    take_profit: tp.map(decimal),
                    stop_loss: sl.map(decimal),
                    targets: Vec::new(),
                    levels: GivenLevels::default(),
                    timestamp: at.map(Time::from_millis),
                    timestamp_in_body: at.is_some(),
                    alert_id: plain(id),
                    quantity: quantity.map(|q| Amount::parse(&q.to_string()).unwrap()),
                    trade_ref_explicit: plain(trade.clone()).is_some(),
                    trade_ref: plain(trade),
                    comment: plain(comment),
                    risk,
                    additional: Document::new(),
                    raw: Document::new(),
                    problems: Vec::new(),
                }
            },
        )
}

/// Pieces that hostile and careless bodies are made of.
fn fragments() -> impl Strategy<Value = String> {
    let pieces = vec![
        "{",
        "}",
        "{{",
        "}}",
        "[",
        "]",
        "\"",
        "'",
        "“",
        "”",
        ",",
        ":",
        "=",
        "\n",
        " ",
        "//",
        "/*",
        "*/",
        "\\",
        "\\u12",
        "\\ud83d",
        "symbol",
        "price",
        "secret",
        "tp",
        "signal",
        "BUY",
        "flat",
        "1",
        "1e999",
        "-0",
        "NaN",
        "null",
        "{{close}}",
        "strategy",
        "market_position",
        "long",
        "timestamp",
        "2026-11-22T10:00:00Z",
        "9".repeat(30).leak(),
        "\0",
        "é",
        "\u{202e}",
        "🚀",
        ";",
        "`",
        "```",
        "|",
        "&quot;",
        "&amp;",
        "content",
        "orders",
        "takeProfit",
        "sl_pct",
        "2%",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_rendered_is_read_back(payload in payloads()) {
        let text = render(&payload);
        let back = read(text.as_bytes(), "").unwrap();
        let missing = payload.price.is_none().then(|| "price: missing".to_owned());
        prop_assert_eq!(super::tests::problems(&back), missing.into_iter().collect::<Vec<_>>(), "{}", text);
        let expected = Payload { raw: back.raw.clone(), problems: back.problems.clone(), levels: back.levels.clone(), ..payload };
        prop_assert_eq!(&back, &expected, "{}", text);
        prop_assert_eq!(render(&back), text);
    }

    #[test]
    fn reading_never_panics_on_bytes(body in prop::collection::vec(any::<u8>(), 0..400), query in "\\PC{0,60}") {
        let _ = read(&body, &query);
    }

    #[test]
    fn reading_never_panics_on_text(body in "(?s).{0,300}", query in "(?s).{0,60}") {
        let _ = read(body.as_bytes(), &query);
        let _ = scrub(&body);
    }

    #[test]
    fn reading_never_panics_on_fragments_and_what_it_reads_can_be_stored(body in fragments(), query in fragments()) {
        let _ = scrub(&body);
        if let Ok(payload) = read(body.as_bytes(), &query) {
            prop_assert!(bson::serialize_to_vec(&payload.raw).is_ok());
            prop_assert!(bson::serialize_to_vec(&payload.additional).is_ok());
            let mut fields: Vec<_> = payload.problems.iter().map(|p| &p.field).collect();
            fields.dedup();
            prop_assert_eq!(fields.len(), payload.problems.len(), "each field at most once");
        }
    }

    #[test]
    fn near_json_never_panics(inner in fragments()) {
        let _ = read(format!("{{{inner}}}").as_bytes(), "");
    }

    #[test]
    fn strict_json_is_read_whatever_it_holds(key in "[a-z_]{1,12}", value in "(?s).{0,40}", number in any::<f64>()) {
        let payload = read(json!({key.clone(): value, "n": number}).to_string().as_bytes(), "");
        prop_assert!(payload.is_ok());
    }
}
