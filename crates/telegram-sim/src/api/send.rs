//! `sendMessage`, `sendPhoto`, `sendDocument`.

use std::sync::Arc;

use serde_json::Value;

use super::message::message_json;
use super::text::{AcceptedText, chat_id};
use crate::answer::{BotApiError, BotApiResult, result};
use crate::bot::SimBot;
use crate::chat::{ChatClosure, ChatKind, SimChat};
use crate::files::{FileInfo, FileKind};
use crate::limiter;
use crate::params::{self, CallParams};
use crate::record::{RequestOutcome, RowKind, SenderView, TranscriptRow};
use crate::sim::SimState;
use crate::sync::lock;

/// The message that a new one replies to.
struct ReplyTarget {
    message_id: i64,
    may_be_missing: bool,
}

impl ReplyTarget {
    fn read(params: &CallParams) -> Result<Option<Self>, BotApiError> {
        let Some(wanted) = params.json("reply_parameters", "reply parameters")? else {
            // The form of before Bot API 7.0.
            return Ok(params
                .int("reply_to_message_id")
                .filter(|id| *id != 0)
                .map(|message_id| Self { message_id, may_be_missing: params.flag("allow_sending_without_reply") }));
        };
        let message_id = wanted.get("message_id").and_then(params::int).unwrap_or(0);
        let may_be_missing = wanted.get("allow_sending_without_reply").is_some_and(params::flag);
        Ok((message_id != 0).then_some(Self { message_id, may_be_missing }))
    }
}

/// What is to be sent.
struct OutgoingContent {
    method: &'static str,
    text: AcceptedText,
    file: Option<FileInfo>,
}

/// Sends a text.
pub(super) fn send_message(
    state: &Arc<SimState>,
    bot: &SimBot,
    params: &CallParams,
    answered: SenderView,
) -> BotApiResult {
    let outgoing = OutgoingContent { method: "sendMessage", text: AcceptedText::read(params)?, file: None };
    send(state, bot, params, answered, outgoing)
}

/// Sends a picture or a document: an upload, or the id of one that is here already.
pub(super) fn send_file(
    state: &Arc<SimState>,
    bot: &SimBot,
    params: &CallParams,
    answered: SenderView,
    kind: FileKind,
) -> BotApiResult {
    let (method, field) = match kind {
        FileKind::Photo => ("sendPhoto", "photo"),
        FileKind::Document => ("sendDocument", "document"),
    };
    let text = AcceptedText::read_caption(params)?;
    let file = match (params.upload(field), params.text(field)) {
        (Some(upload), _) if upload.bytes.is_empty() => return Err(BotApiError::bad_request("file must be non-empty")),
        (Some(upload), _) => state.files.store(kind, upload.clone()),
        (None, Some(file_id)) => state
            .files
            .info(&file_id)
            // URLs are not fetched.
            .ok_or_else(|| BotApiError::bad_request("wrong file identifier/HTTP URL specified"))?,
        (None, None) => return Err(BotApiError::bad_request(format_args!("there is no {field} in the request"))),
    };
    send(state, bot, params, answered, OutgoingContent { method, text, file: Some(file) })
}

fn send(
    state: &Arc<SimState>,
    bot: &SimBot,
    params: &CallParams,
    answered: SenderView,
    outgoing: OutgoingContent,
) -> BotApiResult {
    let OutgoingContent { method, text, file } = outgoing;
    let chat_id = chat_id(params)?;
    let reply = ReplyTarget::read(params)?;
    let reply_markup = params.json("reply_markup", "reply keyboard markup")?;
    let silent = params.flag("disable_notification");
    let topic = params.int("message_thread_id").filter(|topic| *topic != 0);
    let (message, evicted) = state.chats.with(chat_id, |chat| {
        may_write(state, bot, chat)?;
        if topic.is_some_and(|topic| !chat.topics.contains(&topic)) {
            return Err(BotApiError::bad_request("message thread not found"));
        }
        let reply_to = reply_target(bot, chat, reply)?;
        admit(state, bot, chat)?;
        let row = TranscriptRow {
            message_id: chat.last_message_id + 1,
            method: method.to_owned(),
            text: text.sent,
            plain: text.parsed.plain,
            parse_mode: text.parse_mode,
            reply_to,
            topic,
            reply_markup,
            file,
            silent,
            outcome: RequestOutcome { status: 200, answered, ..RequestOutcome::default() },
            ..TranscriptRow::new(RowKind::Message, state.now_ms(), bot.id, chat_id)
        };
        let (row, evicted) = state.append_within_chat(row);
        chat.hold(row, text.parsed.entities);
        let message = chat.held.back().map(|held| message_json(state, bot, chat, held)).unwrap_or(Value::Null);
        Ok((message, evicted))
    })?;
    state.count_accepted(RowKind::Message, answered);
    state.note_appended(&evicted);
    result(&message)
}

/// Whether the chat is there, and open for this bot.
pub(super) fn may_write(state: &SimState, bot: &SimBot, chat: &mut SimChat) -> Result<(), BotApiError> {
    if let Some(to) = chat.migrated_to {
        return Err(BotApiError::migrated_to(to));
    }
    let kind = chat.kind;
    chat.open_for(bot.id, state.settings().mode).map_err(|closed| match (closed, kind) {
        (ChatClosure::Unknown, _) => BotApiError::bad_request("chat not found"),
        (ChatClosure::NotStarted, _) => BotApiError::forbidden("bot can't initiate conversation with a user"),
        (ChatClosure::Blocked, ChatKind::Private) => BotApiError::blocked_answer(),
        (ChatClosure::Blocked, ChatKind::Group) => BotApiError::forbidden("bot was kicked from the group chat"),
        (ChatClosure::Blocked, ChatKind::Supergroup) => {
            BotApiError::forbidden("bot was kicked from the supergroup chat")
        }
        (ChatClosure::Blocked, ChatKind::Channel) => BotApiError::forbidden("bot was kicked from the channel chat"),
    })
}

/// Keeps the limits.
pub(super) fn admit(state: &SimState, bot: &SimBot, chat: &mut SimChat) -> Result<(), BotApiError> {
    let limits = state.settings().limits;
    let is_group = chat.kind != ChatKind::Private;
    let meters = &mut chat.member(bot.id).meters;
    limiter::admit(limits.as_ref(), &mut lock(&bot.meter), meters, is_group, state.now_ms())
        .map_err(BotApiError::too_many_requests)
}

fn reply_target(bot: &SimBot, chat: &SimChat, reply: Option<ReplyTarget>) -> Result<Option<i64>, BotApiError> {
    match reply {
        None => Ok(None),
        Some(reply) if chat.find(bot.id, reply.message_id).is_some() => Ok(Some(reply.message_id)),
        Some(reply) if reply.may_be_missing => Ok(None),
        Some(_) => Err(BotApiError::bad_request("message to be replied not found")),
    }
}
