//! The Bot API's `Message`, `SimChat` and `User`, made from what a chat holds.

use serde_json::{Value, json};

use super::send::may_write;
use super::text::chat_id;
use crate::answer::{BotApiError, BotApiResult, result};
use crate::bot::SimBot;
use crate::chat::{ChatKind, HeldMessage, SimChat};
use crate::params::CallParams;
use crate::sim::SimState;

/// `getChat`. A private chat can be looked at when its user has blocked the bot, and not before it was started.
pub(super) fn get_chat(state: &SimState, bot: &SimBot, params: &CallParams) -> BotApiResult {
    let chat_id = chat_id(params)?;
    let chat = state.chats.with(chat_id, |chat| match may_write(state, bot, chat) {
        Ok(()) => Ok(chat_json(chat)),
        Err(_) if chat.kind == ChatKind::Private && chat.member(bot.id).blocked => Ok(chat_json(chat)),
        Err(_) if chat.kind == ChatKind::Private => Err(BotApiError::bad_request("chat not found")),
        Err(error) => Err(error),
    });
    let mut chat = chat?;
    for (name, value) in [("accent_color_id", 0), ("max_reaction_count", 11)] {
        chat[name] = json!(value);
    }
    result(&chat)
}

/// A message as the API gives it, the one that it replies to within it.
pub(crate) fn message_json(state: &SimState, bot: &SimBot, chat: &SimChat, held: &HeldMessage) -> Value {
    let mut message = bare(state, bot, chat, held);
    let replied_to = held.row.reply_to.and_then(|id| chat.find(bot.id, id));
    if let Some(replied_to) = replied_to {
        message["reply_to_message"] = bare(state, bot, chat, replied_to);
    }
    message
}

fn bare(state: &SimState, bot: &SimBot, chat: &SimChat, held: &HeldMessage) -> Value {
    let current = held.current();
    let mut message = json!({
        "message_id": held.row.message_id,
        "date": held.row.at_ms.div_euclid(1_000),
        "chat": chat_json(chat),
    });
    if let Some(topic) = held.row.topic {
        message["message_thread_id"] = json!(topic);
        message["is_topic_message"] = json!(true);
    }
    let (text_field, entities_field) = match &held.row.file {
        None => ("text", "entities"),
        Some(file) => {
            let (field, value) = file.field();
            message[field] = value;
            ("caption", "caption_entities")
        }
    };
    if held.row.file.is_none() || !current.plain.is_empty() {
        message[text_field] = json!(current.plain);
    }
    if chat.kind == ChatKind::Channel {
        message["sender_chat"] = message["chat"].clone();
    } else if held.row.from != 0 {
        message["from"] = user_json(held.row.from);
    } else if held.row.bot == bot.id {
        message["from"] = bot.user();
    } else if let Some(author) = state.bot_by_id(held.row.bot) {
        message["from"] = author.user();
    }
    if let Some(edit) = &held.edit {
        message["edit_date"] = json!(edit.at_ms.div_euclid(1_000));
    }
    if !held.entities.is_empty() {
        message[entities_field] = json!(held.entities);
    }
    // Telegram gives back inline keyboards only.
    if let Some(markup) = current.reply_markup.as_ref().filter(|markup| markup.get("inline_keyboard").is_some()) {
        message["reply_markup"] = markup.clone();
    }
    message
}

fn chat_json(chat: &SimChat) -> Value {
    let mut json = json!({ "id": chat.id, "type": chat.kind.word() });
    if chat.kind == ChatKind::Private {
        json["first_name"] = json!(first_name(chat.id));
    } else {
        json["title"] = json!(chat.title.clone().unwrap_or_else(|| format!("Chat {}", chat.id)));
    }
    json
}

/// A user known by id only.
pub(crate) fn user_json(id: i64) -> Value {
    json!({ "id": id, "is_bot": false, "first_name": first_name(id), "language_code": "en" })
}

fn first_name(id: i64) -> String {
    format!("User {id}")
}
