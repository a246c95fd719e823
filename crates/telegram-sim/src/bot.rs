//! Bots: identity, the bot-wide meter, and the queue of updates that getUpdates or a webhook takes from.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::limiter::LimitMeter;
use crate::sync::lock;

/// Unconfirmed updates beyond this many push out the oldest.
const QUEUE_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) struct SimBot {
    pub(crate) id: i64,
    pub(crate) username: String,
    pub(crate) meter: Mutex<LimitMeter>,
    updates: Mutex<UpdateQueue>,
    /// Raised with every change that a waiting reader must look at.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct UpdateQueue {
    last_id: i64,
    queue: VecDeque<QueuedUpdate>,
    /// Empty: all kinds.
    allowed: Vec<String>,
    webhook: Option<BotWebhook>,
    /// Raised by every getUpdates; an older one that still waits gives up.
    poll: u64,
    /// Open presses by their id.
    presses: HashMap<String, i64>,
}

#[derive(Debug, Clone)]
pub(crate) struct QueuedUpdate {
    pub(crate) id: i64,
    pub(crate) json: Arc<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BotWebhook {
    pub(crate) url: String,
    pub(crate) secret: Option<String>,
    pub(crate) last_error: Option<(i64, String)>,
    /// Told apart from the one that replaced it.
    pub(crate) epoch: u64,
}

/// Reads `123456:ABC…`.
pub(crate) fn bot_id_of(token: &str) -> Option<i64> {
    let (id, secret) = token.split_once(':')?;
    let well_formed = !secret.is_empty() && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    (well_formed && digits).then(|| id.parse().ok())?.filter(|id| *id > 0)
}

impl SimBot {
    pub(crate) fn new(id: i64) -> Self {
        Self {
            id,
            username: format!("sim_{id}_bot"),
            meter: Mutex::default(),
            updates: Mutex::new(UpdateQueue { last_id: 1_000_000, ..UpdateQueue::default() }),
            changed: watch::Sender::new(0),
        }
    }

    /// The bot as a `User`.
    pub(crate) fn user(&self) -> Value {
        json!({ "id": self.id, "is_bot": true, "first_name": format!("Sim bot {}", self.id), "username": self.username })
    }

    pub(crate) fn me(&self) -> Value {
        let mut user = self.user();
        for (name, value) in [
            ("can_join_groups", true),
            ("can_read_all_group_messages", false),
            ("supports_inline_queries", false),
            ("can_connect_to_business", false),
            ("has_main_web_app", false),
        ] {
            user[name] = json!(value);
        }
        user
    }

    /// Queues an update; `None` if the bot does not want its kind.
    pub(crate) fn queue(&self, kind: &str, body: Value) -> Option<i64> {
        let id = {
            let mut updates = lock(&self.updates);
            let unwanted = !updates.allowed.is_empty() && !updates.allowed.iter().any(|allowed| allowed == kind);
            if unwanted {
                return None;
            }
            updates.last_id += 1;
            let id = updates.last_id;
            let json = Arc::new(json!({ "update_id": id, kind: body }));
            updates.queue.push_back(QueuedUpdate { id, json });
            if updates.queue.len() > QUEUE_MAX {
                updates.queue.pop_front();
            }
            id
        };
        self.wake();
        Some(id)
    }

    pub(crate) fn wake(&self) {
        self.changed.send_modify(|n| *n += 1);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes the place of any getUpdates that waits.
    pub(crate) fn begin_poll(&self) -> u64 {
        let poll = {
            let mut updates = lock(&self.updates);
            updates.poll += 1;
            updates.poll
        };
        self.wake();
        poll
    }

    pub(crate) fn is_latest_poll(&self, poll: u64) -> bool {
        lock(&self.updates).poll == poll
    }

    /// Confirms everything below `offset`; a negative one keeps that many from the end.
    pub(crate) fn confirm(&self, offset: i64) {
        let mut updates = lock(&self.updates);
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            let surplus = updates.queue.len().saturating_sub(keep);
            updates.queue.drain(..surplus);
        } else {
            while updates.queue.pop_front_if(|update| update.id < offset).is_some() {}
        }
    }

    pub(crate) fn pending_updates(&self, limit: usize) -> Vec<QueuedUpdate> {
        lock(&self.updates).queue.iter().take(limit).cloned().collect()
    }

    pub(crate) fn pending_count(&self) -> usize {
        lock(&self.updates).queue.len()
    }

    pub(crate) fn drop_pending(&self) {
        lock(&self.updates).queue.clear();
    }

    pub(crate) fn allow(&self, kinds: Vec<String>) {
        lock(&self.updates).allowed = kinds;
    }

    pub(crate) fn webhook(&self) -> Option<BotWebhook> {
        lock(&self.updates).webhook.clone()
    }

    /// Sets or removes the webhook; gives the new one's epoch.
    pub(crate) fn set_webhook(&self, target: Option<(String, Option<String>)>) -> u64 {
        let epoch = {
            let mut updates = lock(&self.updates);
            updates.poll += 1;
            let epoch = updates.poll;
            updates.webhook = target.map(|(url, secret)| BotWebhook { url, secret, last_error: None, epoch });
            epoch
        };
        self.wake();
        epoch
    }

    pub(crate) fn webhook_failed(&self, epoch: u64, at_ms: i64, why: String) {
        if let Some(webhook) = lock(&self.updates).webhook.as_mut().filter(|webhook| webhook.epoch == epoch) {
            webhook.last_error = Some((at_ms, why));
        }
    }

    pub(crate) fn open_press(&self, id: String, chat_id: i64) {
        lock(&self.updates).presses.insert(id, chat_id);
    }

    /// The chat of a press that is not answered yet; it is answered with this.
    pub(crate) fn close_press(&self, id: &str) -> Option<i64> {
        lock(&self.updates).presses.remove(id)
    }

    /// Back to the state of a new bot; the webhook stays.
    pub(crate) fn reset(&self) {
        *lock(&self.meter) = LimitMeter::default();
        let mut updates = lock(&self.updates);
        updates.queue.clear();
        updates.presses.clear();
    }
}
