//! Reading the record: messages with their edits, a chat as its user sees it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::record::{RowKind, SentMessage, TranscriptRow};
use crate::sim::SimState;
use crate::sync::lock;

/// Messages with their edits, in order of arrival.
pub(crate) fn messages(rows: &[Arc<TranscriptRow>]) -> Vec<SentMessage> {
    let mut messages: Vec<SentMessage> = Vec::new();
    let mut places: HashMap<(i64, i64), usize> = HashMap::new();
    for row in rows {
        let id = (row.chat_id, row.message_id);
        match row.kind {
            RowKind::Message => {
                places.insert(id, messages.len());
                messages.push(SentMessage::of(row));
            }
            RowKind::Edit => {
                if let Some(message) = places.get(&id).and_then(|place| messages.get_mut(*place)) {
                    message.edits.push(row.plain.clone());
                    message.edit_seqs.push(row.seq);
                    message.reply_markup.clone_from(&row.reply_markup);
                }
            }
            _ => {}
        }
    }
    messages
}

/// The rows of one chat after a number, refused requests among them.
pub(crate) fn of_chat(state: &SimState, chat: i64, after: u64, limit: usize) -> Vec<Arc<TranscriptRow>> {
    let mut rows = state.rows_of(chat);
    rows.retain(|row| row.seq > after);
    rows.extend(lock(&state.log).refused_after(after).into_iter().filter(|row| row.chat_id == chat));
    rows.sort_by_key(|row| row.seq);
    rows.truncate(limit);
    rows
}

/// A chat as its user sees it, with times in UTC.
pub(crate) fn readable(state: &SimState, chat: i64) -> String {
    let rows = state.rows_of(chat);
    let mut shown: HashMap<i64, &TranscriptRow> = HashMap::new();
    for row in rows.iter().filter(|row| matches!(row.kind, RowKind::Message | RowKind::User | RowKind::Edit)) {
        shown.insert(row.message_id, row);
    }
    let mut text = format!("Chat {chat}\n");
    for row in &rows {
        let who = if row.from == 0 { format!("bot {}", row.bot) } else { format!("user {}", row.from) };
        let time = time_of_day(row.at_ms);
        match row.kind {
            RowKind::Message | RowKind::User => {
                let latest = shown.get(&row.message_id).copied().unwrap_or(row);
                let edited = if latest.kind == RowKind::Edit { " (edited)" } else { "" };
                let reply = row.reply_to.map(|id| format!(" in reply to #{id}")).unwrap_or_default();
                let _ = write!(text, "\n[{time}] {who} #{}{reply}{edited}\n", row.message_id);
                if let Some(file) = &row.file {
                    let _ = writeln!(text, "<{}, {} bytes>", file.name, file.size);
                }
                if row.file.is_none() || !latest.plain.is_empty() {
                    let _ = writeln!(text, "{}", latest.plain);
                }
                for line in buttons(latest) {
                    let _ = writeln!(text, "{line}");
                }
            }
            RowKind::Press => {
                let _ = write!(text, "\n[{time}] {who} pressed \"{}\" under #{}\n", row.text, row.message_id);
            }
            RowKind::Answer if !row.text.is_empty() => {
                let _ = write!(text, "\n[{time}] {who} answered the press: {}\n", row.text);
            }
            RowKind::Chat => {
                let _ = write!(text, "\n[{time}] chat {} (bot {})\n", row.text, row.bot);
            }
            RowKind::Answer | RowKind::Edit | RowKind::Refused | RowKind::Reset => {}
        }
    }
    text
}

fn buttons(row: &TranscriptRow) -> Vec<String> {
    let rows = row.reply_markup.as_ref().and_then(|markup| markup.get("inline_keyboard")?.as_array());
    let label = |button: &serde_json::Value| button.get("text").and_then(|t| t.as_str()).map(|t| format!("[ {t} ]"));
    rows.into_iter()
        .flatten()
        .filter_map(|line| line.as_array())
        .map(|line| line.iter().filter_map(label).collect::<Vec<_>>().join(" "))
        .collect()
}

fn time_of_day(at_ms: i64) -> String {
    let seconds = at_ms.div_euclid(1_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
