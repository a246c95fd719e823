//! The record that outlives the simulator itself.

use std::path::Path;

use serde_json::json;
use telegram_sim::{ChatKind, SimConfig};

use crate::support::{BOT, Bench};

fn config(ledger: &Path) -> SimConfig {
    SimConfig::default().no_limits().strict().ledger(ledger)
}

#[tokio::test]
async fn a_restarted_simulator_knows_what_had_arrived() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let before = {
        let bench = Bench::with(config(&path)).await;
        bench.sim.start_chat(BOT, 7);
        bench.sim.start_chat_as(BOT, -1_001, ChatKind::Channel, Some("Signals"));
        bench.send_html(7, "<b>entry</b>").await.ok();
        bench.sim.send_user_text(BOT, 7, 7, "thanks").unwrap();
        let exit = json!({ "chat_id": 7, "text": "exit", "reply_parameters": { "message_id": 1 } });
        bench.call("sendMessage", exit).await.ok();
        let edit = json!({ "chat_id": 7, "message_id": 1, "text": "<b>entry</b> +2%", "parse_mode": "HTML" });
        bench.call("editMessageText", edit).await.ok();
        bench.send(-1_001, "post").await.ok();
        bench.sim.start_chat(BOT, 8);
        bench.sim.block(8);
        let (messages, text) = (bench.sim.messages(), bench.sim.chat_text(7));
        bench.server.stop().await;
        (messages, text)
    };
    let bench = Bench::with(config(&path)).await;
    assert_eq!((bench.sim.messages(), bench.sim.chat_text(7)), before);
    assert_eq!((bench.sim.stats().messages, bench.sim.stats().edits), (3, 1));
    assert_eq!(bench.send(8, "x").await.error().1, "Forbidden: bot was blocked by the user");
    assert_eq!(bench.send(-1_001, "post").await.ok()["chat"]["title"], "Signals");
    assert_eq!(bench.send(7, "next").await.ok()["message_id"], 4, "ids go on");
    let same = json!({ "chat_id": 7, "message_id": 1, "text": "<b>entry</b> +2%", "parse_mode": "HTML" });
    assert!(bench.call("editMessageText", same).await.error().1.contains("message is not modified"));
}

#[tokio::test]
async fn a_line_is_on_disk_when_the_sender_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.jsonl");
    let bench = Bench::with(SimConfig::default().ledger(&path)).await;
    bench.send(7, "hello").await.ok();
    let ledger = std::fs::read_to_string(&path).unwrap();
    let row: serde_json::Value = serde_json::from_str(ledger.trim_end()).unwrap();
    assert_eq!((&row["kind"], &row["chat_id"], &row["text"]), (&json!("message"), &json!(7), &json!("hello")));
}

#[tokio::test]
async fn a_bounded_memory_forgets_the_oldest() {
    let bench = Bench::with(SimConfig::default().no_limits().keep_last(3)).await;
    for n in 1..=5 {
        bench.send(7, &n.to_string()).await.ok();
    }
    let kept: Vec<_> = bench.sim.messages_to(7).into_iter().map(|message| message.text).collect();
    assert_eq!(kept, ["3", "4", "5"]);
    let edit = json!({ "chat_id": 7, "message_id": 1, "text": "x" });
    assert_eq!(bench.call("editMessageText", edit).await.error().1, "Bad Request: message to edit not found");
    assert_eq!(bench.sim.stats().messages, 5);
}
