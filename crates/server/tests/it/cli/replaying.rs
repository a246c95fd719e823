//! `replay`, from a file to the report.

use alertcast_core::store::Collection;
use serde_json::Value;

use super::program::Folder;
use super::serving::Served;

const WORLD: &str = r#"
[[alertConfigurations]]
name = "Bitcoin, hourly"
symbol = "BTCUSDT"
timeframe = "1h"
strategy = "EMA Cross"

[[plans]]
name = "Crypto"
description = "Every Bitcoin signal"
pricing = { amount = 999, duration = { months = 1 } }
alertConfigurations = [{ symbol = "BTCUSDT", timeframe = "1h", strategy = "EMA Cross" }]

[[users]]
email = "asha@example.com"
telegram = { userId = "1111", chatId = "1111" }
profile = { name = "Asha" }

[[users]]
email = "ben@example.com"
telegram = { userId = "2222", chatId = "2222" }
profile = { name = "Ben" }

[[subscriptions]]
user = "asha@example.com"
plan = "Crypto"
payment = { transactionId = "UPI-1", amount = 999, status = "approved" }
subscription = { startDate = 2026-01-01T00:00:00Z, endDate = 2096-01-01T00:00:00Z, status = "active" }

[[subscriptions]]
user = "ben@example.com"
plan = "Crypto"
payment = { transactionId = "UPI-2", amount = 999, status = "approved" }
subscription = { startDate = 2020-01-01T00:00:00Z, endDate = 2024-06-15T00:00:00Z, status = "active" }
"#;

/// Older than Asha's subscription, and partly than the end of Ben's.
const RECORDED: &str = r#"
{"symbol":"BTCUSDT","timeframe":"60","strategy":"EMA Cross","signal":"BUY","price":64000,"tp":66000,"sl":63000,"timestamp":"2024-06-10T10:00:00Z"}
{"symbol":"BTCUSDT","timeframe":"60","strategy":"EMA Cross","signal":"BUY","price":64000,"tp":66000,"sl":63000,"timestamp":"2024-06-10T10:00:00Z"}
{"receivedAt":"2024-06-10T11:00:00Z","query":"strategy=EMA Cross&timeframe=1h","body":"ticker=BTCUSDT\nsignal=tp\nprice=66100"}
{"receivedAt":"2024-06-20T10:00:00Z","body":{"symbol":"BTCUSDT","timeframe":"1h","strategy":"EMA Cross","signal":"SELL","price":65000,"tp":66000}}
{"receivedAt":"2024-06-20T11:00:00Z","body":{"symbol":"DOGE","timeframe":"1h","strategy":"EMA Cross","signal":"BUY","price":1}}
{"receivedAt":"2024-06-20T12:00:00Z","body":{"symbol":"BTCUSDT","timeframe":"1h","strategy":"EMA Cross","signal":"BUY","price":65000}}
nothing that could be read
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("world.toml", WORLD);
    folder.run("import world.toml").assert(0);
    folder.file("alerts.jsonl", RECORDED);
    folder
}

fn json(folder: &Folder, arguments: &str) -> Value {
    let ran = folder.run(&format!("replay {arguments} --json")).assert(0);
    assert_eq!(ran.stderr, "");
    serde_json::from_str(&ran.stdout).unwrap()
}

