//! Users writing and pressing: long polls and webhooks.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use telegram_sim::{RowKind, SimConfig};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::{BOT, Bench};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn updates_stay_until_they_are_confirmed() {
    let bench = Bench::new().await;
    for text in ["/start", "/plans now", "hello"] {
        bench.sim.send_user_text(BOT, 7, 7, text).unwrap();
    }
    let updates = bench.call("getUpdates", json!({ "limit": 2 })).await.ok();
    assert_eq!(updates.as_array().unwrap().len(), 2);
    assert_eq!(updates[0]["message"]["from"]["id"], 7);
    assert_eq!(updates[1]["message"]["entities"], json!([{ "type": "bot_command", "offset": 0, "length": 6 }]));
    let next = updates[1]["update_id"].as_i64().unwrap() + 1;
    let rest = bench.call("getUpdates", json!({ "offset": next })).await.ok();
    assert_eq!(rest[0]["message"]["text"], "hello");
    assert_eq!(bench.sim.pending_updates(BOT).unwrap(), 1);
    assert_eq!(bench.call("getUpdates", json!({ "offset": next + 1 })).await.ok(), json!([]));
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_update() {
    let bench = Bench::new().await;
    let poll = bench.call("getUpdates", json!({ "timeout": 50 }));
    let write = async {
        while bench.sim.stats().requests == 0 {
            tokio::task::yield_now().await;
        }
        bench.sim.send_user_text(BOT, 7, 7, "hello").unwrap();
    };
    let (updates, ()) = tokio::join!(poll, write);
    assert_eq!(updates.ok()[0]["message"]["text"], "hello");
}

#[tokio::test]
async fn a_second_poll_ends_the_first() {
    let bench = Bench::new().await;
    let first = bench.call("getUpdates", json!({ "timeout": 50 }));
    let second = async {
        while bench.sim.stats().requests == 0 {
            tokio::task::yield_now().await;
        }
        // Only a poll that was taken up can be ended; until then, the second one is the first.
        loop {
            bench.call("getUpdates", json!({ "timeout": 0 })).await.ok();
            if bench.sim.stats().conflicts > 0 {
                return;
            }
        }
    };
    let (first, ()) = tokio::join!(first, second);
    let (code, description) = first.error();
    assert_eq!(code, 409);
    assert!(description.starts_with("Conflict: terminated by other getUpdates request"), "{description}");
}

#[tokio::test]
async fn only_wanted_kinds_are_queued() {
    let bench = Bench::new().await;
    bench.call("getUpdates", json!({ "allowed_updates": ["callback_query"] })).await.ok();
    bench.sim.send_user_text(BOT, 7, 7, "hello").unwrap();
    assert_eq!(bench.sim.inject_update(BOT, "chat_join_request", json!({})).unwrap(), None);
    assert_eq!(bench.sim.pending_updates(BOT).unwrap(), 0);
}

#[tokio::test]
async fn a_press_is_answered_once() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    let keyboard = json!({ "inline_keyboard": [[{ "text": "Mute", "callback_data": "mute:1" }]] });
    bench.call("sendMessage", json!({ "chat_id": 7, "text": "Alerts", "reply_markup": keyboard })).await.ok();
    let id = bench.sim.press_button(BOT, 7, 7, 1, "mute:1").unwrap();
    let updates = bench.call("getUpdates", json!({})).await.ok();
    let press = &updates[0]["callback_query"];
    assert_eq!((&press["id"], &press["data"]), (&json!(id), &json!("mute:1")));
    assert_eq!(press["message"]["reply_markup"], keyboard);
    let answer = json!({ "callback_query_id": id, "text": "Muted" });
    assert_eq!(bench.call("answerCallbackQuery", answer.clone()).await.ok(), json!(true));
    let again = bench.call("answerCallbackQuery", answer).await.error();
    let expired = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    assert_eq!(again, (400, expired.to_owned()));
    bench.sim.press_button(BOT, 7, 7, 9, "x").expect_err("no such message");
    let kinds: Vec<_> = bench.sim.transcript(Some(7), 0, 100).iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [RowKind::Message, RowKind::Press, RowKind::Answer]);
    let text = bench.sim.chat_text(7);
    assert!(text.contains("Alerts\n[ Mute ]\n") && text.contains("answered the press: Muted"), "{text}");
}

