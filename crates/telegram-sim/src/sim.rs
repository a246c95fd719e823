//! The simulator itself: shared state, and the handle by which a test in the same process drives it.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::sync::watch;

use crate::SimError;
use crate::bot::{SimBot, bot_id_of};
use crate::chat::{ChatKind, ChatStore};
use crate::config::{ChatMode, SimClock, SimConfig, SimLimits};
use crate::fault::{FaultId, FaultSet, InjectedFault};
use crate::files::UploadStore;
use crate::log::TranscriptLog;
use crate::record::{RowKind, SentMessage, TranscriptRow};
use crate::stats::{Counters, Stats};
use crate::sync::{lock, read, write};
use crate::transcript;

/// Settings that can change while it runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SimSettings {
    pub(crate) mode: ChatMode,
    pub(crate) limits: Option<SimLimits>,
    pub(crate) latency_ms: u64,
}

pub(crate) struct SimState {
    pub(crate) clock: SimClock,
    pub(crate) settings: RwLock<SimSettings>,
    bots: RwLock<HashMap<String, Arc<SimBot>>>,
    pub(crate) chats: ChatStore,
    pub(crate) log: Mutex<TranscriptLog>,
    pub(crate) faults: FaultSet,
    pub(crate) files: UploadStore,
    pub(crate) stats: Counters,
    /// Rows appended since the start; waiting tests watch it.
    pub(crate) progress: watch::Sender<u64>,
    pub(crate) shutdown: watch::Sender<bool>,
    pub(crate) last_press: AtomicU64,
    pub(crate) http: reqwest::Client,
    pub(crate) listening: RwLock<Option<SocketAddr>>,
}

/// A handle to a running simulator. Cloning it is cheap.
#[derive(Clone)]
pub struct SimHandle(pub(crate) Arc<SimState>);

impl fmt::Debug for SimHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl SimHandle {
    pub(crate) fn new(config: SimConfig) -> Result<Self, SimError> {
        let (log, rows) = TranscriptLog::open(config.keep, config.ledger.as_deref()).map_err(SimError::Ledger)?;
        // In a build with others, reqwest may have been told to leave the choice to us. Who has chosen before stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().map_err(SimError::HttpClient)?;
        let sim = Self(Arc::new(SimState {
            clock: config.clock,
            settings: RwLock::new(SimSettings {
                mode: config.mode,
                limits: config.limits,
                latency_ms: config.latency_ms,
            }),
            bots: RwLock::default(),
            chats: ChatStore::new(),
            log: Mutex::new(log),
            faults: FaultSet::new(config.seed),
            files: UploadStore::default(),
            stats: Counters::default(),
            progress: watch::Sender::new(0),
            shutdown: watch::Sender::new(false),
            last_press: AtomicU64::new(0),
            http,
            listening: RwLock::default(),
        }));
        for token in &config.bots {
            sim.add_bot(token)?;
        }
        for row in rows {
            crate::restore::replay(&sim.0, row);
        }
        Ok(sim)
    }

    /// Makes a bot known by its token, `123456:ABC…`; gives its id. One that is known already stays as it is.
    ///
    /// # Errors
    /// [`SimError::Token`] if the token does not have that form.
    pub fn add_bot(&self, token: &str) -> Result<i64, SimError> {
        let id = bot_id_of(token).ok_or(SimError::Token)?;
        write(&self.0.bots).entry(token.to_owned()).or_insert_with(|| Arc::new(SimBot::new(id)));
        Ok(id)
    }

    /// The user starts the bot; for a group or channel, the bot is made a member.
    pub fn start_chat(&self, bot: i64, chat: i64) {
        self.0.chats.with(chat, |chat| {
            let member = chat.member(bot);
            (member.started, member.blocked) = (true, false);
        });
        self.note_chat(bot, chat, "started");
    }

    /// As [`SimHandle::start_chat`], and says what kind of chat it is and what it is called.
    pub fn start_chat_as(&self, bot: i64, chat: i64, kind: ChatKind, title: Option<&str>) {
        self.0.chats.with(chat, |chat| {
            chat.kind = kind;
            chat.title = title.map(str::to_owned);
        });
        self.start_chat(bot, chat);
    }

