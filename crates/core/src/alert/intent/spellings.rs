//! The table of what people send (`spellings.txt`), and what holds for all mixtures of it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::alert::payload::{Payload, UnreadableBody, read};
use crate::alert::rule_violation::ProblemCode;

/// A line of the table.
#[derive(Debug, Clone)]
struct Row {
    wanted: String,
    fields: Map<String, Value>,
    query: String,
}

impl Row {
    fn is_entry(&self) -> bool {
        self.wanted == "buy" || self.wanted == "sell"
    }

    fn turns(&self) -> bool {
        self.wanted.starts_with("turn")
    }

    fn closes(&self) -> bool {
        !self.is_entry() && !self.turns() && !["doubtful", "refused"].contains(&self.wanted.as_str())
    }

    /// No reading is wanted.
    fn is_refused(&self) -> bool {
        ["unclear", "doubtful", "refused"].contains(&self.wanted.as_str())
    }

    fn read(&self) -> Payload {
        read_whole(&self.fields, &self.query)
    }
}

fn read_whole(fields: &Map<String, Value>, query: &str) -> Payload {
    try_to_read(fields, query).unwrap()
}

fn try_to_read(fields: &Map<String, Value>, query: &str) -> Result<Payload, UnreadableBody> {
    let mut body = json!({"symbol": "BTCUSDT", "timeframe": "1h", "strategy": "EMA", "price": 100});
    body.as_object_mut().unwrap().extend(fields.clone());
    // TradingView's group of that name may stand in the place of the strategy's.
    read(body.to_string().as_bytes(), &format!("{query}&strategy_name=EMA"))
}

fn table() -> Vec<Row> {
    let lines = include_str!("spellings.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &str| {
        let (wanted, rest) = line.split_at(line.find('{').unwrap());
        let (body, query) = rest.rsplit_once("} ? ").map_or((rest.to_owned(), ""), |(b, q)| (format!("{b}}}"), q));
        let fields: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{line}: {error}"));
        let Value::Object(fields) = fields else { panic!("{line}") };
        let wanted = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
        Row { wanted, fields, query: query.trim().to_owned() }
    };
    lines.map(row).collect()
}

/// An intent in the table's words.
fn told(payload: &Payload) -> String {
    let Some(intent) = payload.intent else {
        let positions = payload.problems.iter().any(|problem| problem.field == "market_position");
        let two = payload.problems.iter().any(|problem| problem.code == ProblemCode::Contradictory);
        return if two || positions { "unclear" } else { "refused" }.to_owned();
    };
    let side = |side: Option<Side>| match side {
        Some(Side::Buy) => " long",
        Some(Side::Sell) => " short",
        None => "",
    };
    let reason = |reason: Option<ExitSignal>| match reason {
        Some(ExitSignal::TpHit) => " tp",
        Some(ExitSignal::SlHit) => " sl",
        None => "",
    };
    match intent {
        Intent::Entry { side: Side::Buy } => "buy".to_owned(),
        Intent::Entry { side: Side::Sell } => "sell".to_owned(),
        Intent::Exit { reason: why, side: of, target } => {
            let target = target.map(|target| target.to_string()).unwrap_or_default();
            format!("{}{target}{}", reason(Some(why)).trim_start(), side(of))
        }
        Intent::Flat { side: of, reason: why } => format!("flat{}{}", side(of), reason(why)),
        Intent::Turn { opens, .. } => format!("turn{}", side(Some(opens))),
        Intent::Partial { side: of, reason: why, change } => format!("{change}{}{}", side(of), reason(why)),
    }
}

