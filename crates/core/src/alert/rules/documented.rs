//! `docs/alerts.md` holds: what it shows is read as it says.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::tests::{config, now};
use super::{CheckedAlert, check};
use crate::alert::names;
use crate::alert::payload::{Payload, read};
use crate::alert_configuration::AlertConfiguration;

const PAGE: &str = include_str!("../../../../../docs/alerts.md");

fn section(title: &str) -> &'static str {
    let (_, from) = PAGE.split_once(&format!("\n## {title}\n")).unwrap();
    from.split("\n## ").next().unwrap()
}

/// The rows of a section's tables, by their cells.
fn rows(title: &str) -> Vec<Vec<&'static str>> {
    let rows = section(title).lines().filter(|line| line.starts_with('|') && !line.starts_with("|-"));
    rows.skip(1).map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

fn alert(with: &str) -> Payload {
    let mut body = json!({"symbol": "AAPL", "timeframe": "1h", "strategy": "EMA Cross", "price": 100});
    let with: Map<String, Value> = serde_json::from_str(with).unwrap();
    body.as_object_mut().unwrap().extend(with);
    read(body.to_string().as_bytes(), "").unwrap()
}

/// What an alert comes to by the rules: what it asks for, else the codes of what is wrong.
fn judged(payload: &Payload) -> Result<CheckedAlert, BTreeSet<&'static str>> {
    let config = AlertConfiguration { strategy: "EMA Cross".to_owned(), ..config() };
    check(payload, &config, now(), &[], false)
        .map_err(|problems| problems.iter().map(|problem| problem.code.as_str()).collect())
}

#[test]
fn every_shape_is_the_same_alert() {
    let mut shapes = Vec::new();
    let mut rest = section("Shapes");
    while let Some((before, from)) = rest.split_once("alert\n") {
        let fence = &before[before.trim_end_matches('`').len()..];
        if fence.len() < 3 {
            rest = from;
            continue;
        }
        let (body, after) = from.split_once(&format!("\n{fence}\n")).unwrap();
        shapes.push(body);
        rest = after;
    }
    assert_eq!(shapes.len(), 7, "{shapes:?}");
    let plain = judged(&read(shapes[0].as_bytes(), "").unwrap()).unwrap();
    for body in shapes {
        let checked = judged(&read(body.as_bytes(), "").unwrap());
        assert_eq!(checked.as_ref(), Ok(&plain), "{body}");
    }
}

#[test]
fn every_name_of_a_field_is_one() {
    let levels = ["tp", "takeprofit", "target", "tp1", "sl", "stoploss", "stop"];
    let mut seen = 0;
    for row in rows("Fields") {
        for name in quoted(row[1]).into_iter().filter(|name| !name.starts_with('…')) {
            let normal = names::normal(name);
            let said = row[0] == "what to do";
            assert!(said || levels.contains(&&*normal) || names::is_read(&normal), "{name}");
            seen += 1;
        }
    }
    assert!(seen > 40);
}

#[test]
fn every_message_asks_for_what_is_told() {
    let table = rows("What it asks for");
    assert!(table.len() > 20);
    for row in table {
        let (message, told) = (quoted(row[0])[0], quoted(row[1])[0]);
        match judged(&alert(message)) {
            Ok(checked) => assert_eq!(checked.intent.to_string(), told, "{message}"),
            Err(codes) => {
                assert!(row[1].starts_with("refused"), "{message}: {codes:?}");
                assert_eq!(codes, [told].into(), "{message}");
            }
        }
    }
}

#[test]
fn every_level_is_read_as_told() {
    let table = rows("Levels");
    assert!(table.len() > 10);
    for row in table {
        let message = quoted(row[0])[0];
        let payload = alert(&message.replacen('{', "{\"signal\": \"BUY\", ", 1));
        match judged(&payload) {
            Ok(checked) => {
                let targets = checked.take_profit.into_iter().chain(payload.targets);
                let targets: Vec<String> = targets.map(|price| format!(" {price}")).collect();
                let targets = Some(format!("tp{}", targets.concat())).filter(|told| told != "tp");
                let stop = checked.stop_loss.map(|price| format!("sl {price}"));
                let levels = targets.into_iter().chain(stop).collect::<Vec<_>>().join(", ");
                let told = quoted(row[1]).first().copied().unwrap_or_default();
                assert_eq!(levels, told, "{message}");
            }
            Err(codes) => {
                assert!(row[1].starts_with("refused"), "{message}: {codes:?}");
                assert_eq!(codes, [quoted(row[1])[0]].into(), "{message}");
            }
        }
    }
}
