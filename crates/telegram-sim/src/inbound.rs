//! What users do: write to a bot, press a button. It becomes an update, and a line of the transcript.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Value, json};

use crate::SimError;
use crate::api::message::{message_json, user_json};
use crate::bot::SimBot;
use crate::files::{FileInfo, FileKind, FileUpload};
use crate::html::TextEntity;
use crate::record::{RowKind, TranscriptRow};
use crate::sim::SimHandle;

/// What a user uploads.
#[derive(Debug, Clone, Default)]
pub struct UserFile {
    /// As a picture, or as a file with a name.
    pub kind: FileKind,
    /// Its name, whose ending tells its content type.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The text under it, or empty.
    pub caption: String,
}

impl SimHandle {
    /// A user writes to a bot, which counts as starting it and lifts a block; gives the message's id.
    ///
    /// # Errors
    /// [`SimError::UnknownBot`].
    pub fn send_user_text(&self, bot: i64, chat: i64, from: i64, text: &str) -> Result<i64, SimError> {
        self.send_from_user(bot, chat, from, text, None)
    }

    /// A user sends a picture or a document; gives the message's id.
    ///
    /// # Errors
    /// [`SimError::UnknownBot`].
    pub fn send_user_file(&self, bot: i64, chat: i64, from: i64, file: UserFile) -> Result<i64, SimError> {
        self.find_bot(bot)?;
        let mime = mime_of(&file.name).to_owned();
        let info = self.0.files.store(file.kind, FileUpload { name: file.name, mime, bytes: file.bytes });
        self.send_from_user(bot, chat, from, &file.caption, Some(info))
    }

    fn send_from_user(
        &self,
        bot: i64,
        chat: i64,
        from: i64,
        text: &str,
        file: Option<FileInfo>,
    ) -> Result<i64, SimError> {
        let state = &self.0;
        let bot = self.find_bot(bot)?;
        let entities = command_entity(text);
        let (message, message_id, evicted) = state.chats.with(chat, |chat| {
            let member = chat.member(bot.id);
            (member.started, member.blocked) = (true, false);
            let row = TranscriptRow {
                message_id: chat.last_message_id + 1,
                text: text.to_owned(),
                plain: text.to_owned(),
                from,
                file,
                ..TranscriptRow::new(RowKind::User, state.now_ms(), bot.id, chat.id)
            };
            let (row, evicted) = state.append_within_chat(row);
            let message_id = row.message_id;
            chat.hold(row, entities);
            let message = chat.held.back().map(|held| message_json(state, &bot, chat, held)).unwrap_or(Value::Null);
            (message, message_id, evicted)
        });
        state.note_appended(&evicted);
        bot.queue("message", message);
        Ok(message_id)
    }

    /// A user presses an inline button under a bot's message; gives the id of the callback query.
    ///
    /// # Errors
    /// [`SimError::UnknownBot`], [`SimError::UnknownMessage`].
    pub fn press_button(
        &self,
        bot: i64,
        chat: i64,
        from: i64,
        message_id: i64,
        data: &str,
    ) -> Result<String, SimError> {
        let state = &self.0;
        let bot = self.find_bot(bot)?;
        let message = state
            .chats
            .with_known(chat, |chat| chat.find(bot.id, message_id).map(|held| message_json(state, &bot, chat, held)))
            .flatten()
            .ok_or(SimError::UnknownMessage { chat, message_id })?;
        let id = (4_000_000_000_000 + state.last_press.fetch_add(1, Relaxed)).to_string();
        state.append(TranscriptRow {
            message_id,
            text: data.to_owned(),
            from,
            ..TranscriptRow::new(RowKind::Press, state.now_ms(), bot.id, chat)
        });
        bot.open_press(id.clone(), chat);
        let press = json!({
            "id": id,
            "from": user_json(from),
            "message": message,
            "chat_instance": chat.to_string(),
            "data": data,
        });
        bot.queue("callback_query", press);
        Ok(id)
    }

    /// Queues an update of any kind as it stands (`chat_join_request`, a photo, …); gives its id, or none if the bot
    /// does not want that kind.
    ///
    /// # Errors
    /// [`SimError::UnknownBot`].
    pub fn inject_update(&self, bot: i64, kind: &str, body: Value) -> Result<Option<i64>, SimError> {
        Ok(self.find_bot(bot)?.queue(kind, body))
    }

    /// How many updates a bot has not confirmed yet.
    ///
    /// # Errors
    /// [`SimError::UnknownBot`].
    pub fn pending_updates(&self, bot: i64) -> Result<usize, SimError> {
        Ok(self.find_bot(bot)?.pending_count())
    }

    fn find_bot(&self, bot: i64) -> Result<Arc<SimBot>, SimError> {
        self.0.bot_by_id(bot).ok_or(SimError::UnknownBot(bot))
    }
}

/// Telegram marks a leading `/word` as a command.
fn command_entity(text: &str) -> Vec<TextEntity> {
    let Some(rest) = text.strip_prefix('/') else {
        return Vec::new();
    };
    let name_len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "_@".contains(c))).unwrap_or(rest.len());
    if name_len == 0 { Vec::new() } else { vec![TextEntity::new("bot_command", 0, name_len + 1)] }
}

fn mime_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("pdf") => "application/pdf",
        _ => "application/octet-stream",
    }
}
