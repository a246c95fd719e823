//! Driving the simulator from another process.

use serde_json::{Value, json};
use telegram_sim::SimConfig;

use crate::support::{BOT, Bench};

#[tokio::test]
async fn chats_are_started_blocked_and_unblocked() {
    let bench = Bench::with(SimConfig::default().strict().no_limits()).await;
    assert_eq!(bench.control("POST", "/chats/7/start", None).await, (200, json!(true)));
    bench.send(7, "x").await.ok();
    bench.control("POST", "/chats/7/block", Some(json!({ "bot": BOT }))).await;
    assert_eq!(bench.send(7, "x").await.error().0, 403);
    bench.control("POST", "/chats/7/unblock", None).await;
    bench.send(7, "x").await.ok();
    let channel = json!({ "type": "channel", "title": "Signals" });
    bench.control("POST", "/chats/-100123/start", Some(channel)).await;
    assert_eq!(bench.send(-100_123, "x").await.ok()["chat"]["type"], "channel");
    assert_eq!(bench.control("POST", "/chats/7/paint", None).await.0, 404);
}

#[tokio::test]
async fn faults_and_limits_are_set() {
    let bench = Bench::new().await;
    let fault = json!({ "action": "error_before", "status": 503, "times": 1 });
    let (_, added) = bench.control("POST", "/faults", Some(fault)).await;
    let (_, listed) = bench.control("GET", "/faults", None).await;
    assert_eq!((listed[0]["id"].clone(), &listed[0]["fault"]["action"]), (added["id"].clone(), &json!("error_before")));
    assert_eq!(bench.send(7, "x").await.error().0, 503);
    assert_eq!(bench.control("DELETE", &format!("/faults/{}", added["id"]), None).await.0, 200);
    assert_eq!(bench.control("DELETE", &format!("/faults/{}", added["id"]), None).await.0, 404);
    bench.control("DELETE", "/faults", None).await;
    let (_, limits) = bench.control("POST", "/limits", Some(json!({ "bot_burst": 1 }))).await;
    assert_eq!((&limits["bot_burst"], &limits["bot_per_second"]), (&json!(1), &json!(30)));
    bench.send(7, "x").await.ok();
    assert_eq!(bench.send(8, "x").await.error().0, 429);
    bench.advance(1_000);
    assert_eq!(bench.control("POST", "/limits", Some(Value::Null)).await, (200, Value::Null));
    for _ in 0..3 {
        bench.send(7, "x").await.ok();
    }
    assert_eq!(bench.control("POST", "/faults", Some(json!({ "action": "explode" }))).await.0, 422);
}

#[tokio::test]
async fn users_write_and_press() {
    let bench = Bench::new().await;
    let (_, written) =
        bench.control("POST", "/updates", Some(json!({ "bot": BOT, "from": 7, "text": "/start" }))).await;
    assert_eq!(written, json!({ "message_id": 1 }));
    bench.send(7, "welcome").await.ok();
    let press = json!({ "bot": BOT, "from": 7, "message_id": 2, "data": "go" });
    let (_, pressed) = bench.control("POST", "/updates", Some(press)).await;
    assert!(pressed["callback_query_id"].is_string());
    let raw = json!({ "bot": BOT, "kind": "chat_join_request", "body": { "date": 1 } });
    assert!(bench.control("POST", "/updates", Some(raw)).await.1["update_id"].is_i64());
    let updates = bench.call("getUpdates", json!({})).await.ok();
    let kinds: Vec<_> = updates.as_array().unwrap().iter().map(|u| u.as_object().unwrap().keys().nth(1)).collect();
    assert_eq!(kinds.len(), 3);
    let unknown = json!({ "bot": 999, "from": 7, "text": "x" });
    assert_eq!(bench.control("POST", "/updates", Some(unknown)).await.0, 404);
}

#[tokio::test]
async fn the_record_is_read_in_pages_and_as_text() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    bench.send_html(7, "<b>BUY</b> BTC").await.ok();
    bench.send(8, "elsewhere").await.ok();
    bench.send_html(7, "<b>").await.error();
    let edit = json!({ "chat_id": 7, "message_id": 1, "text": "BUY BTC: closed" });
    bench.call("editMessageText", edit).await.ok();
    let (_, all) = bench.control("GET", "/transcript", None).await;
    let kinds: Vec<_> = all.as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message", "message", "refused", "edit"]);
    let (_, page) = bench.control("GET", "/transcript?chat=7&after=1&limit=1", None).await;
    assert_eq!((&page[0]["kind"], &page[0]["outcome"]["status"]), (&json!("refused"), &json!(400)));
    assert_eq!(page.as_array().unwrap().len(), 1);
    let (_, messages) = bench.control("GET", "/messages?chat=7", None).await;
    assert_eq!(messages[0]["edits"], json!(["BUY BTC: closed"]));
    let (_, text) = bench.control("GET", "/transcript/7.txt", None).await;
    let shown = text.as_str().unwrap();
    assert!(shown.contains("bot 101 #1 (edited)\nBUY BTC: closed\n"), "{shown}");
    let (_, stats) = bench.control("GET", "/stats", None).await;
    assert_eq!((&stats["messages"], &stats["edits"], &stats["bad_requests"]), (&json!(2), &json!(1), &json!(1)));
}

#[tokio::test]
async fn bots_are_added_waiting_works_and_a_reset_forgets() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    assert_eq!(bench.control("POST", "/bots", Some(json!({ "token": "202:new" }))).await.1, json!({ "id": 202 }));
    assert_eq!(bench.control("POST", "/bots", Some(json!({ "token": "new" }))).await.0, 400);
    assert_eq!(bench.control("GET", "/bots", None).await.1, json!([101, 202]));
    assert_eq!(bench.control("GET", "/wait?count=1&timeout_ms=1", None).await.0, 408);
    bench.send(7, "x").await.ok();
    assert_eq!(bench.control("GET", "/wait?count=1&chat=7", None).await.1["messages"], 1);
    bench.control("POST", "/settings", Some(json!({ "mode": "strict", "latency_ms": 1 }))).await;
    assert_eq!(bench.send(7, "x").await.error().0, 403);
    bench.control("POST", "/reset", None).await;
    assert!(bench.sim.messages().is_empty());
    assert_eq!(bench.sim.stats().messages, 0);
    bench.sim.start_chat(BOT, 7);
    assert_eq!(bench.send(7, "x").await.ok()["message_id"], 1);
}
