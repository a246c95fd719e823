//! What happened, one [`TranscriptRow`] each: the line of the ledger, of the transcript, and the record behind a message.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::ChatInfo;
use crate::files::FileInfo;
use crate::limiter::LimitCause;

/// What a row tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// A bot's message arrived.
    Message,
    /// A bot's message was edited.
    Edit,
    /// A user wrote to a bot.
    User,
    /// A user pressed a button.
    Press,
    /// A bot answered a press.
    Answer,
    /// A chat was started, blocked or unblocked; `text` says which.
    Chat,
    /// A request was refused, or lost before it was processed.
    Refused,
    /// Everything before was forgotten.
    Reset,
}

/// What the sender of a processed request got to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SenderView {
    /// The result.
    #[default]
    Ok,
    /// The result, but after a stall.
    Late,
    /// Nothing: the connection was dropped.
    Dropped,
    /// A 5xx.
    ServerError,
    /// A body that is not JSON.
    Garbage,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RequestOutcome {
    /// 200, or the error code; 0 where the connection was dropped before processing.
    pub status: u16,
    /// The error's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which limit was broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitCause>,
    /// What the sender got to see; anything but `ok` leaves it in doubt.
    #[serde(default)]
    pub answered: SenderView,
}

/// One line of the transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TranscriptRow {
    /// Order of events, over all chats, from 1.
    pub seq: u64,
    /// The simulator's clock.
    pub at_ms: i64,
    /// What happened.
    pub kind: RowKind,
    /// The bot's id.
    pub bot: i64,
    /// 0 where the request named none.
    pub chat_id: i64,
    /// 0 where there is none.
    #[serde(default)]
    pub message_id: i64,
    /// The method called, empty for what a user did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The text as it was sent, with its markup; for a press, the button's data.
    #[serde(default)]
    pub text: String,
    /// The text as the chat shows it.
    #[serde(default)]
    pub plain: String,
    /// `HTML`, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parse_mode: Option<String>,
    /// The message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<i64>,
    /// The topic of the group that it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<i64>,
    /// Buttons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_markup: Option<Value>,
    /// The picture or document, of which the text is the caption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileInfo>,
    /// Sent with `disable_notification`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub silent: bool,
    /// The user who wrote or pressed; 0 for a bot.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: i64,
    /// What kind of chat it is, where the row is about the chat itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatInfo>,
    /// How the request ended.
    #[serde(default)]
    pub outcome: RequestOutcome,
}

fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl TranscriptRow {
    /// A row without text; `seq` is set when it is appended.
    pub(crate) fn new(kind: RowKind, at_ms: i64, bot: i64, chat_id: i64) -> Self {
        Self {
            seq: 0,
            at_ms,
            kind,
            bot,
            chat_id,
            message_id: 0,
            method: String::new(),
            text: String::new(),
            plain: String::new(),
            parse_mode: None,
            reply_to: None,
            topic: None,
            reply_markup: None,
            file: None,
            silent: false,
            from: 0,
            chat: None,
            outcome: RequestOutcome { status: 200, ..RequestOutcome::default() },
        }
    }
}

/// A message that arrived in a chat, with its edits.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SentMessage {
    /// Order of arrival over all chats.
    pub seq: u64,
    /// The simulator's clock.
    pub at_ms: i64,
    /// The bot's id.
    pub bot: i64,
    /// The chat.
    pub chat_id: i64,
    /// The message's id within its chat.
    pub message_id: i64,
    /// As sent, with markup.
    pub text: String,
    /// As first shown.
    pub plain: String,
    /// `HTML`, or none.
    pub parse_mode: Option<String>,
    /// The message that this one answers.
    pub reply_to: Option<i64>,
    /// The topic of the group that it stands in.
    pub topic: Option<i64>,
    /// Buttons, as of the latest edit.
    pub reply_markup: Option<Value>,
    /// The picture or document, of which the text is the caption.
    pub file: Option<FileInfo>,
    /// Sent with `disable_notification`.
    pub silent: bool,
    /// What the sender got to see.
    pub answered: SenderView,
    /// As shown after each edit, in order.
    pub edits: Vec<String>,
    /// Each edit's place in the order of events over all chats.
    pub edit_seqs: Vec<u64>,
}

impl SentMessage {
    pub(crate) fn of(row: &TranscriptRow) -> Self {
        Self {
            seq: row.seq,
            at_ms: row.at_ms,
            bot: row.bot,
            chat_id: row.chat_id,
            message_id: row.message_id,
            text: row.text.clone(),
            plain: row.plain.clone(),
            parse_mode: row.parse_mode.clone(),
            reply_to: row.reply_to,
            topic: row.topic,
            reply_markup: row.reply_markup.clone(),
            file: row.file.clone(),
            silent: row.silent,
            answered: row.outcome.answered,
            edits: Vec::new(),
            edit_seqs: Vec::new(),
        }
    }

    /// What the chat shows now.
    pub fn show_text(&self) -> &str {
        self.edits.last().unwrap_or(&self.plain)
    }
}