#[tokio::test]
async fn recorded_alerts_are_told_by_what_they_came_to_and_nothing_is_written() {
    let folder = folder();
    let report = json(&folder, "alerts.jsonl --user ASHA@example.com");
    let alerts = &report["alerts"];
    let count = |name: &str| alerts[name].as_u64().unwrap();
    assert_eq!((count("read"), count("accepted"), count("duplicates"), count("refused")), (7, 3, 1, 3));
    let refused: Vec<(String, u64)> = report["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["rule"].as_str().unwrap().to_owned(), one["lines"][0].as_u64().unwrap()))
        .collect();
    let expected = [("configuration unknown_configuration", 6), ("tp tp_side", 5), ("unreadable", 8)];
    assert_eq!(refused, expected.map(|(rule, line)| (rule.to_owned(), line)));
    let config = &report["configurations"][0];
    // By today's subscriptions: Ben's is over.
    assert_eq!((&config["recipients"], &config["messages"]), (&1.into(), &3.into()));
    assert_eq!(config["verdicts"], serde_json::json!({"sent": 3, "subscription_expired": 3}));
    let trades = &report["trades"];
    assert_eq!(
        (&trades["opened"], &trades["closed"]["TP_HIT"], &trades["stillOpen"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!((&trades["winRate"], &trades["pnlPercent"]), (&100.0.into(), &3.28125.into()));
    assert_eq!(report["user"]["lines"][1]["trades"][0], "trade #1 ends at 66,100: TP_HIT, +3.28%");
    for collection in [Collection::Alerts, Collection::Trades, Collection::Deliveries, Collection::RejectedWebhooks] {
        assert_eq!(folder.all(collection).await.len(), 0, "{collection}");
    }
}

#[test]
fn subscriptions_can_be_judged_as_of_each_alert() {
    let config = json(&folder(), "alerts.jsonl --as-recorded")["configurations"][0].clone();
    // Ben had the entry and its exit; Asha had not come yet.
    assert_eq!(
        config["verdicts"],
        serde_json::json!({"sent": 2, "subscription_expired": 1, "subscription_not_started": 3})
    );
}

#[test]
fn people_read_the_same() {
    let folder = folder();
    let ran = folder.run("replay alerts.jsonl --from 2024-06-10 --to 2024-06-20T10:30:00Z").assert(0);
    for part in [
        "alerts.jsonl, 7 alerts",
        "2 accepted, 1 sent before, 1 refused, 3 left out",
        "1 × tp tp_side: line 5",
        "Taken for resends",
        "1 × same_request: line 3",
        "the same message came with line 2: taken for a resend of it",
        "Bitcoin, hourly  (BTCUSDT 1h EMA Cross)",
        "sent 2 · subscription_expired 2",
        "1 opened · 1 closed by TP_HIT",
        "100 % won (1 of 1), P&L +3.28% in sum, +3.28% a trade",
        "A bot           2 messages; the slowest alert (line 2, 1 message) is out after 0.0 s",
        "Nothing was sent, and nothing was written.",
    ] {
        assert!(ran.stdout.contains(part), "{part:?} is not in\n{}", ran.stdout);
    }
}

#[test]
fn it_reads_beside_a_running_server() {
    let folder = folder();
    let _served = Served::start(&folder);
    assert_eq!(json(&folder, "alerts.jsonl")["alerts"]["accepted"], 3);
}

#[test]
fn tradingviews_list_of_trades_is_read_in_every_spelling() {
    let folder = folder();
    let older = "Trade #,Type,Signal,Date/Time,Price USDT,Contracts,Profit USDT,Profit %\n\
                 1,Entry Long,Long,2024-01-05 10:00,100,1,,\n1,Exit Long,TP,2024-01-06 11:00,110,1,10,10\n\
                 2,Entry Short,Short,2024-01-07 10:00,110,1,,\n2,Exit Short,Stop Loss,2024-01-08 11:00,121,1,-11,-10\n";
    let newer = "\u{feff}Trade number,Type,Date and time,Signal,Price USDT,Size (qty),Size (value),Net PnL USDT\n\
                 3,Exit long,Open,,,1,130,\n3,Entry long,2024-01-09 10:00,Long,130,1,130,\n\
                 2,Exit short,2024-01-08 11:00,Stop Loss,121,1,121,-11\n2,Entry short,2024-01-07 10:00,Short,110,1,110,-11\n\
                 1,Exit long,2024-01-06 11:00,TP,110,1,110,10\n1,Entry long,2024-01-05 10:00,Long,100,1,100,10\n";
    let named = "--symbol BTCUSDT --timeframe 1h --zone Asia/Kolkata";
    for (name, text, opened) in [("older.csv", older, 2), ("newer.csv", newer, 3)] {
        folder.file(name, text);
        let mut command = folder.command(&format!("replay {name} {named} --json --strategy"));
        let output = command.arg("EMA Cross").output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let trades = &report["trades"];
        assert_eq!(trades["opened"], opened, "{name}: {report:#}");
        assert_eq!(trades["closed"], serde_json::json!({"SL_HIT": 1, "TP_HIT": 1}), "{name}");
        assert_eq!((&trades["winRate"], &trades["pnlPercent"]), (&50.0.into(), &0.0.into()), "{name}");
        assert_eq!(report["alerts"]["firstAt"], "2024-01-05T04:30:00Z", "{name}");
    }
}

#[test]
fn what_cannot_be_rehearsed_is_told_with_what_to_do() {
    let folder = folder();
    let refused = |arguments: &str, code: i32, what: &str, fix: &str| {
        let ran = folder.run(&format!("replay {arguments}")).assert(code);
        assert!(ran.stderr.contains(what) && ran.stderr.contains(fix), "{arguments}: {}", ran.stderr);
    };
    refused("none.jsonl", 1, "none.jsonl cannot be read", "check the path");
    folder.file("trades.csv", "Trade #,Type,Signal,Date/Time,Price\n1,Entry long,L,05.01.2024,100\n");
    refused("trades.csv", 2, "does not say which symbol", "--symbol BTCUSDT");
    refused("trades.csv --configuration BTCUSDT,1h,EMA", 1, "line 2: Date and time", "List of trades");
    folder.file("bad.jsonl", "{\"receivedAt\":\"soon\",\"body\":1}\n");
    refused("bad.jsonl", 1, "bad.jsonl: line 1: receivedAt", "each line is a payload");
    refused("alerts.jsonl --user nobody@example.com", 2, "nobody is \"nobody@example.com\"", "e-mail address or id");
    refused("alerts.jsonl --configuration DOGE,1h,EMA", 2, "none of the store's", "BTCUSDT,1h,EMA Cross");
    refused("alerts.jsonl --from yesterday", 2, "--from", "2026-01-31");
    refused("alerts.jsonl --zone Mars", 2, "--zone", "Asia/Kolkata");
    refused("alerts.jsonl --data-dir empty", 1, "there is no store in empty", "alertcast setup");
    assert!(!folder.path().join("empty").exists());
}