#[test]
fn every_spelling_is_read_as_wanted() {
    let mut wrong = Vec::new();
    for row in table() {
        let payload = row.read();
        let found = told(&payload);
        // What is refused is refused for one reason or another; the table tells which of them close.
        let refused = found == "unclear" || found == "refused";
        let matches = found == row.wanted || refused && row.is_refused();
        if !matches {
            let problems: Vec<&str> = payload.problems.iter().map(|problem| problem.message.as_str()).collect();
            wrong.push(format!("{} {:?} ? {}\n   is read as {found} {problems:?}", row.wanted, row.fields, row.query));
        }
        let of_intent = |field: &str| matches!(field, "signal" | "market_position" | "prev_market_position");
        let problem = payload.problems.iter().find(|problem| of_intent(&problem.field));
        assert!(refused || problem.is_none(), "{row:?}: {problem:?}");
    }
    assert!(wrong.is_empty(), "{} of them are not:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_table_is_large_enough_to_rely_on() {
    let table = table();
    let count = |wanted: &dyn Fn(&Row) -> bool| table.iter().filter(|row| wanted(row)).count();
    let (entries, exits) = (count(&Row::is_entry), count(&Row::closes));
    let refused = count(&|row| row.is_refused() && row.wanted != "refused");
    assert!(table.len() >= 300 && entries >= 120, "{} rows, {entries} entries", table.len());
    assert!(refused * 10 <= exits, "{refused} of {exits} exits are refused");
    let distinct: std::collections::BTreeSet<String> =
        table.iter().map(|row| format!("{}?{}", Value::Object(row.fields.clone()), row.query)).collect();
    assert_eq!(distinct.len(), table.len(), "no row stands there twice");
}

/// Messages of well-known templates that opened trades where they closed them.
#[test]
fn what_once_opened_trades_by_mistake_does_not() {
    let base = r#""symbol":"BTCUSDT","timeframe":"1h","strategy":"EMA""#;
    for (wanted, body) in [
        ("tp1", format!(r#"{{{base},"signal":"TP1","side":"BUY","price":110}}"#)),
        ("flat long", format!(r#"{{{base},"action":"sell_to_close","side":"long","price":108}}"#)),
        ("reduced long", format!(r#"{{{base},"action":"partial_close","side":"long","price":105}}"#)),
        ("turn short", format!(r#"{{{base},"action":"reverse","side":"short","price":108}}"#)),
        ("flat long", format!(r#"{{{base},"type":"exit","direction":"Long","price":108}}"#)),
        ("flat long", format!(r#"{{{base},"event":"exit","side":"long","price":108}}"#)),
        (
            "flat long",
            r#"{"ticker":"BTCUSDT","interval":"60","strategy":"EMA","action":"sell","sentiment":"flat","quantity":"1","price":"108"}"#
                .to_owned(),
        ),
        ("flat long", format!(r#"{{{base},"action":"sell","position":"flat","price":108}}"#)),
        ("flat long", format!(r#"{{{base},"action":"sell","reduceOnly":true,"price":108}}"#)),
        ("flat long", format!(r#"{{{base},"action":"sell","order_id":"Close entry(s) order Long","price":108}}"#)),
    ] {
        let payload = read(body.as_bytes(), "").unwrap();
        assert_eq!((told(&payload).as_str(), &payload.problems[..]), (wanted, &[][..]), "{body}");
    }
}

/// Who has to mend the message sees what it says, or which word is not known.
#[test]
fn what_is_refused_says_why() {
    for row in table().into_iter().filter(Row::is_refused) {
        let payload = row.read();
        let [problem] = &payload.problems[..] else { panic!("{row:?}: {:?}", payload.problems) };
        assert!(matches!(problem.field.as_str(), "signal" | "market_position"), "{row:?}: {problem:?}");
        if problem.code == ProblemCode::Contradictory && problem.field == "signal" {
            assert!(problem.message.contains("two ways") && problem.message.contains(", and "), "{problem:?}");
        }
        let two = problem.code == ProblemCode::Contradictory && problem.field == "signal";
        let kept_as_entry = payload.signal.and_then(Signal::entry_side).is_some();
        assert!(!two || !kept_as_entry, "{row:?}: what may close is not kept as an entry");
    }
}

/// All of `sign`, and of the others what it does not say itself. None where these would hide what it says in its URL.
fn mixed(sign: &Row, others: [&Row; 2]) -> Option<(Map<String, Value>, String)> {
    let mut fields = Map::new();
    for row in others.into_iter().chain([sign]) {
        fields.extend(row.fields.clone());
    }
    // Names are one in every spelling, and the body wins.
    let text = Value::Object(fields.clone()).to_string().to_lowercase().replace('_', "");
    let hidden = sign
        .query
        .split('&')
        .filter_map(|pair| pair.split('=').next())
        .any(|name| !name.is_empty() && text.contains(&format!("\"{}\"", name.to_lowercase().replace('_', ""))));
    (!hidden).then(|| (fields, format!("{}&{}&{}", others[0].query, others[1].query, sign.query)))
}

fn closing() -> Vec<Row> {
    table().into_iter().filter(Row::closes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(3_000)))]

    /// Whatever else a message says: where it says that something closes, it opens nothing but by a stated turn.
    #[test]
    fn nothing_with_an_exit_sign_opens_a_trade(
        sign in prop::sample::select(closing()), one in prop::sample::select(table()), two in prop::sample::select(table()),
    ) {
        if let Some((fields, query)) = mixed(&sign, [&one, &two]) {
            // Where a URL tells two things under one name, nothing is read.
            let intent = try_to_read(&fields, &query).ok().and_then(|payload| payload.intent);
            let opens = matches!(intent, Some(Intent::Entry { .. }));
            prop_assert!(!opens, "{fields:?} ? {query} opens, though {} closes", Value::Object(sign.fields));
        }
    }

    /// Case, joints and decoration change nothing.
    #[test]
    fn spelling_does_not_matter(row in prop::sample::select(table()), how in 0_u8..5) {
        let change = |text: &str| match how {
            0 => text.to_uppercase(),
            1 => text.to_lowercase(),
            2 => format!("  {text} "),
            3 => format!("🔔 {text}!"),
            _ => text.replace(' ', "_"),
        };
        let names = ["signal", "action", "side", "direction", "event", "sentiment", "order_action"];
        let mut fields = row.fields.clone();
        for (name, value) in &mut fields {
            let Some(text) = value.as_str().filter(|_| names.contains(&name.as_str())) else { continue };
            if !text.contains("{{") && text.parse::<f64>().is_err() {
                *value = change(text).into();
            }
        }
        prop_assert_eq!(told(&read_whole(&fields, &row.query)), told(&row.read()), "{:?}", fields);
    }
}