    /// A group becomes a supergroup, with another id and the same bots in it.
    pub fn migrate(&self, group: i64, supergroup: i64) {
        let (bots, topics) = self.0.chats.with(group, |chat| {
            chat.migrated_to = Some(supergroup);
            (chat.bots(), std::mem::take(&mut chat.topics))
        });
        self.0.chats.with(supergroup, |chat| chat.topics = topics);
        for bot in bots {
            self.start_chat_as(bot, supergroup, ChatKind::Supergroup, None);
        }
    }

    /// A group has this topic.
    pub fn add_topic(&self, group: i64, topic: i64) {
        self.0.chats.with(group, |chat| chat.topics.insert(topic));
    }

    /// A topic of a group is deleted, with what was in it: whoever writes there is refused.
    pub fn delete_topic(&self, group: i64, topic: i64) {
        self.0.chats.with(group, |chat| chat.topics.remove(&topic));
    }

    /// The user blocks every bot.
    pub fn block(&self, chat: i64) {
        for bot in self.bot_ids() {
            self.block_bot(bot, chat);
        }
    }

    /// The user blocks one bot.
    pub fn block_bot(&self, bot: i64, chat: i64) {
        self.0.chats.with(chat, |chat| chat.member(bot).blocked = true);
        self.note_chat(bot, chat, "blocked");
    }

    /// The user unblocks every bot.
    pub fn unblock(&self, chat: i64) {
        for bot in self.bot_ids() {
            self.unblock_bot(bot, chat);
        }
    }

    /// The user unblocks one bot.
    pub fn unblock_bot(&self, bot: i64, chat: i64) {
        self.0.chats.with(chat, |chat| chat.member(bot).blocked = false);
        self.note_chat(bot, chat, "unblocked");
    }

    fn note_chat(&self, bot: i64, chat: i64, what: &str) {
        let mut row = TranscriptRow::new(RowKind::Chat, self.0.now_ms(), bot, chat);
        what.clone_into(&mut row.text);
        row.chat = self.0.chats.with(chat, |chat| Some(chat.info()));
        self.0.append(row);
    }

    /// Sets the limits anew; `None` switches them off.
    pub fn set_limits(&self, limits: Option<SimLimits>) {
        write(&self.0.settings).limits = limits;
    }

    /// The limits in force.
    pub fn limits(&self) -> Option<SimLimits> {
        self.0.settings().limits
    }

    /// Lenient or strict from now on.
    pub fn set_mode(&self, mode: ChatMode) {
        write(&self.0.settings).mode = mode;
    }

