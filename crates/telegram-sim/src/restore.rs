//! Rebuilding chats from the ledger after the simulator's own restart.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::html;
use crate::record::{RowKind, SenderView, TranscriptRow};
use crate::sim::SimState;
use crate::sync::lock;

/// Puts one row of the ledger back where it was.
pub(crate) fn replay(state: &SimState, row: TranscriptRow) {
    let row = Arc::new(row);
    let evicted = lock(&state.log).keep(Arc::clone(&row));
    if row.chat_id != 0 {
        replay_in_chat(state, &row);
    }
    match row.kind {
        RowKind::Message => state.stats.messages.fetch_add(1, Relaxed),
        RowKind::Edit => state.stats.edits.fetch_add(1, Relaxed),
        _ => 0,
    };
    if matches!(row.outcome.answered, SenderView::Dropped | SenderView::ServerError | SenderView::Garbage) {
        state.stats.in_doubt.fetch_add(1, Relaxed);
    }
    state.chats.forget(&evicted);
}

fn replay_in_chat(state: &SimState, row: &Arc<TranscriptRow>) {
    let entities = || match row.parse_mode {
        Some(_) => html::parse(&row.text).map(|parsed| parsed.trim_text().entities).unwrap_or_default(),
        None => Vec::new(),
    };
    state.chats.with(row.chat_id, |chat| match row.kind {
        RowKind::Message | RowKind::User => {
            if row.kind == RowKind::User {
                chat.member(row.bot).started = true;
            }
            chat.hold(Arc::clone(row), entities());
        }
        RowKind::Edit => {
            if let Some(held) = chat.find_mut(row.message_id) {
                held.entities = entities();
                held.edit = Some(Arc::clone(row));
            }
            chat.rows.push_back(Arc::clone(row));
        }
        RowKind::Chat => {
            if let Some(info) = &row.chat {
                (chat.kind, chat.title) = (info.kind, info.title.clone());
            }
            let member = chat.member(row.bot);
            match row.text.as_str() {
                "started" => (member.started, member.blocked) = (true, false),
                "blocked" => member.blocked = true,
                _ => member.blocked = false,
            }
            chat.rows.push_back(Arc::clone(row));
        }
        _ => chat.rows.push_back(Arc::clone(row)),
    });
}
