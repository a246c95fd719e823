//! `editMessageText`, `editMessageCaption`. An edit costs the same allowance as a message.

use std::sync::Arc;

use super::message::message_json;
use super::send::{admit, may_write};
use super::text::{AcceptedText, chat_id};
use crate::answer::{BotApiError, BotApiResult, result};
use crate::bot::SimBot;
use crate::params::CallParams;
use crate::record::{RequestOutcome, RowKind, SenderView, TranscriptRow};
use crate::sim::SimState;

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the \
                            same as a current content and reply markup of the message";

/// Replaces a message's text and buttons.
pub(super) fn edit_message_text(
    state: &Arc<SimState>,
    bot: &SimBot,
    params: &CallParams,
    answered: SenderView,
) -> BotApiResult {
    edit(state, bot, params, answered, ("editMessageText", AcceptedText::read(params)?))
}

/// Replaces a file's caption and buttons.
pub(super) fn edit_message_caption(
    state: &Arc<SimState>,
    bot: &SimBot,
    params: &CallParams,
    answered: SenderView,
) -> BotApiResult {
    edit(state, bot, params, answered, ("editMessageCaption", AcceptedText::read_caption(params)?))
}

fn edit(
    state: &Arc<SimState>,
    bot: &SimBot,
    params: &CallParams,
    answered: SenderView,
    (method, text): (&'static str, AcceptedText),
) -> BotApiResult {
    let chat_id = chat_id(params)?;
    let Some(message_id) = params.int("message_id").filter(|id| *id != 0) else {
        return Err(BotApiError::bad_request("message identifier is not specified"));
    };
    let reply_markup = params.json("reply_markup", "reply keyboard markup")?;
    let (message, evicted) = state.chats.with(chat_id, |chat| {
        may_write(state, bot, chat)?;
        let Some(held) = chat.find(bot.id, message_id) else {
            return Err(BotApiError::bad_request("message to edit not found"));
        };
        if held.row.from != 0 || held.row.bot != bot.id {
            return Err(BotApiError::bad_request("message can't be edited"));
        }
        match (held.row.file.is_some(), method) {
            (true, "editMessageText") => {
                return Err(BotApiError::bad_request("there is no text in the message to edit"));
            }
            (false, "editMessageCaption") => {
                return Err(BotApiError::bad_request("there is no caption in the message to edit"));
            }
            _ => {}
        }
        if held.shows_same(&text.parsed.plain, &text.parsed.entities, reply_markup.as_ref()) {
            return Err(BotApiError::bad_request(NOT_MODIFIED));
        }
        admit(state, bot, chat)?;
        let row = TranscriptRow {
            message_id,
            method: method.to_owned(),
            text: text.sent,
            plain: text.parsed.plain,
            parse_mode: text.parse_mode,
            reply_markup,
            outcome: RequestOutcome { status: 200, answered, ..RequestOutcome::default() },
            ..TranscriptRow::new(RowKind::Edit, state.now_ms(), bot.id, chat_id)
        };
        let (row, evicted) = state.append_within_chat(row);
        chat.rows.push_back(Arc::clone(&row));
        if let Some(held) = chat.find_mut(message_id) {
            (held.edit, held.entities) = (Some(row), text.parsed.entities);
        }
        let message = chat.find(bot.id, message_id).map(|held| message_json(state, bot, chat, held));
        Ok((message, evicted))
    })?;
    state.count_accepted(RowKind::Edit, answered);
    state.note_appended(&evicted);
    result(&message)
}