    /// Delays every answer by so many real milliseconds.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        write(&self.0.settings).latency_ms = latency_ms;
    }

    /// Puts a fault in force.
    pub fn inject_fault(&self, fault: impl Into<InjectedFault>) -> FaultId {
        self.0.faults.inject(fault.into())
    }

    /// Ends one fault and lets go what it holds; false if it is not in force.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.0.faults.remove(id)
    }

    /// Ends all faults and lets go what they hold. Freezes that they announced stay.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<(FaultId, InjectedFault)> {
        self.0.faults.list()
    }

    /// Counters since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.0.stats.snapshot()
    }

    /// Every message that arrived, in order of arrival, with its edits.
    pub fn messages(&self) -> Vec<SentMessage> {
        let rows = lock(&self.0.log).rows();
        transcript::messages(&rows)
    }

    /// The bytes of a message's file, while they are in memory.
    pub fn file_bytes(&self, file_id: &str) -> Option<Vec<u8>> {
        self.0.files.bytes(file_id).map(|bytes| bytes.to_vec())
    }

    /// The messages that arrived in one chat, in order.
    pub fn messages_to(&self, chat: i64) -> Vec<SentMessage> {
        transcript::messages(&self.0.rows_of(chat))
    }

    /// Every event of the transcript after a number, oldest first, refused requests among them.
    pub fn transcript(&self, chat: Option<i64>, after: u64, limit: usize) -> Vec<TranscriptRow> {
        let rows = match chat {
            Some(chat) => transcript::of_chat(&self.0, chat, after, limit),
            None => lock(&self.0.log).after(after, limit),
        };
        rows.into_iter().map(|row| TranscriptRow::clone(&row)).collect()
    }

    /// A chat as its user sees it.
    pub fn chat_text(&self, chat: i64) -> String {
        transcript::readable(&self.0, chat)
    }

    /// Waits until so many messages have arrived since the start or the last reset. The time-out is in real time.
    ///
    /// # Errors
    /// [`SimError::TimedOut`] with what had arrived by then.
    pub async fn wait_for(&self, count: u64, timeout: Duration) -> Result<(), SimError> {
        self.wait_until(timeout, |sim| sim.0.stats.messages.load(Relaxed) >= count).await
    }

    /// Waits until so many messages are in one chat.
    ///
    /// # Errors
    /// [`SimError::TimedOut`].
    pub async fn wait_for_chat(&self, chat: i64, count: usize, timeout: Duration) -> Result<(), SimError> {
        let is_message = |row: &&Arc<TranscriptRow>| row.kind == RowKind::Message;
        self.wait_until(timeout, |sim| sim.0.rows_of(chat).iter().filter(is_message).count() >= count).await
    }

    /// Waits until a condition holds; it is looked at after every event.
    ///
    /// # Errors
    /// [`SimError::TimedOut`].
    pub async fn wait_until(&self, timeout: Duration, condition: impl Fn(&Self) -> bool) -> Result<(), SimError> {
        let mut progress = self.0.progress.subscribe();
        let reached = async {
            loop {
                progress.borrow_and_update();
                if condition(self) {
                    return;
                }
                // The sender lives in `self`, so this cannot fail.
                if progress.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(timeout, reached)
            .await
            .map_err(|_| SimError::TimedOut { messages: self.0.stats.messages.load(Relaxed) })
    }

    /// Forgets messages, updates, faults, freezes and counters. Bots, webhooks, settings and who started or blocked
    /// what stay; with `chats`, the latter is forgotten too.
    pub fn reset(&self, chats: bool) {
        self.clear_faults();
        self.0.chats.clear(chats);
        for bot in self.0.all_bots() {
            bot.reset();
        }
        self.0.append(TranscriptRow::new(RowKind::Reset, self.0.now_ms(), 0, 0));
        lock(&self.0.log).clear();
        self.0.stats.reset();
        self.0.progress.send_modify(|n| *n += 1);
    }

    /// The ids of all bots.
    pub fn bot_ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> = self.0.all_bots().iter().map(|bot| bot.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

impl SimState {
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    pub(crate) fn settings(&self) -> SimSettings {
        *read(&self.settings)
    }

    pub(crate) fn bot(&self, token: &str) -> Option<Arc<SimBot>> {
        read(&self.bots).get(token).cloned()
    }

    pub(crate) fn bot_by_id(&self, id: i64) -> Option<Arc<SimBot>> {
        read(&self.bots).values().find(|bot| bot.id == id).cloned()
    }

    pub(crate) fn all_bots(&self) -> Vec<Arc<SimBot>> {
        read(&self.bots).values().cloned().collect()
    }

    pub(crate) fn rows_of(&self, chat: i64) -> Vec<Arc<TranscriptRow>> {
        self.chats.with_known(chat, |chat| chat.rows.iter().cloned().collect()).unwrap_or_default()
    }

    /// Writes a row down and wakes those who wait.
    pub(crate) fn append(&self, row: TranscriptRow) -> Arc<TranscriptRow> {
        let belongs_to_chat = row.chat_id != 0 && row.kind != RowKind::Refused;
        let (row, evicted) = if belongs_to_chat {
            self.chats.with(row.chat_id, |chat| {
                let (row, evicted) = self.append_within_chat(row);
                chat.rows.push_back(Arc::clone(&row));
                (row, evicted)
            })
        } else {
            self.append_within_chat(row)
        };
        self.note_appended(&evicted);
        row
    }

    /// Writes a row down while its chat is locked. [`SimState::appended`] must follow once it is not.
    pub(crate) fn append_within_chat(&self, row: TranscriptRow) -> (Arc<TranscriptRow>, Vec<Arc<TranscriptRow>>) {
        let appended = lock(&self.log).append(row);
        if appended.ledger_failed && self.stats.ledger_errors.fetch_add(1, Relaxed) == 0 {
            tracing::error!("the ledger cannot be written; what arrives from now on is in memory only");
        }
        (appended.row, appended.evicted)
    }

    pub(crate) fn note_appended(&self, evicted: &[Arc<TranscriptRow>]) {
        self.chats.forget(evicted);
        self.progress.send_modify(|n| *n += 1);
    }
}