#[tokio::test]
async fn writing_to_a_bot_starts_it_and_lifts_a_block() {
    let bench = Bench::with(SimConfig::default().strict()).await;
    bench.sim.send_user_text(BOT, 7, 7, "/start").unwrap();
    bench.send(7, "welcome").await.ok();
    bench.sim.block(7);
    bench.advance(2_000);
    assert_eq!(bench.send(7, "hello?").await.error().0, 403);
    bench.sim.send_user_text(BOT, 7, 7, "/start").unwrap();
    bench.send(7, "welcome back").await.ok();
}

/// What arrived at a webhook: its secret and the update.
type Posted = (Option<String>, Value);

/// A receiver that refuses the first post, and replies to the second with a message.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Posted>) {
    async fn receive(
        State((posted, refusals)): State<(mpsc::UnboundedSender<Posted>, mpsc::UnboundedSender<()>)>,
        headers: HeaderMap,
        Json(update): Json<Value>,
    ) -> (StatusCode, Json<Value>) {
        // The receiving end of `refusals` takes one refusal and closes.
        if refusals.send(()).is_ok() {
            return (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null));
        }
        let secret = headers.get("X-Telegram-Bot-Api-Secret-Token").map(|value| value.to_str().unwrap().to_owned());
        let chat = update["message"]["chat"]["id"].clone();
        posted.send((secret, update)).unwrap();
        (StatusCode::OK, Json(json!({ "method": "sendMessage", "chat_id": chat, "text": "taken" })))
    }
    let (posted, received) = mpsc::unbounded_channel();
    let (refusals, mut refused) = mpsc::unbounded_channel();
    tokio::spawn(async move { refused.recv().await });
    let app = Router::new().route("/hook", post(receive)).with_state((posted, refusals));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(axum::serve(listener, app).into_future());
    (url, received)
}

#[tokio::test]
async fn a_webhook_gets_updates_with_its_secret_until_it_takes_them() {
    let bench = Bench::new().await;
    let (url, mut received) = receiver().await;
    bench.call("setWebhook", json!({ "url": url, "secret_token": "s3cret" })).await.ok();
    assert_eq!(bench.call("getUpdates", json!({})).await.error().0, 409);
    bench.sim.send_user_text(BOT, 7, 7, "hello").unwrap();
    let (secret, update) = tokio::time::timeout(PATIENCE, received.recv()).await.unwrap().unwrap();
    assert_eq!(secret.as_deref(), Some("s3cret"));
    assert_eq!(update["message"]["text"], "hello");
    bench.sim.wait_for_chat(7, 1, PATIENCE).await.unwrap();
    assert_eq!(bench.sim.messages_to(7)[0].text, "taken");
    assert_eq!(bench.sim.pending_updates(BOT).unwrap(), 0);
    assert_eq!(bench.sim.stats().webhook_posts, 2);
    let info = bench.call("getWebhookInfo", json!({})).await.ok();
    assert_eq!(info["url"], url);
    assert!(info["last_error_message"].as_str().unwrap().contains("503"));
    bench.call("deleteWebhook", json!({})).await.ok();
    assert_eq!(bench.call("getUpdates", json!({})).await.ok(), json!([]));
}

#[tokio::test]
async fn a_webhook_needs_a_url_and_a_clean_secret() {
    let bench = Bench::new().await;
    let refusal = async |params: Value| bench.call("setWebhook", params).await.error().1;
    assert!(refusal(json!({ "url": "nowhere" })).await.starts_with("Bad Request: bad webhook: "));
    let params = json!({ "url": "http://127.0.0.1:1/", "secret_token": "no spaces" });
    assert_eq!(refusal(params).await, "Bad Request: secret token contains unallowed characters");
}
