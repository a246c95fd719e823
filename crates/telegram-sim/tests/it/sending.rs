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
    assert_eq!(message["chat"], json!({ "id": 7, "type": "private", "first_name": "User 7" }));
    assert_eq!(message["date"], 1_700_000_000);
    assert_eq!(message["entities"], json!([{ "type": "bold", "offset": 0, "length": 3 }]));
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
    assert_eq!(bench.send(7, "hello").await.error(), (403, "Forbidden: bot was blocked by the user".to_owned()));
    assert_eq!(bench.send(-5, "hello").await.error(), (400, "Bad Request: chat not found".to_owned()));
    bench.sim.start_chat_as(BOT, -5, ChatKind::Group, Some("Signals"));
    assert_eq!(bench.send(-5, "hello").await.ok()["chat"]["title"], "Signals");
}

#[tokio::test]
async fn texts_that_telegram_refuses_are_refused_in_its_words() {
    let bench = Bench::new().await;
    let refusal = async |text: &str| bench.send_html(7, text).await.error();
    let bad = |why: &str| (400, format!("Bad Request: {why}"));
    assert_eq!(refusal("").await, bad("message text is empty"));
    assert_eq!(refusal("<b> </b>").await, bad("text must be non-empty"));
    assert_eq!(refusal("<b>x").await, bad("can't parse entities: Can't find end tag corresponding to start tag \"b\""));
    assert_eq!(refusal("a <100> b").await, bad("can't parse entities: Unsupported start tag \"100\" at byte offset 2"));
    let markdown = bench.call("sendMessage", json!({ "chat_id": 7, "text": "x", "parse_mode": "Markdown" })).await;
    assert_eq!(markdown.error(), bad("unsupported parse_mode"));
    assert_eq!(bench.call("sendMessage", json!({ "text": "x" })).await.error(), bad("chat_id is empty"));
    assert!(bench.sim.messages().is_empty());
    assert_eq!(bench.sim.stats().bad_requests, 6);
}

#[tokio::test]
async fn length_counts_what_is_shown_in_utf16() {
    let bench = Bench::new().await;
    bench.send_html(1, &format!("<b>{}</b>", "&lt;".repeat(4096))).await.ok();
    bench.send(2, &"😀".repeat(2048)).await.ok();
    let too_long = (400, "Bad Request: message is too long".to_owned());
    assert_eq!(bench.send(3, &"x".repeat(4097)).await.error(), too_long);
    assert_eq!(bench.send(3, &"😀".repeat(2049)).await.error(), too_long);
}

#[tokio::test]
async fn parameters_come_as_json_form_or_query_and_names_of_methods_in_any_case() {
    let bench = Bench::new().await;
    let url = format!("{}/bot101%3Afirst", bench.server.url());
    let by_query = format!("{url}/SENDMESSAGE?chat_id=1&text=by+query");
    assert!(bench.client.get(by_query).send().await.unwrap().status().is_success());
    let form = "chat_id=2&text=by+form&reply_markup=%7B%22inline_keyboard%22%3A%5B%5D%7D";
    let by_form = bench.client.post(format!("{url}/sendmessage")).body(form);
    let by_form = by_form.header("content-type", "application/x-www-form-urlencoded");
    assert!(by_form.send().await.unwrap().status().is_success());
    bench.call("sendMessage", json!({ "chat_id": "3", "text": "by json" })).await.ok();
    let texts: Vec<_> = bench.sim.messages().into_iter().map(|message| (message.chat_id, message.text)).collect();
    assert_eq!(texts, [(1, "by query".to_owned()), (2, "by form".to_owned()), (3, "by json".to_owned())]);
}

#[tokio::test]
async fn replies_need_the_message_unless_it_may_be_missing() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    let first = bench.send(7, "entry").await.ok();
    let reply = async |parameters: serde_json::Value| {
        bench.call("sendMessage", json!({ "chat_id": 7, "text": "exit", "reply_parameters": parameters })).await
    };
    let answer = reply(json!({ "message_id": first["message_id"] })).await.ok();
    assert_eq!(answer["reply_to_message"]["text"], "entry");
    let missing = reply(json!({ "message_id": 99 })).await.error();
    assert_eq!(missing, (400, "Bad Request: message to be replied not found".to_owned()));
    let tolerant = reply(json!({ "message_id": 99, "allow_sending_without_reply": true })).await.ok();
    assert!(tolerant.get("reply_to_message").is_none());
    let replies: Vec<_> = bench.sim.messages_to(7).iter().map(|message| message.reply_to).collect();
    assert_eq!(replies, [None, Some(1), None]);
}

