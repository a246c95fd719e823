//! `sendMessage` and `editMessageText`: what arrives, and who may write.

use serde_json::json;
use telegram_sim::{ChatKind, SimConfig};

use crate::support::{BOT, Bench};

#[tokio::test]
async fn a_message_arrives_with_its_markup_read() {
    let bench = Bench::new().await;
    let message = bench.send_html(7, "<b>BUY</b> A&amp;B at &lt;100&gt;").await.ok();
    assert_eq!(message["text"], "BUY A&B at <100>");
    assert_eq!(message["message_id"], 1);
    assert_eq!(
        message["chat"],
        json!({ "id": 7, "type": "private", "first_name": "User 7" })
    );
    assert_eq!(message["date"], 1_700_000_000);
    assert_eq!(
        message["entities"],
        json!([{ "type": "bold", "offset": 0, "length": 3 }])
    );
    let messages = bench.sim.messages_to(7);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].text, "<b>BUY</b> A&amp;B at &lt;100&gt;");
    assert_eq!(messages[0].plain, "BUY A&B at <100>");
    assert_eq!(messages[0].bot, BOT);
}

#[tokio::test]
async fn a_strict_simulator_lets_a_bot_write_only_where_it_was_started() {
    let bench = Bench::with(SimConfig::default().strict()).await;
    let refused = (403, "Forbidden: bot can't initiate conversation with a user".to_owned());
    assert_eq!(bench.send(7, "hello").await.error(), refused);
    bench.sim.start_chat(BOT, 7);
    bench.send(7, "hello").await.ok();
    bench.sim.block(7);
    assert_eq!(
        bench.send(7, "hello").await.error(),
        (403, "Forbidden: bot was blocked by the user".to_owned())
    );
    assert_eq!(
        bench.send(-5, "hello").await.error(),
        (400, "Bad Request: chat not found".to_owned())
    );
    bench.sim.start_chat_as(BOT, -5, ChatKind::Group, Some("Signals"));
    assert_eq!(bench.send(-5, "hello").await.ok()["chat"]["title"], "Signals");
}

#[tokio::test]
async fn two_messages_to_a_chat_within_a_second_are_one_too_many() {
    let bench = Bench::new().await;
    bench.send(7, "one").await.ok();
    bench.advance(400);
    let answer = bench.send(7, "two").await;
    assert_eq!(answer.body["parameters"], json!({ "retry_after": 1 }));
    assert_eq!(answer.error(), (429, "Too Many Requests: retry after 1".to_owned()));
    bench.advance(1_000);
    bench.send(7, "two").await.ok();
    let stats = bench.sim.stats();
    assert_eq!((stats.messages, stats.limited_chat, stats.limited()), (2, 1, 1));
}
