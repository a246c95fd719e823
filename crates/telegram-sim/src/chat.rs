//! Chats: who may write there, which messages they hold. Spread over shards, so that senders rarely meet.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::ChatMode;
use crate::html::TextEntity;
use crate::limiter::ChatMeters;
use crate::record::TranscriptRow;
use crate::sync::lock;

/// What a chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    /// With one user; the chat's id is the user's.
    Private,
    /// A basic group.
    Group,
    /// A supergroup.
    Supergroup,
    /// A channel.
    Channel,
}

impl ChatKind {
    /// What the id alone tells.
    pub(crate) fn of(chat_id: i64) -> Self {
        match chat_id {
            0.. => Self::Private,
            ..-1_000_000_000_000 => Self::Supergroup,
            _ => Self::Group,
        }
    }

    /// The Bot API's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
            Self::Channel => "channel",
        }
    }
}

/// A chat's kind and title.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatInfo {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: ChatKind,
    /// Its title, of a group or channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// A message that a chat holds, a bot's or a user's.
#[derive(Debug)]
pub(crate) struct HeldMessage {
    pub(crate) row: Arc<TranscriptRow>,
    pub(crate) edit: Option<Arc<TranscriptRow>>,
    pub(crate) entities: Vec<TextEntity>,
}

impl HeldMessage {
    /// The row that says what is shown now.
    pub(crate) fn current(&self) -> &TranscriptRow {
        self.edit.as_deref().unwrap_or(&self.row)
    }

    pub(crate) fn shows_same(&self, plain: &str, entities: &[TextEntity], markup: Option<&Value>) -> bool {
        let current = self.current();
        current.plain == plain && self.entities == entities && current.reply_markup.as_ref() == markup
    }
}

/// One bot's standing in a chat.
#[derive(Debug, Default)]
pub(crate) struct BotMembership {
    pub(crate) bot: i64,
    pub(crate) started: bool,
    pub(crate) blocked: bool,
    pub(crate) meters: ChatMeters,
}

/// Why a bot may not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChatClosure {
    Unknown,
    NotStarted,
    Blocked,
}

#[derive(Debug)]
pub(crate) struct SimChat {
    pub(crate) id: i64,
    pub(crate) kind: ChatKind,
    pub(crate) title: Option<String>,
    /// The id that it has since it became a supergroup.
    pub(crate) migrated_to: Option<i64>,
    /// Its topics, where it has any: then the general one is without a number.
    pub(crate) topics: BTreeSet<i64>,
    pub(crate) last_message_id: i64,
    pub(crate) held: VecDeque<HeldMessage>,
    pub(crate) rows: VecDeque<Arc<TranscriptRow>>,
    members: Vec<BotMembership>,
}

impl SimChat {
    fn new(id: i64) -> Self {
        Self {
            id,
            kind: ChatKind::of(id),
            title: None,
            migrated_to: None,
            topics: BTreeSet::new(),
            last_message_id: 0,
            held: VecDeque::new(),
            rows: VecDeque::new(),
            members: Vec::new(),
        }
    }

    pub(crate) fn info(&self) -> ChatInfo {
        ChatInfo { kind: self.kind, title: self.title.clone() }
    }

    pub(crate) fn member(&mut self, bot: i64) -> &mut BotMembership {
        let at = match self.members.iter().position(|member| member.bot == bot) {
            Some(at) => at,
            None => {
                self.members.push(BotMembership { bot, ..BotMembership::default() });
                self.members.len() - 1
            }
        };
        &mut self.members[at]
    }

    /// Which bots are in it.
    pub(crate) fn bots(&self) -> Vec<i64> {
        self.members.iter().filter(|member| member.started).map(|member| member.bot).collect()
    }

    /// Whether the bot may write here.
    pub(crate) fn open_for(&mut self, bot: i64, mode: ChatMode) -> Result<(), ChatClosure> {
        let kind = self.kind;
        let member = self.member(bot);
        match (kind, mode) {
            (_, _) if member.blocked => Err(ChatClosure::Blocked),
            (ChatKind::Private, ChatMode::Lenient) => Ok(()),
            (_, _) if member.started => Ok(()),
            (ChatKind::Private, ChatMode::Strict) => Err(ChatClosure::NotStarted),
            (_, _) => Err(ChatClosure::Unknown),
        }
    }

    fn position(&self, message_id: i64) -> Option<usize> {
        self.held.binary_search_by_key(&message_id, |held| held.row.message_id).ok()
    }

    /// The message as this bot sees it: another bot's private messages are not there for it.
    pub(crate) fn find(&self, bot: i64, message_id: i64) -> Option<&HeldMessage> {
        let held = &self.held[self.position(message_id)?];
        (self.kind != ChatKind::Private || held.row.bot == bot).then_some(held)
    }

    pub(crate) fn find_mut(&mut self, message_id: i64) -> Option<&mut HeldMessage> {
        let at = self.position(message_id)?;
        self.held.get_mut(at)
    }

    /// Takes a message in.
    pub(crate) fn hold(&mut self, row: Arc<TranscriptRow>, entities: Vec<TextEntity>) {
        self.last_message_id = self.last_message_id.max(row.message_id);
        self.rows.push_back(Arc::clone(&row));
        self.held.push_back(HeldMessage { row, edit: None, entities });
    }

    /// Forgets what the bounded log has let go.
    fn forget_up_to(&mut self, seq: u64) {
        while self.rows.pop_front_if(|front| front.seq <= seq).is_some() {}
        while self.held.pop_front_if(|front| front.row.seq <= seq).is_some() {}
    }
}

const SHARDS: usize = 64;

type ChatShard = HashMap<i64, SimChat>;

/// All chats by id.
#[derive(Debug)]
pub(crate) struct ChatStore(Vec<Mutex<ChatShard>>);

impl ChatStore {
    pub(crate) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    /// Locks the part of the chats that this one is in.
    pub(crate) fn shard(&self, chat_id: i64) -> MutexGuard<'_, ChatShard> {
        // Fibonacci hashing: neighbouring ids fall into different shards.
        let at = (chat_id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58;
        lock(&self.0[at as usize % SHARDS])
    }

    /// Runs `f` on a chat, which is made if it is not there.
    pub(crate) fn with<T>(&self, chat_id: i64, f: impl FnOnce(&mut SimChat) -> T) -> T {
        f(self.shard(chat_id).entry(chat_id).or_insert_with(|| SimChat::new(chat_id)))
    }

    /// Runs `f` on a chat if it is there.
    pub(crate) fn with_known<T>(&self, chat_id: i64, f: impl FnOnce(&mut SimChat) -> T) -> Option<T> {
        self.shard(chat_id).get_mut(&chat_id).map(f)
    }

    pub(crate) fn forget(&self, rows: &[Arc<TranscriptRow>]) {
        for row in rows {
            self.with_known(row.chat_id, |chat| chat.forget_up_to(row.seq));
        }
    }

    /// Forgets messages and meters; who started and blocked what stays, unless `all`.
    pub(crate) fn clear(&self, all: bool) {
        for shard in &self.0 {
            let mut shard = lock(shard);
            if all {
                shard.clear();
            }
            for chat in shard.values_mut() {
                chat.last_message_id = 0;
                chat.held = VecDeque::new();
                chat.rows = VecDeque::new();
                for member in &mut chat.members {
                    member.meters = ChatMeters::default();
                }
            }
        }
    }
}