#[tokio::test]
async fn an_edit_replaces_text_and_buttons_and_must_change_something() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    let keyboard = json!({ "inline_keyboard": [[{ "text": "Mute", "callback_data": "mute" }]] });
    let params = json!({ "chat_id": 7, "text": "open", "reply_markup": keyboard });
    let sent = bench.call("sendMessage", params).await.ok();
    assert_eq!(sent["reply_markup"], keyboard);
    let edit = async |id: i64, text: &str| {
        let params = json!({ "chat_id": 7, "message_id": id, "text": text, "parse_mode": "HTML" });
        bench.call("editMessageText", params).await
    };
    let edited = edit(1, "<b>closed</b> +2%").await.ok();
    assert_eq!(edited["text"], "closed +2%");
    assert!(edited.get("reply_markup").is_none());
    assert!(edited["edit_date"].is_i64());
    let same = edit(1, "<b>closed</b> +2%").await.error();
    assert!(same.1.starts_with("Bad Request: message is not modified: "), "{same:?}");
    assert_eq!(edit(1, "closed +2%").await.ok()["text"], "closed +2%", "other formatting is a change");
    assert_eq!(edit(9, "x").await.error(), (400, "Bad Request: message to edit not found".to_owned()));
    bench.sim.send_user_text(BOT, 7, 7, "mine").unwrap();
    assert_eq!(edit(2, "x").await.error(), (400, "Bad Request: message can't be edited".to_owned()));
    let message = &bench.sim.messages_to(7)[0];
    assert_eq!((message.plain.as_str(), message.show_text()), ("open", "closed +2%"));
    assert_eq!((bench.sim.stats().edits, message.edits.len()), (2, 2));
    assert!(message.edit_seqs.len() == 2 && message.edit_seqs[0] > message.seq, "{:?}", message.edit_seqs);
    assert!(message.edit_seqs.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn bots_are_told_apart() {
    let bench = Bench::with(SimConfig::default().strict().bot("202:second")).await;
    bench.sim.start_chat(202, 7);
    let params = json!({ "chat_id": 7, "text": "from the second" });
    let message = bench.try_call("202:second", "sendMessage", params).await.unwrap().ok();
    assert_eq!(message["from"]["id"], 202);
    assert_eq!(bench.send(7, "from the first").await.error().0, 403);
    bench.sim.start_chat(BOT, 7);
    let edit = json!({ "chat_id": 7, "message_id": message["message_id"], "text": "x" });
    assert_eq!(bench.call("editMessageText", edit).await.error().1, "Bad Request: message to edit not found");
    let me = bench.call("getMe", json!({})).await.ok();
    assert_eq!((&me["id"], &me["is_bot"], &me["username"]), (&json!(101), &json!(true), &json!("sim_101_bot")));
}

#[tokio::test]
async fn what_does_not_exist_is_answered_as_telegram_does() {
    let bench = Bench::new().await;
    let unknown_token = bench.try_call("303:other", "getMe", json!({})).await.unwrap().error();
    assert_eq!(unknown_token, (401, "Unauthorized".to_owned()));
    let no_token = bench.try_call("nonsense", "getMe", json!({})).await.unwrap().error();
    assert_eq!(no_token, (404, "Not Found".to_owned()));
    let method = bench.call("sendCarrierPigeon", json!({})).await.error();
    assert_eq!(method, (404, "Not Found: method not found".to_owned()));
}

#[tokio::test]
async fn answers_read_as_the_types_of_a_bot_library() {
    let bench = Bench::with(SimConfig::default().no_limits()).await;
    bench.sim.start_chat_as(BOT, -1_001_234, ChatKind::Channel, Some("Signals"));
    for chat in [7, -1_001_234] {
        let params = json!({
            "chat_id": chat, "text": "<b>x</b> <a href='https://x.y'>y</a>", "parse_mode": "HTML",
            "reply_markup": { "inline_keyboard": [[{ "text": "Go", "callback_data": "go" }]] },
        });
        let sent = bench.call("sendMessage", params).await.ok();
        let message: frankenstein::types::Message = serde_json::from_value(sent).unwrap();
        assert_eq!(message.chat.id, chat);
        let params = json!({ "chat_id": chat, "text": "re", "reply_parameters": { "message_id": message.message_id } });
        let reply = bench.call("sendMessage", params).await.ok();
        serde_json::from_value::<frankenstein::types::Message>(reply).unwrap();
    }
    bench.sim.send_user_text(BOT, 7, 7, "/start").unwrap();
    bench.sim.press_button(BOT, 7, 7, 1, "go").unwrap();
    let updates = bench.call("getUpdates", json!({})).await.ok();
    let updates: Vec<frankenstein::updates::Update> = serde_json::from_value(updates).unwrap();
    assert_eq!(updates.len(), 2);
    let me = bench.call("getMe", json!({})).await.ok();
    serde_json::from_value::<frankenstein::types::User>(me).unwrap();
    let info = bench.call("getWebhookInfo", json!({})).await.ok();
    serde_json::from_value::<frankenstein::updates::WebhookInfo>(info).unwrap();
}

#[tokio::test]
async fn a_chat_can_be_looked_at_where_the_bot_was_let_in() {
    let bench = Bench::with(SimConfig::default().strict()).await;
    let get = async |chat: i64| bench.call("getChat", json!({ "chat_id": chat })).await;
    let unknown = (400, "Bad Request: chat not found".to_owned());
    for chat in [7, -5] {
        assert_eq!(get(chat).await.error(), unknown);
    }
    bench.sim.start_chat(BOT, 7);
    bench.sim.start_chat_as(BOT, -5, ChatKind::Group, Some("Signals"));
    let seven = get(7).await.ok();
    assert_eq!((&seven["type"], &seven["first_name"]), (&json!("private"), &json!("User 7")));
    assert_eq!(get(-5).await.ok()["title"], "Signals");
    bench.sim.block(7);
    assert_eq!(get(7).await.ok()["id"], 7);
    bench.sim.block_bot(BOT, -5);
    assert_eq!(get(-5).await.error(), (403, "Forbidden: bot was kicked from the group chat".to_owned()));
}

#[tokio::test]
async fn answers_carry_the_date_of_the_simulators_clock() {
    let bench = Bench::new().await;
    let url = format!("{}/bot{}/getMe", bench.server.url(), crate::support::TOKEN);
    let response = bench.client.get(url).send().await.unwrap();
    assert_eq!(response.headers()["date"], "Tue, 14 Nov 2023 22:13:20 GMT");
}
